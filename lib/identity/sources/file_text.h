// FileText: what the text of a source's file says, line by line. A parser reads no file: FileSource does, and
// so do tests and fuzz targets.
// Threads: one.
#pragma once

#include <optional>
#include <string_view>

#include "base/time.h"
#include "identity/identity_source.h"

namespace natsession {

// When a line came into its file.
struct LineTime {
  UnixMs now;
  UnixMs written;      // not later than then: the file's time of modification, or now
  bool exact = false;  // about then, and not long before
};

// What becomes of a file as its program goes on.
enum class FileHabit : std::uint8_t {
  kRewritten,  // all of it at each change, in place or by another file of its name
  kAppended,   // then replaced by one that has all that still holds
  // Appended to, then moved to .1 and begun anew; what still holds of older ones is in .2 (or .completed, for
  // a moment): Kea's memfile.
  kMovedOn,
  kHistory,  // appended to, then moved away or deleted; it never says all that holds
};

class FileText {
 public:
  virtual ~FileText() = default;
  [[nodiscard]] virtual FileHabit habit() const = 0;
  // What follows is the beginning of a file. Forgets half of an entry.
  virtual void begin() = 0;
  // Shape: without the newline. Tells what the line completes.
  virtual void line(std::string_view line, const LineTime& time, IdentityOutput& output) = 0;
  // All that has been appended so far has been told.
  virtual void caught_up(const LineTime& /*time*/, IdentityOutput& /*output*/) {}
  // There are no more lines of this file, for good. Tells what its end completes.
  virtual void end(const LineTime& /*time*/, IdentityOutput& /*output*/) {}
  // A last line without a newline is a whole one: a file that people write.
  [[nodiscard]] virtual bool last_line_may_be_open() const { return false; }
  // kRewritten: the file is to be read once more from its beginning before it is told to be whole.
  [[nodiscard]] virtual bool wants_another_pass() { return false; }
  // kRewritten: when the same file says something else.
  [[nodiscard]] virtual std::optional<UnixMs> next_change() const { return std::nullopt; }
};

}  // namespace natsession
