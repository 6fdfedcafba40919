// Pseudonyms: names and addresses under a key: the same one is always the same pseudonym, and without the key
// nobody can tell whose it is, nor try all addresses.
// Threads: any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/ip_address.h"

namespace natsession {

class Pseudonyms {
 public:
  static constexpr std::size_t kLeastKeyBytes = 16;
  static constexpr std::size_t kMostKeyBytes = 4096;

  // Reads the key, the whole of a file but a newline at its end, which nobody else may read.
  // Errors: kUsage for one that is too short or too long; kUnavailable without OpenSSL; kPermission, kIo.
  [[nodiscard]] static Result<std::shared_ptr<const Pseudonyms>> open(const std::string& path);
  explicit Pseudonyms(std::string key) : key_(std::move(key)) {}

  // Of a name: 32 hexadecimal digits behind "p-"; of none, none. `kind` keeps a host name from having the
  // pseudonym of a user of the same name.
  [[nodiscard]] std::string name(std::string_view kind, std::string_view text) const;
  // Of an address: one of fd00::/8, which no other has (as likely as two of 2^120 are equal); so it stands
  // wherever an address can, and is told from a real one.
  // Source: RFC 4193
  [[nodiscard]] IpAddress address(const IpAddress& address) const;
  [[nodiscard]] std::uint64_t number(std::string_view kind, std::uint64_t number) const;

 private:
  [[nodiscard]] std::string hash(std::string_view kind, std::string_view text) const;

  const std::string key_;
};

}  // namespace natsession
