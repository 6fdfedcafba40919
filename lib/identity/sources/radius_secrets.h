// RadiusSecrets: which secret a RADIUS client has, by its address.
// Threads: a plain value type.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"

namespace natsession {

class RadiusSecrets {
 public:
  // A file with one secret: its first line.
  // Errors: kUsage if it is empty; those of read_trusted_file().
  [[nodiscard]] static Result<RadiusSecrets> of_file(const std::string& path);
  // A file of lines "10.0.0.0/8 SECRET"; # begins a remark. The longest prefix of an address counts.
  // Errors: kUsage, with the line; those of read_trusted_file().
  [[nodiscard]] static Result<RadiusSecrets> of_list(const std::string& path);
  [[nodiscard]] static Result<RadiusSecrets> parse_list(std::string_view text);

  // Those of `list` too, which come first.
  void add(RadiusSecrets list);
  // nullptr: it is nobody's client.
  [[nodiscard]] const std::string* find(const IpAddress& address) const;

 private:
  struct Entry {
    Prefix prefix;
    std::string secret;
  };
  std::vector<Entry> entries_;  // the longest prefix first
};

}  // namespace natsession
