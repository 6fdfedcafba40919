// The file, in FORMAT.md's words:
//   cursor = slot padding slot padding [memory memory]  ; a slot each 4,096, so that no write touches both
//   slot   = magic version length required generation next delivered_to hash name_length name zeros
//            complete_since stream promised checksum
//   memory = generation length checksum bytes  ; each 65,536, of the slot at the same place; CRC32C of the
//            bytes
#include "ledger/cursor.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/files.h"
#include "ledger/bytes.h"
#include "ledger/crc32c.h"
#include "ledger/ledger_directory.h"
#include "ledger/slot.h"

namespace natsession {
namespace {

constexpr std::string_view kMagic = "NSLCUR\r\n";
constexpr std::string_view kSuffix = ".cursor";
constexpr std::size_t kSlotDistance = 4096;
constexpr std::size_t kFileBytes = 2 * kSlotDistance;
constexpr std::size_t kMaxCursors = 4096;

constexpr std::size_t kNextAt = 24;
constexpr std::size_t kDeliveredAt = 32;
constexpr std::size_t kHashAt = 40;
constexpr std::size_t kNameAt = 48;
// Behind the name, where versions before had the end of a very long one.
constexpr std::size_t kPromisedAt = kSlotChecksumAt - sizeof(Ordinal);
constexpr std::size_t kStreamAt = kPromisedAt - sizeof(std::uint64_t);
constexpr std::size_t kCompleteSinceAt = kStreamAt - sizeof(std::int64_t);
// A longer one is cut; its hash tells it from others.
static_assert(kNameAt + sizeof(std::uint16_t) + kMaxCursorName == kCompleteSinceAt);
// So long a version could be that had `promised` and no more.
constexpr std::size_t kMaxNameBeforePromised = kPromisedAt - kNameAt - sizeof(std::uint16_t);

struct Slot {
  std::uint64_t generation = 0;
  CursorState state;
  std::uint64_t hash = 0;
  std::string name;
};

constexpr std::size_t kMemoryHeader = 16;
constexpr std::size_t kMemoryDistance = kMaxCursorMemory + kMemoryHeader;
std::size_t memory_at(std::size_t slot) {
  return kFileBytes + slot * kMemoryDistance;
}

Result<void> write_memory(int fd, std::size_t slot, std::uint64_t generation, std::string_view memory,
                          const std::string& path) {
  std::string bytes;
  append_little_endian(generation, bytes);
  append_little_endian(static_cast<std::uint32_t>(memory.size()), bytes);
  append_little_endian(crc32c(std::as_bytes(std::span(memory))), bytes);
  bytes += memory;
  return write_at(fd, std::as_bytes(std::span(bytes)), memory_at(slot), path);
}

// Nothing if it is not whole, or of another state of this slot.
std::string read_memory(int fd, std::size_t slot, std::uint64_t generation) {
  std::array<std::byte, kMemoryHeader> header;
  if (::pread(fd, header.data(), header.size(), static_cast<off_t>(memory_at(slot))) !=
      static_cast<ssize_t>(header.size()))
    return {};
  const auto of = get_le<std::uint64_t>(header, 0);
  const auto length = get_le<std::uint32_t>(header, 8);
  const auto checksum = get_le<std::uint32_t>(header, 12);
  if (of != generation || length > kMaxCursorMemory) return {};
  std::string memory(length, '\0');
  if (::pread(fd, memory.data(), length, static_cast<off_t>(memory_at(slot) + kMemoryHeader)) !=
          static_cast<ssize_t>(length) ||
      crc32c(std::as_bytes(std::span(memory))) != checksum)
    return {};
  return memory;
}

std::uint64_t hash_of(std::string_view name) {
  return XXH3_64bits(name.data(), name.size());
}

std::string hexadecimal(std::uint64_t value) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (auto digit = text.rbegin(); digit != text.rend(); ++digit, value >>= 4) *digit = kDigits[value & 15];
  return text;
}

std::string file_name(std::string_view name) {
  std::string text(name.substr(0, 48));
  std::replace_if(
      text.begin(), text.end(),
      [](char c) {
        const bool plain =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        return !plain;
      },
      '_');
  return text + "-" + hexadecimal(hash_of(name)) + std::string(kSuffix);
}

SlotBytes encode(const Slot& slot) {
  SlotBytes bytes = begin_slot(kMagic, slot.generation);
  put_le(bytes, kNextAt, slot.state.next);
  put_time(bytes, kDeliveredAt, slot.state.delivered_to);
  put_le(bytes, kHashAt, slot.hash);
  put_slot_text(bytes, kNameAt, std::string_view(slot.name).substr(0, kMaxCursorName));
  put_time(bytes, kCompleteSinceAt, slot.state.complete_since);
  put_le(bytes, kStreamAt, slot.state.stream);
  put_le(bytes, kPromisedAt, slot.state.promised);
  seal_slot(bytes);
  return bytes;
}

// Of a whole slot. Nothing if that cannot be.
std::optional<Slot> decode(const SlotBytes& bytes) {
  Slot slot;
  slot.generation = get_le<std::uint64_t>(bytes, kSlotGenerationAt);
  slot.state.next = get_le<std::uint64_t>(bytes, kNextAt);
  slot.state.delivered_to = get_time(bytes, kDeliveredAt);
  slot.hash = get_le<std::uint64_t>(bytes, kHashAt);
  auto name = slot_text(bytes, kNameAt);
  if (!name || slot.state.next > kMaxCursor) return std::nullopt;
  slot.name = std::move(*name);
  if (slot.name.size() <= kMaxCursorName) {
    slot.state.complete_since = get_time(bytes, kCompleteSinceAt);
    slot.state.stream = get_le<std::uint64_t>(bytes, kStreamAt);
  }
  if (slot.name.size() <= kMaxNameBeforePromised) {
    slot.state.promised = get_le<std::uint64_t>(bytes, kPromisedAt);
    if (slot.state.promised > kMaxCursor) return std::nullopt;
  }
  return slot;
}

// The newer slot that is whole.
// Errors: kUnavailable if a newer program wrote both, or the one that is whole.
Result<std::optional<Slot>> read_slots(int fd, const std::string& path) {
  std::optional<Slot> newest;
  Result<void> known;
  for (std::size_t index = 0; index < 2; ++index) {
    SlotBytes bytes;
    const auto whole = read_slot(fd, bytes, index * kSlotDistance, kMagic, path);
    if (!whole) return whole.error();
    if (!*whole) continue;
    if (auto checked = check_slot_version(bytes, path); !checked) {
      known = std::move(checked);
      continue;
    }
    auto slot = decode(bytes);
    if (slot) slot->state.memory = read_memory(fd, index, slot->generation);
    if (slot && (!newest || slot->generation > newest->generation)) newest = std::move(slot);
  }
  if (!newest && !known) return known.error();
  return newest;
}

}  // namespace

Result<Cursor> Cursor::open(const std::string& directory, std::string_view name) {
  const std::string folder = directory + "/cursors";
  if (::mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) {
    return system_error("ledger: make directory " + folder, errno);
  }
  auto folder_fd = open_directory(folder, /*follow_link=*/false);
  if (!folder_fd) return folder_fd.error();

  Cursor cursor;
  cursor.directory_ = directory;
  cursor.name_ = name;
  const std::string file = file_name(name);
  cursor.path_ = folder + "/" + file;
  auto fd = open_regular(folder_fd->get(), file, cursor.path_, O_RDWR, 0640);
  // A new one gets its file with its first state: one that is there and has none was whole once.
  if (!fd && fd.error().kind == ErrorKind::kUnavailable) return cursor;
  if (!fd) return fd.error();
  cursor.fd_ = std::move(*fd);
  auto slot = read_slots(cursor.fd_.get(), cursor.path_);
  if (!slot) return slot.error();
  if (!*slot || (*slot)->hash != hash_of(name)) {
    return Error{ErrorKind::kMalformed,
                 "ledger: read " + cursor.path_ + ": neither slot of this cursor is whole"};
  }
  cursor.generation_ = (*slot)->generation;
  cursor.state_ = (*slot)->state;
  return cursor;
}

bool Cursor::removed() const {
  return fd_ && is_unlinked(fd_);
}

// With room for both slots, so that a disk that is full later does not stop the cursor.
Result<void> Cursor::make_file(std::span<const std::byte> slot) {
  std::string whole(kFileBytes, '\0');
  std::memcpy(whole.data(), slot.data(), slot.size());
  const std::string_view bytes = whole;
  const std::size_t folder = path_.rfind('/');
  if (auto made = replace_file(path_.substr(0, folder), path_.substr(folder + 1), std::span(&bytes, 1));
      !made)
    return made;
  auto again = open(directory_, std::string(name_));
  if (!again) return again.error();
  *this = std::move(*again);
  return {};
}

Result<void> Cursor::store(const CursorState& state, bool flush) {
  if (removed()) {
    auto again = open(directory_, std::string(name_));
    if (!again) return again.error();
    *this = std::move(*again);
  }
  const std::uint64_t generation = generation_ + 1;
  const auto bytes = encode({generation, state, hash_of(name_), name_});
  if (!fd_) return make_file(bytes);  // on the disk then
  const std::size_t slot = generation % 2 == 1 ? 0 : 1;
  const std::size_t offset = slot * kSlotDistance;
  // Before the slot, which says that it holds.
  if (!state.memory.empty() && state.memory.size() <= kMaxCursorMemory) {
    if (auto written = write_memory(fd_.get(), slot, generation, state.memory, path_); !written)
      return written;
  }
  if (auto written = write_at(fd_.get(), bytes, offset, path_); !written) return written;
  generation_ = generation;
  state_ = state;
  if (flush && ::fdatasync(fd_.get()) != 0) return system_error("ledger: fdatasync " + path_, errno);
  return {};
}

std::vector<NamedCursor> list_cursors(const std::string& directory) {
  std::vector<NamedCursor> cursors;
  const std::string folder = directory + "/cursors";
  const auto folder_fd = open_directory(folder, /*follow_link=*/false);
  if (!folder_fd) return cursors;
  const auto names = names_in(folder_fd->get(), folder);
  if (!names) return cursors;
  for (const std::string& name : *names) {
    if (!name.ends_with(kSuffix) || cursors.size() >= kMaxCursors) continue;
    const std::string path = folder + "/" + name;
    const auto fd = open_regular(folder_fd->get(), name, path, O_RDONLY, 0);
    if (!fd) continue;
    auto slot = read_slots(fd->get(), path);
    if (slot && *slot) cursors.push_back({(*slot)->name.substr(0, kMaxCursorName), (*slot)->state});
  }
  std::sort(cursors.begin(), cursors.end(),
            [](const NamedCursor& a, const NamedCursor& b) { return a.name < b.name; });
  return cursors;
}

}  // namespace natsession
