// FlowResource: of which traffic a flow log is: that of an interface, of those in a subnet or a vpc, or all
// that is translated. InterfaceDirectory: which interfaces there are, as the one that reads routes tells
// those who deliver.
// Threads: stated for each.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "net/ip_address.h"
#include "record/session_record.h"

namespace natsession {

// Threads: plain values.
struct KnownInterface {
  std::string name;
  std::vector<IpAddress> addresses;
  std::vector<std::string> vpc_ids;  // of its addresses
  friend bool operator==(const KnownInterface&, const KnownInterface&) = default;
};
using KnownInterfaces = std::vector<KnownInterface>;

// Threads: any. Each network namespace has one writer.
class InterfaceDirectory {
 public:
  void set(const std::string& netns, KnownInterfaces interfaces);
  [[nodiscard]] std::shared_ptr<const KnownInterfaces> of(const std::string& netns) const;
  // Grows with each change.
  [[nodiscard]] std::uint64_t generation() const;

 private:
  struct Known {
    std::map<std::string, std::shared_ptr<const KnownInterfaces>> by_netns;
    std::uint64_t generation = 0;
  };
  Guarded<Known> known_;
};

// Threads: plain values.
struct FlowResource {
  enum class Kind : std::uint8_t { kInterface, kSubnet, kVpc, kNat };
  Kind kind = Kind::kNat;
  std::string name;  // of an interface, or a vpc
  Prefix subnet;
  friend bool operator==(const FlowResource&, const FlowResource&) = default;

  // Reads nat, vpc:ID, a prefix, or the name of an interface.
  // Errors: kUsage, naming the text and what would do.
  [[nodiscard]] static Result<FlowResource> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  // Whether the interface is one of it. An interface by its name is, also if it is not there.
  [[nodiscard]] bool covers(const KnownInterface& interface) const;
};

enum class FlowTraffic : std::uint8_t { kAll, kAccept, kReject };
[[nodiscard]] std::string_view to_string(FlowTraffic traffic);

}  // namespace natsession
