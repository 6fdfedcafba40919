#include "record/encoder.h"

#include <array>

#include "record/csv_encoder.h"
#include "record/json_encoder.h"
#include "record/logfmt_encoder.h"

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

}  // namespace

std::unique_ptr<Encoder> make_encoder(const EncoderOptions& options) {
  switch (options.format) {
    case RecordFormat::kJson:
      return std::make_unique<JsonEncoder>(options);
    case RecordFormat::kCsv:
      return std::make_unique<CsvEncoder>(options);
    case RecordFormat::kLogfmt:
      return std::make_unique<LogfmtEncoder>(options);
  }
  return nullptr;  // not reached: the enum has no other value
}

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

std::string_view to_string(RecordEvent event) {
  switch (event) {
    case RecordEvent::kStart:
      return "start";
    case RecordEvent::kInterim:
      return "interim";
    case RecordEvent::kEnd:
      return "end";
    case RecordEvent::kGap:
      return "gap";
  }
  return {};
}

std::string_view to_string(RecordReason reason) {
  switch (reason) {
    case RecordReason::kNone:
      return {};
    case RecordReason::kDestroyed:
      return "destroyed";
    case RecordReason::kVanished:
      return "vanished";
    case RecordReason::kOverrun:
      return "overrun";
    case RecordReason::kTableGuard:
      return "table_guard";
    case RecordReason::kStopped:
      return "stopped";
    case RecordReason::kSinkStalled:
      return "sink_stalled";
    case RecordReason::kLedgerFull:
      return "ledger_full";
    case RecordReason::kDamaged:
      return "damaged";
  }
  return {};
}

std::string_view to_string(TcpState state) {
  switch (state) {
    case TcpState::kNone:
      return {};
    case TcpState::kSynSent:
      return "SYN_SENT";
    case TcpState::kSynRecv:
      return "SYN_RECV";
    case TcpState::kEstablished:
      return "ESTABLISHED";
    case TcpState::kFinWait:
      return "FIN_WAIT";
    case TcpState::kCloseWait:
      return "CLOSE_WAIT";
    case TcpState::kLastAck:
      return "LAST_ACK";
    case TcpState::kTimeWait:
      return "TIME_WAIT";
    case TcpState::kClose:
      return "CLOSE";
    case TcpState::kSynSent2:
      return "SYN_SENT2";
  }
  return {};
}

}  // namespace natsession
