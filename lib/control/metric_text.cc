#include "control/metric_text.h"

#include <array>
#include <charconv>
#include <cmath>

namespace natsession {
namespace {

// Backslash and line feed are escaped everywhere, the quote in label values only.
void append_escaped(std::string& out, std::string_view text, bool in_label) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && in_label) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

template <typename Number>
void append_number(std::string& out, Number value) {
  std::array<char, 32> text{};
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  out.append(text.data(), end);
}

}  // namespace

void MetricText::begin(std::string_view name, std::string_view help, std::string_view type) {
  name_ = name;
  text_.append("# HELP ").append(name).append(" ");
  append_escaped(text_, help, false);
  text_.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

void MetricText::sample_head(std::span<const Label> labels) {
  text_ += name_;
  char separator = '{';
  for (const auto& [name, value] : labels) {
    if (value.empty()) continue;
    text_ += separator;
    text_.append(name).append("=\"");
    append_escaped(text_, value, true);
    text_ += '"';
    separator = ',';
  }
  text_ += separator == '{' ? " " : "} ";
}

void MetricText::sample(std::span<const Label> labels, std::uint64_t value) {
  sample_head(labels);
  append_number(text_, value);
  text_ += '\n';
}

void MetricText::sample(std::span<const Label> labels, double value) {
  sample_head(labels);
  if (std::isfinite(value)) {
    append_number(text_, value);
  } else {
    text_ += std::isnan(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
  }
  text_ += '\n';
}

}  // namespace natsession
