// natsessionctl verify: reads the whole ledger and says what is damaged. Changes nothing; the daemon may be
// writing it.
#include "verify.h"

#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "command.h"
#include "words.h"

namespace natsession::ctl {
namespace {

std::string records_in_words(Ordinal first, Ordinal last) {
  return first == last ? fmt::format("record {}", first) : fmt::format("records {} to {}", first, last);
}

constexpr std::string_view kClearLine = "\r\x1b[K";

void show_progress(const std::string& file, std::uint64_t done, std::uint64_t total) {
  const std::uint64_t percent = total == 0 ? 100 : done * 100 / total;
  fmt::print(stderr, "{}{} % of {}: {}", kClearLine, percent, bytes_in_words(total), printable(file));
}

int run_verify(const Global& global) {
  const auto directory = ledger_directory(global);
  if (!directory) return fail("verify", directory.error());
  const bool progress = ::isatty(STDERR_FILENO) != 0;
  const auto report = verify_ledger(*directory, progress ? show_progress : VerifyProgress());
  if (progress) fmt::print(stderr, "{}", kClearLine);
  if (!report) return fail("verify", report.error());
  const int status =
      print(global.json ? verify_json(*report) : verify_text(*directory, *report, screen().colours));
  return status != kDone ? status : report->sound() ? kDone : kFailed;
}

}  // namespace

std::string verify_text(const std::string& directory, const VerifyReport& report, bool colours) {
  std::string out =
      fmt::format("{}: {} records in {} frames and {} segments, {} sealed; {}\n", printable(directory),
                  grouped(report.records), grouped(report.frames), grouped(report.segments),
                  grouped(report.sealed_segments), bytes_in_words(report.bytes));
  if (report.unfinished_bytes != 0) {
    out += fmt::format("{} bytes at the end are unfinished: just being written, or cut at the next start\n",
                       grouped(report.unfinished_bytes));
  }
  const auto bad = [&](const std::string& text) {
    out += painted(printable(text), Paint::kBad, colours) + "\n";
  };
  for (const std::string& file : report.unreadable) bad("unreadable: " + file);
  for (const VerifyReport::Damage& damage : report.damaged) {
    bad(fmt::format("damaged: {}: {} bytes at {}{}: {}", damage.file, damage.bytes, damage.offset,
                    damage.has_ordinals ? ", " + records_in_words(damage.first, damage.last) : "",
                    damage.why));
  }
  for (const VerifyReport::Missing& missing : report.missing) {
    bad("missing: " + records_in_words(missing.first, missing.last));
  }
  for (const NamedCursor& cursor : report.lost_cursors) {
    bad(fmt::format("sink {}: its place, record {}, is behind the end, {}", cursor.name, cursor.state.next,
                    report.end));
  }
  if (report.sound()) return out + painted("sound", Paint::kGood, colours) + "\n";
  bad(fmt::format("{} damaged places, {} records missing", grouped(report.damaged_frames),
                  grouped(report.missing_records)));
  return out;
}

std::string verify_json(const VerifyReport& report) {
  using Json = nlohmann::ordered_json;
  Json damaged = Json::array();
  for (const VerifyReport::Damage& damage : report.damaged) {
    Json entry{
        {"file", damage.file}, {"offset", damage.offset}, {"bytes", damage.bytes}, {"why", damage.why}};
    entry["first"] = damage.has_ordinals ? Json(damage.first) : Json(nullptr);
    entry["last"] = damage.has_ordinals ? Json(damage.last) : Json(nullptr);
    damaged.push_back(std::move(entry));
  }
  Json missing = Json::array();
  for (const VerifyReport::Missing& gap : report.missing)
    missing.push_back({{"first", gap.first}, {"last", gap.last}});
  Json cursors = Json::array();
  for (const NamedCursor& cursor : report.lost_cursors) {
    cursors.push_back({{"sink", cursor.name}, {"next", cursor.state.next}});
  }
  const Json json{{"sound", report.sound()},
                  {"segments", report.segments},
                  {"sealed_segments", report.sealed_segments},
                  {"frames", report.frames},
                  {"records", report.records},
                  {"bytes", report.bytes},
                  {"begin", report.begin},
                  {"end", report.end},
                  {"unfinished_bytes", report.unfinished_bytes},
                  {"damaged_frames", report.damaged_frames},
                  {"damaged", std::move(damaged)},
                  {"missing_records", report.missing_records},
                  {"missing", std::move(missing)},
                  {"unreadable", report.unreadable},
                  {"lost_cursors", std::move(cursors)}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void add_verify(Commands& commands) {
  Command command = commands.add("verify", "Read the whole ledger and say what is damaged");
  command.footer(
      "Examples:\n  natsessionctl verify\n  natsessionctl --ledger /var/lib/natsessiond/ledger verify");
  command.run([](const Global& global) { return run_verify(global); });
}

}  // namespace natsession::ctl
