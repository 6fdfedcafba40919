// FileSink: records as lines appended to a file, with rotation by size or time. No line is torn: a rotation
// comes between two records, the last line of a file that a crash cut is ended first, and a record that did
// not fit on the disk is completed, or taken away again before the file is left. A header stands at the
// beginning of each file, also of one that somebody truncates (logrotate's copytruncate); what begins with
// another one, of other fields, is renamed to PATH.other-header.TIME before the first record.
//
// Threads: as sink.h says. Compression and removal of rotated files run on a thread of their own
// (rotated_files.h).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/byte_count.h"
#include "base/time.h"
#include "record/encoder.h"
#include "sink/local/rotated_files.h"
#include "sink/sink_kind.h"
#include "sink/transport/stream_writer.h"

namespace natsession {

struct FileSettings {
  std::string path;
  ByteCount rotate_size;                    // 0: never by size
  std::chrono::milliseconds rotate_time{};  // 0: never by time
  Compression compress = Compression::kNone;
  std::size_t keep = 0;  // 0: all
  mode_t mode = 0640;    // of a file that is made; the umask still counts

  [[nodiscard]] bool rotates() const { return rotate_size.bytes > 0 || rotate_time.count() > 0; }
};

[[nodiscard]] SinkKind file_kind();

class FileSink final : public Sink {
 public:
  // `clock` outlives the sink.
  // Errors: as LogFile::open(), and kUsage if rotation is asked for and the path is no regular file.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, const FileSettings& settings,
                                                          std::unique_ptr<Encoder> encoder,
                                                          const Clock& clock);
  // Whether open() would succeed, and rotation, without a trace.
  [[nodiscard]] static Result<void> probe(const FileSettings& settings);

  ~FileSink() override;

  [[nodiscard]] std::string_view name() const override { return name_; }
  // A problem beside the delivery, of a rotation or compression, is told in the answer's `why`.
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override;
  Result<void> flush() override;

 private:
  FileSink(std::string name, const FileSettings& settings, std::unique_ptr<Encoder> encoder,
           const Clock& clock);

  [[nodiscard]] std::string operation() const { return "write " + settings_.path; }
  [[nodiscard]] bool has_records() const { return file_.size > writer_.header().size(); }
  [[nodiscard]] std::int64_t period_of(UnixNs time) const;
  void start_in(LogFile file);
  void leave_whole_lines();
  Result<void> mend();
  void mend_if_truncated();
  void mend_if_deleted();
  Result<void> leave_other_header();
  void rotate_if_period_is_over();
  bool rotate();
  Result<void> try_rotate();
  [[nodiscard]] std::uint64_t room() const;
  void notice(const std::string& text) { notice_ = text; }
  std::string take_notice();

  const std::string name_;
  const FileSettings settings_;
  const Clock& clock_;
  StreamWriter writer_;
  LogFile file_;
  std::string real_path_;      // without symbolic links: where rotated files lie
  std::int64_t period_ = 0;    // of rotate_time, in which the file's records were written
  bool other_header_ = false;  // the file begins otherwise than it should: nothing of ours belongs in it
  std::string notice_;
  std::chrono::nanoseconds look_again_at_{};    // steady: for the file's own disappearance
  std::chrono::nanoseconds rotate_again_at_{};  // steady: after a rotation that failed
  std::unique_ptr<Housekeeper> housekeeper_;    // null if there is nothing to keep
};

}  // namespace natsession
