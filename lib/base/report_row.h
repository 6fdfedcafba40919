// Row: one value of a report: its member in JSON, its metric, and how natsessionctl shows it. A report lists
// its values once, in Rows<Report>::visit(); status, metrics and tables are made from that.
//
//   template <> struct Rows<SinkReport> {
//     static void visit(auto& sink, auto row) {
//       row(member("name").column("SINK"), sink.name);
//       row(counter("retried", "natsession_sink_retries_total", "Tries beyond the first.").column("RETRIED"),
//           sink.retried);
//     }
//   };
//
// Threads: plain value types.
#pragma once

#include <cstdint>
#include <string_view>

namespace natsession {

struct Row {
  enum class Metric : std::uint8_t {
    kNone,
    kCounter,
    kGauge,    // a time is in Unix seconds, and absent where there is none; a duration in seconds, 0 for none
    kPresent,  // 1 if there is one
    kAbsent,   // 1 if there is none, or it is empty
    kAge,      // of a time: seconds since, 0 for none
  };
  // Of a number that is not 0.
  enum class Look : std::uint8_t { kPlain, kWarning, kBad };

  std::string_view name;  // of the member in JSON
  Metric metric = Metric::kNone;
  std::string_view metric_name = {};
  std::string_view help = {};
  std::string_view label = {};  // of a value that is a report itself: its rows are samples under this label
  std::string_view title = {};  // of the column in a table; empty: none
  std::string_view text = {};   // behind the number, in a line of its own, unless it is 0
  Look look = Look::kPlain;

  [[nodiscard]] consteval Row column(std::string_view shown, Look how = Look::kPlain) const {
    Row row = *this;
    row.title = shown;
    row.look = how;
    return row;
  }
  [[nodiscard]] consteval Row note(std::string_view shown, Look how = Look::kWarning) const {
    Row row = *this;
    row.text = shown;
    row.look = how;
    return row;
  }
  [[nodiscard]] consteval Row labelled(std::string_view by) const {
    Row row = *this;
    row.label = by;
    return row;
  }
};

[[nodiscard]] consteval Row member(std::string_view name) {
  return {.name = name};
}
[[nodiscard]] consteval Row counter(std::string_view name, std::string_view metric, std::string_view help) {
  return {.name = name, .metric = Row::Metric::kCounter, .metric_name = metric, .help = help};
}
[[nodiscard]] consteval Row gauge(std::string_view name, std::string_view metric, std::string_view help,
                                  Row::Metric kind = Row::Metric::kGauge) {
  return {.name = name, .metric = kind, .metric_name = metric, .help = help};
}

// visit(report, row) calls row(Row, value) for each value, in the order in which they are told.
template <typename Report>
struct Rows;

template <typename T>
concept HasRows = requires {
  sizeof(Rows<T>);
};

}  // namespace natsession
