#include "ledger/column_writer.h"

#include <algorithm>

namespace natsession {
namespace {

// All choices are tried for one frame in so many.
constexpr std::uint64_t kTryAllEach = 16;

constexpr ColumnContext kNoContext[] = {ColumnContext::kNone};

}  // namespace

void ColumnWriter::begin_frame(std::array<std::vector<std::uint8_t>, kContexts> groups_of_records) {
  groups_ = std::move(groups_of_records);
  for (std::size_t context = 1; context < kContexts; ++context) {
    if (!groups_[context].empty()) group_ends_[context] = ends_of(groups_[context]);
  }
  ++frames_;
}

void ColumnWriter::append_grouped(Numbers numbers, NumberShape shape, ColumnContext context,
                                  std::string& to) {
  if (context == ColumnContext::kNone) return writer_.append(numbers, shape, to);
  const std::span<const std::uint8_t> group = groups_[static_cast<std::size_t>(context)];
  const GroupEnds& ends = group_ends_[static_cast<std::size_t>(context)];
  std::array<std::size_t, kMaxGroups> at;
  std::copy_n(ends.begin(), at.size(), at.begin());
  grouped_.resize(numbers.size());
  for (std::size_t i = 0; i < numbers.size(); ++i) grouped_[at[group[i]]++] = numbers[i];
  for (std::size_t g = 0; g < kMaxGroups; ++g) {
    writer_.append(std::span(grouped_).subspan(ends[g], ends[g + 1] - ends[g]), shape, to);
  }
}

// With Effort::kFast what an address has first stands for what it mostly has.
void ColumnWriter::find_usual(Numbers numbers, const AddressIndexer& key) {
  const auto indexes = key.indexes();
  usual_.assign(key.distinct().size(), 0);
  if (effort_ == Effort::kFast) {
    for (std::size_t i = numbers.size(); i-- > 0;) usual_[indexes[i]] = numbers[i];
    return;
  }
  std::vector<std::uint32_t> votes(key.distinct().size());  // Boyer and Moore's, for each
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::uint32_t& vote = votes[indexes[i]];
    if (vote == 0) usual_[indexes[i]] = numbers[i];
    if (usual_[indexes[i]] == numbers[i]) {
      ++vote;
    } else {
      --vote;
    }
  }
}

void ColumnWriter::append_keyed(Numbers numbers, const AddressIndexer& key, std::string& to) {
  find_usual(numbers, key);
  const auto indexes = key.indexes();
  gaps_.clear();
  values_.clear();
  std::uint64_t gap = 0;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    if (usual_[indexes[i]] == numbers[i]) {
      ++gap;
      continue;
    }
    gaps_.push_back(gap);
    values_.push_back(numbers[i]);
    gap = 0;
  }
  writer_.append(usual_, NumberShape::kTailed, to);
  append_varint(gaps_.size(), to);
  writer_.append(gaps_, NumberShape::kTailed, to);
  writer_.append(values_, NumberShape::kTailed, to);
}

ColumnWriter::Written ColumnWriter::write(ColumnId column, Numbers numbers, const Choice& choice,
                                          const std::string& before) {
  auto contexts = choice.contexts.empty() ? std::span<const ColumnContext>(kNoContext) : choice.contexts;
  if (effort_ == Effort::kFast) contexts = std::span(&choice.fast, 1);
  Remembered& best = remembered_[static_cast<std::size_t>(column)];
  const bool offered = best.coding == ColumnCoding::kByAddress
                           ? choice.key != nullptr
                           : std::any_of(contexts.begin(), contexts.end(), [&](ColumnContext context) {
                               return static_cast<std::uint8_t>(context) == best.context;
                             });
  const Remembered known = best.known && offered && frames_ % kTryAllEach != 0 ? best : Remembered();
  bool any = false;
  const auto attempt_with = [&](ColumnCoding coding, std::uint8_t context) {
    if (any && effort_ == Effort::kFast) return;
    if (known.known && (coding != known.coding || context != known.context)) return;
    attempt_ = before;
    if (coding == ColumnCoding::kByAddress) {
      append_keyed(numbers, *choice.key, attempt_);
    } else {
      append_grouped(numbers, choice.shape, static_cast<ColumnContext>(context), attempt_);
    }
    if (any && attempt_.size() >= smallest_.size()) return;
    any = true;
    smallest_.swap(attempt_);
    best = {true, coding, context};
  };
  if (choice.key != nullptr) attempt_with(ColumnCoding::kByAddress, choice.key_name);
  for (const ColumnContext context : contexts) {
    attempt_with(ColumnCoding::kNumbers, static_cast<std::uint8_t>(context));
  }
  return {best.coding, best.context, smallest_};
}

}  // namespace natsession
