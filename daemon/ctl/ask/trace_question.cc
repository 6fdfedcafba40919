#include "ask/trace_question.h"

#include <charconv>

#include <fmt/format.h>

#include "ask/log_options.h"
#include "net/protocol.h"
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

Result<void> read_nat(const std::string& text, TraceQuestion& question) {
  if (text.empty()) return wrong("--nat", "which address and port? --nat 203.0.113.7:40123");
  const Endpoint end = split_endpoint(text);
  const auto address = IpAddress::parse(end.address);
  if (!address) return wrong("--nat", address.error().message);
  question.nat_ip = *address;
  if (end.port.empty()) return {};
  const auto port = read_port("--nat", end.port);
  if (!port) return port.error();
  question.nat_port = *port;
  return {};
}

Result<void> read_pub(const std::string& text, TraceQuestion& question) {
  if (text.empty()) return {};
  const Endpoint end = split_endpoint(text);
  if (!end.address.empty()) {
    const auto address = IpAddress::parse(end.address);
    if (!address) return wrong("--pub", address.error().message);
    question.pub_ip = *address;
  }
  if (!end.port.empty()) {
    const auto port = read_port("--pub", end.port);
    if (!port) return port.error();
    question.pub_port = *port;
  }
  return {};
}

Result<void> read_when(const TraceWords& words, UnixMs now, TraceQuestion& question) {
  const bool range = !words.since.empty() || !words.until.empty();
  if (!words.at.empty() && range) return wrong("--at", "give one time, or --since and --until, not both");
  if (words.at.empty() && words.since.empty())
    return wrong("--at", "at what time? --at '2026-11-21 14:57:03', --at -2h, or --since and --until");
  if (!words.at.empty()) {
    const auto at = read_time("trace", "--at", words.at, now);
    if (!at) return at.error();
    question.from = at->time;
    question.until = at->last();
    return {};
  }
  const auto since = read_time("trace", "--since", words.since, now);
  if (!since) return since.error();
  question.from = since->time;
  question.until = now;
  if (!words.until.empty()) {
    const auto until = read_time("trace", "--until", words.until, now);
    if (!until) return until.error();
    question.until = until->time;
  }
  if (question.from <= question.until) return {};
  return wrong("--until", fmt::format("{} is before --since, {}", format_local_time(question.until),
                                      format_local_time(question.from)));
}

}  // namespace

Result<TraceQuestion> read_question(const TraceWords& words, UnixMs now) {
  TraceQuestion question;
  if (auto read = read_nat(words.nat, question); !read) return read.error();
  if (auto read = read_pub(words.pub, question); !read) return read.error();
  if (auto read = read_when(words, now, question); !read) return read.error();
  if (!words.protocol.empty()) {
    const auto protocol = parse_protocol(words.protocol);
    if (!protocol) return wrong("--proto", protocol.error().message);
    question.protocol = *protocol;
  }
  if (!words.slack.empty()) {
    const auto slack = parse_duration(words.slack);
    if (!slack) return wrong("--slack", slack.error().message);
    question.slack = *slack;
  }
  return question;
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
  return text;
}

std::string question_time_text(const TraceQuestion& question) {
  std::string text = format_local_time(question.from);
  if (question.until != question.from) text += " to " + format_local_time(question.until);
  return fmt::format("{}, give or take {}, zone {}", text, format_duration(question.slack),
                     local_zone_text(question.from));
}

}  // namespace natsession::ctl
