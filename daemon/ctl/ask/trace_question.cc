#include "ask/trace_question.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "net/protocol.h"
#include "query/time_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

Error wrong(std::string_view option, const std::string& message) {
  return {ErrorKind::kUsage, fmt::format("{}: {}", option, message)};
}

Result<std::uint16_t> read_port(std::string_view option, std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error == std::errc() && end == text.data() + text.size()) return port;
  return wrong(option, fmt::format("'{}' is not a port: a number up to 65535", text));
}

Result<void> read_nat(const std::string& text, const std::string& label, const std::string& port_label,
                      TraceQuestion& question) {
  if (text.empty()) return wrong(label, "which address and port? 203.0.113.7:40123");
  const Endpoint end = split_endpoint(text);
  const auto address = IpAddress::parse(end.address);
  if (!address) return wrong(label, address.error().message);
  question.nat_ip = *address;
  if (end.port.empty()) return {};
  const auto port = read_port(port_label, end.port);
  if (!port) return port.error();
  question.nat_port = *port;
  return {};
}

Result<void> read_pub(const std::string& text, const std::string& label, const std::string& port_label,
                      TraceQuestion& question) {
  if (text.empty()) return {};
  const Endpoint end = split_endpoint(text);
  if (!end.address.empty()) {
    const auto address = IpAddress::parse(end.address);
    if (!address) return wrong(label, address.error().message);
    question.pub_ip = *address;
  }
  if (!end.port.empty()) {
    const auto port = read_port(port_label, end.port);
    if (!port) return port.error();
    question.pub_port = *port;
  }
  return {};
}

// One time, which is not behind `latest`.
Result<TimeReading> read_past(std::string_view option, std::string_view text, UnixMs now, UnixMs latest) {
  const auto reading = parse_time_text(text, now);
  if (!reading) return wrong(option, reading.error().message);
  if (reading->time <= latest) return *reading;
  return wrong(option, fmt::format("'{}' is still to come: {}; now it is {}", text, describe(*reading),
                                   format_local_time(now)));
}

// The time of `asked`, which becomes two where the clocks showed it twice.
Result<void> read_when(const TraceWords& words, const std::string& label, UnixMs now,
                       std::vector<AskedQuestion>& asked) {
  const bool range = !words.since.empty() || !words.until.empty();
  TraceQuestion& question = asked.front().question;
  const UnixMs latest = now + question.slack;
  if (!words.at.empty() && range) return wrong("--at", "give one time, or --since and --until, not both");
  if (words.at.empty() && words.since.empty())
    return wrong(label, "at what time? --at '2026-11-21 14:57:03', --at -2h, or --since and --until");
  const auto odd = [](std::string_view text, const TimeReading& reading, std::string_view taken) {
    if (reading.skipped) return fmt::format("'{}' is {}", text, describe(reading));
    return reading.again ? fmt::format("the clocks showed '{}' twice: {}", text, taken) : std::string();
  };
  if (!words.at.empty()) {
    const auto at = read_past(label, words.at, now, latest);
    if (!at) return at.error();
    question.from = at->time;
    question.until = at->last();
    if (at->again) {
      asked.push_back(asked.front());
      asked.back().question.from += *at->again - at->time;
      asked.back().question.until += *at->again - at->time;
    }
    for (AskedQuestion& one : asked) {
      one.warning = odd(words.at, *at, "this is " + format_local_time(one.question.from));
    }
    return {};
  }
  const auto since = read_past("--since", words.since, now, latest);
  if (!since) return since.error();
  question.from = since->time;
  question.until = now;
  asked.front().warning = odd(words.since, *since, "from the first on");
  if (!words.until.empty()) {
    const auto until = parse_time_text(words.until, now, ClockDay::kToday);
    if (!until) return wrong("--until", until.error().message);
    question.until = until->again.value_or(until->time);
    std::string warning = odd(words.until, *until, "to the second");
    if (question.until > latest) {
      question.until = now;
      warning = fmt::format("--until '{}' is still to come, {}: up to now", words.until, describe(*until));
    }
    if (!warning.empty()) asked.front().warning += (asked.front().warning.empty() ? "" : "; ") + warning;
  }
  if (question.from <= question.until) return {};
  return wrong("--until", fmt::format("{} is before --since, {}", format_local_time(question.until),
                                      format_local_time(question.from)));
}

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Result<void> take_words(const std::vector<std::string>& given, TraceWords& words) {
  // Quoted or not, it is the same.
  std::vector<std::string_view> parts;
  for (const std::string_view text : given) {
    for (std::size_t at = text.find_first_not_of(' '); at != std::string_view::npos;) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      parts.push_back(text.substr(at, end - at));
      at = text.find_first_not_of(' ', end);
    }
  }
  if (parts.empty()) return {};
  if (!words.nat.empty())
    return wrong("--nat", fmt::format("'{}' says it as well: once will do", parts.front()));
  std::size_t next = 1;
  words.nat = parts.front();
  if (next + 1 < parts.size() && parts[next] == "port") ++next;
  if (next < parts.size() && is_port(parts[next])) words.nat += fmt::format(" port {}", parts[next++]);
  if (next < parts.size() && words.protocol.empty() && !is_port(parts[next]) && parse_protocol(parts[next]))
    words.protocol = parts[next++];
  if (next < parts.size() && parts[next] == "at") ++next;
  std::string time;
  for (; next < parts.size(); ++next) time += (time.empty() ? "" : " ") + std::string(parts[next]);
  if (time.empty()) return {};
  if (!words.at.empty()) return wrong("--at", fmt::format("'{}' says a time as well: once will do", time));
  words.at = std::move(time);
  return {};
}

Result<std::vector<AskedQuestion>> read_question(const TraceWords& words, UnixMs now,
                                                 const TraceLabels& labels) {
  std::vector<AskedQuestion> asked(1);
  TraceQuestion& question = asked.front().question;
  if (auto read = read_nat(words.nat, labels.nat, labels.nat_port, question); !read) return read.error();
  if (auto read = read_pub(words.pub, labels.pub, labels.pub_port, question); !read) return read.error();
  if (!words.protocol.empty()) {
    const auto protocol = parse_protocol(words.protocol);
    if (!protocol) return wrong(labels.protocol, protocol.error().message);
    question.protocol = *protocol;
  }
  if (!words.slack.empty()) {
    const auto slack = parse_duration(words.slack);
    if (!slack) return wrong("--slack", slack.error().message);
    question.slack = *slack;
  }
  question.netns = words.netns;
  if (auto read = read_when(words, labels.at, now, asked); !read) return read.error();
  return asked;
}

std::string question_text(const TraceQuestion& question) {
  std::string text = question.nat_port ? endpoint_text(question.nat_ip, *question.nat_port)
                                       : question.nat_ip.to_string() + ", any port";
  if (question.protocol) text += " " + protocol_text(*question.protocol);
  if (question.pub_ip || question.pub_port) {
    text += " towards ";
    if (question.pub_ip && question.pub_port) {
      text += endpoint_text(*question.pub_ip, *question.pub_port);
    } else {
      text += question.pub_ip ? question.pub_ip->to_string() : fmt::format("port {}", *question.pub_port);
    }
  }
  if (!question.netns.empty()) text += ", network namespace " + question.netns;
  return text;
}

std::string question_time_text(const TraceQuestion& question) {
  std::string text = format_local_time(question.from);
  if (question.until != question.from) text += " to " + format_local_time(question.until);
  return fmt::format("{}, give or take {}, zone {}", text, format_duration(question.slack),
                     local_zone_text(question.from));
}

}  // namespace natsession::ctl
