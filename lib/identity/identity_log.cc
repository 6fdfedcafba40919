// The log of assignments, as its writer has it (identity_writer.h): the .open file that is appended to. What
// is behind it identity_tidy.h puts in order.
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <map>
#include <random>
#include <span>
#include <thread>
#include <unordered_map>

#include <fcntl.h>
#include <unistd.h>

#include "base/seeded_hash.h"
#include "identity/identity_forget.h"
#include "identity/identity_merge.h"
#include "identity/identity_tidy.h"
#include "identity/identity_writer.h"
#include "ledger/crc32c.h"
#include "ledger/ledger_directory.h"

namespace natsession {
namespace {

constexpr std::size_t kPutsOfFile = 65'536;
constexpr std::uint64_t kBytesOfFile = std::uint64_t{16} << 20;
constexpr std::size_t kPutsOfBlock = 2'048;
constexpr std::size_t kSizeOfBlock = std::size_t{1} << 20;
constexpr std::size_t kMaxPending = 262'144;  // of a disk that takes nothing: 20 minutes of 200 a second
constexpr int kAppendLevel = 1;
constexpr std::chrono::milliseconds kTidyBudget{50};
constexpr std::chrono::hours kLongestFile{24};
constexpr std::size_t kMaxRequests = 64;

// Cut where a character of UTF-8 begins.
void cut_text(std::string& text) {
  if (text.size() <= kMaxIdentityText) return;
  std::size_t length = kMaxIdentityText;
  while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80) --length;
  text.resize(length);
}

class IdentityLog final : public IdentityWriter {
 public:
  IdentityLog(IdentityDirectory directory, LedgerLock lock, const IdentitySettings& settings)
      : directory_(std::move(directory)),
        lock_(std::move(lock)),
        settings_(settings),
        tidy_(directory_, settings.keep) {}

  Result<void> recover();

  void each_open_of(std::string_view source,
                    const std::function<void(const AssignmentView&)>& visit) override;
  [[nodiscard]] std::optional<UnixMs> followed_until(std::string_view source) override {
    const auto found = followed_.find(std::string(source));
    return found == followed_.end() ? std::nullopt : std::optional(found->second);
  }
  void put(const AddressAssignment& assignment) override;
  void follow(const SourceSpan& span) override;
  Result<void> commit(bool sync) override;
  Result<void> tidy(UnixMs now) override;
  void set_age_now(UnixMs now) override { tidy_.set_age_now(now); }
  [[nodiscard]] std::vector<std::string> take_forgotten() override { return std::exchange(to_let_go_, {}); }
  [[nodiscard]] bool take_lost() override { return std::exchange(lost_, false); }

  // Deletes all of it, at once.
  Result<ForgetReport> forget(const std::string& subscriber, UnixMs now);

 private:
  Result<void> begin_file(std::uint64_t number);
  Result<void> end_file();
  Result<void> begin_forget(const std::string& subscriber, UnixMs now,
                            std::function<void(const Result<ForgetReport>&)> done);
  Result<void> take_requests(UnixMs now);
  void read_forgotten();
  [[nodiscard]] std::uint64_t name_hash(std::string_view subscriber) const;
  [[nodiscard]] std::string active_path() const { return directory_.path_of(active_.text()); }

  IdentityDirectory directory_;
  LedgerLock lock_;
  IdentitySettings settings_;
  IdentityTidy tidy_;

  IdentityFileName active_;
  UniqueFd fd_;
  std::uint64_t size_ = 0;
  std::size_t puts_ = 0;  // in it
  bool unsynced_ = false;
  std::optional<UnixMs> begun_;

  std::vector<AddressAssignment> pending_;
  std::vector<SourceSpan> pending_spans_;
  std::string pending_bytes_;  // in blocks already, of a commit that failed
  std::map<std::string, UnixMs> followed_;
  std::map<std::string, bool> broken_;  // sources of which put() lost something since their last follow()
  bool lost_ = false;

  // Of those who were forgotten, by name_hash(), and when: what a source tells again of the time before is
  // not kept.
  std::map<std::uint64_t, UnixMs> forgotten_;
  std::uint64_t salt_ = 0;
  std::vector<std::string> to_let_go_;
};

// The file `forgotten`: a line with the time, one with a salt, and for each who was forgotten a hash and
// when.
void IdentityLog::read_forgotten() {
  constexpr std::size_t kMostBytes = std::size_t{64} << 20;
  const auto text = directory_.read(std::string(kForgottenFile), kMostBytes);
  std::string_view left = text ? std::string_view(*text) : std::string_view();
  const auto line = [&] {
    const std::string_view one = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(one.size() + 1, left.size()));
    return one;
  };
  const auto number = [](std::string_view& from, auto& to, int base) {
    const auto [end, error] = std::from_chars(from.data(), from.data() + from.size(), to, base);
    from.remove_prefix(static_cast<std::size_t>(end - from.data()));
    return error == std::errc();
  };
  line();
  std::string_view salt = line();
  if (!number(salt, salt_, 16)) {
    std::random_device random;
    salt_ = std::uint64_t{random()} << 32U | random();
    return;
  }
  while (!left.empty()) {
    std::string_view one = line();
    std::uint64_t hash = 0;
    std::int64_t ms = 0;
    if (!number(one, hash, 16) || one.empty()) continue;
    one.remove_prefix(1);
    if (number(one, ms, 10)) forgotten_[hash] = UnixMs(std::chrono::milliseconds(ms));
  }
}

std::uint64_t IdentityLog::name_hash(std::string_view subscriber) const {
  std::array<std::byte, sizeof salt_> salt{};
  std::memcpy(salt.data(), &salt_, sizeof salt_);
  const auto name = std::as_bytes(std::span(subscriber.data(), subscriber.size()));
  return std::uint64_t{crc32c(name, crc32c(salt))} << 32U | crc32c(salt, crc32c(name));
}

Result<void> IdentityLog::begin_file(std::uint64_t number) {
  const IdentityFileName name{IdentityFileKind::kOpen, number, number};
  auto fd = directory_.make_file(name.text());
  if (!fd) return fd.error();
  const std::string header = identity_header(name);
  if (auto written = write_identity(fd->get(), header, 0, directory_.path_of(name.text())); !written) {
    static_cast<void>(directory_.remove(name.text()));
    return written;
  }
  if (auto synced = directory_.sync(); !synced) return synced;
  active_ = name;
  fd_ = std::move(*fd);
  size_ = header.size();
  puts_ = 0;
  unsynced_ = true;
  begun_.reset();
  return {};
}

Result<void> IdentityLog::end_file() {
  if (::fdatasync(fd_.get()) != 0) return system_error("identity: fdatasync " + active_path(), errno);
  if (auto begun = begin_file(active_.first + 1); !begun) return begun;
  tidy_.closed();
  return {};
}

Result<void> IdentityLog::recover() {
  read_forgotten();
  const auto files = directory_.list();
  if (!files) return files.error();
  std::uint64_t next = 0;
  std::vector<IdentityDamage> ignored;
  const auto take_spans = [&](const std::vector<SourceSpan>& spans) {
    for (const SourceSpan& span : spans) {
      const auto [at, fresh] = followed_.emplace(span.source, span.until);
      if (!fresh) at->second = std::max(at->second, span.until);
    }
  };
  const auto refused = [&](Error error) {
    return error.kind == ErrorKind::kUnavailable ? refused_as_newer(std::move(error), directory_.path())
                                                 : error;
  };
  for (const IdentityFileName& name : files->ended) {
    const auto file =
        SealedFile::open(directory_, name);  // one that is newer is refused before it is changed
    if (!file) return refused(file.error());
    next = std::max(next, name.last + 1);
  }
  if (files->current) {
    const auto file = SealedFile::open(directory_, *files->current);
    if (!file) return refused(file.error());
    take_spans((*file)->spans(ignored));
    next = std::max(next, files->current->last + 1);
  }
  for (const IdentityFileName& name : files->open) {
    const bool last = name == files->open.back();
    OpenFileStream stream;
    if (const auto added = stream.add(directory_, name, last, ignored); !added) return refused(added.error());
    take_spans(stream.spans());
    next = std::max(next, name.first + 1);
    if (!last || stream.whole_until() < kIdentityHeaderBytes) continue;  // not even its header
    // The last one is gone on with, behind what is whole.
    auto fd = directory_.open_file(name.text(), O_RDWR);
    if (!fd) return fd.error();
    if (stream.whole_until() < stream.bytes() &&
        ::ftruncate(fd->get(), static_cast<off_t>(stream.whole_until())) != 0) {
      return system_error("identity: cut " + directory_.path_of(name.text()), errno);
    }
    if (stream.put() >= kPutsOfFile || stream.whole_until() >= kBytesOfFile) continue;
    active_ = name;
    fd_ = std::move(*fd);
    size_ = stream.whole_until();
    puts_ = stream.put();
    unsynced_ = true;
  }
  // What somebody left who asked for something to be forgotten, and went away.
  const auto names = directory_.names();
  if (!names) return names.error();
  for (const std::string& name : *names) {
    const bool of_request = name.ends_with(".tmp") && name.find(kForgetRequest) != std::string::npos;
    if (!of_request && !name.ends_with(kForgetAnswer)) continue;
    if (auto removed = directory_.remove(name); !removed) return removed;
  }
  if (!fd_) return begin_file(next);
  return {};
}

void IdentityLog::each_open_of(std::string_view source,
                               const std::function<void(const AssignmentView&)>& visit) {
  const auto files = directory_.list();
  if (!files) return;
  std::vector<IdentityDamage> ignored;
  std::vector<std::unique_ptr<AssignmentStream>> streams;
  std::unique_ptr<SealedFile> current;
  if (files->current) {
    auto file = SealedFile::open(directory_, *files->current);
    if (!file) return;
    current = std::move(*file);
    streams.push_back(current->stream());
  }
  auto told = std::make_unique<OpenFileStream>();
  for (const IdentityFileName& name : files->open) {
    if (!told->add(directory_, name, name.first == active_.first, ignored)) return;
  }
  told->put_in_order();
  streams.push_back(std::move(told));
  AssignmentMerge merge(std::move(streams));
  while (const AssignmentView* const one = merge.next()) {
    if (!one->until && one->source == source) visit(*one);
  }
}

void IdentityLog::put(const AddressAssignment& assignment) {
  if (pending_.size() >= kMaxPending) {
    lost_ = true;
    broken_[assignment.source] = true;
    return;
  }
  AddressAssignment& one = pending_.emplace_back(assignment);
  for (std::string* const text : {&one.netns, &one.subscriber, &one.mac, &one.host, &one.id}) cut_text(*text);
  if (one.source.size() > kMaxBlockText) one.source.resize(kMaxBlockText);
  const auto forgotten = forgotten_.empty() ? forgotten_.end() : forgotten_.find(name_hash(one.subscriber));
  if (forgotten == forgotten_.end() || one.from > forgotten->second) return;
  if (one.until && std::max(*one.until, one.until_latest.value_or(*one.until)) <= forgotten->second) {
    pending_.pop_back();
    return;
  }
  one.from = one.from_earliest = forgotten->second;
  if (one.until) one.until = std::max(*one.until, one.from);
}

void IdentityLog::follow(const SourceSpan& span) {
  if (span.until < span.from || within_block(span.from) != span.from ||
      within_block(span.until) != span.until)
    return;
  // In that time something was told that is not in the log.
  if (broken_.erase(span.source) > 0) {
    followed_[span.source] = span.until;
    return;
  }
  const auto [known, fresh] = followed_.emplace(span.source, span.until);
  SourceSpan grown = span;
  // Only what is new is written: the older part may have been cut by retention.
  if (!fresh && span.from <= known->second && span.until >= known->second) grown.from = known->second;
  if (!fresh) known->second = span.until;
  for (SourceSpan& waiting : pending_spans_) {
    if (waiting.source != grown.source || grown.from < waiting.from || grown.from > waiting.until) continue;
    waiting.until = std::max(waiting.until, grown.until);
    return;
  }
  pending_spans_.push_back(std::move(grown));
}

Result<void> IdentityLog::commit(bool sync) {
  // What follows claims that all before is there: so it stands in the last block.
  BlockEncoder encoder;
  std::size_t puts = pending_.size();
  for (const AddressAssignment& one : pending_) {
    encoder.add(view_of(one));
    if (encoder.assignments() >= kPutsOfBlock || encoder.size() >= kSizeOfBlock)
      encoder.finish(/*hashed=*/true, kAppendLevel, pending_bytes_);
  }
  for (const SourceSpan& span : pending_spans_) encoder.add(span);
  if (!encoder.empty()) encoder.finish(/*hashed=*/true, kAppendLevel, pending_bytes_);
  if (!pending_bytes_.empty()) {
    const auto written = write_identity(fd_.get(), pending_bytes_, size_, active_path());
    if (!written) {
      // A reader takes what is behind the last whole block for torn; a part of it must not count.
      static_cast<void>(::ftruncate(fd_.get(), static_cast<off_t>(size_)));
      pending_bytes_.clear();
      return written;
    }
    size_ += pending_bytes_.size();
    puts_ += puts;
    unsynced_ = true;
    pending_bytes_.clear();
    pending_.clear();
    pending_spans_.clear();
  }
  if (sync && unsynced_) {
    if (::fdatasync(fd_.get()) != 0) return system_error("identity: fdatasync " + active_path(), errno);
    unsynced_ = false;
  }
  if (puts_ >= kPutsOfFile || size_ >= kBytesOfFile) return end_file();
  return {};
}

Result<void> IdentityLog::begin_forget(const std::string& subscriber, UnixMs now,
                                       std::function<void(const Result<ForgetReport>&)> done) {
  // From now on nobody claims that there was nobody: first of all, whatever happens then.
  forgotten_[name_hash(subscriber)] = now;
  std::string text =
      std::to_string(std::max(now, forgotten_until(directory_)).time_since_epoch().count()) + "\n";
  const auto hex = [](std::uint64_t number) {
    std::array<char, 17> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(number));
    return std::string(digits.data());
  };
  text += hex(salt_) + "\n";
  for (const auto& [hash, when] : forgotten_)
    text += hex(hash) + " " + std::to_string(when.time_since_epoch().count()) + "\n";
  if (auto replaced = directory_.replace(std::string(kForgottenFile), text); !replaced) return replaced;
  to_let_go_.push_back(subscriber);
  std::vector<AddressAssignment> waiting = std::move(pending_);
  pending_.clear();
  for (const AddressAssignment& one : waiting) put(one);
  if (size_ > kIdentityHeaderBytes) {
    if (auto ended = end_file(); !ended) return ended;
  }
  tidy_.forget(subscriber, std::move(done));
  return {};
}

Result<void> IdentityLog::take_requests(UnixMs now) {
  const auto names = directory_.names();
  if (!names) return names.error();
  std::size_t taken = 0;
  for (const std::string& name : *names) {
    if (!name.ends_with(kForgetRequest) || ++taken > kMaxRequests) continue;
    const auto subscriber = directory_.read(name, kMaxBlockText);
    // It is done once, also where it cannot be read.
    if (auto removed = directory_.remove(name); !removed) return removed;
    if (!subscriber || subscriber->empty()) continue;
    const std::string answer =
        name.substr(0, name.size() - kForgetRequest.size()) + std::string(kForgetAnswer);
    const auto tell = [this, answer](const Result<ForgetReport>& result) {
      const std::string text = result ? "deleted " + std::to_string(result->assignments) + " " +
                                            std::to_string(result->open) + " " +
                                            std::to_string(result->files) + "\n"
                                      : "failed " + result.error().message + "\n";
      static_cast<void>(directory_.replace(answer, text));
    };
    if (const auto begun = begin_forget(*subscriber, now, tell); !begun) tell(begun.error());
  }
  return {};
}

Result<void> IdentityLog::tidy(UnixMs now) {
  if (auto taken = take_requests(now); !taken) return taken;
  if (!begun_ || *begun_ > now) begun_ = now;
  const std::chrono::seconds longest = settings_.keep.count() > 0
                                           ? std::min<std::chrono::seconds>(kLongestFile, tidy_.lateness())
                                           : std::chrono::seconds(kLongestFile);
  if (size_ > kIdentityHeaderBytes && now - *begun_ >= longest) {
    if (auto ended = end_file(); !ended) return ended;
  }
  const auto worked = tidy_.work(now, active_.first, std::chrono::steady_clock::now() + kTidyBudget);
  return worked ? Result<void>() : worked.error();
}

Result<ForgetReport> IdentityLog::forget(const std::string& subscriber, UnixMs now) {
  std::optional<Result<ForgetReport>> answer;
  const auto begun =
      begin_forget(subscriber, now, [&](const Result<ForgetReport>& result) { answer.emplace(result); });
  if (!begun) return begun.error();
  while (!answer) {
    const auto worked =
        tidy_.work(now, active_.first, std::chrono::steady_clock::now() + std::chrono::seconds(1));
    if (!worked && !answer) return worked.error();
    if (worked && !*worked && !answer)
      return Error{ErrorKind::kIo, "identity: what was to be deleted was not"};
  }
  return *answer;
}

Result<std::unique_ptr<IdentityLog>> open_log(const std::string& ledger, const IdentitySettings& settings) {
  auto directory = IdentityDirectory::make(ledger);
  if (!directory) return directory.error();
  const auto names = directory->names();
  if (!names) return names.error();
  // Made by us, so that it is whose the directory is, also where root makes it.
  if (std::find(names->begin(), names->end(), "LOCK") == names->end()) {
    if (const auto made = directory->make_file("LOCK"); !made) return made.error();
  }
  auto lock = LedgerLock::take(directory->path());
  if (!lock) return lock.error();
  if (auto marked = lock->mark_open(); !marked) return marked.error();
  auto log = std::make_unique<IdentityLog>(std::move(*directory), std::move(*lock), settings);
  if (auto recovered = log->recover(); !recovered) return recovered.error();
  return log;
}

constexpr std::chrono::milliseconds kForgetLook{100};

std::optional<Result<Forgotten>> answer_of_daemon(const IdentityDirectory& directory,
                                                  const std::string& name) {
  const auto text = directory.read(name, kMaxBlockText);
  if (!text) return std::nullopt;
  static_cast<void>(directory.remove(name));
  std::string_view left = *text;
  if (left.ends_with('\n')) left.remove_suffix(1);
  if (!left.starts_with("deleted ")) {
    constexpr std::string_view kFailed = "failed ";
    if (left.starts_with(kFailed)) left.remove_prefix(kFailed.size());
    return Result<Forgotten>(Error{ErrorKind::kIo, "the daemon could not: " + std::string(left)});
  }
  left.remove_prefix(left.find(' '));
  Forgotten forgotten;
  forgotten.by_daemon = true;
  for (std::uint64_t* const number :
       {&forgotten.report.assignments, &forgotten.report.open, &forgotten.report.files}) {
    if (left.empty()) break;
    left.remove_prefix(1);
    const auto [end, error] = std::from_chars(left.data(), left.data() + left.size(), *number);
    if (error != std::errc()) break;
    left.remove_prefix(static_cast<std::size_t>(end - left.data()));
  }
  return Result<Forgotten>(forgotten);
}

}  // namespace

Result<std::unique_ptr<IdentityWriter>> IdentityWriter::open(const std::string& ledger,
                                                             const IdentitySettings& settings) {
  auto log = open_log(ledger, settings);
  if (!log) return log.error();
  return std::unique_ptr<IdentityWriter>(std::move(*log));
}

UnixMs forgotten_until(const IdentityDirectory& directory) {
  const auto text = directory.read(std::string(kForgottenFile), 64);
  if (!text) return text.error().kind == ErrorKind::kUnavailable ? UnixMs::min() : UnixMs::max();
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), ms);
  // What cannot be read may have said any time.
  return error == std::errc() && end != text->data() ? UnixMs(std::chrono::milliseconds(ms)) : UnixMs::max();
}

Result<Forgotten> forget_subscriber(const std::string& ledger, const std::string& subscriber, UnixMs now,
                                    const std::function<bool()>& wait) {
  auto directory = IdentityDirectory::open(ledger);
  if (!directory) return directory.error();
  if (subscriber.empty() || subscriber.size() >= kMaxBlockText)
    return usage_error("a subscriber's name has 1 to " + std::to_string(kMaxIdentityText) + " bytes");
  const std::uint64_t drawn = SeededHash::random()(std::array<std::uint64_t, 1>{1});
  const std::string name = std::to_string(drawn);
  const std::string request = name + std::string(kForgetRequest), answer = name + std::string(kForgetAnswer);
  bool asked = false;
  for (;;) {
    const auto holder = LedgerLock::holder(directory->path());
    if (!holder) return holder.error();
    if (!*holder) {
      if (asked) static_cast<void>(directory->remove(request));
      auto log = open_log(ledger, {});
      if (log) {
        const auto report = (*log)->forget(subscriber, now);
        if (!report) return report.error();
        return Forgotten{*report, false};
      }
      // Somebody was faster: it is asked.
      if (log.error().kind != ErrorKind::kUnavailable || asked) return log.error();
    }
    if (!asked) {
      if (auto replaced = directory->replace(request, subscriber); !replaced) return replaced.error();
      asked = true;
    }
    if (const auto told = answer_of_daemon(*directory, answer)) return *told;
    if (!wait()) {
      return Error{ErrorKind::kUnavailable,
                   "the daemon has not answered yet; it deletes what it was told to as soon as it can"};
    }
    std::this_thread::sleep_for(kForgetLook);
  }
}

}  // namespace natsession
