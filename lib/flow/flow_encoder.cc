#include "flow/flow_encoder.h"

#include <algorithm>
#include <array>

#include "flow/flow_entries.h"
#include "record/escape.h"
#include "record/text_writer.h"

namespace natsession {
namespace {

constexpr std::uint8_t kTcp = 6;

// Huawei Cloud's words.
std::string_view state_word(TcpState state) {
  switch (state) {
    case TcpState::kNone:
      return {};
    case TcpState::kSynSent:
    case TcpState::kSynRecv:
    case TcpState::kSynSent2:
      return "syn_sent";
    case TcpState::kEstablished:
      return "established";
    case TcpState::kFinWait:
    case TcpState::kCloseWait:
    case TcpState::kLastAck:
    case TcpState::kTimeWait:
    case TcpState::kClose:
      break;
  }
  return "time-wait";
}

std::uint64_t seconds_of(UnixMs time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
  return seconds < 0 ? 0 : static_cast<std::uint64_t>(seconds);
}

std::string_view find_by_prefix(const FlowIds::ByPrefix& ids, const SessionRecord& entry) {
  for (const IpAddress* const address : {&entry.pri_ip, &entry.pub_ip}) {
    for (const auto& [prefix, id] : ids) {
      if (prefix.contains(*address)) return id;
    }
  }
  return {};
}

// A text of the configuration may hold a space, or nothing at all, and a line is divided by spaces.
void append_word(std::string_view text, std::string& out) {
  if (text.empty()) {
    out += '-';
    return;
  }
  const std::string shown = utf8_of(text);
  for (const char c : shown) out += static_cast<unsigned char>(c) <= ' ' || c == 0x7f ? '_' : c;
}

void append_json_string(std::string_view text, std::string& out) {
  const std::size_t before = out.size();
  out.resize(before + max_escaped_length(text.size()) + kTextSlack);
  out.resize(static_cast<std::size_t>(write_json_string_slowly(out.data() + before, text) - out.data()));
}

}  // namespace

// A number, a text, or nothing.
struct FlowEncoder::Value {
  enum class Kind : std::uint8_t { kNone, kNumber, kText };
  Kind kind = Kind::kNone;
  std::uint64_t number = 0;
  std::string_view text = {};
  std::array<char, IpAddress::kMaxTextLength + 1> own = {};  // where `text` is made here
  std::uint8_t own_length = 0;
  std::string made = {};  // likewise, of any length

  static Value of(std::uint64_t number) { return {.kind = Kind::kNumber, .number = number}; }
  static Value of(Count count) { return count.known() ? of(count.value()) : Value(); }
  static Value of(std::string_view text) {
    return text.empty() ? Value() : Value{.kind = Kind::kText, .text = text};
  }
  static Value of(const IpAddress& address) {
    Value value{.kind = Kind::kText};
    value.own_length = static_cast<std::uint8_t>(address.write(value.own.data()) - value.own.data());
    return value;
  }
  static Value of_id(std::uint64_t id) {
    Value value{.kind = Kind::kText};
    value.own_length = static_cast<std::uint8_t>(write_hex64(value.own.data(), id) - value.own.data());
    return value;
  }
  [[nodiscard]] std::string_view shown() const {
    if (!made.empty()) return made;
    return own_length > 0 ? std::string_view(own.data(), own_length) : text;
  }
};

FlowEncoder::FlowEncoder(FlowForm form, FlowIds ids, FlowFormat format)
    : form_(std::move(form)), ids_(std::move(ids)), format_(format) {
  for (auto* const by_prefix : {&ids_.networks, &ids_.machines}) {
    std::stable_sort(by_prefix->begin(), by_prefix->end(),
                     [](const auto& a, const auto& b) { return a.first.length() > b.first.length(); });
  }
  for (const FlowForm::Column& column : form_.columns)
    keys_.push_back((keys_.empty() ? "{\"" : ",\"") + std::string(column.name) + "\":");
}

FlowEncoder::Value FlowEncoder::machine_of(const SessionRecord& entry) const {
  const std::string_view configured = find_by_prefix(ids_.machines, entry);
  if (!configured.empty() || ids_.subscribers == nullptr) return Value::of(configured);
  SessionRecord meant = entry;
  for (const IpAddress* const address : {&entry.pri_ip, &entry.pub_ip}) {
    meant.pri_ip = *address;
    Subscriber found;
    ids_.subscribers->find(meant, found);
    if (found.subscriber.empty()) continue;
    Value value = Value::of(found.subscriber.view());
    value.text = {};
    value.made = found.subscriber.view();
    return value;
  }
  return {};
}

FlowEncoder::Value FlowEncoder::value_of(FlowField field, const SessionRecord& entry) const {
  const bool no_traffic = is_status(entry);
  switch (field) {
    case FlowField::kVersion:
      return Value::of(form_.version);
    case FlowField::kAccount:
      return Value::of(ids_.account);
    case FlowField::kInterfaceId: {
      const std::string_view name = interface_of(entry);
      const auto known = std::find_if(ids_.interfaces.begin(), ids_.interfaces.end(),
                                      [&](const auto& id) { return id.first == name; });
      return Value::of(known != ids_.interfaces.end() ? std::string_view(known->second) : name);
    }
    case FlowField::kInterface:
      return Value::of(interface_of(entry));
    case FlowField::kNetworkId:
      return no_traffic ? Value() : Value::of(find_by_prefix(ids_.networks, entry));
    case FlowField::kVmId:
      return no_traffic ? Value() : machine_of(entry);
    case FlowField::kVpcId:
      return Value::of(entry.vpc_id);
    case FlowField::kRegion:
      return Value::of(ids_.region);
    case FlowField::kZone:
      return Value::of(ids_.zone);
    case FlowField::kStart:
      return Value::of(seconds_of(entry.start_time));
    case FlowField::kEnd:
      return Value::of(seconds_of(entry.end_time));
    case FlowField::kLogStatus:
      return Value::of(std::string_view(entry.flow_kind == FlowKind::kSkipped ? "SKIPDATA"
                                        : no_traffic                          ? "NODATA"
                                                                              : "OK"));
    case FlowField::kInstance:
      return Value::of(entry.origin->instance);
    case FlowField::kNetns:
      return Value::of(entry.origin->netns);
    default:
      break;
  }
  if (no_traffic) return {};
  switch (field) {
    case FlowField::kSource:
      return Value::of(entry.pri_ip);
    case FlowField::kDestination:
      return Value::of(entry.pub_ip);
    case FlowField::kSourcePort:
      return Value::of(entry.pri_port);
    case FlowField::kDestinationPort:
      return Value::of(entry.pub_port);
    case FlowField::kProtocol:
      return Value::of(entry.protocol);
    case FlowField::kPackets:
      return Value::of(entry.pkts_from_vpc);
    case FlowField::kBytes:
      return Value::of(entry.bytes_from_vpc);
    case FlowField::kInOut:
      return Value::of(std::string_view(is_ingress(entry) ? "in" : "out"));
    case FlowField::kDirection:
      return Value::of(field_values::direction(entry));
    case FlowField::kTcpFlags:
      return entry.protocol == kTcp ? Value::of(entry.tcp_flags) : Value::of(0);
    case FlowField::kTcpState:
      return Value::of(state_word(entry.tcp_state));
    case FlowField::kAction:
      return Value::of(field_values::action(entry));
    case FlowField::kSessionId:
      return Value::of_id(session_of(entry));
    case FlowField::kSeq:
      return Value::of(entry.seq);
    default:
      return {};
  }
}

void FlowEncoder::append(const SessionRecord& entry, std::string& out) const {
  for (std::size_t i = 0; i < form_.columns.size(); ++i) {
    const Value value = value_of(form_.columns[i].field, entry);
    if (format_ == FlowFormat::kJson) {
      out += keys_[i];
    } else if (i > 0) {
      out += ' ';
    }
    if (value.kind == Value::Kind::kNumber) {
      std::array<char, 32> digits;
      out.append(digits.data(),
                 static_cast<std::size_t>(write_uint(digits.data(), value.number) - digits.data()));
    } else if (format_ == FlowFormat::kText) {
      append_word(value.shown(), out);
    } else if (value.kind == Value::Kind::kNone) {
      out += "null";
    } else {
      append_json_string(value.shown(), out);
    }
  }
  out += format_ == FlowFormat::kJson ? "}\n" : "\n";
}

void FlowEncoder::append_pairs(const SessionRecord& entry,
                               std::vector<std::pair<std::string_view, std::string>>& out) const {
  for (const FlowForm::Column& column : form_.columns) {
    const Value value = value_of(column.field, entry);
    if (value.kind == Value::Kind::kNone) continue;
    out.emplace_back(column.name, value.kind == Value::Kind::kNumber ? std::to_string(value.number)
                                                                     : std::string(value.shown()));
  }
}

}  // namespace natsession
