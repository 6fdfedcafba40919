// FileSettings: what the options of a file sink say.
// Threads: a plain value type.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/byte_count.h"
#include "base/result.h"
#include "sink/compressor.h"
#include "sink/sink_url.h"

namespace natsession {

struct FileSettings {
  std::string path;
  ByteCount rotate_size;                    // 0: never by size
  std::chrono::milliseconds rotate_time{};  // 0: never by time
  Compression compress = Compression::kNone;
  std::size_t keep = 0;  // 0: all
  mode_t mode = 0640;    // of a file that is made; the umask still counts

  [[nodiscard]] bool rotates() const { return rotate_size.bytes > 0 || rotate_time.count() > 0; }

  // Reads `file:PATH` and the options that are the file sink's own.
  // Errors: kUsage, naming URL, key and value.
  [[nodiscard]] static Result<FileSettings> parse(const SinkUrl& url);
};

}  // namespace natsession
