#include "record/subscriber_encoder.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "record/escape.h"
#include "record/fields.h"

namespace natsession {
namespace {

constexpr std::array<std::pair<std::string_view, ShortText Subscriber::*>, 3> kNames{{
    {"subscriber", &Subscriber::subscriber},
    {"mac", &Subscriber::mac},
    {"host", &Subscriber::host},
}};

// Fields as names and values, as FieldFormats go; nothing is written at `out`.
struct PairFormat {
  TimeFormat time_format;
  std::vector<std::pair<std::string_view, std::string>>* pairs;

  template <Field kField>
  char* add(char* out, std::string value) const {
    pairs->emplace_back(kSpec<kField>.name, std::move(value));
    return out;
  }
  template <Field kField>
  char* text(char* out, std::string_view value) const {
    return add<kField>(out, std::string(value));
  }
  template <Field kField>
  char* word(char* out, std::string_view value) const {
    return add<kField>(out, std::string(value));
  }
  template <Field kField>
  char* address(char* out, const IpAddress& value) const {
    return add<kField>(out, value.to_string());
  }
  template <Field kField>
  char* number(char* out, std::uint64_t value) const {
    return add<kField>(out, std::to_string(value));
  }
  template <Field kField>
  char* hex(char* out, std::uint64_t value) const {
    std::array<char, kHex64Length + kTextSlack> text{};
    return add<kField>(out, std::string(text.data(), write_hex64(text.data(), value)));
  }
  template <Field kField>
  char* time(char* out, UnixMs value) const {
    std::array<char, kMaxTimeLength + kTextSlack> text{};
    return add<kField>(out, std::string(text.data(), write_time(text.data(), value, time_format)));
  }
  template <Field kField>
  char* null(char* out) const {
    return out;
  }
};

}  // namespace

SubscriberEncoder::SubscriberEncoder(const EncoderOptions& options,
                                     std::shared_ptr<const SubscriberLookup> lookup)
    : options_(options), others_(make_encoder(options)), lookup_(std::move(lookup)) {
  header_ = others_->header();
  if (header_.empty()) return;
  header_.pop_back();
  for (const auto& [name, member] : kNames) (header_ += ',').append(name);
  header_ += '\n';
}

// Valid until the thread asks again.
const Subscriber& SubscriberEncoder::find(const SessionRecord& record) const {
  thread_local Subscriber found;
  if (lookup_ == nullptr || record.event == RecordEvent::kGap)
    found.clear();
  else
    lookup_->find(record, found);
  return found;
}

void SubscriberEncoder::append(const SessionRecord& record, std::string& out) const {
  append_of(find(record), record, out);
}

void SubscriberEncoder::append_each(std::span<const SessionRecord> records, std::string& out,
                                    const std::function<bool()>& goes_on) const {
  if (lookup_ == nullptr) return Encoder::append_each(records, out, goes_on);
  thread_local std::array<Subscriber, SubscriberLookup::kMostTogether> found;
  const auto is_gap = [](const SessionRecord& record) { return record.event == RecordEvent::kGap; };
  while (!records.empty()) {
    const auto some = records.first(std::min(records.size(), found.size()));
    const auto sessions =
        some.first(static_cast<std::size_t>(std::find_if(some.begin(), some.end(), is_gap) - some.begin()));
    if (sessions.empty()) {
      append(records.front(), out);
      if (!goes_on()) return;
      records = records.subspan(1);
      continue;
    }
    lookup_->find_all(sessions, found);
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      append_of(found[i], sessions[i], out);
      if (!goes_on()) return;
    }
    records = records.subspan(sessions.size());
  }
}

void SubscriberEncoder::append_of(const Subscriber& found, const SessionRecord& record,
                                  std::string& out) const {
  others_->append(record, out);
  const bool gap = record.event == RecordEvent::kGap;
  if (gap && options_.format != RecordFormat::kCsv) return;
  std::size_t room = 2;
  for (const auto& [name, member] : kNames)
    room += name.size() + max_escaped_length((found.*member).size()) + 16;
  out.pop_back();  // the newline
  if (options_.format == RecordFormat::kJson) out.pop_back();
  append_line(out, room, [&](char* at) {
    for (const auto& [name, member] : kNames) at = write_name(name, found.*member, at);
    if (options_.format == RecordFormat::kJson) *at++ = '}';
    *at++ = '\n';
    return at;
  });
}

char* SubscriberEncoder::write_name(std::string_view name, std::string_view value, char* at) const {
  switch (options_.format) {
    case RecordFormat::kJson:
      at = write_text(write_text(write_text(at, ",\""), name), "\":");
      return value.empty() ? write_text(at, "null") : write_json_string(at, value);
    case RecordFormat::kCsv:
      return write_csv_text(write_text(at, ","), value);
    case RecordFormat::kLogfmt:
      if (value.empty()) return at;
      return write_logfmt_text(write_text(write_text(write_text(at, " "), name), "="), value);
  }
  return at;
}

void SubscriberEncoder::append_pairs(const SessionRecord& record,
                                     std::vector<std::pair<std::string_view, std::string>>& out) const {
  const bool gap = record.event == RecordEvent::kGap;
  const bool all = gap || options_.fields == FieldSet::kAll;
  const Selection selection{.extra = all, .netns = all && options_.with_netns, .gap_fields = gap};
  char none = 0;
  write_fields(record, selection, PairFormat{options_.time_format, &out}, &none);
  if (gap) return;
  const Subscriber& found = find(record);
  for (const auto& [name, member] : kNames) {
    if (!(found.*member).empty()) out.emplace_back(name, (found.*member).view());
  }
}

}  // namespace natsession
