// DeadLetters: the file of what one sink refused for good, for people to look into: a line of JSON for each
// record, with the sink, when it was refused and why. It is bounded: when it is full it becomes FILE.1, and
// what stood there is gone, counted.
//
//   {"sink":"https://logs.example.net/in","time":"2026-11-21T14:34:22.108Z","why":"413","record":{"instance":…}}
//
// Threads: one, the sink's worker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/byte_count.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "record/encoder.h"

namespace natsession {

class DeadLetters {
 public:
  // Touches nothing before the first letter. An empty path keeps none. `clock` outlives the object.
  DeadLetters(std::string path, ByteCount limit, std::string_view sink, const Clock& clock);

  [[nodiscard]] bool kept() const { return !path_.empty(); }

  // Adds a letter. Its bytes are the kernel's when it returns, so they survive a kill; the machine's fall
  // they survive after sync().
  // Errors: kPermission, kIo with the path: this letter is not kept, and the file is as it was. The next call
  //         begins anew.
  Result<void> add(const SessionRecord& record, std::string_view why);

  // All letters so far are on the disk, under their file's name.
  // Errors: kPermission, kIo with the path: those since the last call may not be there after the machine's
  // fall. It does not try for them again.
  Result<void> sync();

  // Letters that made room for others since this object was made.
  [[nodiscard]] std::uint64_t overwritten() const { return overwritten_; }

 private:
  Result<void> open();
  Result<void> rotate();
  Result<void> sync_file();
  Result<void> sync_names();
  Result<void> write(std::string_view line);
  [[nodiscard]] Error error(std::string_view operation, int error_number) const;

  std::string path_;
  std::uint64_t limit_bytes_;
  std::string sink_;
  const Clock& clock_;
  std::unique_ptr<Encoder> encoder_;
  UniqueFd fd_;
  std::uint64_t size_bytes_ = 0;
  std::uint64_t overwritten_ = 0;
  bool unsynced_ = false;        // letters
  bool unsynced_names_ = false;  // a file was made or renamed
};

// A file name that is this sink's alone: readable, and safe whatever the sink is called.
[[nodiscard]] std::string file_name_of(std::string_view sink);

}  // namespace natsession
