#include "ledger/frame_encoder.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "ledger/crc32c.h"

namespace natsession {
namespace {

// A group costs about 40 bytes in each of its columns: so many rows are worth it.
constexpr std::size_t kRowsOfGroup = 500;

// Each is cut to what a label may have, and all to what a frame has room for.
void append_texts(const std::vector<std::string_view>& texts, std::string& out) {
  std::size_t limit = kMaxTextBytes;
  const auto bytes = std::accumulate(
      texts.begin(), texts.end(), std::size_t{0},
      [](std::size_t sum, std::string_view text) { return sum + std::min(text.size(), kMaxTextBytes); });
  if (bytes > kMaxTextBytesOfFrame) limit = kMaxTextBytesOfFrame / texts.size();
  append_varint(texts.size(), out);
  for (const std::string_view text : texts) {
    const std::string_view cut = text.substr(0, limit);
    append_varint(cut.size(), out);
    out += cut;
  }
}

}  // namespace

// The frequent keys each have a group, all others the last.
void FrameEncoder::list(Context context, std::span<const std::uint16_t> keys) {
  Listed& listed = contexts_[static_cast<std::size_t>(context)];
  std::vector<std::uint32_t> counts(0x10000);
  for (const std::uint16_t key : keys) ++counts[key];
  listed.keys.clear();
  for (std::uint32_t key = 0; key < counts.size(); ++key) {
    if (counts[key] >= kRowsOfGroup) listed.keys.push_back(static_cast<std::uint16_t>(key));
  }
  std::stable_sort(listed.keys.begin(), listed.keys.end(),
                   [&](std::uint16_t a, std::uint16_t b) { return counts[a] > counts[b]; });
  if (listed.keys.size() >= kMaxGroupsOfModel) listed.keys.resize(kMaxGroupsOfModel - 1);
  std::vector<std::uint8_t> group_of(0x10000, static_cast<std::uint8_t>(listed.keys.size()));
  for (std::size_t i = 0; i < listed.keys.size(); ++i)
    group_of[listed.keys[i]] = static_cast<std::uint8_t>(i);
  listed.groups.resize(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) listed.groups[i] = group_of[keys[i]];
  listed.count = listed.keys.size() + 1;
}

void FrameEncoder::make_context(Context context) {
  using enum ColumnId;
  const std::size_t rows = numbers_.info.records;
  Listed& listed = contexts_[static_cast<std::size_t>(context)];
  std::vector<std::uint16_t> keys(rows);
  const auto& service = contexts_[static_cast<std::size_t>(Context::kService)].groups;
  const auto each = [&](auto key_of) {
    for (std::size_t row = 0; row < rows; ++row) keys[row] = static_cast<std::uint16_t>(key_of(row));
    list(context, keys);
  };
  const auto flag = [&](auto is_set) {
    listed.groups.resize(rows);
    for (std::size_t row = 0; row < rows; ++row) listed.groups[row] = is_set(row) ? 1 : 0;
    listed.count = 2;
  };
  switch (context) {
    case Context::kNone:
      break;
    case Context::kFirstOfRun:
      return flag([&](std::size_t row) { return numbers_.first_of_run[row] != 0; });
    case Context::kOwnPub:
      return flag([&](std::size_t row) { return numbers_[kPubIp].empty() || numbers_[kPubIp][row] == 0; });
    case Context::kContinued:
      return flag([&](std::size_t row) { return numbers_[kSessionAge][row] != 0; });
    case Context::kUsual:
      listed.groups.resize(rows);
      for (std::size_t row = 0; row < rows; ++row)
        listed.groups[row] = peers_->service(numbers_[kPubIp][row]);
      listed.count = kMaxServices + 1;
      return;
    case Context::kAsked: {
      const auto& usual = contexts_[static_cast<std::size_t>(Context::kUsual)].groups;
      return each([&](std::size_t row) { return asked_key(usual[row], symbols(kProtocol)[row]); });
    }
    case Context::kService:
      return each(
          [&](std::size_t row) { return service_key(symbols(kProtocol)[row], symbols(kPubPort)[row]); });
    case Context::kKind:
      return each([&](std::size_t row) {
        return kind_key(service[row], symbols(kOutcome)[row], numbers_[kSessionAge][row] != 0);
      });
    case Context::kSize:
      return each([&](std::size_t row) { return size_key(service[row], numbers_[kPktsFromVpc][row]); });
    case Context::kReply:
      return each([&](std::size_t row) { return size_key(service[row], numbers_[kPktsFromPub][row]); });
  }
}

// Bytes are packets times a size: the size is what the packets do not tell yet, and what is left over is less
// than the packets.
void FrameEncoder::divide(std::span<std::uint64_t> values, NumberSpan packets) {
  remainders_.assign(values.size(), 0);
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (!has_remainder(values[row], packets[row])) continue;
    const Division divided = natsession::divide(values[row] - 1, packets[row] - 1);
    values[row] = divided.quotient + 1;
    remainders_[row] = divided.remainder;
  }
}

// Column by column, so that the numbers of one are counted and coded while the processor's cache has them.
void FrameEncoder::code_columns(std::span<std::string> parts) {
  const std::size_t rows = numbers_.info.records;
  const bool thorough = effort_ == Effort::kSmall;
  const std::span<std::string> blocks = parts.subspan(kFirstPortsPart + blocks_of(rows));
  std::string models;
  std::array<bool, kContexts> made{};
  for (std::size_t place = 0; place < kPlan.size(); ++place) {
    const auto [column, context] = kPlan[place];
    Listed& listed = contexts_[static_cast<std::size_t>(context)];
    if (!std::exchange(made[static_cast<std::size_t>(context)], true)) {
      const bool needs_peers =
          context == Context::kUsual || context == Context::kAsked || context == Context::kOwnPub;
      const bool used = (thorough || !is_listed(context)) && (peers_ != nullptr || !needs_peers);
      listed = Listed();
      if (used) make_context(context);
    }
    const bool from_vpc = column == ColumnId::kBytesFromVpc;
    NumberSpan packets;
    if (from_vpc || column == ColumnId::kBytesFromPub) {
      packets = numbers_[from_vpc ? ColumnId::kPktsFromVpc : ColumnId::kPktsFromPub];
      divide(numbers_[column], packets);
    }
    model_.begin(numbers_[column], listed.groups, listed.count, thorough);
    if (thorough &&
        (column == ColumnId::kProtocol || column == ColumnId::kPubPort || column == ColumnId::kOutcome))
      symbols_[static_cast<std::size_t>(column)] = model_.symbols();
    if (model_.empty()) continue;
    std::uint64_t& size = sizes_.columns[static_cast<std::size_t>(column)];
    std::size_t before = models.size();
    models.push_back(static_cast<char>(place | (model_.grouped() ? kGroupedModel : 0)));
    model_.append_model(models);
    size += models.size() - before;
    for (std::size_t block = 0; block < blocks.size(); ++block) {
      before = blocks[block].size();
      model_.append_block(block * kBlockRows, std::min(rows, (block + 1) * kBlockRows), packets, remainders_,
                          blocks[block]);
      size += blocks[block].size() - before;
    }
  }
  std::string& keys = parts[kModelsPart];
  for (std::size_t context = 0; context < kContexts; ++context) {
    if (!is_listed(static_cast<Context>(context))) continue;
    append_varint(contexts_[context].keys.size(), keys);
    for (const std::uint16_t key : contexts_[context].keys) append_varint(key, keys);
  }
  sizes_.keys = keys.size();
  keys += models;
}

std::string FrameEncoder::head() const {
  std::string out;
  append_texts(numbers_.origin_texts, out);
  append_texts(numbers_.vpc_ids, out);
  append_varint(numbers_.nats.size(), out);
  for (const IpAddress& nat : numbers_.nats)
    out.append(reinterpret_cast<const char*>(nat.bytes().data()), 16);
  const auto& knots = numbers_.clock.knots;
  append_varint(numbers_.clock.step, out);
  std::uint64_t before = static_cast<std::uint64_t>(numbers_.info.min_end.time_since_epoch().count());
  for (const std::int64_t knot : knots) {
    append_varint(zigzag(static_cast<std::uint64_t>(knot) - before), out);
    before = static_cast<std::uint64_t>(knot);
  }
  return out;
}

FrameInfo FrameEncoder::encode(std::span<const SessionRecord> records, std::span<const Ordinal> ordinals,
                               bool long_sessions, std::string& out, const PeerDictionary* peers) {
  peers_ = peers;
  sizes_ = Sizes();
  numbers_.load(records, ordinals, peers);
  const std::size_t rows = records.size();
  std::vector<std::string> parts(parts_of(rows));
  parts[kHeadPart] = head();
  append_host_index(numbers_.runs, parts[kHostsPart], parts[kRunsPart]);
  for (std::size_t row = 0; row < rows; ++row)
    append_little_endian(numbers_.nat_ports[row], parts[kFirstPortsPart + row / kBlockRows]);
  code_columns(parts);
  sizes_.head = parts[kHeadPart].size();
  sizes_.hosts = parts[kHostsPart].size() + parts[kRunsPart].size();
  sizes_.nat_ports = 2 * rows;
  sizes_.front = kFrameHeaderBytes + parts.size() * kDirectoryEntryBytes;

  std::string directory;
  std::size_t size = 0;
  for (const std::string& part : parts) {
    append_little_endian(static_cast<std::uint32_t>(part.size()), directory);
    append_little_endian(crc32c(std::as_bytes(std::span(part))), directory);
    size += part.size();
  }
  FrameHeader header;
  header.info = numbers_.info;
  header.info.long_sessions = long_sessions;
  header.info.bytes = static_cast<std::uint32_t>(kFrameHeaderBytes + directory.size() + size);
  header.parts = parts.size();
  header.peers = peers != nullptr ? peers->checksum() : 0;
  header.directory_checksum = crc32c(std::as_bytes(std::span(directory)));
  const std::size_t at = out.size();
  out.resize(at + kFrameHeaderBytes);
  store_frame_header(header, out.data() + at);
  out += directory;
  for (const std::string& part : parts) out += part;
  return header.info;
}

void GroupEncoder::encode(std::span<const SessionRecord> records, Ordinal first,
                          std::chrono::milliseconds window, std::string& out) {
  const auto is_long = [&](const SessionRecord& record) {
    // Any two times have a difference that is a number, if it is one without a sign; kUnknownStart is far
    // from any time.
    const auto ms = [](UnixMs time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); };
    return record.start_time < record.end_time &&
           ms(record.end_time) - ms(record.start_time) > static_cast<std::uint64_t>(window.count());
  };
  for (auto& ordinals : ordinals_) ordinals.clear();
  const bool first_is_long = is_long(records.front());
  if (std::all_of(records.begin(), records.end(),
                  [&](const SessionRecord& record) { return is_long(record) == first_is_long; })) {
    ordinals_[0].resize(records.size());
    std::iota(ordinals_[0].begin(), ordinals_[0].end(), first);
    encoder_.encode(records, ordinals_[0], first_is_long, out);
    return;
  }
  for (auto& apart : apart_) apart.clear();
  for (std::size_t index = 0; index < records.size(); ++index) {
    const std::size_t which = is_long(records[index]) ? 1 : 0;
    apart_[which].push_back(records[index]);
    ordinals_[which].push_back(first + index);
  }
  for (const bool which : {first_is_long, !first_is_long}) {
    const std::size_t index = which ? 1 : 0;
    encoder_.encode(apart_[index], ordinals_[index], which, out);
  }
}

}  // namespace natsession
