// What the commands that ask the log have in common on the command line.
// Threads: one; times are in the zone of the process.
#pragma once

#include <chrono>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ask/answer_printer.h"
#include "base/result.h"
#include "command.h"
#include "query/log_store.h"
#include "query/query.h"
#include "query/time_text.h"
#include "record/encoder.h"
#include "record/sums.h"

namespace natsession::ctl {

struct LogOptions {
  std::string since;
  std::string until;
  std::vector<std::string> where;
  std::string pri, nat, pub;  // ends
  std::string protocol;
  bool csv = false;
  std::string log = "session";  // or flow
  std::string flow_window;      // of flow logs' records

  [[nodiscard]] bool flows() const { return log == "flow"; }
  [[nodiscard]] bool conditional() const {
    return !where.empty() || !pri.empty() || !nat.empty() || !pub.empty() || !protocol.empty();
  }
};

// The names of options that several commands have.
inline constexpr const char* kPriOption = "--pri,--pri-ip";
inline constexpr const char* kNatOption = "--nat,--nat-ip";
inline constexpr const char* kPubOption = "--pub,--pub-ip";
inline constexpr const char* kProtocolOption = "-p,--proto,--protocol";

// --since, --until; --where, --pri, --nat, --pub and --proto; --csv. `unsaid` tells in --help which time is
// taken where none is given.
void add_time_options(Command& command, LogOptions& options, std::string_view unsaid);
void add_where_options(Command& command, LogOptions& options);
// --log, --flow-window.
void add_log_option(Command& command, LogOptions& options);
void add_csv_option(Command& command, LogOptions& options);

// Errors: kUsage if both --json and --csv are given.
[[nodiscard]] Result<Shape> shape_of(const Global& global, const LogOptions& options);

// Reads one time; says on stderr if the clocks showed it twice or never.
// Errors: kUsage, with the option.
[[nodiscard]] Result<TimeReading> read_time(std::string_view command, std::string_view option,
                                            std::string_view text, UnixMs now,
                                            ClockDay day = ClockDay::kYesterday);

struct AskedTime {
  UnixMs from, until;
  bool unsaid = false;     // neither --since nor --until was given
  bool until_now = false;  // --until was not given
};
// Without --until it is now; without --since, `length` before the end.
// Errors: kUsage, with the option, also if the end is not behind the beginning.
[[nodiscard]] Result<AskedTime> read_times(std::string_view command, const LogOptions& options,
                                           std::chrono::milliseconds length);
// If no time was given and the ledger has been at rest for longer than that: as long a time before its end.
[[nodiscard]] AskedTime within_ledger(const AskedTime& time, const LogStore& log);
// "2026-11-21 14:00:00.000 CET to 2026-11-21 15:00:00.000 CET, zone CET (UTC+01:00)"
[[nodiscard]] std::string range_text(const AskedTime& time);

// All conditions, of --where and of the ends.
// Errors: kUsage, with the option.
[[nodiscard]] Result<std::vector<FieldTest>> read_where(const LogOptions& options);
// Reads "FIELD" or "FIELD,FIELD", by the names of `options.log`.
// Errors: kUsage, with the option.
[[nodiscard]] Result<std::vector<Field>> read_fields(std::string_view option,
                                                     const std::vector<std::string>& texts,
                                                     const LogOptions& options);
// Likewise, what groups are named by; kPriIp at the place of "subscriber", which is no field of the log.
struct Grouping {
  std::vector<Field> fields;
  std::optional<std::size_t> subscriber;
  // "subscriber", or as `options.log` calls it.
  [[nodiscard]] std::string_view name(std::size_t place, const LogOptions& options) const;
};
[[nodiscard]] Result<Grouping> read_grouping(std::string_view option, const std::vector<std::string>& texts,
                                             const LogOptions& options);
// What is added up, by its name in `options.log`; none: bytes from the private side, or of entries all.
// Errors: kUsage, with the option.
[[nodiscard]] Result<SumField> read_sum(const std::string& text, const LogOptions& options);
[[nodiscard]] std::string_view shown_sum(SumField sum, const LogOptions& options);
[[nodiscard]] std::span<const SumField> shown_sums(const LogOptions& options);
// As `options.log` calls it.
[[nodiscard]] std::string_view shown_name(Field field, const LogOptions& options);
// Reads a duration, which must be above zero.
// Errors: kUsage, with the option.
[[nodiscard]] Result<std::chrono::milliseconds> read_length(std::string_view option, std::string_view text);

// Of records: --format, or --csv instead; json if neither is given.
// Errors: kUsage, with the option.
[[nodiscard]] Result<RecordFormat> record_format(const LogOptions& options, const std::string& format);

[[nodiscard]] UnixMs now_ms();

// What a stream has, to its end, to an error (std::ferror) or to just above `limit` bytes, whichever is
// first: more than `limit` is too much.
[[nodiscard]] std::string read_stream(std::FILE* file, std::size_t limit);

}  // namespace natsession::ctl
