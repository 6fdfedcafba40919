// Reads compressed files back, whole.
#pragma once

#include <stdexcept>
#include <string>

#include <zlib.h>
#include <zstd.h>

#include "support/files.h"

namespace natsession::testing {

inline std::string read_gzip(const std::string& path) {
  gzFile const file = gzopen(path.c_str(), "rb");
  std::string text;
  std::string part(64 << 10, '\0');
  int count = 0;
  while ((count = gzread(file, part.data(), static_cast<unsigned>(part.size()))) > 0) {
    text.append(part, 0, static_cast<std::size_t>(count));
  }
  // gzread() would also pass a file that is not compressed, or cut.
  const bool good = count == 0 && gzdirect(file) == 0 && gzclose(file) == Z_OK;
  if (!good) throw std::runtime_error("not a whole gzip file: " + path);
  return text;
}

inline std::string read_zstd(const std::string& path) {
  const std::string packed = read_file(path);
  std::string text(64 << 20, '\0');
  const std::size_t size = ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size());
  if (ZSTD_isError(size) != 0) throw std::runtime_error("not a whole zstd file: " + path);
  text.resize(size);
  return text;
}

}  // namespace natsession::testing
