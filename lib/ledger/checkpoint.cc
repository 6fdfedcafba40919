#include "ledger/checkpoint.h"

#include <algorithm>
#include <numeric>

#include <fcntl.h>

#include "base/replace_file.h"
#include "ledger/segment_file.h"

namespace natsession {
namespace {

constexpr const char* kName = "open";

Error about(const std::string& path, Error error) {
  error.message = "ledger: " + path + ": " + error.message;
  return error;
}

}  // namespace

Result<void> write_checkpoint(const std::string& directory, Ordinal place, UnixMs now,
                              std::span<const SessionRecord> totals) {
  const auto header = encode_segment_header({place, now, {}});
  std::vector<std::string> frames;
  FrameEncoder encoder(Effort::kFast);
  std::vector<Ordinal> ordinals;
  for (std::size_t done = 0; done < totals.size();) {
    const auto part = totals.subspan(done, std::min(totals.size() - done, kMaxFrameRecords));
    ordinals.resize(part.size());
    std::iota(ordinals.begin(), ordinals.end(), place + done);
    encoder.encode(part, ordinals, /*long_sessions=*/false, frames.emplace_back());
    done += part.size();
  }
  std::vector<std::string_view> parts{{reinterpret_cast<const char*>(header.data()), header.size()}};
  parts.insert(parts.end(), frames.begin(), frames.end());
  return replace_file(directory, kName, parts);
}

Result<std::optional<Ordinal>> read_checkpoint(const std::string& directory,
                                               const std::function<void(const RecordBlock&)>& take) {
  const std::string path = directory + "/" + kName;
  auto folder = open_directory(directory, /*follow_link=*/true);
  if (!folder) return folder.error();
  auto fd = open_regular(folder->get(), kName, path, O_RDONLY, 0);
  if (!fd && fd.error().kind == ErrorKind::kUnavailable) return std::optional<Ordinal>();
  if (!fd) return fd.error();
  const SegmentFile file(std::move(*fd), {}, path);
  const auto header = file.header();
  if (!header) return about(path, header.error());
  FrameDecoder decoder;
  RecordBlock block;
  std::vector<std::byte> bytes;
  for (std::uint64_t offset = kSegmentHeaderBytes;;) {
    bytes.resize(kFrameHeaderBytes);
    const auto count = file.read_at(offset, bytes);
    if (!count) return count.error();
    if (*count == 0) return std::optional(header->first);
    const auto info = read_frame_header(std::span(bytes).first(*count));
    if (!info) return about(path, info.error());
    bytes.resize(info->bytes);
    const auto whole = file.read_at(offset, bytes);
    if (!whole) return whole.error();
    block.clear();
    if (auto decoded = decoder.decode(std::span(bytes).first(*whole), block); !decoded) {
      return about(path, decoded.error());
    }
    take(block);
    offset += info->bytes;
  }
}

}  // namespace natsession
