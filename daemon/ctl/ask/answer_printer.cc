#include "ask/answer_printer.h"

#include <cmath>
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "command.h"
#include "query/time_text.h"
#include "record/encoder.h"
#include "record/escape.h"
#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::size_t kWritten = std::size_t{1} << 16;
constexpr std::size_t kRowsTogether = 500;  // of a table: as wide as the widest of these

// All digits that the number has; Unix seconds with three decimals, as the log has them.
std::string number_text(double number) {
  const bool like_unix = std::abs(number) >= 1e8 && std::abs(number) < 1e11;
  const bool whole_ms = like_unix && std::round(number * 1000) / 1000 == number;
  return whole_ms ? fmt::format("{:.3f}", number) : fmt::format("{}", number);
}

// Without what only one of the forms has: NULL.
struct PlainText {
  std::string operator()(std::monostate) const { return {}; }
  std::string operator()(std::int64_t number) const { return std::to_string(number); }
  std::string operator()(std::uint64_t number) const { return std::to_string(number); }
  std::string operator()(double number) const { return number_text(number); }
  std::string operator()(const std::string& text) const { return text; }
  std::string operator()(UnixMs time) const { return format_local_rfc3339(time); }
};

std::string table_text(const AnswerValue& value, Unit unit) {
  if (std::holds_alternative<std::monostate>(value)) return "-";
  if (const auto* const time = std::get_if<UnixMs>(&value)) return format_local_time(*time);
  if (const auto* const number = std::get_if<std::uint64_t>(&value)) {
    if (unit == Unit::kBytes) return bytes_in_words(*number);
    if (unit == Unit::kCount) return grouped(*number);
  }
  if (const auto* const number = std::get_if<double>(&value)) {
    return unit == Unit::kShare ? fmt::format("{:.1f} %", *number * 100) : number_text(*number);
  }
  return printable(std::visit(PlainText(), value));
}

nlohmann::ordered_json json_value(const AnswerValue& value) {
  using Json = nlohmann::ordered_json;
  if (const auto* const number = std::get_if<std::int64_t>(&value)) return *number;
  if (const auto* const number = std::get_if<std::uint64_t>(&value)) return *number;
  if (const auto* const number = std::get_if<double>(&value)) return *number;
  if (std::holds_alternative<std::monostate>(value)) return Json(nullptr);
  return std::visit(PlainText(), value);
}

std::string dump(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

using Json = nlohmann::ordered_json;

std::string time_text(const std::optional<UnixMs>& time, std::string_view otherwise) {
  return time ? format_local_time(*time) : std::string(otherwise);
}

Json time_json(const std::optional<UnixMs>& time) {
  return time ? Json(format_local_rfc3339(*time)) : Json(nullptr);
}

// One, however many there are: who wants all of them asks for JSON.
template <typename T, typename Text>
void add_note(const std::vector<T>& told, std::uint64_t count, std::string_view one, std::string_view many,
              const Text& text, std::vector<std::string>& notes) {
  if (count == 0) return;
  if (count == 1 && !told.empty()) {
    notes.push_back(fmt::format("{}: {}", one, text(told.front())));
    return;
  }
  const std::string all = fmt::format(fmt::runtime(many), grouped(count));
  if (told.empty()) {
    notes.push_back(all + ", too many to be told one by one: ask about less time");
    return;
  }
  notes.push_back(all + "; the first: " + text(told.front()) +
                  (told.size() < count ? fmt::format("; {} of them stand in --json", grouped(told.size()))
                                       : "; the others stand in --json"));
}

}  // namespace

class AnswerPrinter::Form {
 public:
  virtual ~Form() = default;
  virtual void fact(std::string_view, const AnswerValue&, std::string&) {}
  virtual void remark(std::string_view, std::string&) {}
  virtual void begin(std::vector<AnswerColumn> columns, std::string& out) = 0;
  virtual void row(std::vector<AnswerValue> values, std::string& out) = 0;
  virtual void finish(const ScanReport& report, std::string& out) = 0;
};

class AnswerPrinter::TableForm final : public Form {
 public:
  explicit TableForm(const Screen& screen) : screen_(screen) {}
  void remark(std::string_view line, std::string& out) override {
    flush(out);
    out += line.empty() ? "\n" : paragraph(printable(line), 0, Paint::kPlain, screen_);
  }
  void begin(std::vector<AnswerColumn> columns, std::string& out) override {
    flush(out);
    columns_ = std::move(columns);
  }
  void row(std::vector<AnswerValue> values, std::string& out) override {
    rows_.push_back(std::move(values));
    if (rows_.size() == kRowsTogether) flush(out);
  }
  void finish(const ScanReport&, std::string& out) override { flush(out); }

 private:
  void flush(std::string& out) {
    if (rows_.empty()) return;
    std::vector<TextTable::Column> titles;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const AnswerValue& first = rows_.front()[i];
      const bool text = std::holds_alternative<std::string>(first) || std::holds_alternative<UnixMs>(first);
      titles.push_back(
          {printable(columns_[i].name), text ? TextTable::Align::kLeft : TextTable::Align::kRight});
    }
    TextTable table(std::move(titles));
    for (const std::vector<AnswerValue>& row : rows_) {
      std::vector<TextTable::Cell> cells;
      for (std::size_t i = 0; i < row.size(); ++i) cells.emplace_back(table_text(row[i], columns_[i].unit));
      table.add_row(std::move(cells));
    }
    out += table.text(screen_);
    rows_.clear();
  }

  Screen screen_;
  std::vector<AnswerColumn> columns_;
  std::vector<std::vector<AnswerValue>> rows_;
};

class AnswerPrinter::JsonForm final : public Form {
 public:
  void fact(std::string_view name, const AnswerValue& value, std::string& out) override {
    out +=
        fmt::format("{}  {}: {},\n", opened_ ? "" : "{\n", dump(std::string(name)), dump(json_value(value)));
    opened_ = true;
  }
  void begin(std::vector<AnswerColumn> columns, std::string& out) override {
    columns_ = std::move(columns);
    out += fmt::format("{}  \"rows\": [", opened_ ? "" : "{\n");
    opened_ = begun_ = true;
  }
  void row(std::vector<AnswerValue> values, std::string& out) override {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < values.size(); ++i) object[columns_[i].name] = json_value(values[i]);
    out += (first_ ? "\n    " : ",\n    ") + dump(object);
    first_ = false;
  }
  void finish(const ScanReport& report, std::string& out) override {
    if (!begun_) begin({}, out);
    out += first_ ? "],\n" : "\n  ],\n";
    out += report_members_json(report) + "}\n";
  }

 private:
  std::vector<AnswerColumn> columns_;
  bool opened_ = false;
  bool begun_ = false;
  bool first_ = true;
};

class AnswerPrinter::CsvForm final : public Form {
 public:
  void begin(std::vector<AnswerColumn> columns, std::string& out) override {
    for (const AnswerColumn& column : columns) add(column.name, out);
    end_line(out);
  }
  void row(std::vector<AnswerValue> values, std::string& out) override {
    for (const AnswerValue& value : values) add(std::visit(PlainText(), value), out);
    end_line(out);
  }
  void finish(const ScanReport&, std::string&) override {}

 private:
  void add(std::string_view text, std::string& out) {
    if (!first_) out += ',';
    append_csv(text, out);
    first_ = false;
  }
  void end_line(std::string& out) {
    out += '\n';
    first_ = true;
  }
  bool first_ = true;
};

void append_csv(std::string_view text, std::string& out) {
  append_line(out, max_escaped_length(text.size()) + kTextSlack,
              [text](char* at) { return write_csv_text(at, text); });
}

AnswerPrinter::AnswerPrinter(Shape shape, const Screen& screen)
    : AnswerPrinter(shape, screen, [](std::string_view text) { return print(text) == kDone; }) {}

AnswerPrinter::AnswerPrinter(Shape shape, const Screen& screen, Write write) : write_(std::move(write)) {
  if (shape == Shape::kJson) form_ = std::make_unique<JsonForm>();
  if (shape == Shape::kCsv) form_ = std::make_unique<CsvForm>();
  if (shape == Shape::kTable) form_ = std::make_unique<TableForm>(screen);
}
AnswerPrinter::~AnswerPrinter() = default;

void AnswerPrinter::fact(std::string_view name, const AnswerValue& value) {
  form_->fact(name, value, out_);
}

void AnswerPrinter::remark(std::string_view line) {
  form_->remark(line, out_);
}

void AnswerPrinter::begin(std::vector<AnswerColumn> columns) {
  form_->begin(std::move(columns), out_);
}

bool AnswerPrinter::row(std::vector<AnswerValue> values) {
  form_->row(std::move(values), out_);
  write_some(kWritten);
  return !broken_;
}

int AnswerPrinter::finish(const ScanReport& report) {
  form_->finish(report, out_);
  write_some(0);
  return broken_ ? kFailed : kDone;
}

void AnswerPrinter::write_some(std::size_t at_least) {
  if (broken_ || out_.size() < at_least) return;
  broken_ = !write_(out_);
  out_.clear();
}

std::string gap_text(const KnownGap& gap) {
  std::string text =
      fmt::format("{} to {}: {}", gap.from == kUnknownStart ? "the beginning" : format_local_time(gap.from),
                  format_local_time(gap.until), to_string(gap.reason));
  if (gap.events_lost.known()) text += fmt::format(", {} events lost", grouped(gap.events_lost.value()));
  if (!gap.netns.empty()) text += ", network namespace " + gap.netns;
  return text;
}

std::string trouble_text(const Trouble& trouble) {
  std::string text = fmt::format("{} to {}: {}", time_text(trouble.time.from, "the beginning"),
                                 time_text(trouble.time.until, "the end"), to_string(trouble.kind));
  if (trouble.records != 0) text += fmt::format(", {} records", grouped(trouble.records));
  return text + ": " + trouble.why;
}

std::vector<std::string> notes_of(const std::vector<KnownGap>& gaps, std::uint64_t gap_count,
                                  const std::vector<Trouble>& troubles, std::uint64_t trouble_count) {
  std::vector<std::string> notes;
  add_note(gaps, gap_count, "the log has a gap", "the log has {} gaps", gap_text, notes);
  add_note(troubles, trouble_count, "the ledger cannot be read", "the ledger cannot be read in {} places",
           trouble_text, notes);
  return notes;
}

void warn(std::string_view command, const std::vector<std::string>& notes) {
  for (const std::string& note : notes) {
    fmt::print(stderr, "natsessionctl: {}: warning: {}\n", command, printable(note));
  }
}

void warn(std::string_view command, const ScanReport& report) {
  warn(command, notes_of(report.gaps, report.gap_count, report.troubles, report.trouble_count));
  if (!report.note.empty()) warn(command, {report.note});
  if (!report.missing.empty()) warn(command, {"it is not known whether this is all: " + report.missing});
}

std::string gaps_json(const std::vector<KnownGap>& gaps) {
  Json list = Json::array();
  for (const KnownGap& gap : gaps) {
    Json entry{{"from", gap.from == kUnknownStart ? Json(nullptr) : Json(format_local_rfc3339(gap.from))},
               {"until", format_local_rfc3339(gap.until)},
               {"reason", std::string(to_string(gap.reason))}};
    entry["events_lost"] = gap.events_lost.known() ? Json(gap.events_lost.value()) : Json(nullptr);
    entry["instance"] = gap.instance;
    if (!gap.netns.empty()) entry["netns"] = gap.netns;
    list.push_back(std::move(entry));
  }
  return dump(list);
}

std::string troubles_json(const std::vector<Trouble>& troubles) {
  Json list = Json::array();
  for (const Trouble& trouble : troubles) {
    list.push_back({{"kind", std::string(to_string(trouble.kind))},
                    {"from", time_json(trouble.time.from)},
                    {"until", time_json(trouble.time.until)},
                    {"records", trouble.records},
                    {"why", trouble.why}});
  }
  return dump(list);
}

std::string report_members_json(const ScanReport& report) {
  return fmt::format(
      "  \"complete\": {},\n  \"missing\": {},\n  \"covered_until\": {},\n  \"cancelled\": {},\n"
      "  \"gap_count\": {},\n  \"gaps\": {},\n  \"damage_count\": {},\n  \"damage\": {}\n",
      report.complete(), report.missing.empty() ? "null" : dump(Json(report.missing)),
      dump(time_json(report.covered_until)), report.cancelled, report.gap_count, gaps_json(report.gaps),
      report.trouble_count, troubles_json(report.troubles));
}

}  // namespace natsession::ctl
