#include "delivery/proved_records.h"

#include <algorithm>

namespace natsession {
namespace {

bool same_span(const Coverage& one, const Coverage& other) {
  return one.netns == other.netns && one.from == other.from;
}

}  // namespace

void ProvedRecords::look(const LogReader& log, const CursorState& place) {
  waiting_ = log.claims();
  std::erase_if(waiting_, [&](const CoverageClaim& claim) {
    const Coverage& coverage = claim.coverage;
    return coverage.until < place.complete_since ||
           std::any_of(told_.begin(), told_.end(), [&](const Coverage& known) {
             return same_span(known, coverage) && known.until == coverage.until &&
                    known.whole == coverage.whole;
           });
  });
}

std::vector<Coverage> ProvedRecords::due(const LogReader& log, const CursorState& place) {
  if (place.stream == 0) return {};
  if (waiting_.empty()) look(log, place);
  due_.clear();
  std::vector<Coverage> cut;
  for (const CoverageClaim& claim : waiting_) {
    if (claim.end > place.next) continue;
    due_.push_back(claim.coverage);
    Coverage coverage = claim.coverage;
    coverage.from = std::max(coverage.from, place.complete_since);
    if (coverage.from <= coverage.until) cut.push_back(std::move(coverage));
  }
  return cut;
}

void ProvedRecords::told() {
  for (Coverage& coverage : due_) {
    std::erase_if(waiting_, [&](const CoverageClaim& claim) { return claim.coverage == coverage; });
    std::erase_if(told_, [&](const Coverage& known) { return same_span(known, coverage); });
    told_.push_back(std::move(coverage));
  }
  due_.clear();
}

}  // namespace natsession
