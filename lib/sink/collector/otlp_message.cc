#include "sink/collector/otlp_message.h"

#include <algorithm>
#include <array>
#include <limits>

#include "net/protocol.h"
#include "record/address_text.h"
#include "record/escape.h"
#include "record/fields.h"
#include "record/text_writer.h"
#include "sink/collector/flat_record.h"
#include "sink/encoding/protobuf.h"

namespace natsession {
namespace {

// Numbers of fields, by the messages they stand in.
namespace request {
constexpr unsigned kResourceLogs = 1;
}
namespace resource_logs {
constexpr unsigned kResource = 1, kScopeLogs = 2;
}
namespace resource {
constexpr unsigned kAttributes = 1;
}
namespace scope_logs {
constexpr unsigned kScope = 1, kLogRecords = 2;
}
namespace scope {
constexpr unsigned kName = 1;
}
namespace log_record {
constexpr unsigned kTime = 1, kSeverityNumber = 2, kSeverityText = 3, kBody = 5, kAttributes = 6,
                   kObservedTime = 11, kEventName = 12;
}
namespace key_value {
constexpr unsigned kKey = 1, kValue = 2;
}
namespace any_value {
constexpr unsigned kString = 1, kInt = 3;
}

constexpr std::uint64_t kInfo = 9;
constexpr std::uint64_t kWarn = 13;
constexpr std::uint64_t kMaxInt = std::numeric_limits<std::int64_t>::max();

void append_varint_field(std::string& out, unsigned field, std::uint64_t value) {
  char bytes[1 + kMaxVarint];
  bytes[0] = varint_key(field);
  out.append(bytes, static_cast<std::size_t>(write_varint(bytes + 1, value) - bytes));
}

void append_fixed64(std::string& out, unsigned field, std::uint64_t value) {
  out.push_back(static_cast<char>(field << 3 | 1));
  for (unsigned shift = 0; shift < 64; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

// Of a time before 1970 or behind 2554 nothing can be said: 0 is "not known".
std::uint64_t nanoseconds(UnixMs time) {
  constexpr std::uint64_t kPerMs = 1'000'000;
  const std::int64_t ms = time.time_since_epoch().count();
  if (ms < 0 || static_cast<std::uint64_t>(ms) > std::numeric_limits<std::uint64_t>::max() / kPerMs) return 0;
  return static_cast<std::uint64_t>(ms) * kPerMs;
}

// KeyValue, a string or a number.
class AttributeWriter {
 public:
  AttributeWriter(std::string& out, unsigned field) : out_(out), field_(field) {}

  void text(FlatName name, std::string_view value) {
    word(name,
         (needs_of(value) & text_tables::kNotAscii) == 0 ? value : std::string_view(clean_ = utf8_of(value)));
  }
  void word(FlatName name, std::string_view value) {
    const std::size_t string = 1 + varint_length(value.size()) + value.size();
    begin(name, string);
    append_bytes(out_, any_value::kString, value);
  }
  void number(FlatName name, std::uint64_t value) {
    if (value > kMaxInt) return word(name, std::to_string(value));
    begin(name, 1 + varint_length(value));
    append_varint_field(out_, any_value::kInt, value);
  }
  void address(FlatName name, const IpAddress& value) {
    written(name, [&](char* at) { return write_address(at, value); });
  }
  void time(FlatName name, UnixMs value) {
    written(name, [&](char* at) { return write_rfc3339(at, value); });
  }
  void id(FlatName name, std::uint64_t value) {
    written(name, [&](char* at) { return write_hex64(at, value); });
  }

 private:
  // All but the value, which has so many bytes.
  void begin(FlatName name, std::size_t value) {
    const std::size_t any = 1 + varint_length(value) + value;
    append_bytes_head(out_, field_, 1 + varint_length(name.otel.size()) + name.otel.size() + any);
    append_bytes(out_, key_value::kKey, name.otel);
    append_bytes_head(out_, key_value::kValue, value);
  }
  template <typename Write>
  void written(FlatName name, Write write) {
    std::array<char, 64 + kTextSlack> text;
    static_assert(IpAddress::kMaxTextLength <= 64 && kMaxTimeLength <= 64);
    const char* const end = write(text.data());
    word(name, {text.data(), static_cast<std::size_t>(end - text.data())});
  }

  std::string& out_;
  const unsigned field_;
  std::string clean_;
};

// For people: tcp 192.168.1.23:51514 > 203.0.113.7:40123 > 198.51.100.80:443 end
char* write_line(char* out, const SessionRecord& record) {
  if (record.event == RecordEvent::kGap) {
    out = write_text(out, "gap: ");
    out = write_text(out, to_string(record.reason));
    return write_text(out, ": sessions of this time may be missing");
  }
  const std::string_view protocol = protocol_name(record.protocol);
  out = protocol.empty() ? write_uint(out, record.protocol) : write_text(out, protocol);
  *out++ = ' ';
  out = write_endpoint(out, record.pri_ip, record.pri_port);
  out = write_text(out, " > ");
  out = write_endpoint(out, record.nat_ip, record.nat_port);
  out = write_text(out, " > ");
  out = write_endpoint(out, record.pub_ip, record.pub_port);
  *out++ = ' ';
  return write_text(out, to_string(record.event));
}

void append_record(const SessionRecord& record, std::string& out) {
  const bool gap = record.event == RecordEvent::kGap;
  const std::uint64_t time = nanoseconds(record.end_time);
  append_fixed64(out, log_record::kTime, time);
  append_varint_field(out, log_record::kSeverityNumber, gap ? kWarn : kInfo);
  append_bytes(out, log_record::kSeverityText, gap ? "WARN" : "INFO");
  std::array<char, 256> line;
  const auto length = static_cast<std::size_t>(write_line(line.data(), record) - line.data());
  append_bytes_head(out, log_record::kBody, 1 + varint_length(length) + length);
  append_bytes(out, any_value::kString, {line.data(), length});
  AttributeWriter attributes(out, log_record::kAttributes);
  flatten(record, attributes);
  append_fixed64(out, log_record::kObservedTime, time);
  const std::string_view event = to_string(record.event);
  constexpr std::string_view kPrefix = "natsession.";
  append_bytes_head(out, log_record::kEventName, kPrefix.size() + event.size());
  out.append(kPrefix).append(event);
}

std::string resource_of(const Origin& origin) {
  std::string out;
  AttributeWriter attributes(out, resource::kAttributes);
  attributes.word({"service.name"}, "natsessiond");
  attributes.text({"service.instance.id"}, origin.instance);
  attributes.text({"host.name"}, origin.instance);
  return out;
}

std::string scope_of() {
  std::string out;
  append_bytes(out, scope::kName, "natsessiond");
  return out;
}

// A message's fields, one by one.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}
  struct Field {
    std::uint64_t number = 0;
    std::uint64_t value = 0;      // of a varint
    std::string_view bytes = {};  // of what has a length
  };
  // Nothing at the end, or where the bytes are none; then ok() is false.
  std::optional<Field> next() {
    if (rest_.empty()) return std::nullopt;
    const std::uint64_t key = varint();
    Field field{.number = key >> 3};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        take(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        take(4);
        break;
      default:
        ok_ = false;
    }
    return ok_ ? std::optional(field) : std::nullopt;
  }
  [[nodiscard]] bool ok() const { return ok_; }

 private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return value;
    }
    ok_ = false;
    return 0;
  }
  std::string_view take(std::uint64_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view taken = rest_.substr(0, static_cast<std::size_t>(count));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

std::size_t OtlpMessage::fill(std::span<const SessionRecord> records, std::size_t most) {
  resources_.clear();
  std::size_t count = 0;
  for (std::size_t bytes = 0; count < records.size() && bytes < most; ++count) {
    const SessionRecord& record = records[count];
    auto resource = std::find_if(resources_.begin(), resources_.end(),
                                 [&](const Resource& each) { return each.origin == record.origin; });
    if (resource == resources_.end()) resource = resources_.insert(resource, {record.origin, {}});
    record_.clear();
    append_record(record, record_);
    append_bytes(resource->records, scope_logs::kLogRecords, record_);
    bytes += record_.size();
  }
  bytes_.clear();
  for (const Resource& resource : resources_) {
    const std::string described = resource_of(*resource.origin);
    const std::string scope = scope_of();
    const auto field = [](std::size_t length) { return 1 + varint_length(length) + length; };
    const std::size_t logs = field(scope.size()) + resource.records.size();
    append_bytes_head(bytes_, request::kResourceLogs, field(described.size()) + field(logs));
    append_bytes(bytes_, resource_logs::kResource, described);
    append_bytes_head(bytes_, resource_logs::kScopeLogs, logs);
    append_bytes(bytes_, scope_logs::kScope, scope);
    bytes_ += resource.records;
  }
  return count;
}

std::optional<OtlpPartialSuccess> read_otlp_response(std::string_view bytes) {
  constexpr std::uint64_t kPartialSuccess = 1, kRejected = 1, kMessage = 2;
  OtlpPartialSuccess partial;
  FieldReader response(bytes);
  while (const auto field = response.next()) {
    if (field->number != kPartialSuccess) continue;
    FieldReader success(field->bytes);
    while (const auto part = success.next()) {
      if (part->number == kRejected) partial.rejected = part->value;
      if (part->number == kMessage) partial.message = part->bytes;
    }
    if (!success.ok()) return std::nullopt;
  }
  return response.ok() ? std::optional(std::move(partial)) : std::nullopt;
}

}  // namespace natsession
