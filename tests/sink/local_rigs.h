// Rigs of the sinks that write on this machine: a sink whose destination takes a little, then nothing until
// give_room(). arrived() is what is there as a whole, in order; why_not() says why the rig cannot be had
// here.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <string>
#include <vector>

#include "sink/file_fixture.h"
#include "sink/journald_sink.h"
#include "sink/lines.h"
#include "sink/open_sink.h"
#include "sink/stdout_sink.h"
#include "support/fake_journal.h"
#include "support/small_disk.h"

namespace natsession::testing {

class StdoutRig {
 public:
  static constexpr bool kRepeats = false;
  static constexpr bool kAtOnce = true;

  Sink& sink() { return sink_; }
  void give_room() { got_ += read_available(pipe_.read.get()); }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return numbers_in(got_);
  }
  std::string why_not() const { return {}; }

 private:
  SmallPipe pipe_;
  StdoutSink sink_{"stdout", json(), pipe_.write.get()};
  std::string got_;
};

class FifoRig {
 public:
  static constexpr bool kRepeats = false;
  static constexpr bool kAtOnce = true;

  FifoRig() {
    mkfifo(path_.c_str(), 0600);
    reader_.reset(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    fcntl(reader_.get(), F_SETPIPE_SZ, 16384);
    sink_ = std::move(*open_sink("file:" + path_, {}, clock_));
  }
  Sink& sink() { return *sink_; }
  void give_room() { got_ += read_available(reader_.get()); }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return numbers_in(got_);
  }
  std::string why_not() const { return {}; }

 private:
  TempDir directory_;
  std::string path_ = directory_.file("fifo");
  ManualClock clock_{UnixNs(std::chrono::seconds(0))};
  UniqueFd reader_;
  std::unique_ptr<Sink> sink_;
  std::string got_;
};

class LimitedFileRig {
 public:
  static constexpr bool kRepeats = false;
  static constexpr bool kAtOnce = true;

  Sink& sink() { return *sink_; }
  void give_room() { limit_.set(bytes_ += 1234); }
  std::vector<std::uint32_t> arrived() { return numbers_in(read_file(path_)); }
  std::string why_not() const { return {}; }

 private:
  TempDir directory_;
  std::string path_ = directory_.file("log");
  ManualClock clock_{UnixNs(std::chrono::seconds(0))};
  std::unique_ptr<Sink> sink_ = std::move(*open_sink("file:" + path_, {}, clock_));
  rlim_t bytes_ = 1000;
  FileSizeLimit limit_{bytes_};
};

class FullDiskRig {
 public:
  static constexpr bool kRepeats = false;
  static constexpr bool kAtOnce = true;

  FullDiskRig() {
    if (disk_.why_not().empty()) sink_ = std::move(*open_sink("file:" + disk_.file("log"), {}, clock_));
  }
  Sink& sink() { return *sink_; }
  void give_room() { disk_.resize(kib_ += 16); }
  std::vector<std::uint32_t> arrived() { return numbers_in(read_file(disk_.file("log"))); }
  std::string why_not() const { return disk_.why_not(); }

 private:
  std::size_t kib_ = 16;
  SmallDisk disk_{kib_};
  ManualClock clock_{UnixNs(std::chrono::seconds(0))};
  std::unique_ptr<Sink> sink_;
};

class JournaldRig {
 public:
  static constexpr bool kRepeats = false;
  static constexpr bool kAtOnce = true;

  Sink& sink() { return *sink_; }
  void give_room() {
    for (const auto& entry : journal_.receive()) {
      got_.push_back(static_cast<std::uint32_t>(std::stoul(entry.at("NATSESSION_SEQ"))));
    }
  }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return got_;
  }
  std::string why_not() const { return {}; }

 private:
  FakeJournal journal_;
  std::unique_ptr<Sink> sink_ = std::move(*JournaldSink::open(
      "journald",
      {.options = {}, .socket_path = journal_.socket_path(), .patience = std::chrono::milliseconds(0)}));
  std::vector<std::uint32_t> got_;
};

}  // namespace natsession::testing
