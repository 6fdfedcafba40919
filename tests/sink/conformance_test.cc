// What every sink promises: records in order, none twice however often it is tried again, and `taken` exact.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "sink/file_fixture.h"
#include "sink/journald_sink.h"
#include "sink/stdout_sink.h"
#include "support/fake_journal.h"
#include "support/small_disk.h"

using namespace natsession;
using namespace std::chrono_literals;
using natsession::testing::FakeJournal;
using natsession::testing::FileSizeLimit;
using natsession::testing::json;
using natsession::testing::ManualClock;
using natsession::testing::numbered_records;
using natsession::testing::numbers;
using natsession::testing::numbers_in;
using natsession::testing::SmallDisk;
using natsession::testing::SmallPipe;
using natsession::testing::TempDir;

namespace {

// A rig is a sink whose destination takes a little, then nothing until give_room(). arrived() is what is
// there as a whole. why_not() says why the rig cannot be had here.

class StdoutRig {
 public:
  Sink& sink() { return sink_; }
  void give_room() { got_ += testing::read_available(pipe_.read.get()); }
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
  FifoRig() {
    mkfifo(path_.c_str(), 0600);
    reader_.reset(::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    fcntl(reader_.get(), F_SETPIPE_SZ, 16384);
    sink_ = std::move(*open_sink("file:" + path_, {}, clock_));
  }
  Sink& sink() { return *sink_; }
  void give_room() { got_ += testing::read_available(reader_.get()); }
  std::vector<std::uint32_t> arrived() {
    give_room();
    return numbers_in(got_);
  }
  std::string why_not() const { return {}; }

 private:
  TempDir directory_;
  std::string path_ = directory_.file("fifo");
  ManualClock clock_{UnixNs(0s)};
  UniqueFd reader_;
  std::unique_ptr<Sink> sink_;
  std::string got_;
};

class LimitedFileRig {
 public:
  Sink& sink() { return *sink_; }
  void give_room() { limit_.set(bytes_ += 1234); }
  std::vector<std::uint32_t> arrived() { return numbers_in(testing::read_file(path_)); }
  std::string why_not() const { return {}; }

 private:
  TempDir directory_;
  std::string path_ = directory_.file("log");
  ManualClock clock_{UnixNs(0s)};
  std::unique_ptr<Sink> sink_ = std::move(*open_sink("file:" + path_, {}, clock_));
  rlim_t bytes_ = 1000;
  FileSizeLimit limit_{bytes_};
};

class FullDiskRig {
 public:
  FullDiskRig() {
    if (disk_.why_not().empty()) sink_ = std::move(*open_sink("file:" + disk_.file("log"), {}, clock_));
  }
  Sink& sink() { return *sink_; }
  void give_room() { disk_.resize(kib_ += 16); }
  std::vector<std::uint32_t> arrived() { return numbers_in(testing::read_file(disk_.file("log"))); }
  std::string why_not() const { return disk_.why_not(); }

 private:
  std::size_t kib_ = 16;
  SmallDisk disk_{kib_};
  ManualClock clock_{UnixNs(0s)};
  std::unique_ptr<Sink> sink_;
};

class JournaldRig {
 public:
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
      "journald", {.options = {}, .socket_path = journal_.socket_path(), .patience = 0ms}));
  std::vector<std::uint32_t> got_;
};

}  // namespace

TEMPLATE_TEST_CASE("every sink keeps order, takes no record twice and counts exactly", "[sink][conformance]",
                   StdoutRig, FifoRig, LimitedFileRig, FullDiskRig, JournaldRig) {
  TestType rig;
  if (!rig.why_not().empty()) {
    if (testing::must_not_skip()) FAIL("cannot be had here: " << rig.why_not());
    WARN("skipped: " << rig.why_not());
    return;
  }
  constexpr std::uint32_t kCount = 600;
  constexpr std::size_t kBatch = 250;
  const auto records = numbered_records(0, kCount);
  std::size_t taken = 0;
  std::size_t refusals = 0;
  while (taken < records.size()) {
    const auto offered = std::span(records).subspan(taken, std::min(kBatch, records.size() - taken));
    const Answer answer = rig.sink().deliver(offered);
    taken += answer.taken;
    const auto arrived = rig.arrived();
    if (arrived.size() != taken) FAIL("taken is " << taken << ", there are " << arrived.size());
    if (answer.kind == Answer::Kind::kDelivered) {
      CHECK(answer.taken == offered.size());
      continue;
    }
    REQUIRE(answer.kind == Answer::Kind::kRetryLater);
    CHECK(answer.taken < offered.size());
    CHECK_FALSE(answer.why.empty());
    ++refusals;
    rig.give_room();
  }
  CHECK(rig.arrived() == numbers(0, kCount));
  CHECK(refusals > 0);
}

TEMPLATE_TEST_CASE("every sink has the name of its URL, and can be flushed and reopened at any time",
                   "[sink][conformance]", StdoutRig, FifoRig, LimitedFileRig, FullDiskRig, JournaldRig) {
  TestType rig;
  if (!rig.why_not().empty()) return;
  CHECK_FALSE(rig.sink().name().empty());
  CHECK(rig.sink().flush());
  CHECK(rig.sink().reopen());
  const auto records = numbered_records(0, 2);
  CHECK(rig.sink().deliver(std::span(records).first(1)).taken == 1);
  CHECK(rig.sink().reopen());
  CHECK(rig.sink().flush());
  CHECK(rig.sink().deliver(std::span(records).subspan(1)).taken == 1);
  CHECK(rig.arrived() == numbers(0, 2));
}
