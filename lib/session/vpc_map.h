// VpcMap: which vpc_id a session belongs to, by its private address, its zone or its mark.
// Threads: const after it was made; may be read from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"

namespace natsession {

// One rule, as the user wrote it: `ID`, `10.0.0.0/8=ID`, `zone:5=ID`, `mark:0x10=ID` or `mark:0x10/0xff=ID`.
struct VpcRule {
  enum class Kind : std::uint8_t { kPrefix, kZone, kMark, kDefault };
  Kind kind = Kind::kDefault;
  Prefix prefix;           // kPrefix
  std::uint16_t zone = 0;  // kZone
  std::uint32_t mark = 0;  // kMark: matches if (flow's mark & mark_mask) == mark
  std::uint32_t mark_mask = 0xffffffff;
  std::string_view vpc_id;  // a label
  std::string text;         // as it was given
  friend bool operator==(const VpcRule& a, const VpcRule& b) { return a.text == b.text; }

  static constexpr std::size_t kMaxIdLength = 255;
  // Errors: kUsage, naming the text; also if it is a label too many.
  [[nodiscard]] static Result<VpcRule> parse(std::string_view text);
};

class VpcMap {
 public:
  VpcMap() = default;
  explicit VpcMap(std::vector<VpcRule> rules);

  // The longest prefix that contains `pri_ip`; else the first rule for the zone; else the first for the mark;
  // else the default rule; else empty. A label.
  [[nodiscard]] std::string_view find(const IpAddress& pri_ip, std::uint16_t zone, std::uint32_t mark) const;

 private:
  std::vector<VpcRule> rules_;  // in the order in which they are tried
};

}  // namespace natsession
