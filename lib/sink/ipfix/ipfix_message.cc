#include "sink/ipfix/ipfix_message.h"

#include <algorithm>
#include <cstring>

#include "record/escape.h"

namespace natsession {
namespace {

constexpr std::size_t kMessageHeader = 16;
constexpr std::size_t kSetHeader = 4;
constexpr std::uint16_t kVersion = 10;
constexpr std::uint16_t kTemplateSet = 2;
constexpr std::uint16_t kOptionsTemplateSet = 3;
constexpr std::uint16_t kVariable = 65'535;
constexpr std::uint32_t kReversePen = 29'305;
constexpr std::uint16_t kEnterprise = 0x8000;
constexpr std::uint8_t kActiveTimeout = 2;
constexpr std::uint8_t kIcmp = 1;
constexpr std::uint8_t kIcmpV6 = 58;

// Every length is one byte, and every record fits a message of kShortest.
constexpr std::size_t kLongestText = IpfixBatch::kLongestText;
static_assert(kLongestText < 255);

// Elements that are written more than once.
enum : std::uint16_t {
  kObservationTime = 323,
  kFlowStart = 152,
  kFlowEnd = 153,
  kNotSentFlows = 166,
  kProcessId = 144,
  kDomainId = 149,
  kDomainName = 300,
};

template <typename T>
void store_be(char* at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) at[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
}

template <typename T>
void append_be(std::string& out, T value) {
  std::array<char, sizeof(T)> bytes;
  store_be(bytes.data(), value);
  out.append(bytes.data(), bytes.size());
}

template <typename T>
T load_be(std::string_view bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value =
        static_cast<T>(static_cast<std::uint64_t>(value) << 8 | static_cast<unsigned char>(bytes[at + i]));
  return value;
}

// The format has no time before 1970.
std::uint64_t ms_of(UnixMs time) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.time_since_epoch().count()));
}
std::uint32_t seconds_of(UnixMs time) {
  return static_cast<std::uint32_t>(ms_of(time) / 1000);
}

// The fields of a data record, once for all that is to be known of them: Out is told each with its value.

class TemplateOut {
 public:
  explicit TemplateOut(std::string& out) : out_(out) {}
  template <typename T>
  void number(std::uint16_t element, T) {
    field(element, sizeof(T));
  }
  void reverse(std::uint16_t element, std::uint64_t) {
    field(element | kEnterprise, 8);
    append_be(out_, kReversePen);
  }
  void address(std::uint16_t v4, std::uint16_t v6, bool is_v6, const IpAddress&) {
    field(is_v6 ? v6 : v4, is_v6 ? 16 : 4);
  }
  void text(std::uint16_t element, std::string_view) { field(element, kVariable); }
  [[nodiscard]] std::uint16_t count() const { return count_; }

 private:
  void field(std::uint16_t element, std::size_t length) {
    append_be(out_, element);
    append_be(out_, static_cast<std::uint16_t>(length));
    ++count_;
  }
  std::string& out_;
  std::uint16_t count_ = 0;
};

class SizeOut {
 public:
  template <typename T>
  void number(std::uint16_t, T) {
    size_ += sizeof(T);
  }
  void reverse(std::uint16_t, std::uint64_t) { size_ += 8; }
  void address(std::uint16_t, std::uint16_t, bool is_v6, const IpAddress&) { size_ += is_v6 ? 16 : 4; }
  void text(std::uint16_t, std::string_view text) { size_ += 1 + std::min(3 * text.size(), kLongestText); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::size_t size_ = 0;
};

class DataOut {
 public:
  explicit DataOut(char* at) : at_(at) {}
  template <typename T>
  void number(std::uint16_t, T value) {
    store_be(at_, value);
    at_ += sizeof(T);
  }
  void reverse(std::uint16_t element, std::uint64_t value) { number(element, value); }
  void address(std::uint16_t, std::uint16_t, bool is_v6, const IpAddress& address) {
    const std::size_t length = is_v6 ? 16 : 4;
    std::memcpy(at_, address.bytes().data() + 16 - length, length);
    at_ += length;
  }
  void text(std::uint16_t, std::string_view text) {
    text = text.substr(0, kLongestText);
    std::array<char, 3 * kLongestText> utf8;
    if ((needs_of(text) & text_tables::kNotAscii) != 0) {
      text = {utf8.data(), static_cast<std::size_t>(write_utf8_text(utf8.data(), text) - utf8.data())};
      std::size_t length = std::min(text.size(), kLongestText);
      while (length < text.size() && (text[length] & 0xc0) == 0x80) --length;  // no half of a character
      text = text.substr(0, length);
    }
    *at_++ = static_cast<char>(text.size());
    std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  [[nodiscard]] char* end() const { return at_; }

 private:
  char* at_;
};

std::uint8_t nat_event(const SessionRecord& record, const IpfixShape& shape) {
  const std::uint8_t created = shape.nat_v6 ? 1 : shape.pri_v6 ? 6 : 4;
  return record.event == RecordEvent::kStart ? created : created + 1;
}

template <typename Out>
void write_fields(const SessionRecord& r, const IpfixShape& shape, std::uint32_t instance_id, Out& out) {
  const bool start = r.event == RecordEvent::kStart;
  out.number(kObservationTime, ms_of(start ? r.start_time : r.end_time));
  if (!shape.interim) out.number(230, nat_event(r, shape));
  out.address(8, 27, shape.pri_v6, r.pri_ip);
  out.address(225, 281, shape.nat_v6, r.nat_ip);
  out.number(4, r.protocol);
  out.number(7, r.pri_port);
  out.number(227, r.nat_port);
  if (shape.destination) {
    out.address(12, 28, shape.destination_v6, r.has_orig_dst ? r.orig_dst_ip : r.pub_ip);
    out.address(226, 282, shape.pub_v6, r.pub_ip);
    out.number(11, r.has_orig_dst ? r.orig_dst_port : r.pub_port);
    out.number(228, r.pub_port);
  }
  out.number(kFlowStart, ms_of(r.start_time));
  out.number(kFlowEnd, ms_of(r.end_time));
  if (shape.interim) out.number(136, kActiveTimeout);
  if (shape.counts_vpc) {
    out.number(1, r.bytes_from_vpc.value());
    out.number(2, r.pkts_from_vpc.value());
  }
  if (shape.counts_pub) {
    out.reverse(1, r.bytes_from_pub.value());
    out.reverse(2, r.pkts_from_pub.value());
  }
  if (shape.instance_id) out.number(463, instance_id);
  if (shape.zone) out.number(234, static_cast<std::uint32_t>(r.zone));
  if (shape.session_id) out.number(148, r.session_id);
  if (shape.vpc) out.text(236, r.vpc_id);
  if (shape.netns) out.text(kDomainName, r.origin->netns);
  if (shape.icmp == 1) out.number(32, r.pub_port);
  if (shape.icmp == 2) out.number(139, r.pub_port);
}

// Of an options template: the fields behind `scope`, and which of them there are.
void append_options_template(std::uint16_t id, std::string& out) {
  struct Element {
    std::uint16_t number;
    std::uint16_t length;
  };
  std::vector<Element> elements;
  if (id == static_cast<std::uint16_t>(IpfixOptions::kName)) {
    elements = {{kDomainId, 4}, {kDomainName, kVariable}};
  } else {
    const unsigned kind = id - static_cast<unsigned>(IpfixOptions::kGap);
    elements = {{kProcessId, 4}, {kObservationTime, 8}};
    if ((kind & 1) != 0) elements.push_back({kFlowStart, 8});
    elements.push_back({kFlowEnd, 8});
    if ((kind & 2) != 0) elements.push_back({kNotSentFlows, 8});
  }
  append_be(out, id);
  append_be(out, static_cast<std::uint16_t>(elements.size()));
  append_be(out, std::uint16_t{1});  // the first is the scope
  for (const Element& element : elements) {
    append_be(out, element.number);
    append_be(out, element.length);
  }
}

bool is_options(std::uint16_t id) {
  return id > IpfixShape::kLast && id < IpfixBlockShape::kFirst;
}

template <typename Out>
void write_block_fields(const SessionRecord& r, const IpfixBlockShape& shape, std::uint32_t instance_id,
                        Out& out) {
  const bool allocated = r.event == RecordEvent::kAllocate;
  out.number(kObservationTime, ms_of(allocated ? r.start_time : r.end_time));
  out.number(230, static_cast<std::uint8_t>(allocated ? 16 : 17));
  out.address(8, 27, shape.pri_v6, r.pri_ip);
  out.address(225, 281, shape.nat_v6, r.nat_ip);
  out.number(361, r.nat_port);
  out.number(362, r.orig_dst_port);
  if (shape.instance_id) out.number(463, instance_id);
  if (shape.zone) out.number(234, static_cast<std::uint32_t>(r.zone));
  if (shape.vpc) out.text(236, r.vpc_id);
  if (shape.netns) out.text(kDomainName, r.origin->netns);
}

// The bytes of a record by `write`, which writes its fields to an Out.
template <typename Write>
void append_fields(std::string& out, Write write) {
  SizeOut size;
  write(size);
  const std::size_t begin = out.size();
  out.resize(begin + size.size());
  DataOut data(out.data() + begin);
  write(data);
  out.resize(static_cast<std::size_t>(data.end() - out.data()));
}

}  // namespace

IpfixShape IpfixShape::of(const SessionRecord& record, const IpfixSettings& settings) {
  const bool all = settings.fields == FieldSet::kAll;
  return {.interim = record.event == RecordEvent::kInterim,
          .pri_v6 = !record.pri_ip.is_v4(),
          .destination_v6 =
              settings.destination && !(record.has_orig_dst ? record.orig_dst_ip : record.pub_ip).is_v4(),
          .nat_v6 = !record.nat_ip.is_v4(),
          .pub_v6 = settings.destination && !record.pub_ip.is_v4(),
          .counts_vpc = record.bytes_from_vpc.known() && record.pkts_from_vpc.known(),
          .counts_pub = record.bytes_from_pub.known() && record.pkts_from_pub.known(),
          .destination = settings.destination,
          .instance_id = settings.instance_id != 0,
          .session_id = all,
          .zone = all && record.zone != 0,
          .netns = all && settings.with_netns,
          .vpc = !record.vpc_id.empty(),
          .icmp = static_cast<std::uint8_t>(record.protocol == kIcmp     ? 1
                                            : record.protocol == kIcmpV6 ? 2
                                                                         : 0)};
}

// A number with a place for each choice. The most common choices are 0: event records of NAT44 with all
// counters.
std::uint16_t IpfixShape::id() const {
  unsigned place = 0;
  const auto put = [&](unsigned choices, unsigned chosen) { place = place * choices + chosen; };
  put(2, vpc);
  put(2, instance_id);
  put(2, !destination);
  put(5, session_id ? 1U + zone + 2U * netns : 0U);
  put(3, icmp);
  put(2, !counts_vpc);
  put(2, !counts_pub);
  put(2, pri_v6);
  put(2, destination_v6);
  put(2, nat_v6);
  put(2, pub_v6);
  put(2, interim);
  return static_cast<std::uint16_t>(kFirst + place);
}

IpfixShape IpfixShape::from_id(std::uint16_t id) {
  unsigned place = id - kFirst;
  const auto take = [&](unsigned choices) {
    const unsigned chosen = place % choices;
    place /= choices;
    return chosen;
  };
  IpfixShape shape;
  shape.interim = take(2) != 0;
  shape.pub_v6 = take(2) != 0;
  shape.nat_v6 = take(2) != 0;
  shape.destination_v6 = take(2) != 0;
  shape.pri_v6 = take(2) != 0;
  shape.counts_pub = take(2) == 0;
  shape.counts_vpc = take(2) == 0;
  shape.icmp = static_cast<std::uint8_t>(take(3));
  if (const unsigned more = take(5); more != 0) {
    shape.session_id = true;
    shape.zone = ((more - 1) & 1) != 0;
    shape.netns = ((more - 1) & 2) != 0;
  }
  shape.destination = take(2) == 0;
  shape.instance_id = take(2) != 0;
  shape.vpc = take(2) != 0;
  return shape;
}

IpfixBlockShape IpfixBlockShape::of(const SessionRecord& record, const IpfixSettings& settings) {
  const bool all = settings.fields == FieldSet::kAll;
  return {.pri_v6 = !record.pri_ip.is_v4(),
          .nat_v6 = !record.nat_ip.is_v4(),
          .instance_id = settings.instance_id != 0,
          .zone = all && record.zone != 0,
          .netns = all && settings.with_netns,
          .vpc = !record.vpc_id.empty()};
}

std::uint16_t IpfixBlockShape::id() const {
  unsigned place = 0;
  for (const bool each : {vpc, netns, zone, instance_id, nat_v6, pri_v6})
    place = 2 * place + (each ? 1U : 0U);
  return static_cast<std::uint16_t>(kFirst + place);
}

IpfixBlockShape IpfixBlockShape::from_id(std::uint16_t id) {
  const unsigned place = id - kFirst;
  const auto has = [place](unsigned bit) { return (place >> bit & 1) != 0; };
  return {.pri_v6 = has(0),
          .nat_v6 = has(1),
          .instance_id = has(2),
          .zone = has(3),
          .netns = has(4),
          .vpc = has(5)};
}

void append_ipfix_template(std::uint16_t id, std::string& out) {
  if (is_options(id)) {
    append_options_template(id, out);
    return;
  }
  static const Origin kNobody{};
  SessionRecord any;
  any.origin = &kNobody;
  append_be(out, id);
  const std::size_t count_at = out.size();
  append_be(out, std::uint16_t{0});
  TemplateOut fields(out);
  if (id >= IpfixBlockShape::kFirst) {
    write_block_fields(any, IpfixBlockShape::from_id(id), 0, fields);
  } else {
    write_fields(any, IpfixShape::from_id(id), 0, fields);
  }
  store_be(out.data() + count_at, fields.count());
}

void append_ipfix_record(const SessionRecord& record, const IpfixShape& shape, const IpfixSettings& settings,
                         std::string& out) {
  append_fields(out, [&](auto& fields) { write_fields(record, shape, settings.instance_id, fields); });
}

void restamp_ipfix(std::string& messages, std::uint32_t less, UnixMs now) {
  for (std::size_t at = 0; at + kMessageHeader <= messages.size();
       at += load_be<std::uint16_t>(messages, at + 2)) {
    store_be(messages.data() + at + 4, seconds_of(now));
    store_be(messages.data() + at + 8, load_be<std::uint32_t>(messages, at + 8) - less);
  }
}

std::uint32_t ipfix_sequence(std::string_view message) {
  return load_be<std::uint32_t>(message, 8);
}

IpfixBatch::IpfixBatch(const IpfixSettings& settings, std::optional<std::chrono::nanoseconds> refresh)
    : settings_(settings), refresh_(refresh) {}

void IpfixBatch::begin_session() {
  known_.reset();
  known_ids_.clear();
  name_.clear();
  sequence_ = 0;
  refreshed_.reset();
}

std::string IpfixBatch::begin_session_again(std::uint32_t first, UnixMs now) {
  text_.clear();
  messages_.clear();
  export_time_ = seconds_of(now);
  name_.clear();
  next_sequence_ = 0;
  refresh_templates();
  close_message();
  messages_.clear();
  sequence_ -= first;
  return std::move(text_);
}

void IpfixBatch::fill(std::span<const SessionRecord> records, std::size_t limit_bytes, const Moment& now) {
  text_.clear();
  messages_.clear();
  told_.clear();
  taken_ = 0;
  export_time_ = seconds_of(now.wall);
  next_sequence_ = sequence_;
  next_lost_ = lost_;
  if (refresh_ && (!refreshed_ || now.steady - *refreshed_ >= *refresh_)) {
    refreshed_ = now.steady;
    refresh_templates();
    name_.clear();
  }
  for (const SessionRecord& record : records) {
    if (text_.size() >= limit_bytes) break;
    append(record);
    ++taken_;
  }
  close_message();
}

void IpfixBatch::sent(std::size_t count) {
  if (count < messages_.size()) {
    for (const Told& told : told_) {
      if (told.message < count) continue;
      known_.reset(told.id);
      std::erase(known_ids_, told.id);
    }
    // These are told once more rather than once too little.
    name_.clear();
    refreshed_.reset();
  }
  if (count == 0) return;
  sequence_ = messages_[count - 1].sequence;
  lost_ = messages_[count - 1].lost;
}

void IpfixBatch::append(const SessionRecord& record) {
  if (settings_.options && record.origin->instance != name_) append_name(record.origin->instance);
  if (record.event == RecordEvent::kGap) {
    if (settings_.options) append_gap(record);
    return;
  }
  record_.clear();
  if (is_block(record.event)) {
    const IpfixBlockShape shape = IpfixBlockShape::of(record, settings_);
    append_fields(record_,
                  [&](auto& fields) { write_block_fields(record, shape, settings_.instance_id, fields); });
    return append_data(shape.id(), record_);
  }
  const IpfixShape shape = IpfixShape::of(record, settings_);
  append_ipfix_record(record, shape, settings_, record_);
  append_data(shape.id(), record_);
}

void IpfixBatch::append_gap(const SessionRecord& record) {
  const bool from = record.start_time != kUnknownStart;
  const bool counted = record.events_lost.known();
  record_.clear();
  append_be(record_, settings_.process_id);
  append_be(record_, ms_of(record.end_time));
  if (from) append_be(record_, ms_of(record.start_time));
  append_be(record_, ms_of(record.end_time));
  if (counted) next_lost_ += record.events_lost.value();
  if (counted) append_be(record_, next_lost_);
  const auto id = static_cast<std::uint16_t>(static_cast<unsigned>(IpfixOptions::kGap) + (from ? 1U : 0U) +
                                             (counted ? 2U : 0U));
  append_data(id, record_);
}

void IpfixBatch::append_name(std::string_view name) {
  name_ = name;
  record_.clear();
  append_be(record_, settings_.domain);
  std::array<char, kLongestText + 1> text;
  DataOut data(text.data());
  data.text(kDomainName, name);
  record_.append(text.data(), static_cast<std::size_t>(data.end() - text.data()));
  append_data(static_cast<std::uint16_t>(IpfixOptions::kName), record_);
}

void IpfixBatch::append_data(std::uint16_t id, std::string_view record) {
  if (!known_.test(id)) tell_template(id, record.size());
  const std::size_t header = open_set_ == id ? 0 : kSetHeader;
  if (header + record.size() > room()) close_message();
  if (!message_begin_) open_message();
  if (open_set_ != id) {
    close_set();
    set_begin_ = text_.size();
    open_set_ = id;
    append_be(text_, id);
    append_be(text_, std::uint16_t{0});
  }
  text_ += record;
  ++next_sequence_;
}

// Over UDP in a message of its own, and once more with its first record: one of the two may be lost.
void IpfixBatch::tell_template(std::uint16_t id, std::size_t record_bytes) {
  template_.clear();
  append_ipfix_template(id, template_);
  if (refresh_) {
    close_message();
    put_template(id);
    close_message();
  }
  if (kSetHeader + template_.size() + kSetHeader + record_bytes > room()) close_message();
  // A short path and a long record: the message before has to do.
  const bool fits = kSetHeader + template_.size() + kSetHeader + record_bytes <= room();
  if (fits || !refresh_) put_template(id);
  known_.set(id);
  known_ids_.push_back(id);
  told_.push_back({messages_.size(), id});
}

void IpfixBatch::put_template(std::uint16_t id) {
  if (kSetHeader + template_.size() > room()) close_message();
  if (!message_begin_) open_message();
  close_set();
  append_be(text_, is_options(id) ? kOptionsTemplateSet : kTemplateSet);
  append_be(text_, static_cast<std::uint16_t>(kSetHeader + template_.size()));
  text_ += template_;
}

void IpfixBatch::refresh_templates() {
  for (const std::uint16_t id : known_ids_) {
    template_.clear();
    append_ipfix_template(id, template_);
    put_template(id);
  }
}

std::size_t IpfixBatch::room() const {
  return longest_ - (message_begin_ ? text_.size() - *message_begin_ : kMessageHeader);
}

void IpfixBatch::open_message() {
  message_begin_ = text_.size();
  append_be(text_, kVersion);
  append_be(text_, std::uint16_t{0});
  append_be(text_, export_time_);
  append_be(text_, next_sequence_);
  append_be(text_, settings_.domain);
}

void IpfixBatch::close_set() {
  if (open_set_ != 0)
    store_be(text_.data() + set_begin_ + 2, static_cast<std::uint16_t>(text_.size() - set_begin_));
  open_set_ = 0;
}

void IpfixBatch::close_message() {
  if (!message_begin_) return;
  close_set();
  store_be(text_.data() + *message_begin_ + 2, static_cast<std::uint16_t>(text_.size() - *message_begin_));
  message_begin_.reset();
  messages_.push_back({text_.size(), taken_, next_sequence_, next_lost_});
}

}  // namespace natsession
