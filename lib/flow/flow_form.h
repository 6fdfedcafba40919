// FlowForm: which fields the entries of a flow log have, under which names and in which order: one of the
// clouds' records, or a list of one's own.
// Threads: plain value types.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/ip_address.h"
#include "record/subscriber.h"

namespace natsession {

enum class FlowField : std::uint8_t {
  kVersion,
  kAccount,
  kInterfaceId,
  kNetworkId,
  kVmId,
  kVpcId,
  kRegion,
  kZone,
  kSource,
  kDestination,
  kSourcePort,
  kDestinationPort,
  kProtocol,
  kPackets,
  kBytes,
  kStart,
  kEnd,
  kInOut,      // in, out
  kDirection,  // ingress, egress
  kTcpFlags,   // the mask
  kTcpState,   // syn_sent, established, time-wait
  kAction,
  kLogStatus,
  // Of this log alone, for lists.
  kInterface,  // its name, whatever id it has
  kInstance,
  kNetns,
  kSessionId,
  kSeq,
};

// As Alibaba Cloud, Tencent Cloud and Huawei Cloud have them; aws is the form that the common readers of
// flow logs know.
struct FlowForm {
  struct Column {
    FlowField field;
    std::string_view name;
    friend bool operator==(const Column&, const Column&) = default;
  };
  std::string text;  // as it was given
  std::vector<Column> columns;
  unsigned version = 2;
  friend bool operator==(const FlowForm&, const FlowForm&) = default;

  // Reads alibaba, tencent, huawei-v1, huawei-v2 or aws; or names of fields with commas between.
  // Errors: kUsage, naming what is unknown, and what would do.
  [[nodiscard]] static Result<FlowForm> parse(std::string_view text);
};

// All names that a list may have.
[[nodiscard]] std::vector<std::string_view> flow_field_names();

// What the box cannot know: ids of a cloud's kind, by what it does know.
struct FlowIds {
  using ByPrefix = std::vector<std::pair<Prefix, std::string>>;

  std::string account;
  std::string region;
  std::string zone;
  std::vector<std::pair<std::string, std::string>> interfaces;  // name, id
  ByPrefix networks;                                            // the longest prefix counts
  ByPrefix machines;
  // Whose an address is, where `machines` does not tell; null: nobody else does.
  std::shared_ptr<const SubscriberLookup> subscribers = {};
  friend bool operator==(const FlowIds&, const FlowIds&) = default;
};

}  // namespace natsession
