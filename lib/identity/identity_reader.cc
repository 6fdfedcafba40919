#include "identity/identity_reader.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "identity/identity_forget.h"
#include "identity/identity_merge.h"

namespace natsession {
namespace {

constexpr int kListings = 20;  // of a directory in which somebody is at work

// What may be within [from, until].
bool may_be_within(const AssignmentView& one, UnixMs from, UnixMs until) {
  const UnixMs latest =
      one.until ? std::max(*one.until, one.until_latest.value_or(*one.until)) : UnixMs::max();
  return std::min(one.from_earliest, one.from) <= until && latest >= from;
}

bool has_prefix(const Prefix& outer, const Prefix& inner) {
  return outer.length() <= inner.length() && outer.contains(inner.lowest());
}

}  // namespace

bool IdentityFilter::passes(const AssignmentView& one) const {
  if (!subscriber.empty() && one.subscriber != subscriber) return false;
  if (!mac.empty() && one.mac != mac) return false;
  if (!host.empty() && one.host != host) return false;
  if (!source.empty() && one.source != source) return false;
  if (!netns.empty() && one.netns != netns) return false;
  if (kind && one.kind != *kind) return false;
  if (open && one.until) return false;
  if (within && !has_prefix(*within, one.prefix) && !has_prefix(one.prefix, *within)) return false;
  return may_be_within(one, from.value_or(UnixMs::min()), until.value_or(UnixMs::max()));
}

// A NUMBER.open, whose blocks are unpacked when something in them is asked for.
class IdentityReader::OpenFile {
 public:
  Result<void> read(const IdentityDirectory& directory, const IdentityFileName& name, bool growing,
                    std::vector<SourceSpan>& spans, std::vector<IdentityDamage>& damage);
  void find(const IpAddress& address, const std::function<void(const AssignmentView&)>& take,
            std::vector<IdentityDamage>& damage);
  // In the order in which they were told.
  void all(const std::function<void(const AssignmentView&)>& take, std::vector<IdentityDamage>& damage);

 private:
  struct Part {
    BlockHeader header;
    std::vector<std::byte> body;
    std::unique_ptr<AssignmentBlock> block;
  };
  const AssignmentBlock& block(Part& part, std::vector<IdentityDamage>& damage) {
    if (!part.block) {
      part.block = std::make_unique<AssignmentBlock>();
      if (const auto decoded = part.block->decode(part.header, part.body); !decoded)
        add_damage(damage,
                   {path_ + ": " + decoded.error().message, part.header.earliest, part.header.latest});
    }
    return *part.block;
  }
  std::string path_;
  void index();

  static constexpr unsigned kQuestionsWithoutIndex = 8;
  std::vector<Part> parts_;
  unsigned asked_ = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> places_;  // hashes, and in which parts they are
};

Result<void> IdentityReader::OpenFile::read(const IdentityDirectory& directory, const IdentityFileName& name,
                                            bool growing, std::vector<SourceSpan>& spans,
                                            std::vector<IdentityDamage>& damage) {
  path_ = directory.path_of(name.text());
  OpenFileStream stream;
  // It knows what is damaged and how that is told; what it read is kept packed.
  return stream.add(directory, name, growing, damage,
                    [&](const BlockHeader& header, std::span<const std::byte> body) {
                      Part& part = parts_.emplace_back();
                      part.header = header;
                      part.body.assign(body.begin(), body.end());
                      if (header.spans == 0) return;
                      const AssignmentBlock& told = block(part, damage);
                      spans.insert(spans.end(), told.spans().begin(), told.spans().end());
                      part.block.reset();
                    });
}

void IdentityReader::OpenFile::index() {
  for (std::uint32_t place = 0; place < parts_.size(); ++place) {
    const Part& part = parts_[place];
    for (std::size_t i = 0; i < part.header.hashes; ++i)
      places_.emplace_back(block_hash_at(part.body, i), place);
  }
  std::sort(places_.begin(), places_.end());
  places_.erase(std::unique(places_.begin(), places_.end()), places_.end());
}

void IdentityReader::OpenFile::find(const IpAddress& address,
                                    const std::function<void(const AssignmentView&)>& take,
                                    std::vector<IdentityDamage>& damage) {
  std::vector<std::uint32_t> wanted;
  for (unsigned length = 0; length <= (address.is_v4() ? 32U : 128U); ++length)
    wanted.push_back(prefix_hash(Prefix::of(address, length)));
  std::vector<std::uint32_t> found;  // parts
  for (std::uint32_t place = 0; place < parts_.size(); ++place) {
    if (parts_[place].header.hashes != parts_[place].header.assignments) found.push_back(place);
  }
  // One question does not pay for an index.
  if (++asked_ == kQuestionsWithoutIndex) index();
  if (asked_ >= kQuestionsWithoutIndex) {
    for (const std::uint32_t hash : wanted) {
      for (auto at = std::lower_bound(places_.begin(), places_.end(), std::pair(hash, std::uint32_t{0}));
           at != places_.end() && at->first == hash; ++at)
        found.push_back(at->second);
    }
  } else {
    std::sort(wanted.begin(), wanted.end());
    std::array<std::uint64_t, 64> some{};  // of the lowest 12 bits
    for (const std::uint32_t hash : wanted) some[hash >> 6U & 63U] |= std::uint64_t{1} << (hash & 63U);
    for (std::uint32_t place = 0; place < parts_.size(); ++place) {
      const Part& part = parts_[place];
      for (std::size_t i = 0; i < part.header.hashes; ++i) {
        const std::uint32_t hash = block_hash_at(part.body, i);
        if ((some[hash >> 6U & 63U] >> (hash & 63U) & 1U) == 0) continue;
        if (!std::binary_search(wanted.begin(), wanted.end(), hash)) continue;
        found.push_back(place);
        break;
      }
    }
  }
  // In the order in which they were told.
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  for (const std::uint32_t place : found) {
    for (const AssignmentView& one : block(parts_[place], damage).assignments()) {
      if (one.prefix.contains(address)) take(one);
    }
  }
}

void IdentityReader::OpenFile::all(const std::function<void(const AssignmentView&)>& take,
                                   std::vector<IdentityDamage>& damage) {
  for (Part& part : parts_) {
    for (const AssignmentView& one : block(part, damage).assignments()) take(one);
  }
}

IdentityReader::IdentityReader(IdentityDirectory directory) : directory_(std::move(directory)) {}
IdentityReader::~IdentityReader() = default;

bool IdentityReader::is_absent(const std::string& ledger) {
  struct stat status {};
  return ::lstat((ledger + "/" + std::string(kIdentityFolder)).c_str(), &status) != 0 &&
         (errno == ENOENT || errno == ENOTDIR);
}

Result<void> IdentityReader::read_files(const IdentityFiles& files) {
  ended_.clear();
  current_.reset();
  open_.clear();
  spans_.clear();
  damage_.clear();
  for (const IdentityFileName& name : files.ended) {
    auto file = SealedFile::open(directory_, name);
    if (!file) return file.error();
    (*file)->tell_damage(damage_);
    ended_.push_back(std::move(*file));
  }
  if (files.current) {
    auto file = SealedFile::open(directory_, *files.current);
    if (!file) return file.error();
    (*file)->tell_damage(damage_);
    spans_ = (*file)->spans(damage_);
    current_ = std::move(*file);
  }
  if (files.current_lost)
    add_damage(damage_,
               {directory_.path() + ": the file of what is open is missing: something may be missing"});
  for (const IdentityFileName& name : files.open) {
    auto file = std::make_unique<OpenFile>();
    if (auto read = file->read(directory_, name, name == files.open.back(), spans_, damage_); !read)
      return read;
    open_.push_back(std::move(file));
  }
  spans_ = joined_spans(std::move(spans_), SIZE_MAX);
  return {};
}

Result<std::unique_ptr<IdentityReader>> IdentityReader::open(const std::string& ledger) {
  auto directory = IdentityDirectory::open(ledger);
  if (!directory) return directory.error();
  std::unique_ptr<IdentityReader> reader(new IdentityReader(std::move(*directory)));
  // A directory that is read while files in it are replaced may show neither the old nor the new: so it is
  // read until it says the same twice, and anew where one of its files is gone by then.
  std::optional<IdentityFiles> before;
  Error gone{ErrorKind::kIo, "identity: the files of " + reader->directory_.path() + " change all the time"};
  for (int i = 0; i < kListings; ++i) {
    auto files = reader->directory_.list();
    if (!files) return files.error();
    const bool same = before && before->current == files->current && before->ended == files->ended &&
                      before->open == files->open;
    before = std::move(*files);
    if (!same) continue;
    auto read = reader->read_files(*before);
    if (read) {
      // Behind the files: of what was deleted from them it tells then.
      reader->forgotten_until_ = natsession::forgotten_until(reader->directory_);
      return reader;
    }
    if (read.error().kind != ErrorKind::kUnavailable) return read.error();
    gone = read.error();
    before.reset();
  }
  return gone;
}

std::optional<UnixMs> IdentityReader::followed_until() const {
  std::map<std::string_view, UnixMs> last;
  std::optional<UnixMs> newest;
  for (const SourceSpan& span : spans_) {
    UnixMs& of_source = last.try_emplace(span.source, span.until).first->second;
    of_source = std::max(of_source, span.until);
    newest = std::max(newest.value_or(span.until), span.until);
  }
  // Each tells at moments of its own; one that was not heard of for longer is not followed any more.
  constexpr std::chrono::seconds kAtOnce{30};
  std::optional<UnixMs> until = newest;
  for (const auto& [source, told] : last) {
    if (*newest - told <= kAtOnce) until = std::min(*until, told);
  }
  return until;
}

std::vector<AddressAssignment> IdentityReader::assignments_at(const IpAddress& address, UnixMs from,
                                                              UnixMs until) {
  struct Told {
    AddressAssignment assignment;
    std::size_t order = 0;
  };
  std::vector<Told> told;
  std::size_t order = 0;
  const auto take = [&](const AssignmentView& one) { told.push_back({one.copy(), order}); };
  for (std::size_t i = 0; i < ended_.size(); ++i) {
    order = i;
    const SealedBounds& bounds = ended_[i]->bounds();
    if (ended_[i]->indexed() && bounds.earliest > until) continue;
    // All in it ended before; but it may correct what an earlier file said.
    if (ended_[i]->indexed() && bounds.latest < from && told.empty()) continue;
    ended_[i]->find(address, take, damage_);
  }
  order = ended_.size();
  if (current_) current_->find(address, take, damage_);
  ++order;
  for (const auto& file : open_) file->find(address, take, damage_);
  std::stable_sort(told.begin(), told.end(), [](const Told& a, const Told& b) {
    const auto order = compare_names(view_of(a.assignment), view_of(b.assignment));
    return order != 0 ? order < 0 : a.order < b.order;
  });
  std::vector<AddressAssignment> found;
  for (std::size_t i = 0; i < told.size(); ++i) {
    const AssignmentView one = view_of(told[i].assignment);
    if (i + 1 < told.size() && compare_names(one, view_of(told[i + 1].assignment)) == 0) continue;
    if (may_be_within(one, from, until)) found.push_back(std::move(told[i].assignment));
  }
  return found;
}

IdentityAnswer IdentityReader::who(const IdentityQuestion& asked) {
  IdentityQuestion question = asked;
  question.from = within_block(question.from);
  question.until = std::max(within_block(question.until), question.from);
  question.slack = std::clamp<std::chrono::milliseconds>(question.slack, std::chrono::milliseconds(0),
                                                         std::chrono::hours(24 * 366 * 100));
  const auto assignments =
      assignments_at(question.address, question.from - question.slack, question.until + question.slack);
  return judge_holders(question, assignments, spans_, damage_, forgotten_until_);
}

namespace {

// Views of what somebody else keeps, put in order.
class ViewStream final : public AssignmentStream {
 public:
  explicit ViewStream(std::vector<AssignmentView> told) : told_(std::move(told)) {
    std::stable_sort(told_.begin(), told_.end(), [](const AssignmentView& a, const AssignmentView& b) {
      return compare_names(a, b) < 0;
    });
    std::size_t kept = 0;
    for (std::size_t i = 0; i < told_.size(); ++i) {
      if (i + 1 < told_.size() && compare_names(told_[i], told_[i + 1]) == 0) continue;
      told_[kept++] = told_[i];
    }
    told_.resize(kept);
  }
  [[nodiscard]] const AssignmentView* get() const override {
    return at_ < told_.size() ? &told_[at_] : nullptr;
  }
  void next() override { ++at_; }

 private:
  std::vector<AssignmentView> told_;
  std::size_t at_ = 0;
};

}  // namespace

class IdentityReader::Listing final : public IdentityListing {
 public:
  Listing(IdentityReader& reader, IdentityFilter filter)
      : reader_(reader), filter_(std::move(filter)), merge_(streams()) {}
  ~Listing() override { tell_lost(); }
  Listing(const Listing&) = delete;
  Listing& operator=(const Listing&) = delete;

  const AssignmentView* next() override {
    while (const AssignmentView* const one = merge_.next()) {
      if (filter_.passes(*one) && (having().empty() || !corrected(*one))) return one;
    }
    tell_lost();
    return nullptr;
  }

 private:
  // A file's blocks without this text are passed over.
  [[nodiscard]] const std::string& having() const {
    return !filter_.subscriber.empty() ? filter_.subscriber
           : !filter_.mac.empty()      ? filter_.mac
                                       : filter_.host;
  }
  std::vector<std::unique_ptr<AssignmentStream>> streams() {
    std::vector<std::unique_ptr<AssignmentStream>> streams;
    for (const auto& file : reader_.ended_) streams.push_back(file->stream(having()));
    if (reader_.current_) streams.push_back(reader_.current_->stream(having()));
    std::vector<AssignmentView> told;
    for (const auto& file : reader_.open_)
      file->all([&](const AssignmentView& one) { told.push_back(one); }, reader_.damage_);
    streams.push_back(std::make_unique<ViewStream>(std::move(told)));
    return streams;
  }
  // What a later file says of the same assignment may be in a block that was passed over.
  bool corrected(const AssignmentView& one) {
    if (!one.until) return false;
    const AddressAssignment mine = one.copy();
    AddressAssignment last = mine;
    const auto same = [&](const AssignmentView& other) {
      if (compare_names(other, view_of(mine)) == 0) last = other.copy();
    };
    for (const auto& file : reader_.ended_) file->find(mine.prefix, same, reader_.damage_);
    return !filter_.passes(view_of(last));
  }
  void tell_lost() {
    if (merge_.lost() == 0) return;
    add_damage(reader_.damage_,
               {reader_.directory_.path() + ": " + std::to_string(merge_.lost()) + " blocks cannot be read"});
  }

  IdentityReader& reader_;
  IdentityFilter filter_;
  AssignmentMerge merge_;
};

std::unique_ptr<IdentityListing> IdentityReader::listing(IdentityFilter filter) {
  return std::make_unique<Listing>(*this, std::move(filter));
}

void IdentityReader::list(const IdentityFilter& filter,
                          const std::function<bool(const AssignmentView&)>& take) {
  const auto rows = listing(filter);
  while (const AssignmentView* const one = rows->next()) {
    if (!take(*one)) return;
  }
}

std::vector<AddressAssignment> IdentityReader::of(const std::string& subscriber) {
  std::vector<AddressAssignment> found;
  IdentityFilter filter;
  filter.subscriber = subscriber;
  list(filter, [&](const AssignmentView& one) {
    found.push_back(one.copy());
    return true;
  });
  return found;
}

}  // namespace natsession
