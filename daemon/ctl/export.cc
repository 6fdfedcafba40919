// natsessionctl export: the records of a time, as json, csv or logfmt.
#include <cerrno>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "ask/answer_printer.h"
#include "ask/log_access.h"
#include "ask/log_options.h"
#include "command.h"
#include "flow/flow_encoder.h"
#include "flow/flow_entries.h"
#include "record/encoder.h"
#include "words.h"

namespace natsession::ctl {
namespace {

struct ExportCommand {
  LogOptions log;
  std::string format;
  std::string time_format = "unix";
  std::string fields = "all";
  std::string output;
  std::string record;
};

constexpr std::chrono::years kAllOfIt{100};

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

Result<EncoderOptions> read_encoding(const ExportCommand& options) {
  const auto about = [](std::string_view option, const Error& error) {
    return Error{error.kind, fmt::format("{}: {}", option, error.message)};
  };
  const auto format = record_format(options.log, options.format);
  if (!format) return format.error();
  const auto time_format = parse_time_format(options.time_format);
  if (!time_format) return about("--time-format", time_format.error());
  const auto fields = parse_field_set(options.fields);
  if (!fields) return about("--fields", fields.error());
  EncoderOptions encoding{.format = *format, .time_format = *time_format, .fields = *fields};
  if (!options.log.flows()) {
    if (options.record.empty()) return encoding;
    return Error{ErrorKind::kUsage, "--record: belongs to --log flow"};
  }
  auto form = FlowForm::parse(options.record.empty() ? "aws" : options.record);
  if (!form) return about("--record", form.error());
  if (*format == RecordFormat::kLogfmt || options.log.csv || *format == RecordFormat::kCsv)
    return Error{ErrorKind::kUsage, "--format: of flows there is text, and json"};
  const bool json = options.format == "json";
  encoding.own = std::make_shared<const FlowEncoder>(std::move(*form), FlowIds(),
                                                     json ? FlowFormat::kJson : FlowFormat::kText);
  return encoding;
}

// Copies what a query finds to a stream. Whether records say their namespace is decided by the first.
class Exporter {
 public:
  Exporter(EncoderOptions encoding, std::FILE* out) : encoding_(encoding), out_(out) {}

  [[nodiscard]] bool write(const ScanBatch& batch) {
    for (const SessionRecord& record : batch.records()) {
      if (encoding_.own && record.event == RecordEvent::kGap) {
        append_gap(record);
        continue;
      }
      if (!encoder_) begin(!record.origin->netns.empty());
      encoder_->append(record, text_);
      ++records_;
      if (text_.size() >= kWritten && !flush()) return false;
    }
    return flush();
  }
  [[nodiscard]] bool finish() {
    if (!encoder_) begin(/*with_netns=*/false);
    return flush() && std::fflush(out_) == 0;
  }
  [[nodiscard]] std::uint64_t records() const { return records_; }

 private:
  static constexpr std::size_t kWritten = std::size_t{1} << 18;

  // Of flows: SKIPDATA of its time.
  void append_gap(const SessionRecord& record) {
    if (record.start_time != kUnknownStart) encoding_.own->append(status_entry(record, {}, true), text_);
  }
  void begin(bool with_netns) {
    encoding_.with_netns = with_netns;
    encoder_ = make_encoder(encoding_);
    text_ += encoder_->header();
  }
  bool flush() {
    const bool written = std::fwrite(text_.data(), 1, text_.size(), out_) == text_.size();
    text_.clear();
    return written;
  }

  EncoderOptions encoding_;
  std::FILE* out_;
  std::unique_ptr<Encoder> encoder_;
  std::string text_;
  std::uint64_t records_ = 0;
};

Result<File> open_output(const std::string& path) {
  // Whoever asks for the evidence may keep it from others: as the umask has it. No file is written over.
  File file(std::fopen(path.c_str(), "wxe"));
  if (file) return file;
  const int error = errno;
  if (error == EEXIST) {
    return Error{ErrorKind::kUsage,
                 fmt::format("--output {}: there is such a file already; remove it, or take "
                             "another name",
                             path)};
  }
  return system_error("--output " + path, error, ErrorKind::kUsage);
}

int copy_records(LogAccess& log, Query query, bool until_now, const EncoderOptions& encoding, std::FILE* out,
                 bool told) {
  query.columns = Columns::all();
  query.gap_records = true;
  Scan scan(log.store(), std::move(query), log.control(until_now));
  Exporter exporter(encoding, out);
  bool written = true;
  while (written) {
    const ScanBatch* const batch = scan.next();
    if (batch == nullptr) break;
    written = exporter.write(*batch);
  }
  if (!written) scan.stop();
  written = written && exporter.finish();
  const int error = errno;
  log.end_progress();
  if (!written && error == EPIPE) return kFailed;  // who read has had enough
  if (!written) return fail("export", system_error("writing", error));
  if (auto read = scan.error(); !read) return fail("export", read.error());
  warn("export", scan.report());
  if (scan.report().cancelled) return log.interrupted("export");
  if (told) fmt::print(stderr, "natsessionctl: export: {} records\n", grouped(exporter.records()));
  return kDone;
}

int run_export(const Global& global, const ExportCommand& options) {
  const auto encoding = read_encoding(options);
  if (!encoding) return fail("export", encoding.error());
  const auto time =
      read_times("export", options.log, std::chrono::duration_cast<std::chrono::milliseconds>(kAllOfIt));
  if (!time) return fail("export", time.error());
  auto where = read_where(options.log);
  if (!where) return fail("export", where.error());
  const auto log = LogAccess::open(global);
  if (!log) return fail("export", log.error());
  if (auto chosen = (*log)->choose(options.log); !chosen) return fail("export", chosen.error());
  const bool all = options.log.since.empty();
  Query query = Query::overlapping(all ? std::nullopt : std::optional(time->from), time->until);
  query.where = std::move(*where);
  if (options.output.empty())
    return copy_records(**log, std::move(query), time->until_now, *encoding, stdout, /*told=*/false);
  const auto file = open_output(options.output);
  if (!file) return fail("export", file.error());
  return copy_records(**log, std::move(query), time->until_now, *encoding, file->get(), /*told=*/true);
}

}  // namespace

void add_export(Commands& commands) {
  Command command = commands.add("export", "Write the records of a time as json, csv or logfmt");
  const auto options = std::make_shared<ExportCommand>();
  add_time_options(command, options->log, "default all that there is");
  add_where_options(command, options->log);
  add_log_option(command, options->log);
  command.option("--record", options->record, "RECORD",
                 "With --log flow: alibaba, tencent, huawei-v1, huawei-v2, aws, or names of fields; as lines "
                 "of text, or "
                 "with --format json; default aws");
  command.option("--format", options->format, "FORMAT", "json, csv or logfmt; default json");
  add_csv_option(command, options->log);
  command.option("--time-format", options->time_format, "FORMAT", "unix, unix_ms or rfc3339; default unix");
  command.option("--fields", options->fields, "SET", "all, or cloud for the fifteen of the cloud schema");
  command.option("-o,--output", options->output, "FILE", "To this new file instead of standard output");
  command.footer(
      "All records that have something in common with the time, in the order of the ledger; gap records, "
      "too.\n\n"
      "Examples:\n  natsessionctl export --since today --format csv >today.csv\n"
      "  natsessionctl export --since '2026-11-20' --until '2026-11-21' --where pri_ip=10.0.0.5 --format "
      "logfmt\n"
      "  natsessionctl --ledger /mnt/evidence/ledger export -o all.json");
  command.run([options](const Global& global) { return run_export(global, *options); });
}

}  // namespace natsession::ctl
