// CsvEncoder: RFC 4180, with a header line, and newlines alone at the ends of lines.
// Threads: keeps no state between calls; may be shared.
#pragma once

#include <string>
#include <string_view>

#include "record/encoder.h"

namespace natsession {

class CsvEncoder final : public Encoder {
 public:
  explicit CsvEncoder(const EncoderOptions& options);
  [[nodiscard]] std::string_view header() const override { return header_; }
  void append(const SessionRecord& record, std::string& out) const override;

 private:
  EncoderOptions options_;
  std::string header_;
};

}  // namespace natsession
