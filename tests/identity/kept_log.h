// KeptLog: an IdentityWriter that keeps in memory what it is given, for tests of who writes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "identity/identity_writer.h"

namespace natsession::testing {

// What stays when a writer goes, as a disk does.
struct KeptIdentity {
  std::vector<AddressAssignment> put;  // all, in their order
  std::vector<SourceSpan> spans;
  std::size_t commits = 0;
  std::vector<std::string> forgotten;
  bool lost = false;

  // As a reader finds them: what is told of one later takes the place of what was told before.
  [[nodiscard]] std::vector<AddressAssignment> all() const {
    std::vector<AddressAssignment> latest;
    for (const AddressAssignment& one : put) {
      bool known = false;
      for (AddressAssignment& other : latest) {
        if (other.source != one.source || other.prefix != one.prefix || other.from != one.from ||
            other.id != one.id)
          continue;
        other = one;
        known = true;
      }
      if (!known) latest.push_back(one);
    }
    return latest;
  }
};

class KeptLog final : public IdentityWriter {
 public:
  explicit KeptLog(KeptIdentity& kept) : kept_(kept) {}
  void each_open_of(std::string_view source,
                    const std::function<void(const AssignmentView&)>& visit) override {
    for (const AddressAssignment& one : kept_.all()) {
      if (one.source == source && !one.until) visit(view_of(one));
    }
  }
  std::optional<UnixMs> followed_until(std::string_view source) override {
    std::optional<UnixMs> until;
    for (const SourceSpan& span : kept_.spans) {
      if (span.source == source) until = span.until;
    }
    return until;
  }
  void put(const AddressAssignment& assignment) override { kept_.put.push_back(assignment); }
  void follow(const SourceSpan& span) override {
    for (SourceSpan& known : kept_.spans) {
      if (known.source == span.source && known.until == span.from) {
        known.until = span.until;
        return;
      }
    }
    kept_.spans.push_back(span);
  }
  Result<void> commit(bool) override {
    ++kept_.commits;
    return {};
  }
  Result<void> tidy(UnixMs) override { return {}; }
  std::vector<std::string> take_forgotten() override { return std::exchange(kept_.forgotten, {}); }
  bool take_lost() override { return std::exchange(kept_.lost, false); }

 private:
  KeptIdentity& kept_;
};

}  // namespace natsession::testing
