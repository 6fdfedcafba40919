#include "identity/sources/radius_secrets.h"

#include <algorithm>

#include "base/files.h"
#include "identity/sources/words.h"

namespace natsession {
namespace {

constexpr ByteCount kMaxSecrets{1 << 20};

}  // namespace

Result<RadiusSecrets> RadiusSecrets::of_file(const std::string& path) {
  const auto text = read_trusted_file(path, kMaxSecrets, ErrorKind::kUnavailable);
  if (!text) return text.error();
  const std::string_view secret = without_spaces(std::string_view(*text).substr(0, text->find('\n')));
  if (secret.empty()) return usage_error(path + ": its first line should be the secret, and is empty");
  RadiusSecrets secrets;
  for (const std::string_view all : {"0.0.0.0/0", "::/0"})
    secrets.entries_.push_back({*Prefix::parse(all), std::string(secret)});
  return secrets;
}

Result<RadiusSecrets> RadiusSecrets::of_list(const std::string& path) {
  const auto text = read_trusted_file(path, kMaxSecrets, ErrorKind::kUnavailable);
  if (!text) return text.error();
  auto secrets = parse_list(*text);
  if (!secrets) return usage_error(path + ": " + secrets.error().message);
  return secrets;
}

Result<RadiusSecrets> RadiusSecrets::parse_list(std::string_view text) {
  RadiusSecrets secrets;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = without_spaces(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.starts_with('#')) continue;
    const std::string where = "line " + std::to_string(number) + ": ";
    const auto prefix = Prefix::parse(take_word(line));
    if (!prefix) return usage_error(where + prefix.error().message);
    if (line.empty()) return usage_error(where + "a secret is missing: write PREFIX SECRET");
    secrets.entries_.push_back({*prefix, std::string(line)});
  }
  if (secrets.entries_.empty()) return usage_error("there is no secret in it: write lines of PREFIX SECRET");
  RadiusSecrets sorted;
  sorted.add(std::move(secrets));
  return sorted;
}

void RadiusSecrets::add(RadiusSecrets list) {
  entries_.insert(entries_.begin(), std::make_move_iterator(list.entries_.begin()),
                  std::make_move_iterator(list.entries_.end()));
  std::stable_sort(entries_.begin(), entries_.end(),
                   [](const Entry& a, const Entry& b) { return a.prefix.length() > b.prefix.length(); });
}

const std::string* RadiusSecrets::find(const IpAddress& address) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const Entry& entry) { return entry.prefix.contains(address); });
  return found == entries_.end() ? nullptr : &found->secret;
}

}  // namespace natsession
