// Encoders: session records as text. No I/O here; a sink writes the bytes.
// Threads: an encoder keeps no state between calls and may be shared.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "record/session_record.h"

namespace natsession {

enum class RecordFormat { kJson, kCsv, kLogfmt };
enum class TimeFormat { kUnix, kUnixMs, kRfc3339 };
enum class FieldSet {
  kAll,
  kCloud,  // the fifteen of the cloud schema; JSON always has all, and gaps have where columns allow
};

class Encoder;

struct EncoderOptions {
  RecordFormat format = RecordFormat::kJson;
  TimeFormat time_format = TimeFormat::kUnix;
  FieldSet fields = FieldSet::kAll;
  bool with_netns = false;  // more than one namespace is watched: records say which
  // What is written instead, whatever the other options say: what stands before the sink has made entries of
  // another kind of the records.
  std::shared_ptr<const Encoder> own = {};
};

class Encoder {
 public:
  virtual ~Encoder() = default;
  // What a file of these records begins with, newline included: the header line of CSV, else empty.
  [[nodiscard]] virtual std::string_view header() const { return {}; }
  // Appends one record and its newline to `out`.
  virtual void append(const SessionRecord& record, std::string& out) const = 0;
  // append() of one record behind the other, until `goes_on`, which is asked behind each, says no. What is to
  // be looked up for them may be at once.
  virtual void append_each(std::span<const SessionRecord> records, std::string& out,
                           const std::function<bool()>& goes_on) const {
    for (const SessionRecord& record : records) {
      append(record, out);
      if (!goes_on()) return;
    }
  }
  // What append() writes as names and values, for sinks that take these of an encoder of their own (`own`
  // below); the names live as long as the encoder.
  virtual void append_pairs(const SessionRecord& record,
                            std::vector<std::pair<std::string_view, std::string>>& out) const {
    static_cast<void>(record);
    static_cast<void>(out);
  }
  // Of an encoder of a sink's own: records are the session log's, and no entries of a flow log.
  [[nodiscard]] virtual bool is_of_sessions() const { return false; }
};

[[nodiscard]] std::unique_ptr<Encoder> make_encoder(const EncoderOptions& options);

// Names as the command line and the configuration have them: json csv logfmt; unix unix_ms rfc3339; all
// cloud.
// Errors: kUsage, naming the text and the names that would do.
[[nodiscard]] Result<RecordFormat> parse_record_format(std::string_view name);
[[nodiscard]] Result<TimeFormat> parse_time_format(std::string_view name);
[[nodiscard]] Result<FieldSet> parse_field_set(std::string_view name);
[[nodiscard]] std::string_view to_string(RecordFormat format);
[[nodiscard]] std::string_view to_string(TimeFormat format);
[[nodiscard]] std::string_view to_string(FieldSet fields);

}  // namespace natsession
