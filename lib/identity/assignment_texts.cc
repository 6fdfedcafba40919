#include "identity/assignment_texts.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>

#include "identity/assignment.h"

namespace natsession {
namespace {

constexpr unsigned kFormBits = 2;
constexpr unsigned kFormMask = 3;
constexpr unsigned kAll = 4;
constexpr unsigned kAllForms = kAll * kFormBits;
// What most clients of DHCP call themselves is this and their MAC (RFC 2132, 9.14; hardware type 1).
constexpr std::string_view kEthernet = "01:";

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The octets of "02:00:5e", in lower case as they are written again.
std::optional<std::string> octets_of(std::string_view text) {
  if (text.size() % 3 != 2) return std::nullopt;
  std::string octets;
  for (std::size_t at = 0; at < text.size(); at += 3) {
    const int high = digit_of(text[at]), low = digit_of(text[at + 1]);
    if (high < 0 || low < 0 || (at + 2 < text.size() && text[at + 2] != ':')) return std::nullopt;
    octets += static_cast<char>(high * 16 + low);
  }
  return octets;
}

}  // namespace

void AssignmentTexts::pack(const IdentityTexts& texts) {
  const std::string_view mac = cut_identity_text(texts.mac);
  packed_.assign(1, '\0');
  unsigned forms = 0;
  unsigned shift = 0;
  for (const std::string_view given : {texts.mac, texts.subscriber, texts.host, texts.id}) {
    const std::string_view text = cut_identity_text(given);
    Form form = Form::kEmpty;
    const bool is_id = shift + kFormBits == kAllForms;
    if (shift > 0 && !mac.empty() &&
        (is_id ? text.starts_with(kEthernet) && text.substr(kEthernet.size()) == mac : text == mac)) {
      form = Form::kAsMac;
    } else if (const auto octets = octets_of(text)) {
      form = Form::kOctets;
      packed_ += static_cast<char>(octets->size());
      packed_ += *octets;
    } else if (!text.empty()) {
      form = Form::kBytes;
      packed_ += static_cast<char>(text.size());
      packed_ += text;
    }
    forms |= static_cast<unsigned>(form) << shift;
    shift += kFormBits;
  }
  packed_[0] = static_cast<char>(forms);
  packed_.resize((packed_.size() + kUnit - 1) / kUnit * kUnit);
}

// Calls take(Form, bytes) for each of the first `count` texts, as they stand: MAC, subscriber, host, id.
// Returns what is behind them.
template <typename Take>
const std::uint8_t* AssignmentTexts::each(const std::uint8_t* packed, unsigned count, Take&& take) {
  const std::uint8_t* next = packed + 1;
  for (unsigned forms = packed[0]; count > 0; --count, forms >>= kFormBits) {
    const Form form{forms & kFormMask};
    std::span<const std::uint8_t> bytes;
    if (form == Form::kBytes || form == Form::kOctets) {
      bytes = {next + 1, *next};
      next += 1 + bytes.size();
    }
    take(form, bytes);
  }
  return next;
}

std::size_t AssignmentTexts::packed_bytes(const std::uint8_t* packed) const {
  const std::uint8_t* const end = each(packed, kAll, [](Form, std::span<const std::uint8_t>) {});
  return (static_cast<std::size_t>(end - packed) + kUnit - 1) / kUnit * kUnit;
}

AssignmentTexts::Place AssignmentTexts::allocate(std::size_t units) {
  if (Place& first = free_[units]; first != 0) {
    const Place place = first - 1;
    std::memcpy(&first, unit(place), sizeof first);
    return place;
  }
  if (used_of_last_ + units > kUsableUnits) {
    const std::size_t rest = kUsableUnits - used_of_last_;
    if (rest > 0) put_on_list(static_cast<Place>((blocks_.size() - 1) * kUnitsOfBlock + used_of_last_), rest);
    blocks_.emplace_back(kBlockBytes);
    used_of_last_ = 0;
  }
  const auto place = static_cast<Place>((blocks_.size() - 1) * kUnitsOfBlock + used_of_last_);
  used_of_last_ += units;
  return place;
}

void AssignmentTexts::put_on_list(Place place, std::size_t units) {
  units = std::min(units, kMaxUnits);
  std::memcpy(unit(place), &free_[units], sizeof free_[units]);
  free_[units] = place + 1;
}

AssignmentTexts::Place AssignmentTexts::add(const IdentityTexts& texts) {
  pack(texts);
  const Place place = allocate(packed_.size() / kUnit);
  std::memcpy(unit(place), packed_.data(), packed_.size());
  return place;
}

void AssignmentTexts::remove(Place place) {
  put_on_list(place, packed_bytes(unit(place)) / kUnit);
}

OwnIdentityTexts AssignmentTexts::at(Place place) const {
  OwnIdentityTexts texts;
  const std::array<std::string*, kAll> all{&texts.mac, &texts.subscriber, &texts.host, &texts.id};
  auto text = all.begin();
  each(unit(place), kAll, [&](Form form, std::span<const std::uint8_t> bytes) {
    std::string& out = **text++;
    if (form == Form::kOctets)
      append_octets(bytes, out);
    else if (form == Form::kAsMac)
      out = (&out == &texts.id ? std::string(kEthernet) : std::string()) + texts.mac;
    else
      out.assign(bytes.begin(), bytes.end());
  });
  return texts;
}

void AssignmentTexts::read(Place place, ShortText& subscriber, ShortText& mac, ShortText& host) const {
  const std::array<ShortText*, 3> all{&mac, &subscriber, &host};
  auto text = all.begin();
  each(unit(place), 3, [&](Form form, std::span<const std::uint8_t> bytes) {
    ShortText& out = **text++;
    if (form == Form::kOctets) {
      out.resize(octets_length(bytes.size()));
      write_octets(bytes, out.data());
    } else if (form == Form::kAsMac) {
      out = mac;
    } else if (form == Form::kBytes) {
      out.assign_readable(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    } else {
      out.clear();
    }
  });
}

bool AssignmentTexts::are(Place place, const IdentityTexts& texts) const {
  const OwnIdentityTexts kept = at(place);
  return kept.subscriber == cut_identity_text(texts.subscriber) && kept.mac == cut_identity_text(texts.mac) &&
         kept.host == cut_identity_text(texts.host) && kept.id == cut_identity_text(texts.id);
}

}  // namespace natsession
