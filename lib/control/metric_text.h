// MetricText: metrics in Prometheus' text format 0.0.4.
// Threads: one for each object.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace natsession {

class MetricText {
 public:
  using Label = std::pair<std::string_view, std::string_view>;

  // Begins a metric; its samples follow. Names keep Prometheus' conventions: a counter ends in _total.
  void counter(std::string_view name, std::string_view help) { begin(name, help, "counter"); }
  void gauge(std::string_view name, std::string_view help) { begin(name, help, "gauge"); }

  // One sample of the metric that was begun last. A label with an empty value is left out: to Prometheus it
  // is the same.
  void sample(std::span<const Label> labels, std::uint64_t value);
  void sample(std::span<const Label> labels, double value);
  void sample(std::initializer_list<Label> labels, auto value) {
    sample(std::span(labels.begin(), labels.size()), value);
  }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  void begin(std::string_view name, std::string_view help, std::string_view type);
  void sample_head(std::span<const Label> labels);

  std::string text_;
  std::string name_;
};

}  // namespace natsession
