#include "ask/identity_access.h"

#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <syslog.h>
#include <unistd.h>

#include "base/files.h"
#include "query/time_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

using IdentityJson = nlohmann::ordered_json;

// Who logged in, as the kernel keeps it over su and sudo; empty: nobody did.
std::string login_text() {
  const auto text = read_file("/proc/self/loginuid", ByteCount{32}, ErrorKind::kIo);
  if (!text || text->empty() || text->starts_with("4294967295")) return {};
  return ", logged in as uid " + text->substr(0, text->find_first_not_of("0123456789"));
}

void tell_system_log(const Global& global, const std::string& ledger) {
  ::openlog("natsessionctl", LOG_PID, LOG_AUTHPRIV);
  ::syslog(LOG_NOTICE, "names of subscribers asked for by uid %u%s of %s: %s",
           static_cast<unsigned>(::getuid()), login_text().c_str(), printable(ledger).c_str(),
           printable(global.words).c_str());
  ::closelog();
}

IdentityJson identity_time(UnixMs time) {
  return format_local_rfc3339(time);
}
IdentityJson text_or_null(const std::string& text) {
  return text.empty() ? IdentityJson(nullptr) : IdentityJson(text);
}

IdentityJson json_of(const AddressAssignment& one) {
  const auto time_or_null = [](const std::optional<UnixMs>& time) {
    return time ? identity_time(*time) : IdentityJson(nullptr);
  };
  return {{"subscriber", one.subscriber},
          {"kind", std::string(to_string(one.kind))},
          {"prefix", one.prefix.to_string()},
          {"netns", text_or_null(one.netns)},
          {"mac", text_or_null(one.mac)},
          {"host", text_or_null(one.host)},
          {"source", one.source},
          {"id", text_or_null(one.id)},
          {"from", identity_time(one.from)},
          {"from_earliest", identity_time(one.from_earliest)},
          {"until", time_or_null(one.until)},
          {"until_latest", time_or_null(one.until_latest)}};
}

std::string dumped(const IdentityJson& json) {
  return json.dump(2, ' ', false, IdentityJson::error_handler_t::replace);
}

// The whole prefix of an address is the address.
std::string prefix_words(const Prefix& prefix) {
  const bool whole = prefix.length() == (prefix.lowest().is_v4() ? 32U : 128U);
  return whole ? prefix.lowest().to_string() : prefix.to_string();
}

std::string begin_words(const AddressAssignment& one) {
  const std::string from = format_local_time(one.from);
  return one.from_earliest == one.from
             ? from
             : from + " (perhaps from " + format_local_time(one.from_earliest) + ")";
}
std::string end_words(const AddressAssignment& one) {
  if (!one.until) return ", open";
  const std::string until = " to " + format_local_time(*one.until);
  return !one.until_latest || *one.until_latest == *one.until
             ? until
             : until + " (perhaps to " + format_local_time(*one.until_latest) + ")";
}

}  // namespace

IdentityAccess IdentityAccess::open(const Global& global) {
  IdentityAccess access;
  access.error_ = {ErrorKind::kUnavailable, "a store has no names: they are beside a ledger"};
  if (!global.store.empty()) return access;
  const auto ledger = ledger_directory(global);
  if (!ledger) {
    access.error_ = ledger.error();
    return access;
  }
  access.error_ = {
      ErrorKind::kUnavailable,
      "the ledger " + *ledger + " has no log of who had an address: natsessiond --identity keeps one"};
  if (IdentityReader::is_absent(*ledger)) return access;
  auto reader = IdentityReader::open(*ledger);
  if (!reader) {
    access.error_ = reader.error();
    access.hidden_ = reader.error().kind == ErrorKind::kPermission
                         ? "names are not shown: " + *ledger + "/identity may not be read by this user"
                         : "names are not shown: " + reader.error().message;
    return access;
  }
  tell_system_log(global, *ledger);
  access.names_ = std::make_unique<SubscriberNames>(std::move(*reader));
  return access;
}

void warn_of_damage(std::string_view command, const IdentityAccess& access) {
  if (access.names() == nullptr) return;
  for (const IdentityDamage& one : access.names()->damage())
    fmt::print(stderr, "natsessionctl: {}: warning: {}\n", command, printable(one.what));
}

SubscriberCells subscriber_cells(const IdentityAnswer& answer) {
  SubscriberCells cells;
  cells.verdict = to_string(answer.verdict);
  cells.why = answer.why_not;
  const auto add = [](std::string& to, const std::string& text) { to += (to.empty() ? "" : "; ") + text; };
  for (const IdentityHolder& one : answer.holders) {
    add(cells.subscriber, one.assignment.subscriber);
    add(cells.source, one.assignment.source);
    add(cells.from, format_local_rfc3339(one.assignment.from));
    add(cells.until, one.assignment.until ? format_local_rfc3339(*one.assignment.until) : "open");
    add(cells.why, one.why());
  }
  return cells;
}

std::vector<std::string> subscriber_lines(const IdentityAnswer& answer) {
  std::vector<std::string> lines;
  for (const IdentityHolder& holder : answer.holders) {
    const AddressAssignment& one = holder.assignment;
    std::string also;
    if (!one.mac.empty() && one.mac != one.subscriber) also += ", MAC " + one.mac;
    if (!one.host.empty() && one.host != one.subscriber) also += ", host " + one.host;
    if (!one.netns.empty()) also += ", network namespace " + one.netns;
    lines.push_back(fmt::format(
        "{}, {}: {}; {} of {} by {}{}; from {}{}", one.subscriber.empty() ? "(no name)" : one.subscriber,
        holder.certain() ? "certain" : "possible", holder.why(), to_string(one.kind),
        prefix_words(one.prefix), one.source, also, begin_words(one), end_words(one)));
  }
  if (lines.empty()) {
    lines.push_back(answer.verdict == IdentityVerdict::kNobody
                        ? "nobody: all sources were followed, and none names anybody"
                        : "not known: " + answer.why_not);
  }
  for (const SourceFollowed& source : answer.sources) {
    if (source.throughout) continue;
    std::string text = source.source + " was not followed then";
    if (source.until) text += ": until " + format_local_time(*source.until);
    if (source.from)
      text +=
          std::string(source.until ? ", and again" : ": only") + " from " + format_local_time(*source.from);
    lines.push_back(text);
  }
  for (const IdentityDamage& one : answer.damage) lines.push_back("damaged: " + one.what);
  if (answer.forgotten && answer.verdict != IdentityVerdict::kNotKnown)
    lines.emplace_back("somebody's names of this time may have been deleted on request");
  return lines;
}

std::string subscriber_json(const IdentityAnswer& answer) {
  IdentityJson holders = IdentityJson::array();
  for (const IdentityHolder& one : answer.holders) {
    IdentityJson json = json_of(one.assignment);
    json["certain"] = one.certain();
    json["why"] = one.why();
    holders.push_back(std::move(json));
  }
  IdentityJson sources = IdentityJson::array();
  for (const SourceFollowed& one : answer.sources) {
    const auto time = [](const std::optional<UnixMs>& at) {
      return at ? identity_time(*at) : IdentityJson(nullptr);
    };
    sources.push_back(
        {{"source", one.source},
         {"followed", one.throughout},
         {one.throughout ? "followed_from" : "followed_before", time(one.throughout ? one.from : one.until)},
         {one.throughout ? "followed_until" : "followed_again",
          time(one.throughout ? one.until : one.from)}});
  }
  IdentityJson damage = IdentityJson::array();
  for (const IdentityDamage& one : answer.damage) damage.push_back(one.what);
  const bool named = !answer.holders.empty();
  return dumped({{"verdict", std::string(to_string(answer.verdict))},
                 {"subscriber",
                  named ? IdentityJson(answer.holders.front().assignment.subscriber) : IdentityJson(nullptr)},
                 {"holders", std::move(holders)},
                 {"why_not", text_or_null(answer.why_not)},
                 {"sources", std::move(sources)},
                 {"deleted_on_request", answer.forgotten},
                 {"damage", std::move(damage)}});
}

std::string assignment_json(const AddressAssignment& assignment) {
  return dumped(json_of(assignment));
}

std::string hidden_subscriber_json(const std::string& why) {
  return dumped({{"verdict", "not shown"}, {"subscriber", nullptr}, {"why_not", why}});
}

}  // namespace natsession::ctl
