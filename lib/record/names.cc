// The names of formats, words and fields.
#include <array>

#include "record/encoder.h"
#include "record/fields.h"

namespace natsession {
namespace {

template <typename T>
struct Named {
  std::string_view name;
  T value;
};

constexpr std::array<Named<RecordFormat>, 3> kFormats{{
    {"json", RecordFormat::kJson},
    {"csv", RecordFormat::kCsv},
    {"logfmt", RecordFormat::kLogfmt},
}};
constexpr std::array<Named<TimeFormat>, 3> kTimeFormats{{
    {"unix", TimeFormat::kUnix},
    {"unix_ms", TimeFormat::kUnixMs},
    {"rfc3339", TimeFormat::kRfc3339},
}};
constexpr std::array<Named<FieldSet>, 2> kFieldSets{{
    {"all", FieldSet::kAll},
    {"cloud", FieldSet::kCloud},
}};

template <typename T, std::size_t kSize>
Result<T> value_of(const std::array<Named<T>, kSize>& table, std::string_view name, std::string_view what) {
  std::string known;
  for (std::size_t i = 0; i < kSize; ++i) {
    if (table[i].name == name) return table[i].value;
    if (i > 0) known += i + 1 < kSize ? ", " : " or ";
    known += table[i].name;
  }
  return Error{ErrorKind::kUsage, "'" + std::string(name) + "' is not a " + std::string(what) + ": " + known};
}

template <typename T, std::size_t kSize>
std::string_view name_of(const std::array<Named<T>, kSize>& table, T value) {
  for (const Named<T>& entry : table) {
    if (entry.value == value) return entry.name;
  }
  return {};
}

template <typename Word>
using Words = std::array<std::string_view, static_cast<std::size_t>(kLast<Word>) + 1>;

template <typename Word>
std::string_view word_at(const Words<Word>& words, Word word) {
  const auto place = static_cast<std::size_t>(word);
  return place < words.size() ? words[place] : std::string_view();
}

}  // namespace

Result<RecordFormat> parse_record_format(std::string_view name) {
  return value_of(kFormats, name, "format");
}
Result<TimeFormat> parse_time_format(std::string_view name) {
  return value_of(kTimeFormats, name, "time format");
}
Result<FieldSet> parse_field_set(std::string_view name) {
  return value_of(kFieldSets, name, "set of fields");
}

std::string_view to_string(RecordFormat format) {
  return name_of(kFormats, format);
}
std::string_view to_string(TimeFormat format) {
  return name_of(kTimeFormats, format);
}
std::string_view to_string(FieldSet fields) {
  return name_of(kFieldSets, fields);
}

// By the values' order.
std::string_view to_string(RecordEvent event) {
  if (is_block(event)) return event == RecordEvent::kAllocate ? "allocate" : "free";
  return word_at<RecordEvent>({"start", "interim", "end", "gap"}, event);
}
std::string_view to_string(RecordReason reason) {
  return word_at<RecordReason>({"", "destroyed", "vanished", "overrun", "table_guard", "stopped",
                                "sink_stalled", "ledger_full", "damaged", "events_off", "started"},
                               reason);
}
std::string_view to_string(TcpState state) {
  return word_at<TcpState>({"", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
                            "TIME_WAIT", "CLOSE", "SYN_SENT2"},
                           state);
}

std::optional<std::uint64_t> parse_word(Field field, std::string_view word) {
  const FieldSpec& spec = spec_of(field);
  for (std::uint64_t number = 0; number <= spec.limit; ++number) {
    if (!word.empty() && spec.word(number) == word) return number;
  }
  return std::nullopt;
}

Result<Field> parse_field(std::string_view name) {
  std::string message = "there is no field '" + std::string(name) + "'; there are";
  for (const FieldSpec& spec : kFields) {
    if (spec.name == name) return spec.field;
    if (!is_of_flows(spec.field)) message += " " + std::string(spec.name);
  }
  return Error{ErrorKind::kUsage, std::move(message)};
}

}  // namespace natsession
