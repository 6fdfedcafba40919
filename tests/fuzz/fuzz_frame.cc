// A frame's decoders take any bytes, also such whose checksums are right: they never read outside them, both
// give the same records, and what they accept is encoded and decoded again to the same.
// Shape:  a frame, and behind it, if it needs one, its segment's dictionary. frame_seeds makes the first inputs.
#include "fuzz/fuzz_main.h"
#include "ledger/frame_fixture.h"
#include "ledger/mend_checksums.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  std::string frame(reinterpret_cast<const char*>(input.data()), input.size());
  Peers peers;
  if (const auto info = read_frame_header(input); info && info->bytes < input.size()) {
    frame.resize(info->bytes);
    const auto rest = input.subspan(info->bytes);
    if (auto read =
            PeerDictionary::read(std::string(reinterpret_cast<const char*>(rest.data()), rest.size()))) {
      peers = *read;
      for (std::uint32_t place = 1; place <= peers->size(); ++place) {
        require_that(peers->at(place) == peers->all()[place - 1], "a place has one address");
        static_cast<void>(peers->place_of(peers->at(place)));
      }
    }
  }
  RecordBlock block;
  FrameDecoder decoder;
  if (!decoder.decode(bytes_of(frame), block, peers)) {
    require_that(block.records.empty(), "no output on error");
    if (frame.size() >= kFrameHeaderBytes && peers != nullptr) {
      store_little_endian(peers->checksum(), frame.data() + header_at::kPeers);
    }
    mend_checksums(frame);
    if (!decoder.decode(bytes_of(frame), block, peers)) return;
  }
  require_that(block.records.size() == read_frame_header(bytes_of(frame))->records, "all records are there");

  FrameColumns columns;
  require_that(columns.open(bytes_of(frame), peers).has_value(), "both decoders open it");
  const auto nat_ports = columns.ports(Field::kNatPort);
  const auto nat_ips = columns.addresses(Field::kNatIp);
  const auto bytes = columns.counters(Field::kBytesFromVpc);
  const auto ends = columns.times(Field::kEndTime);
  const auto ordinals = columns.ordinals();
  require_that(ordinals.has_value(), "and whose rows they are");
  for (std::size_t row = 0; row < block.records.size(); ++row) {
    const auto at = std::lower_bound(block.ordinals.begin(), block.ordinals.end(), (*ordinals)[row]);
    require_that(at != block.ordinals.end() && *at == (*ordinals)[row], "a row has an ordinal of its own");
    const SessionRecord& record = block.records[static_cast<std::size_t>(at - block.ordinals.begin())];
    require_that((*nat_ports)[row] == record.nat_port &&
                     nat_ips->distinct[nat_ips->index[row]] == record.nat_ip &&
                     (*ends)[row] == record.end_time.time_since_epoch().count() &&
                     ((*bytes)[row] == kUnknownCount) == !record.bytes_from_vpc.known(),
                 "both decoders say the same");
  }

  for (const Effort effort : {Effort::kFast, Effort::kSmall}) {
    std::string again;
    FrameEncoder(effort).encode(block.records, block.ordinals, false, again, peers.get());
    RecordBlock read_again;
    require_that(decoder.decode(bytes_of(again), read_again, peers).has_value(),
                 "what was encoded is decoded");
    require_that(same_records(read_again.records, block.records), "and is the same");
    require_that(read_again.ordinals == block.ordinals, "in the same places");
  }
}

}  // namespace natsession::testing
