#include "query/group.h"

#include <algorithm>
#include <cstring>

#include "record/labels.h"
#include "record/text_writer.h"

namespace natsession {
namespace {

std::string hex_text(std::uint64_t value) {
  std::array<char, kHex64Length> text;
  return {text.data(), write_hex64(text.data(), value)};
}

constexpr std::size_t kFirstSlots = 1024;

std::uint64_t mixed(std::uint64_t value) {  // splitmix64's
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

std::string to_text(Field field, const GroupValue& value) {
  if (const auto* address = std::get_if<IpAddress>(&value)) return address->to_string();
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  const auto* number = std::get_if<std::uint64_t>(&value);
  if (number == nullptr) return "-";
  const FieldSpec& spec = spec_of(field);
  if (spec.word != nullptr) return std::string(spec.word(*number));
  return spec.kind == FieldKind::kId ? hex_text(*number) : std::to_string(*number);
}

void GroupKey::set_number(std::size_t part, std::uint64_t number) {
  kinds[part] = kNumber;
  words[2 * part] = 0;
  words[2 * part + 1] = number;
}

void GroupKey::set_address(std::size_t part, const IpAddress& address) {
  kinds[part] = kAddress;
  std::memcpy(&words[2 * part], address.bytes().data(), 16);
}

void GroupKey::set_text(std::size_t part, std::string_view label) {
  kinds[part] = kText;
  words[2 * part] = reinterpret_cast<std::uintptr_t>(label.data());
  words[2 * part + 1] = label.size();
}

std::uint64_t GroupKey::hash() const {
  // Each word by itself first: a processor does that at once, and this is done for most records.
  static constexpr std::array<std::uint64_t, 2 * kMaxGroupFields> kOdd{
      0x9e3779b97f4a7c15, 0xd6e8feb86659fd93, 0xa0761d6478bd642f, 0xe7037ed1a0b428db};
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::uint64_t product = words[i] * kOdd[i];
    hash += product ^ (product >> 32);
  }
  for (const Kind kind : kinds) hash = hash * 31 + kind;
  return mixed(hash);
}

GroupTable::GroupTable(std::size_t max_groups, unsigned parts, unsigned part)
    : max_groups_(max_groups), parts_(parts), part_(part), slots_(kFirstSlots) {}

std::uint32_t GroupTable::place_of(const GroupKey& key, std::uint64_t hash) {
  if (parts_ > 1 && (hash >> 40) % parts_ != part_) return kElsewhere;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t slot = hash & mask;; slot = (slot + 1) & mask) {
    const std::uint32_t place = slots_[slot];
    if (place == 0) {
      if (size_ == max_groups_) return kFull;
      if (size_ % kChunk == 0) chunks_.push_back(std::make_unique<Group[]>(kChunk));
      chunks_.back()[size_ % kChunk].key = key;
      slots_[slot] = static_cast<std::uint32_t>(++size_);
      if (size_ * 2 > slots_.size()) grow();
      return static_cast<std::uint32_t>(size_ - 1);
    }
    if (this->key(place - 1) == key) return place - 1;
  }
}

void GroupTable::grow() {
  std::vector<std::uint32_t> slots(slots_.size() * 2);
  const std::size_t mask = slots.size() - 1;
  for (std::uint32_t place = 0; place < size_; ++place) {
    std::size_t slot = key(place).hash() & mask;
    while (slots[slot] != 0) slot = (slot + 1) & mask;
    slots[slot] = place + 1;
  }
  slots_ = std::move(slots);
}

Columns KeyMaker::columns() const {
  Columns columns;
  for (const Field field : fields_) columns.add(field);
  if (names_.names != nullptr)
    columns.add({Field::kPriIp, Field::kNetns, Field::kStartTime, Field::kSessionStart});
  return columns;
}

bool KeyMaker::find_groups(const ScanBatch& batch, GroupTable& table, std::vector<std::uint32_t>& groups) {
  groups.resize(batch.size());
  last_text_ = {};
  if (fields_.size() == 1 && names_.names == nullptr && !batch.addresses(fields_[0]).distinct.empty()) {
    return find_by_address(batch, table, groups);
  }
  bool room = true;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    GroupKey key;
    for (std::size_t part = 0; part < fields_.size(); ++part) set_part(batch, i, part, key);
    groups[i] = table.place_of(key);
    room = room && groups[i] != GroupTable::kFull;
  }
  return room;
}

bool KeyMaker::find_by_address(const ScanBatch& batch, GroupTable& table,
                               std::vector<std::uint32_t>& groups) {
  constexpr std::uint32_t kNotYet = GroupTable::kElsewhere - 1;
  bool room = true;
  const AddressColumn column = batch.addresses(fields_[0]);
  place_of_address_.assign(column.distinct.size(), kNotYet);
  const auto rows = batch.rows();
  GroupKey key;
  hash_of_address_.clear();
  for (const IpAddress& address : column.distinct) {
    key.set_address(0, address);
    hash_of_address_.push_back(key.hash());
  }
  for (const std::uint64_t hash : hash_of_address_) table.expect(hash);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::size_t index = column.index[rows[i]];
    std::uint32_t& place = place_of_address_[index];
    if (place == kNotYet) {
      key.set_address(0, column.distinct[index]);
      place = table.place_of(key, hash_of_address_[index]);
      room = room && place != GroupTable::kFull;
    }
    groups[i] = place;
  }
  return room;
}

void KeyMaker::set_part(const ScanBatch& batch, std::size_t i, std::size_t part, GroupKey& key) {
  if (names_.at(part)) return key.set_text(part, names_.names->label_of(*batch.record(i)));
  const Field field = fields_[part];
  const std::uint32_t row = batch.rows()[i];
  switch (spec_of(field).stored) {
    case Stored::kAddresses: {
      const AddressColumn& column = batch.addresses(field);
      return key.set_address(part, column.distinct[column.index[row]]);
    }
    case Stored::kPorts:
      return key.set_number(part, batch.ports(field)[row]);
    case Stored::kSmall: {
      const std::uint8_t number = batch.small(field)[row];
      if (number != 0 || !zero_is_none(field)) key.set_number(part, number);
      return;
    }
    default:
      return set_value(value_of(*batch.record(i), field), part, key);
  }
}

void KeyMaker::set_value(const FieldValue& value, std::size_t part, GroupKey& key) {
  if (const auto* number = std::get_if<std::uint64_t>(&value)) key.set_number(part, *number);
  if (const auto* address = std::get_if<IpAddress>(&value)) key.set_address(part, *address);
  if (const auto* text = std::get_if<std::string_view>(&value)) {
    const bool same = last_label_[part].data() != nullptr && text->data() == last_text_[part].data() &&
                      text->size() == last_text_[part].size();
    if (!same) {
      const auto label = intern_label(*text);
      last_label_[part] = label ? *label : std::string_view();
      last_text_[part] = *text;
    }
    key.set_text(part, last_label_[part]);
  }
}

GroupKey KeyMaker::key_of(const SessionRecord& record) {
  GroupKey key;
  for (std::size_t part = 0; part < fields_.size(); ++part) {
    if (names_.at(part))
      key.set_text(part, names_.names->label_of(record));
    else
      set_value(value_of(record, fields_[part]), part, key);
  }
  return key;
}

std::vector<GroupValue> KeyMaker::values_of(const GroupKey& key) const {
  std::vector<GroupValue> values;
  for (std::size_t part = 0; part < fields_.size(); ++part) {
    switch (key.kinds[part]) {
      case GroupKey::kNone:
        values.emplace_back();
        break;
      case GroupKey::kNumber:
        values.emplace_back(key.words[2 * part + 1]);
        break;
      case GroupKey::kText:
        if (const auto* const text = reinterpret_cast<const char*>(key.words[2 * part])) {
          values.emplace_back(std::string(text, key.words[2 * part + 1]));
        } else {
          values.emplace_back("(others)");
        }
        break;
      case GroupKey::kAddress: {
        std::array<std::uint8_t, 16> bytes;
        std::memcpy(bytes.data(), &key.words[2 * part], 16);
        values.emplace_back(IpAddress::from_v6(bytes));
        break;
      }
    }
  }
  return values;
}

GroupKey KeyMaker::key_of(const std::vector<GroupValue>& values) {
  GroupKey key;
  for (std::size_t part = 0; part < values.size(); ++part) {
    if (const auto* number = std::get_if<std::uint64_t>(&values[part])) set_value(*number, part, key);
    if (const auto* address = std::get_if<IpAddress>(&values[part])) set_value(*address, part, key);
    const auto* const text = std::get_if<std::string>(&values[part]);
    if (text == nullptr) continue;
    if (names_.at(part))
      key.set_text(part, names_.names->intern(*text));
    else
      set_value(std::string_view(*text), part, key);
  }
  return key;
}

}  // namespace natsession
