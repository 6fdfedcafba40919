#include "sink/pseudonyms/pseudonym_sink.h"

#include <cstring>
#include <functional>
#include <string_view>

namespace natsession {

std::size_t PseudonymLookup::Hash::operator()(const IpAddress& address) const {
  const auto& bytes = address.bytes();
  return std::hash<std::string_view>()({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void PseudonymLookup::begin_batch() {
  if (hidden_.size() < kMostKept) return;
  hidden_.clear();
  original_.clear();
}

IpAddress PseudonymLookup::hide(const IpAddress& address) {
  const auto known = hidden_.find(address);
  if (known != hidden_.end()) return known->second;
  const IpAddress pseudonym = pseudonyms_->address(address);
  hidden_.emplace(address, pseudonym);
  original_.emplace(pseudonym, address);
  return pseudonym;
}

void PseudonymLookup::find(const SessionRecord& record, Subscriber& out) const {
  out.clear();
  const auto original = original_.find(record.pri_ip);
  if (behind_ == nullptr || original == original_.end()) return;
  SessionRecord meant = record;
  meant.pri_ip = original->second;
  behind_->find(meant, out);
  out.subscriber = pseudonyms_->name("subscriber", out.subscriber);
  out.mac = pseudonyms_->name("mac", out.mac);
  out.host = pseudonyms_->name("host", out.host);
}

Answer PseudonymSink::deliver(std::span<const SessionRecord> records) {
  lookup_->begin_batch();
  told_.assign(records.begin(), records.end());
  for (SessionRecord& record : told_) {
    if (record.event == RecordEvent::kGap) continue;
    // Where nothing is translated the address stands in its place as well.
    const bool same = record.nat_ip == record.pri_ip;
    record.pri_ip = lookup_->hide(record.pri_ip);
    if (same) record.nat_ip = record.pri_ip;
    record.session_id = lookup_->pseudonyms().number("session", record.session_id);
  }
  return behind_->deliver(told_);
}

}  // namespace natsession
