#include "ask/log_options.h"

#include <array>
#include <cstdio>

#include <fmt/format.h>

#include "base/comma_list.h"
#include "query/flow_store.h"
#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::string_view kSubscriberName = "subscriber";

Error about(std::string_view option, const Error& error) {
  return {error.kind, fmt::format("{}: {}", option, error.message)};
}

// What the user calls a field, as records have it.
Result<Field> field_of(std::string_view name, const LogOptions& options) {
  if (options.flows()) {
    if (const auto field = flow_field(name)) return *field;
    return Error{ErrorKind::kUsage,
                 fmt::format("entries of flow logs have no field '{}'; they have {}", name, flow_names())};
  }
  const auto field = parse_field(name);
  if (field && is_of_flows(*field)) {
    return Error{ErrorKind::kUsage, fmt::format("'{}' is a field of flow logs: --log flow", name)};
  }
  return field;
}

// Of flows "srcaddr=10.0.0.5".
Result<FieldTest> field_test_of(std::string_view text, const LogOptions& options) {
  return parse_field_test(text, [&](std::string_view name) { return field_of(name, options); });
}

}  // namespace

void add_log_option(Command& command, LogOptions& options) {
  command.option(
      "--log", options.log, "LOG",
      "session, or flow: entries of flow logs by interface and direction, with the fields srcaddr, dstaddr, "
      "srcport, dstport, interface, direction, action ...; default session");
  command.option(
      "--flow-window", options.flow_window, "DURATION",
      "With --log flow: take the records of windows of this length; default the shortest that there is");
}

Result<SumField> read_sum(const std::string& text, const LogOptions& options) {
  if (!options.flows()) {
    const auto sum = parse_sum_field(text.empty() ? "bytes_from_vpc" : text);
    return sum ? sum : about("--sum", sum.error());
  }
  if (text.empty() || text == "bytes") return SumField::kBytesFromVpc;
  if (text == "packets") return SumField::kPktsFromVpc;
  if (text == "entries") return SumField::kRecords;
  return Error{
      ErrorKind::kUsage,
      fmt::format("--sum: of flows there are bytes, packets and entries, not '{}'", printable(text))};
}

std::string_view shown_sum(SumField sum, const LogOptions& options) {
  if (!options.flows()) return to_string(sum);
  return sum == SumField::kBytesFromVpc ? "bytes" : sum == SumField::kPktsFromVpc ? "packets" : "entries";
}

std::span<const SumField> shown_sums(const LogOptions& options) {
  static constexpr std::array kOfSessions{SumField::kBytesFromVpc, SumField::kPktsFromVpc,
                                          SumField::kBytesFromPub, SumField::kPktsFromPub,
                                          SumField::kSessions,     SumField::kRecords};
  static constexpr std::array kOfFlows{SumField::kBytesFromVpc, SumField::kPktsFromVpc, SumField::kRecords};
  return options.flows() ? std::span<const SumField>(kOfFlows) : std::span<const SumField>(kOfSessions);
}

std::string_view shown_name(Field field, const LogOptions& options) {
  return options.flows() ? flow_name(field) : name_of(field);
}

void add_time_options(Command& command, LogOptions& options, std::string_view unsaid) {
  command.option("--since", options.since, "TIME",
                 fmt::format("From this time on: '2026-11-21 14:57', 14:57, -2h, 'yesterday 9:05', Unix "
                             "seconds ... (see TIMES); {}",
                             unsaid));
  command.option("--until", options.until, "TIME", "Up to this time; default now");
}

void add_where_options(Command& command, LogOptions& options) {
  command.option("-w,--where", options.where, "FIELD=VALUE",
                 "Only records with this: pri_ip=10.0.0.0/8, pub_port=80,443, nat_port=1024-2047, "
                 "protocol!=tcp, bytes_from_vpc>=1000000 ... (= != < <= > >=); repeated: all of them");
  command.option(kPriOption, options.pri, "END", "Private end: address, prefix, address:port or :port");
  command.option(kNatOption, options.nat, "END", "Translated end, likewise");
  command.option(kPubOption, options.pub, "END", "Public end, likewise");
  command.option(kProtocolOption, options.protocol, "PROTOCOL", "tcp, udp, icmp ... or a number");
}

void add_csv_option(Command& command, LogOptions& options) {
  command.flag("--csv", options.csv, "Answer in CSV");
}

Result<Shape> shape_of(const Global& global, const LogOptions& options) {
  if (global.json && options.csv) return Error{ErrorKind::kUsage, "--json and --csv: one or the other"};
  return global.json ? Shape::kJson : options.csv ? Shape::kCsv : Shape::kTable;
}

Result<TimeReading> read_time(std::string_view command, std::string_view option, std::string_view text,
                              UnixMs now, ClockDay day) {
  auto reading = parse_time_text(text, now, day);
  if (!reading) return about(option, reading.error());
  if (reading->again || reading->skipped) {
    fmt::print(stderr, "natsessionctl: {}: warning: {} '{}' is {}\n", command, option, printable(text),
               describe(*reading));
  }
  return reading;
}

Result<AskedTime> read_times(std::string_view command, const LogOptions& options,
                             std::chrono::milliseconds length) {
  const UnixMs now = now_ms();
  AskedTime time{now, now, options.since.empty() && options.until.empty(), options.until.empty()};
  if (!options.until.empty()) {
    const auto until = read_time(command, "--until", options.until, now, ClockDay::kToday);
    if (!until) return until.error();
    time.until = until->time;
  }
  time.from = time.until - length;
  if (!options.since.empty()) {
    const auto since = read_time(command, "--since", options.since, now);
    if (!since) return since.error();
    time.from = since->time;
  }
  if (time.from < time.until) return time;
  return Error{ErrorKind::kUsage, fmt::format("the end of the time, {}, is not behind its beginning, {}",
                                              format_local_time(time.until), format_local_time(time.from))};
}

AskedTime within_ledger(const AskedTime& time, const LogStore& log) {
  if (!time.unsaid) return time;
  const LedgerSpan span = log.span();
  if (span.records == 0 || span.newest_end >= time.from) return time;
  const UnixMs end = span.newest_end + std::chrono::milliseconds(1);
  return AskedTime{end - (time.until - time.from), end, true, true};
}

std::string range_text(const AskedTime& time) {
  return fmt::format("{} to {}, zone {}", format_local_time(time.from), format_local_time(time.until),
                     local_zone_text(time.until));
}

Result<std::vector<FieldTest>> read_where(const LogOptions& options) {
  std::vector<FieldTest> tests;
  for (const std::string& text : options.where) {
    auto test = field_test_of(text, options);
    if (!test) return about("--where", test.error());
    tests.push_back(std::move(*test));
  }
  const auto add = [&tests](std::string_view option, Field field, const std::string& value) -> Result<void> {
    if (value.empty()) return {};
    auto test = parse_field_test(fmt::format("{}={}", name_of(field), value));
    if (!test) return about(option, test.error());
    tests.push_back(std::move(*test));
    return {};
  };
  struct End {
    std::string_view option;
    const std::string& text;
    Field ip, port;
  };
  if (options.flows() && !options.nat.empty())
    return Error{
        ErrorKind::kUsage,
        "--nat: entries of flow logs have no translated end: --pri is the source, --pub the destination"};
  for (const End& end : {End{"--pri", options.pri, Field::kPriIp, Field::kPriPort},
                         End{"--nat", options.nat, Field::kNatIp, Field::kNatPort},
                         End{"--pub", options.pub, Field::kPubIp, Field::kPubPort}}) {
    const Endpoint parts = split_endpoint(end.text);
    if (auto added = add(end.option, end.ip, parts.address); !added) return added.error();
    if (auto added = add(end.option, end.port, parts.port); !added) return added.error();
  }
  if (auto added = add("--proto", Field::kProtocol, options.protocol); !added) return added.error();
  return tests;
}

Result<std::vector<Field>> read_fields(std::string_view option, const std::vector<std::string>& texts,
                                       const LogOptions& options) {
  std::vector<Field> fields;
  for (const std::string& text : texts) {
    for (const std::string_view name : comma_list(text)) {
      const auto field = field_of(name, options);
      if (!field) return about(option, field.error());
      fields.push_back(*field);
    }
  }
  return fields;
}

std::string_view Grouping::name(std::size_t place, const LogOptions& options) const {
  return subscriber == place ? kSubscriberName : shown_name(fields[place], options);
}

Result<Grouping> read_grouping(std::string_view option, const std::vector<std::string>& texts,
                               const LogOptions& options) {
  Grouping grouping;
  for (const std::string& text : texts) {
    for (const std::string_view name : comma_list(text)) {
      const bool subscriber = name == kSubscriberName;
      if (subscriber && options.flows())
        return about(option, {ErrorKind::kUsage, "subscriber: of the session log alone, not of flow logs"});
      if (subscriber && grouping.subscriber)
        return about(option, {ErrorKind::kUsage, "subscriber: once will do"});
      if (subscriber) grouping.subscriber = grouping.fields.size();
      const auto field = subscriber ? Result<Field>(Field::kPriIp) : field_of(name, options);
      if (!field) return about(option, field.error());
      grouping.fields.push_back(*field);
    }
  }
  return grouping;
}

Result<std::chrono::milliseconds> read_length(std::string_view option, std::string_view text) {
  const auto length = parse_time_span(text);
  if (!length) return about(option, length.error());
  if (length->count() > 0) return *length;
  return Error{ErrorKind::kUsage, fmt::format("{}: '{}' must be above zero", option, text)};
}

Result<RecordFormat> record_format(const LogOptions& options, const std::string& format) {
  if (options.csv && !format.empty()) return Error{ErrorKind::kUsage, "--csv and --format: one or the other"};
  if (options.csv) return RecordFormat::kCsv;
  const auto read = parse_record_format(format.empty() ? "json" : format);
  if (!read) return about("--format", read.error());
  return read;
}

std::string read_stream(std::FILE* file, std::size_t limit) {
  std::string text;
  std::string part(std::size_t{1} << 16, '\0');
  while (text.size() <= limit) {
    const std::size_t got = std::fread(part.data(), 1, part.size(), file);
    if (got == 0) break;
    text.append(part, 0, got);
  }
  return text;
}

UnixMs now_ms() {
  return to_ms(SystemClock().now());
}

}  // namespace natsession::ctl
