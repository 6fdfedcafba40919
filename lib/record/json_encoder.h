// JsonEncoder: one JSON object a line, with every field always present.
// Threads: keeps no state between calls; may be shared.
#pragma once

#include <string>
#include <string_view>

#include "record/encoder.h"

namespace natsession {

class JsonEncoder final : public Encoder {
 public:
  explicit JsonEncoder(const EncoderOptions& options);
  [[nodiscard]] std::string_view header() const override { return {}; }
  void append(const SessionRecord& record, std::string& out) const override;

 private:
  EncoderOptions options_;
};

}  // namespace natsession
