// Cursor: how far one sink has come in a ledger, kept in DIRECTORY/cursors/. It survives kill -9 at any
// moment (two slots with a checksum, written in turn), and the machine's fall with what was flushed.
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "ledger/frame.h"

namespace natsession {

struct CursorState {
  Ordinal next = 0;     // the record to deliver next
  UnixMs delivered_to;  // end_time of the last record that was delivered; before it, when the sink came; or
                        // the epoch
  // Where the batch ends that was offered last, if that is behind `next` and does not follow from the log: it
  // is offered again as the same batch.
  Ordinal promised = 0;
  // All records below `next` that ended from then on were delivered, or a gap record that was tells of them:
  // so what is proved of the ledger is proved of the destination, from then on. The epoch: that is not known.
  UnixMs complete_since = {};
  // A number that this cursor alone has, drawn when `complete_since` was first known: two boxes of one name
  // are told apart by it. 0: none.
  std::uint64_t stream = 0;
  // What the sink is told again after a restart (Sink::memory()). Longer than kMaxCursorMemory: nothing.
  std::string memory = {};
};
inline constexpr std::size_t kMaxCursorMemory = (std::size_t{64} << 10) - 16;

class Cursor {
 public:
  // Opens the cursor of the sink called `name` (any text; the file's name is made from it). A new one gets
  // its file with its first state.
  // Errors: kPermission, kIo; kMalformed when the file is there and neither slot is whole, kUnavailable if a newer
  //         program wrote what is: then nothing is known.
  [[nodiscard]] static Result<Cursor> open(const std::string& directory, std::string_view name);
  Cursor(Cursor&&) noexcept = default;
  Cursor& operator=(Cursor&&) noexcept = default;

  // nullopt for a new sink.
  [[nodiscard]] const std::optional<CursorState>& state() const { return state_; }
  // In the file when it returns. `flush`: on the disk. A file that somebody removed is made anew.
  Result<void> store(const CursorState& state, bool flush);

 private:
  Cursor() = default;
  [[nodiscard]] bool removed() const;
  Result<void> make_file(std::span<const std::byte> slot);
  std::string directory_;
  std::string path_;
  std::string name_;
  UniqueFd fd_;  // none: it has no file yet
  std::optional<CursorState> state_;
  std::uint64_t generation_ = 0;
};

// All cursors in the ledger that can be read, by name; a longer name is cut to kMaxCursorName bytes.
inline constexpr std::size_t kMaxCursorName = 434;
struct NamedCursor {
  std::string name;
  CursorState state;
};
[[nodiscard]] std::vector<NamedCursor> list_cursors(const std::string& directory);

}  // namespace natsession
