// FileSource: follows a file that another program keeps, and has its text understood by a FileText.
// What is replaced, shortened, moved away, written in two halves, absent or unreadable is noticed: it is read
// on or read anew, and where something may be missing that is told (lost). A turn reads for some milliseconds
// at most, however large the file is; what was appended is read without the rest.
// Threads: as of IdentitySource.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "identity/identity_source.h"
#include "identity/sources/file_text.h"
#include "identity/sources/file_watch.h"

namespace natsession {

class FileSource final : public IdentitySource {
 public:
  // `clock` for how long a file has been at rest and how long a turn takes; it outlives the source.
  FileSource(std::string name, std::string path, std::unique_ptr<FileText> text, const Clock& clock);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Result<void> open() override;
  [[nodiscard]] int fd() const override { return watch_.fd(); }
  std::chrono::milliseconds turn(UnixMs now, IdentityOutput& output) override;

  // Longer lines are left out.
  static constexpr std::size_t kMaxLine = std::size_t{64} * 1024;
  // A file that is rewritten in place has been at rest for so long before it is read: more than a tick of the
  // kernel's clock, so that it does not change again without another time of modification. One of which a
  // part may be missing (it is empty, or ends where a block does) rests longer.
  static constexpr std::chrono::milliseconds kRest{20};
  static constexpr std::chrono::milliseconds kLongRest{1000};
  // What is not there, or not at rest, for longer than that is told.
  static constexpr std::chrono::seconds kPatience{2};
  // How often a file is looked at that nothing was told of.
  static constexpr std::chrono::milliseconds kLook{1000};

 private:
  using Steady = std::chrono::nanoseconds;

  // Which file it is, and what was last seen of it.
  struct State {
    dev_t device = 0;
    ino_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;
    friend bool operator==(const State&, const State&) = default;
    [[nodiscard]] bool is_same_file(const State& other) const {
      return device == other.device && inode == other.inode;
    }
  };
  struct Part {
    UniqueFd fd;
    State state;  // when it was opened, and at each look
    std::uint64_t offset = 0;
    bool is_last = true;  // the file at path_ itself, not what still holds of older ones
  };
  enum class Step : std::uint8_t { kMore, kDone };

  static State state_of(const struct stat& status);
  std::optional<Part> open_part(const std::string& path, IdentityOutput& output);
  void open_remains(IdentityOutput& output);
  // What there is to do: false: nothing now.
  bool look(UnixMs now, IdentityOutput& output);
  bool look_at_nothing(int error_number, IdentityOutput& output);
  bool look_at_rewritten(const State& found, UnixMs now, IdentityOutput& output);
  bool look_at_appended(const State& found, UnixMs now, IdentityOutput& output);
  bool begin_whole(IdentityOutput& output);
  void leave_line();
  void leave_whole();
  void give_up();
  [[nodiscard]] LineTime time_in(const Part& part, UnixMs now) const;
  Step read_part(UnixMs now, IdentityOutput& output);
  void take(std::string_view bytes, const LineTime& time, std::uint64_t first, IdentityOutput& output);
  Step end_part(UnixMs now, IdentityOutput& output);
  void unavailable(int error_number, IdentityOutput& output);

  std::string name_;
  std::string path_;
  std::unique_ptr<FileText> text_;
  const Clock& clock_;
  FileWatch watch_;

  std::deque<Part> parts_;   // to be read in this order; of a file that is followed the last one stays
  bool in_whole_ = false;    // between begin_whole() and end_whole()
  bool caught_up_ = false;   // what is read now was written since the turn before
  bool told_whole_ = false;  // once
  std::string line_;         // the beginning of one
  bool skips_line_ = false;  // up to the next newline: it was too long

  std::optional<State> read_state_;  // kRewritten: what was read last
  State seen_state_;                 // kRewritten: at the look before
  Steady changed_at_{};              // when it was seen to change
  Steady restless_since_{};          // 0: what there is has been read
  Steady read_for_{};                // how long the last reading took
  Steady read_at_{};
  Steady caught_up_at_{};  // kAppended …: when the end was met last
  Steady absent_since_{};  // 0: it is there
  std::string complaint_;  // what was told last of a file that cannot be read
  std::vector<char> buffer_;
};

}  // namespace natsession
