#include "identity_thread.h"

#include <algorithm>
#include <new>
#include <system_error>

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>

#include "conntrack/network_namespace.h"
#include "identity/source_url.h"
#include "identity_command.h"
#include "messages.h"

namespace natsession {
namespace {

constexpr std::chrono::seconds kTellEvery{10};

}  // namespace

IdentityThread::IdentityThread(std::shared_ptr<IdentityKeeper> keeper, std::vector<Followed> sources,
                               const Clock& clock, std::function<void()> on_no_memory)
    : keeper_(std::move(keeper)), clock_(clock), on_no_memory_(std::move(on_no_memory)) {
  for (Followed& followed : sources) {
    IdentityOutput& output =
        keeper_->add_source(std::string(followed.source->name()), std::move(followed.netns));
    places_.push_back({std::move(followed.source), &output, {}});
  }
  told_.resize(places_.size());
}

IdentityThread::~IdentityThread() {
  request_stop();
  join();
}

Result<void> IdentityThread::start() {
  if (auto there = wake_.check(); !there) return there;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    return Error{ErrorKind::kUnavailable, std::string("thread of identity: ") + failure.what()};
  }
  return {};
}

void IdentityThread::request_stop() {
  stop_.store(true, std::memory_order_relaxed);
  wake_.wake();
}

void IdentityThread::join() {
  if (thread_.joinable()) thread_.join();
}

void IdentityThread::run() {
  pthread_setname_np(pthread_self(), "identity");
  try {
    follow();
  } catch (const std::bad_alloc&) {
    log_error("identity: no memory is left");
    on_no_memory_();
  }
}

void IdentityThread::follow() {
  std::vector<pollfd> fds(places_.size() + 1);
  const auto all_due = [&] {
    for (Place& place : places_) place.due = clock_.steady();
  };
  all_due();
  while (true) {
    const bool stopping = stop_.load(std::memory_order_relaxed);
    if (stopping) all_due();  // what came last is told as well
    auto next = clock_.steady() + std::chrono::seconds(1);
    for (std::size_t i = 0; i < places_.size(); ++i) {
      Place& place = places_[i];
      const bool readable = (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0;
      if (readable || place.due <= clock_.steady())
        place.due = clock_.steady() + place.source->turn(to_ms(clock_.now()), *place.output);
      next = std::min(next, place.due);
    }
    if (stopping) {
      if (auto finished = keeper_->finish(to_ms(clock_.now())); !finished)
        log_error(fmt::format("identity: {}", finished.error().message));
      return;
    }
    const auto worked = keeper_->work(to_ms(clock_.now()), age_());
    next = std::min(next, clock_.steady() + worked.next);
    if (worked.committed) {
      for (Place& place : places_) place.source->committed();
    }
    tell_problems();
    for (std::size_t i = 0; i < places_.size(); ++i) fds[i] = {places_[i].source->fd(), POLLIN, 0};
    fds.back() = {wake_.fd(), POLLIN, 0};
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - clock_.steady());
    const int ready =
        ::poll(fds.data(), fds.size(), static_cast<int>(std::max<std::int64_t>(wait.count(), 0)));
    if (ready <= 0) {
      for (pollfd& fd : fds) fd.revents = 0;
    } else if ((fds.back().revents & POLLIN) != 0) {
      wake_.clear();
    }
  }
}

// A source that fails at each turn fills no journal: the last of some seconds is told.
void IdentityThread::tell_problems() {
  if (told_at_ != std::chrono::nanoseconds() && clock_.steady() - told_at_ < kTellEvery) return;
  told_at_ = clock_.steady();
  IdentityReport all = keeper_->report();
  for (std::size_t i = 0; i < all.sources.size(); ++i) {
    const IdentitySourceReport& report = all.sources[i];
    if (report.losses > told_[i].losses || report.refused > told_[i].refused) {
      log_warning(fmt::format(
          "identity {}: {}{}", report.source, report.problem,
          report.refused > told_[i].refused ? fmt::format(" ({} left out so far)", report.refused) : ""));
    }
    told_[i] = report;
  }
  if (all.failure == told_failure_) return;
  if (all.failure.empty())
    log_info("identity: its log is written again");
  else
    log_error(fmt::format("identity: {}; what sources tell waits in memory", all.failure));
  told_failure_ = std::move(all.failure);
}

Result<std::vector<IdentityThread::Followed>> open_identity_sources(
    const Config& config, std::vector<std::unique_ptr<CommandRunner>> commands, const Clock& clock) {
  std::vector<IdentityThread::Followed> all;
  auto command = commands.begin();
  for (const IdentityUrl& url : config.identity) {
    IdentityThread::Followed followed;
    if (url.command())
      followed.source = std::make_unique<IdentityCommand>(url.name(), std::move(*command++), clock);
    else
      followed.source = make_identity_source(url, clock);
    // Records have a namespace's name only where more than one is watched.
    if (config.netns.size() > 1) followed.netns = url.netns;
    const auto about = [&](const Error& error) {
      return Error{error.kind, fmt::format("identity {}: {}", url.name(), error.message)};
    };
    std::optional<NetworkNamespace> there;
    if (!url.netns.empty()) {
      auto entered = NetworkNamespace::enter(url.netns);
      if (!entered) return about(entered.error());
      there.emplace(*std::move(entered));
    }
    if (auto opened = followed.source->open(); !opened) return about(opened.error());
    all.push_back(std::move(followed));
  }
  return all;
}

Result<std::shared_ptr<IdentityKeeper>> open_identity(const Config& config) {
  auto writer = IdentityWriter::open(
      config.ledger, {.keep = std::chrono::duration_cast<std::chrono::seconds>(config.identity_keep)});
  if (!writer) return writer.error();
  IdentityKeeper::Settings settings;
  settings.sync = config.sync.mode != Sync::Mode::kNever;
  return std::make_shared<IdentityKeeper>(*std::move(writer), settings);
}

}  // namespace natsession
