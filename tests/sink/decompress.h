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

// A whole gzip member in memory.
inline std::string gunzip(std::string packed) {
  z_stream state{};
  if (inflateInit2(&state, 15 + 16) != Z_OK) throw std::runtime_error("inflateInit2 failed");
  std::string text(packed.size() * 1100, '\0');  // more than deflate can pack
  state.next_in = reinterpret_cast<Bytef*>(packed.data());
  state.avail_in = static_cast<uInt>(packed.size());
  state.next_out = reinterpret_cast<Bytef*>(text.data());
  state.avail_out = static_cast<uInt>(text.size());
  const int result = inflate(&state, Z_FINISH);
  text.resize(state.total_out);
  inflateEnd(&state);
  if (result != Z_STREAM_END || state.avail_in != 0) throw std::runtime_error("not a whole gzip member");
  return text;
}

// A whole zstd frame in memory, which tells its length.
inline std::string unzstd(const std::string& packed) {
  const auto length = ZSTD_getFrameContentSize(packed.data(), packed.size());
  if (length > (std::size_t{1} << 30)) throw std::runtime_error("not a whole zstd frame");
  std::string text(length, '\0');
  if (ZSTD_decompress(text.data(), text.size(), packed.data(), packed.size()) != length)
    throw std::runtime_error("not a whole zstd frame");
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
