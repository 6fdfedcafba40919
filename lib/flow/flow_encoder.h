// FlowEncoder: entries of a flow log (flow_entries.h) as lines: space-separated text, with '-' for what does
// not apply, or JSON with the same names and null.
// Threads: as Encoder.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "flow/flow_form.h"
#include "record/encoder.h"

namespace natsession {

enum class FlowFormat : std::uint8_t { kText, kJson };

class FlowEncoder final : public Encoder {
 public:
  FlowEncoder(FlowForm form, FlowIds ids, FlowFormat format);

  void append(const SessionRecord& entry, std::string& out) const override;
  // Names and values of what an entry has, for sinks that take these: what does not apply is left out.
  void append_pairs(const SessionRecord& entry,
                    std::vector<std::pair<std::string_view, std::string>>& out) const override;

 private:
  struct Value;
  [[nodiscard]] Value value_of(FlowField field, const SessionRecord& entry) const;
  [[nodiscard]] Value machine_of(const SessionRecord& entry) const;

  const FlowForm form_;
  FlowIds ids_;
  const FlowFormat format_;
  std::vector<std::string> keys_;  // of JSON: what stands before each value
};

}  // namespace natsession
