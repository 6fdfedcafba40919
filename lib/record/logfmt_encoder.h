// LogfmtEncoder: key=value pairs; fields that have no value are left out.
// Threads: keeps no state between calls; may be shared.
#pragma once

#include <string>
#include <string_view>

#include "record/encoder.h"

namespace natsession {

class LogfmtEncoder final : public Encoder {
 public:
  explicit LogfmtEncoder(const EncoderOptions& options);
  [[nodiscard]] std::string_view header() const override { return {}; }
  void append(const SessionRecord& record, std::string& out) const override;

 private:
  EncoderOptions options_;
};

}  // namespace natsession
