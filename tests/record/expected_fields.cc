#include "record/expected_fields.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <ctime>
#include <optional>

namespace natsession::testing {
namespace {

using Kind = JsonMember::Kind;

[[gnu::format(printf, 1, 2)]] std::string print(const char* format, ...) {
  std::array<char, 64> text{};
  va_list values;
  va_start(values, format);
  const int length = std::vsnprintf(text.data(), text.size(), format, values);
  va_end(values);
  return {text.data(), static_cast<std::size_t>(length)};
}

std::string slow_rfc3339(std::int64_t ms) {
  std::time_t seconds = ms / 1000;
  std::int64_t rest = ms % 1000;
  if (rest < 0) {
    rest += 1000;
    --seconds;
  }
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  const std::int64_t year = std::int64_t{parts.tm_year} + 1900;
  const std::string year_text =
      year >= 0 && year <= 9999 ? print("%04" PRId64, year) : print("%+07" PRId64, year);
  return year_text + print("-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                           parts.tm_min, parts.tm_sec, static_cast<int>(rest));
}

std::string hex64(std::uint64_t value) {
  return print("%016" PRIx64, value);
}

class Members {
 public:
  std::vector<JsonMember> list;

  void text(const char* key, std::string value) { list.push_back({key, Kind::kString, std::move(value)}); }
  void number(const char* key, std::string value) { list.push_back({key, Kind::kNumber, std::move(value)}); }
  void null(const char* key) { list.push_back({key, Kind::kNull, ""}); }
  void text_if(bool present, const char* key, std::string value) {
    if (present) {
      text(key, std::move(value));
    } else {
      null(key);
    }
  }
  void number_if(bool present, const char* key, std::uint64_t value) {
    if (present) {
      number(key, std::to_string(value));
    } else {
      null(key);
    }
  }
  void time(const char* key, std::optional<UnixMs> value, TimeFormat format) {
    if (!value) {
      null(key);
    } else if (format == TimeFormat::kRfc3339) {
      text(key, slow_time(*value, format));
    } else {
      number(key, slow_time(*value, format));
    }
  }
};

}  // namespace

std::string slow_time(UnixMs time, TimeFormat format) {
  const std::int64_t ms = time.time_since_epoch().count();
  if (format == TimeFormat::kUnixMs) return print("%" PRId64, ms);
  if (format == TimeFormat::kRfc3339) return slow_rfc3339(ms);
  const std::string magnitude = print("%04" PRId64, ms).substr(ms < 0 ? 1 : 0);
  const std::string padded = std::string(magnitude.size() < 4 ? 4 - magnitude.size() : 0, '0') + magnitude;
  return (ms < 0 ? "-" : "") + padded.substr(0, padded.size() - 3) + "." + padded.substr(padded.size() - 3);
}

std::vector<JsonMember> expected_fields(const SessionRecord& record, TimeFormat time_format,
                                        bool with_netns) {
  const bool gap = record.event == RecordEvent::kGap;
  Members members;
  members.text("instance", record.origin->instance);
  members.text("vpc_id", std::string(record.vpc_id));
  members.number_if(!gap, "protocol", record.protocol);
  members.text_if(!gap, "pri_ip", record.pri_ip.to_string());
  members.number_if(!gap, "pri_port", record.pri_port);
  members.text_if(!gap, "pub_ip", record.pub_ip.to_string());
  members.number_if(!gap, "pub_port", record.pub_port);
  members.text_if(!gap, "nat_ip", record.nat_ip.to_string());
  members.number_if(!gap, "nat_port", record.nat_port);
  members.number_if(!gap && record.bytes_from_pub.known(), "bytes_from_pub", record.bytes_from_pub.value());
  members.number_if(!gap && record.pkts_from_pub.known(), "pkts_from_pub", record.pkts_from_pub.value());
  members.number_if(!gap && record.bytes_from_vpc.known(), "bytes_from_vpc", record.bytes_from_vpc.value());
  members.number_if(!gap && record.pkts_from_vpc.known(), "pkts_from_vpc", record.pkts_from_vpc.value());
  const bool unknown_start = gap && record.start_time == UnixMs::min();
  members.time("start_time", unknown_start ? std::nullopt : std::optional(record.start_time), time_format);
  members.time("end_time", record.end_time, time_format);
  members.text("event", std::string(to_string(record.event)));
  members.text_if(!gap, "session_id", hex64(record.session_id));
  members.number_if(!gap, "seq", record.seq);
  members.time("session_start", gap ? std::nullopt : record.session_start, time_format);
  members.text_if(!gap && record.tcp_state != TcpState::kNone, "tcp_state",
                  std::string(to_string(record.tcp_state)));
  members.text_if(record.reason != RecordReason::kNone, "reason", std::string(to_string(record.reason)));
  members.text_if(!gap && record.has_orig_dst, "orig_dst_ip", record.orig_dst_ip.to_string());
  members.number_if(!gap && record.has_orig_dst, "orig_dst_port", record.orig_dst_port);
  members.number_if(!gap && record.zone != 0, "zone", record.zone);
  members.number_if(!gap && record.mark != 0, "mark", record.mark);
  if (with_netns) members.text("netns", record.origin->netns);
  members.number_if(gap && record.events_lost.known(), "events_lost", record.events_lost.value());
  members.text_if(gap, "log_status", "SKIPDATA");
  return members.list;
}

}  // namespace natsession::testing
