// natsessionctl tail: the newest records of a ledger, and those that follow. It reads the files itself: also
// while the daemon is down.
#include "tail.h"

#include <chrono>
#include <cstdio>
#include <thread>

#include <fmt/format.h>

#include "command.h"
#include "words.h"

namespace natsession::ctl {
namespace {

// A frame is written once a second by default.
constexpr std::chrono::milliseconds kLookInterval{200};

struct TailCommand {
  bool follow = false;
  std::size_t count = 10;
  std::string format = "json";
  std::string time_format = "unix";
};

// Prints up to `end`, or for ever.
int copy_newest(LedgerReader& reader, Ordinal end, bool follow, TailPrinter& printer) {
  RecordBlock block;
  std::string out;
  while (follow || reader.place() < end) {
    const auto outcome = reader.read(block);
    if (!outcome) return fail("tail", outcome.error());
    out.clear();
    if (outcome->skipped) {
      printer.append(*outcome->skipped, out);
      fmt::print(stderr, "natsessionctl: tail: {} records are missing: {}\n", outcome->skipped->records(),
                 printable(outcome->skipped->why));
    } else if (block.records.empty()) {
      if (!follow) return kDone;
      std::this_thread::sleep_for(kLookInterval);
      continue;
    }
    printer.append(block, out);
    if (print(out) != kDone) return kFailed;
  }
  return kDone;
}

int run_tail(const Global& global, const TailCommand& options) {
  const auto format = parse_record_format(options.format);
  if (!format) return fail("tail", {format.error().kind, "--format: " + format.error().message});
  const auto time_format = parse_time_format(options.time_format);
  if (!time_format)
    return fail("tail", {time_format.error().kind, "--time-format: " + time_format.error().message});
  const auto directory = ledger_directory(global);
  if (!directory) return fail("tail", directory.error());
  const auto reader = LedgerReader::open(*directory);
  if (!reader) return fail("tail", reader.error());

  const Ordinal end = (*reader)->end();
  const Ordinal begin = std::min((*reader)->begin(), end);
  (*reader)->seek(end - std::min<Ordinal>(options.count, end - begin));
  TailPrinter printer(*format, *time_format);
  return copy_newest(**reader, end, options.follow, printer);
}

}  // namespace

TailPrinter::TailPrinter(RecordFormat format, TimeFormat time_format)
    : format_(format), time_format_(time_format) {}

void TailPrinter::begin(bool with_netns, std::string& out) {
  if (encoder_) return;
  encoder_ = make_encoder(
      {.format = format_, .time_format = time_format_, .fields = FieldSet::kAll, .with_netns = with_netns});
  out += encoder_->header();
}

void TailPrinter::append(const RecordBlock& block, std::string& out) {
  if (block.records.empty()) return;
  begin(!block.records.front().origin->netns.empty(), out);
  for (const SessionRecord& record : block.records) encoder_->append(record, out);
  origin_ = *block.records.back().origin;
}

void TailPrinter::append(const Skipped& skipped, std::string& out) {
  begin(!origin_.netns.empty(), out);
  encoder_->append(skipped.gap(origin_), out);
}

void add_tail(Commands& commands) {
  Command command = commands.add("tail", "Show the newest records of the ledger");
  const auto options = std::make_shared<TailCommand>();
  command.flag("-f,--follow", options->follow, "Go on with those that are yet to come");
  command.option("-n,--lines", options->count, "N", "So many; default 10");
  command.option("--format", options->format, "FORMAT", "json, csv or logfmt; default json");
  command.option("--time-format", options->time_format, "FORMAT", "unix, unix_ms or rfc3339; default unix");
  command.footer(
      "Examples:\n  natsessionctl tail -f\n  natsessionctl tail -n 1000 --format csv\n"
      "  natsessionctl --ledger /var/lib/natsessiond/ledger tail -f --format logfmt");
  command.run([options](const Global& global) { return run_tail(global, *options); });
}

}  // namespace natsession::ctl
