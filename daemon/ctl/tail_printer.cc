#include "tail_printer.h"

namespace natsession::ctl {

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

}  // namespace natsession::ctl
