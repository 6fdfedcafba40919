#include "identity/identity_tidy.h"

#include <algorithm>

namespace natsession {
namespace {

constexpr std::size_t kOpenFilesAtOnce = 4;  // they are in memory while they are put in order
constexpr std::size_t kMergedFiles = 8;
// A file of fewer assignments is merged with its neighbours: of this many, then eight times so many, …
constexpr std::uint64_t kSmallestTier = 128 * 1024;
constexpr std::uint64_t kLargestTier = kSmallestTier * 8 * 8 * 8;
constexpr int kEntriesBetweenLooks = 256;
constexpr std::chrono::minutes kRetentionLook{10};
constexpr std::chrono::seconds kAfterAnError{30};

}  // namespace

// One or two files that are being written from others.
struct IdentityTidy::Rewriting {
  std::vector<std::unique_ptr<SealedFile>> inputs;  // the streams read them
  std::unique_ptr<AssignmentMerge> merge;
  std::vector<SourceSpan> spans;
  IdentityFileName ended_name, current_name;
  std::unique_ptr<SealedWriter> ended, current;  // of these that there are to be
  std::vector<std::string> replaced;             // removed at the end, but for what has a new file's name
  std::uint32_t lost_before = 0;
  std::uint32_t lost_of_open = 0;
  UnixMs lost_until = UnixMs::min();
  UnixMs cutoff = UnixMs::min();  // what ended before is left out
  Forget* forget = nullptr;       // of its subscriber too
};

IdentityTidy::IdentityTidy(const IdentityDirectory& directory, std::chrono::seconds keep)
    : directory_(directory), keep_(keep) {}
IdentityTidy::~IdentityTidy() = default;

std::chrono::seconds IdentityTidy::lateness() const {
  return std::max<std::chrono::seconds>(std::chrono::hours(1), keep_ / 30);
}

void IdentityTidy::forget(const std::string& subscriber,
                          std::function<void(const Result<ForgetReport>&)> done) {
  Forget& forget = forgets_.emplace_back();
  forget.subscriber = subscriber;
  forget.done = std::move(done);
}

Result<const IdentityTidy::Known*> IdentityTidy::known(const IdentityFileName& name) {
  if (const auto found = known_.find(name); found != known_.end()) return &found->second;
  const auto file = SealedFile::open(directory_, name);
  if (!file) return file.error();
  const SealedBounds& bounds = (*file)->bounds();
  // Of one that has lost its index nobody knows how old it is: it is looked through.
  const bool indexed = (*file)->indexed();
  const UnixMs oldest_end = indexed ? bounds.oldest_end : UnixMs::min();
  return &known_.emplace(name, Known{bounds.assignments, oldest_end, indexed}).first->second;
}

Result<void> IdentityTidy::seal(const IdentityFiles& files, std::uint64_t active) {
  auto task = std::make_unique<Rewriting>();
  if (keep_.count() > 0) task->cutoff = age_now() - keep_;
  std::vector<IdentityDamage> damage;
  std::vector<std::unique_ptr<AssignmentStream>> streams;
  if (files.current) {
    auto current = SealedFile::open(directory_, *files.current);
    if (!current) return current.error();
    task->spans = (*current)->spans(damage);
    task->lost_before = (*current)->bounds().lost + ((*current)->indexed() ? 0 : 1);
    task->lost_until = (*current)->indexed() ? (*current)->bounds().lost_until : now_;
    streams.push_back((*current)->stream());
    task->inputs.push_back(std::move(*current));
    task->replaced.push_back(files.current->text());
    task->current_name = *files.current;
  } else if (files.current_lost) {
    // Once and for all: what was open is not known.
    task->lost_before = 1;
    task->lost_until = now_;
  }
  auto open = std::make_unique<OpenFileStream>();
  std::size_t count = 0;
  for (const IdentityFileName& name : files.open) {
    if (name.first >= active || count == kOpenFilesAtOnce) break;
    if (auto added = open->add(directory_, name, /*growing=*/false, damage); !added) return added.error();
    if (count++ == 0) task->ended_name = {IdentityFileKind::kEnded, name.first, name.first};
    task->ended_name.last = name.first;
    task->current_name = {IdentityFileKind::kCurrent, name.first, name.first};
    task->replaced.push_back(name.text());
  }
  if (count == 0 && !files.current) return {};
  open->put_in_order();
  task->lost_of_open = open->lost();
  task->spans.insert(task->spans.end(), open->spans().begin(), open->spans().end());
  for (SourceSpan& span : task->spans) span.from = std::max(span.from, task->cutoff);
  std::erase_if(task->spans, [](const SourceSpan& span) { return span.until < span.from; });
  task->spans = joined_spans(std::move(task->spans), kMaxSourceSpans);
  streams.push_back(std::move(open));
  task->merge = std::make_unique<AssignmentMerge>(std::move(streams));
  auto current = SealedWriter::make(directory_, task->current_name);
  if (!current) return current.error();
  task->current = std::move(*current);
  for (const SourceSpan& span : task->spans) task->current->add(span);
  if (count > 0) {
    auto ended = SealedWriter::make(directory_, task->ended_name);
    if (!ended) return ended.error();
    task->ended = std::move(*ended);
  }
  task_ = std::move(task);
  return {};
}

Result<void> IdentityTidy::rewrite(const std::vector<IdentityFileName>& inputs) {
  auto task = std::make_unique<Rewriting>();
  // No more than what nothing is claimed of any longer.
  task->cutoff = claimed_from_;
  std::vector<std::unique_ptr<AssignmentStream>> streams;
  for (const IdentityFileName& name : inputs) {
    auto file = SealedFile::open(directory_, name);
    if (!file) return file.error();
    const SealedBounds& bounds = (*file)->bounds();
    task->lost_before += bounds.lost + ((*file)->indexed() ? 0 : 1);
    task->lost_until = std::max(task->lost_until, (*file)->indexed() ? bounds.lost_until : now_);
    streams.push_back((*file)->stream());
    task->inputs.push_back(std::move(*file));
    task->replaced.push_back(name.text());
  }
  task->merge = std::make_unique<AssignmentMerge>(std::move(streams));
  task->ended_name = {IdentityFileKind::kEnded, inputs.front().first, inputs.back().last};
  auto ended = SealedWriter::make(directory_, task->ended_name);
  if (!ended) return ended.error();
  task->ended = std::move(*ended);
  task_ = std::move(task);
  return {};
}

// Where eight neighbours are small, they become one: so a file is written anew three or four times in its
// life, and a year has some dozens of them.
Result<bool> IdentityTidy::begin_merge(const IdentityFiles& files) {
  std::vector<std::uint64_t> sizes;
  for (const IdentityFileName& name : files.ended) {
    const auto one = known(name);
    if (!one) return one.error();
    // Where its index is gone it is left as it is: nobody knows how large it is.
    sizes.push_back((*one)->indexed ? (*one)->assignments : UINT64_MAX);
  }
  for (std::uint64_t tier = kSmallestTier; tier <= kLargestTier; tier *= 8) {
    std::size_t row = 0;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      row = sizes[i] < tier ? row + 1 : 0;
      if (row < kMergedFiles) continue;
      const auto first = files.ended.begin() + static_cast<std::ptrdiff_t>(i + 1 - kMergedFiles);
      if (auto begun = rewrite({first, first + kMergedFiles}); !begun) return begun.error();
      return true;
    }
  }
  return false;
}

Result<bool> IdentityTidy::begin_retention(const IdentityFiles& files) {
  const UnixMs late = age_now() - keep_ - lateness();
  const IdentityFileName* due = nullptr;
  for (const IdentityFileName& name : files.ended) {
    const auto one = known(name);
    if (!one) return one.error();
    if (due == nullptr && (*one)->oldest_end < late) due = &name;
  }
  bool claims = due != nullptr && claimed_from_ < late;
  if (files.current && !claims) {
    auto current = SealedFile::open(directory_, *files.current);
    if (!current) return current.error();
    std::vector<IdentityDamage> ignored;
    const auto spans = (*current)->spans(ignored);
    claims =
        std::any_of(spans.begin(), spans.end(), [&](const SourceSpan& span) { return span.from < late; });
  }
  if (claims && files.current) {
    // What was followed is cut first: of a time of which something is deleted nothing is claimed.
    if (auto begun = seal({files.current, {}, {}, {}, false}, 0); !begun) return begun.error();
    return true;
  }
  if (due == nullptr) return false;
  if (auto begun = rewrite({*due}); !begun) return begun.error();
  return true;
}

Result<bool> IdentityTidy::begin_forget(const IdentityFiles& files, std::uint64_t active) {
  Forget& forget = forgets_.front();
  if (!forget.sealed) {
    if (auto begun = seal(files, active); !begun) return begun.error();
    if (task_) task_->forget = &forget;
    const bool more = std::any_of(files.open.begin(), files.open.end(), [&](const IdentityFileName& name) {
      return name.first < active && (!task_ || name.first > task_->current_name.last);
    });
    forget.sealed = !more;
    if (task_) return true;
  }
  for (const IdentityFileName& name : files.ended) {
    if (forget.through && name.last <= *forget.through) continue;
    forget.through = name.last;
    auto file = SealedFile::open(directory_, name);
    if (!file) return file.error();
    forget.searched = std::move(*file);
    forget.search = forget.searched->stream(forget.subscriber);
    return true;
  }
  const Forget done = std::move(forgets_.front());
  forgets_.pop_front();
  done.done(done.report);
  return true;
}

// Whether the file that is being searched has anything of the subscriber; then it is written anew. So is one
// of which something cannot be read: nobody knows what stands there.
Result<bool> IdentityTidy::search(std::chrono::steady_clock::time_point until) {
  Forget& forget = forgets_.front();
  for (int i = 1; forget.search->get() != nullptr; forget.search->next(), ++i) {
    if (forget.search->get()->subscriber == forget.subscriber) break;
    if (i % kEntriesBetweenLooks == 0 && std::chrono::steady_clock::now() >= until) {
      forget.search->next();
      return true;
    }
  }
  const bool found =
      forget.search->get() != nullptr || forget.search->lost() > 0 || !forget.searched->indexed();
  const IdentityFileName name = forget.searched->name();
  forget.search.reset();
  forget.searched.reset();
  if (!found) return true;
  if (auto begun = rewrite({name}); !begun) return begun.error();
  task_->forget = &forget;
  return true;
}

Result<void> IdentityTidy::finish() {
  const std::unique_ptr<Rewriting> task = std::move(task_);
  look_ = true;
  const std::uint32_t read_lost = task->merge->lost();
  if (read_lost > 0) task->lost_until = std::max(task->lost_until, now_);
  // What an .open or a .current lost may have been of either kind.
  const std::uint32_t lost = task->lost_before + read_lost;
  std::vector<std::string> kept;
  if (task->ended) {
    const bool needed = task->ended->assignments() > 0 || (lost > 0 && !task->current);
    if (needed) {
      if (auto done = task->ended->finish(task->current ? task->lost_of_open : lost, task->lost_until); !done)
        return done;
      kept.push_back(task->ended_name.text());
    }
    task->ended.reset();
  }
  if (task->current) {
    if (!kept.empty()) {
      if (auto synced = directory_.sync(); !synced) return synced;
    }
    if (auto done = task->current->finish(lost, task->lost_until); !done) return done;
    kept.push_back(task->current_name.text());
    claimed_from_ = task->cutoff;
  }
  if (auto synced = directory_.sync(); !synced) return synced;
  for (const std::string& name : task->replaced) {
    if (task->forget != nullptr) ++task->forget->report.files;
    if (const auto parsed = IdentityFileName::parse(name)) known_.erase(*parsed);
    if (std::find(kept.begin(), kept.end(), name) != kept.end()) continue;
    if (auto removed = directory_.remove(name); !removed) return removed;
  }
  known_.erase(task->ended_name);
  return directory_.sync();
}

Result<bool> IdentityTidy::begin(UnixMs now, std::uint64_t active) {
  const bool retention = keep_.count() > 0 && (now - retained_ >= kRetentionLook || now < retained_);
  if (!look_ && !retention && forgets_.empty()) return false;
  const auto files = directory_.list();
  if (!files) return files.error();
  for (const std::string& name : files->leftovers) {
    if (auto removed = directory_.remove(name); !removed) return removed.error();
  }
  if (!forgets_.empty()) return begin_forget(*files, active);
  if (look_) {
    if (!files->open.empty() && files->open.front().first < active) {
      if (auto begun = seal(*files, active); !begun) return begun.error();
      return task_ != nullptr;
    }
    const auto merging = begin_merge(*files);
    if (!merging) return merging.error();
    if (*merging) return true;
    look_ = false;
  }
  if (retention) {
    const auto begun = begin_retention(*files);
    if (!begun) return begun.error();
    if (*begun) return true;
    retained_ = now;
  }
  return false;
}

Result<bool> IdentityTidy::work(UnixMs now, std::uint64_t active,
                                std::chrono::steady_clock::time_point until) {
  if (now < retry_ && retry_ - now <= kAfterAnError) return false;
  now_ = now;
  const auto failed = [&](const Error& error) {
    task_.reset();
    look_ = true;
    retry_ = now + kAfterAnError;
    if (!forgets_.empty()) {
      const Forget forget = std::move(forgets_.front());
      forgets_.pop_front();
      forget.done(error);
    }
    return error;
  };
  do {
    if (!task_) {
      if (!forgets_.empty() && forgets_.front().search) {
        if (const auto searched = search(until); !searched) return failed(searched.error());
        continue;
      }
      const auto begun = begin(now, active);
      if (!begun) return failed(begun.error());
      if (!*begun) return false;
      continue;
    }
    const AssignmentView* one = nullptr;
    for (int i = 0; i < kEntriesBetweenLooks && (one = task_->merge->next()) != nullptr; ++i) {
      const bool ended = one->until.has_value();
      if (ended && task_->cutoff > std::max(*one->until, one->until_latest.value_or(*one->until))) continue;
      if (task_->forget != nullptr && one->subscriber == task_->forget->subscriber) {
        ++task_->forget->report.assignments;
        if (!ended) ++task_->forget->report.open;
        continue;
      }
      // A file of ended ones that says otherwise is not made better by leaving it out.
      SealedWriter* const to =
          (ended || !task_->current) && task_->ended ? task_->ended.get() : task_->current.get();
      if (const auto added = to->add(*one); !added) return failed(added.error());
    }
    if (one == nullptr) {
      if (const auto finished = finish(); !finished) return failed(finished.error());
    }
  } while (std::chrono::steady_clock::now() < until);
  return true;
}

}  // namespace natsession
