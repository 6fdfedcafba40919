// FlowLogConfig: one flow log as it is configured: a table [[flow_log]] of the file.
// Threads: plain value types.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "flow/flow_encoder.h"
#include "flow/flow_form.h"
#include "flow/flow_resource.h"
#include "sink/registry.h"

namespace natsession {

struct FlowLogConfig {
  std::string name;
  std::vector<std::string> tags;  // KEY=VALUE
  FlowResource resource;
  FlowTraffic traffic = FlowTraffic::kAll;
  FlowForm record;
  FlowFormat format = FlowFormat::kText;
  std::chrono::seconds window = std::chrono::minutes(10);
  SinkConfig destination;
  bool on = true;

  // Reads a table of TOML: {name = "all", resource = "nat", record = "aws", destination =
  // "file:/var/log/flow"}.
  // Errors: kUsage, naming the key, its value and what would do.
  [[nodiscard]] static Result<FlowLogConfig> parse(std::string_view text);
  [[nodiscard]] std::string text() const;   // as parse() takes it, all keys told
  [[nodiscard]] std::string lines() const;  // the same as lines of a file, below [[flow_log]]
  friend bool operator==(const FlowLogConfig& a, const FlowLogConfig& b) { return a.text() == b.text(); }
};

// The name of a flow log, and tags: what natsessionctl and configurations may have.
// Errors: kUsage, naming the text and what would do.
[[nodiscard]] Result<void> check_flow_log_name(std::string_view name);
[[nodiscard]] Result<void> check_tag(std::string_view tag);

inline constexpr std::size_t kMaxFlowLogName = 63;
inline constexpr std::size_t kMaxTags = 20;
inline constexpr std::size_t kUsualFlowLogs = 10;
inline constexpr std::size_t kMaxFlowLogs = 30;

}  // namespace natsession
