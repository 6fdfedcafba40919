// A frame's decoders take any bytes, also such whose checksums are right: they never read outside them, both
// give the same records, and what they accept is encoded and decoded again to the same.
#include "fuzz/fuzz_main.h"
#include "ledger/frame_fixture.h"
#include "ledger/mend_checksums.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  std::string frame(reinterpret_cast<const char*>(input.data()), input.size());
  RecordBlock block;
  FrameDecoder decoder;
  if (!decoder.decode(input, block)) {
    require_that(block.records.empty(), "no output on error");
    mend_checksums(frame);
    if (!decoder.decode(bytes_of(frame), block)) return;
  }
  require_that(block.records.size() == read_frame_header(bytes_of(frame))->records, "all records are there");

  FrameColumns columns;
  require_that(columns.open(bytes_of(frame)).has_value(), "both decoders open it");
  const auto nat_ports = columns.ports(Field::kNatPort);
  const auto nat_ips = columns.addresses(Field::kNatIp);
  const auto bytes = columns.counters(Field::kBytesFromVpc);
  const auto ends = columns.times(Field::kEndTime);
  require_that(nat_ports && nat_ips && bytes && ends, "both decoders read it");
  for (std::size_t i = 0; i < block.records.size(); ++i) {
    const SessionRecord& record = block.records[i];
    require_that((*nat_ports)[i] == record.nat_port &&
                     nat_ips->distinct[nat_ips->index[i]] == record.nat_ip &&
                     (*ends)[i] == record.end_time.time_since_epoch().count() &&
                     ((*bytes)[i] == kUnknownCount) == !record.bytes_from_vpc.known(),
                 "both decoders say the same");
  }

  for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
    std::string again;
    FrameEncoder(effort).encode(block.records, block.ordinals, false, again);
    RecordBlock read_again;
    require_that(decoder.decode(bytes_of(again), read_again).has_value(), "what was encoded is decoded");
    require_that(same_records(read_again.records, block.records), "and is the same");
    require_that(read_again.ordinals == block.ordinals, "in the same places");
  }
}

}  // namespace natsession::testing
