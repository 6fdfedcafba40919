#include "sink/encoding/compressor.h"

#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include <fcntl.h>
#include <lz4.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/unique_fd.h"

namespace natsession {
namespace {

constexpr std::size_t kBlockBytes = 256 << 10;

using Bytes = std::span<const unsigned char>;

// One direction of one file: fed block by block, writes to the end of `out`.
class Stream {
 public:
  virtual ~Stream() = default;
  // False if the library failed, which only happens for want of memory.
  virtual bool feed(Bytes in, bool last, std::vector<unsigned char>& out) = 0;
};

class GzipStream final : public Stream {
 public:
  GzipStream() {
    // 15 bits of window, and 16 for a gzip header.
    good_ = deflateInit2(&state_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  }
  GzipStream(const GzipStream&) = delete;
  GzipStream& operator=(const GzipStream&) = delete;
  ~GzipStream() override {
    if (good_) deflateEnd(&state_);
  }

  bool feed(Bytes in, bool last, std::vector<unsigned char>& out) override {
    if (!good_) return false;
    state_.next_in = const_cast<unsigned char*>(in.data());  // zlib's interface is older than const
    state_.avail_in = static_cast<uInt>(in.size());
    do {
      const std::size_t before = out.size();
      out.resize(before + kBlockBytes);
      state_.next_out = out.data() + before;
      state_.avail_out = kBlockBytes;
      if (deflate(&state_, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR) return false;
      out.resize(out.size() - state_.avail_out);
    } while (state_.avail_out == 0);
    return true;
  }

 private:
  z_stream state_{};
  bool good_ = false;
};

class ZstdStream final : public Stream {
 public:
  ZstdStream() : context_(ZSTD_createCCtx(), ZSTD_freeCCtx) {
    if (context_ != nullptr) ZSTD_CCtx_setParameter(context_.get(), ZSTD_c_checksumFlag, 1);
  }

  bool feed(Bytes in, bool last, std::vector<unsigned char>& out) override {
    if (context_ == nullptr) return false;
    ZSTD_inBuffer input{in.data(), in.size(), 0};
    std::size_t left = 0;
    do {
      const std::size_t before = out.size();
      out.resize(before + kBlockBytes);
      ZSTD_outBuffer output{out.data() + before, kBlockBytes, 0};
      left = ZSTD_compressStream2(context_.get(), &output, &input, last ? ZSTD_e_end : ZSTD_e_continue);
      if (ZSTD_isError(left) != 0) return false;
      out.resize(before + output.pos);
    } while (input.pos < input.size || (last && left != 0));
    return true;
  }

 private:
  std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context_;
};

bool write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

Result<void> copy_through(Stream& stream, int from, int to, const std::string& path,
                          const std::string& target) {
  std::vector<unsigned char> in(kBlockBytes);
  std::vector<unsigned char> out;
  while (true) {
    const ssize_t count = ::read(from, in.data(), in.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read " + path, errno);
    out.clear();
    if (!stream.feed({in.data(), static_cast<std::size_t>(count)}, count == 0, out)) {
      return Error{ErrorKind::kIo, "compress " + path + ": out of memory"};
    }
    if (!write_all(to, out)) return system_error("write " + target, errno);
    if (count == 0) return {};
  }
}

Result<void> write_compressed(const std::string& path, const std::string& target, Stream& stream) {
  const UniqueFd from(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) return system_error("open " + path, errno);
  struct stat status {};
  if (fstat(from.get(), &status) != 0) return system_error("stat " + path, errno);
  UniqueFd to(::open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, status.st_mode & 0777));
  if (!to) return system_error("open " + target, errno);
  if (Result<void> copied = copy_through(stream, from.get(), to.get(), path, target); !copied) return copied;
  const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
  if (fchmod(to.get(), status.st_mode & 0777) != 0 || futimens(to.get(), times.data()) != 0 ||
      fsync(to.get()) != 0) {
    return system_error("write " + target, errno);
  }
  return {};
}

// A name is on the disk only when its directory is. Not every file system can say so; that is no fault of
// this file.
void sync_directory_of(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  const UniqueFd fd(::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd) fsync(fd.get());
}

}  // namespace

std::string_view suffix_of(Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return "";
    case Compression::kGzip:
      return ".gz";
    case Compression::kZstd:
      return ".zst";
  }
  return "";
}

Result<void> gzip_text(std::string_view text, std::string& out) {
  z_stream state{};
  if (deflateInit2(&state, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return Error{ErrorKind::kIo, "gzip: out of memory"};
  }
  out.resize(deflateBound(&state, text.size()));
  state.next_in =
      reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));  // zlib's interface is older than const
  state.avail_in = static_cast<uInt>(text.size());
  state.next_out = reinterpret_cast<Bytef*>(out.data());
  state.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&state, Z_FINISH);
  out.erase(out.size() - state.avail_out);
  deflateEnd(&state);
  if (result != Z_STREAM_END) return Error{ErrorKind::kIo, "gzip: failed"};
  return {};
}

Result<void> zstd_text(std::string_view text, std::string& out) {
  out.resize(ZSTD_compressBound(text.size()));
  const std::size_t length = ZSTD_compress(out.data(), out.size(), text.data(), text.size(), /*level=*/1);
  if (ZSTD_isError(length) != 0) return Error{ErrorKind::kIo, "zstd: failed"};
  out.erase(length);
  return {};
}

Result<void> lz4_text(std::string_view text, std::string& out) {
  if (text.size() > LZ4_MAX_INPUT_SIZE) return usage_error("lz4: more than one block takes");
  const auto size = static_cast<int>(text.size());
  out.resize(static_cast<std::size_t>(LZ4_compressBound(size)));
  const int length = LZ4_compress_default(text.data(), out.data(), size, static_cast<int>(out.size()));
  if (length <= 0) return Error{ErrorKind::kIo, "lz4: failed"};
  out.erase(static_cast<std::size_t>(length));
  return {};
}

std::uint32_t crc32_of(std::string_view text) {
  return static_cast<std::uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
}

Result<void> compress_file(const std::string& path, Compression compression) {
  const std::string target = path + std::string(suffix_of(compression));
  const std::string unfinished = target + ".tmp";
  std::unique_ptr<Stream> stream;
  if (compression == Compression::kGzip) stream = std::make_unique<GzipStream>();
  if (compression == Compression::kZstd) stream = std::make_unique<ZstdStream>();
  if (stream == nullptr) return {};

  Result<void> written = write_compressed(path, unfinished, *stream);
  if (written && ::rename(unfinished.c_str(), target.c_str()) != 0) {
    written = system_error("rename " + unfinished + " to " + target, errno);
  }
  if (!written) {
    ::unlink(unfinished.c_str());
    return written;
  }
  sync_directory_of(target);
  if (::unlink(path.c_str()) != 0) return system_error("remove " + path, errno);
  return {};
}

}  // namespace natsession
