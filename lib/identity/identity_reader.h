// IdentityReader: asks the log of assignments, as it is when it is opened, beside its writer and without a
// lock.
//
//   const auto log = IdentityReader::open(ledger);
//   const IdentityAnswer answer = (*log)->who({address, time, time});
//
// Threads: one for each object.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/identity_answer.h"
#include "identity/identity_directory.h"
#include "identity/identity_file.h"

namespace natsession {

// What a list is to have; what is not set is not asked.
struct IdentityFilter {
  std::string subscriber;
  std::string mac;
  std::string host;
  std::string source;
  std::string netns;
  std::optional<Prefix> within;  // its prefix lies in this one, or has it
  std::optional<AssignmentKind> kind;
  std::optional<UnixMs> from, until;  // it may have been in this time
  bool open = false;                  // that have not ended
  [[nodiscard]] bool passes(const AssignmentView& one) const;
};

// The rows of a list, one after the other. The reader must outlive it.
class IdentityListing {
 public:
  virtual ~IdentityListing() = default;
  // Null at the end. Good until the next call.
  virtual const AssignmentView* next() = 0;
};

class IdentityReader {
 public:
  // Errors: kUnavailable: there is no such log (is_absent), or a newer program wrote it; kPermission; kIo.
  [[nodiscard]] static Result<std::unique_ptr<IdentityReader>> open(const std::string& ledger);
  // Whether nobody ever wrote one there.
  [[nodiscard]] static bool is_absent(const std::string& ledger);
  ~IdentityReader();

  [[nodiscard]] IdentityAnswer who(const IdentityQuestion& asked);

  // All whose prefix has the address and that may have been within [from, until]; each once.
  [[nodiscard]] std::vector<AddressAssignment> assignments_at(const IpAddress& address, UnixMs from,
                                                              UnixMs until);
  // All that pass, in the order of their prefixes, then of their beginnings. Reads the whole log.
  [[nodiscard]] std::unique_ptr<IdentityListing> listing(IdentityFilter filter);
  // The same, until `take` says no.
  void list(const IdentityFilter& filter, const std::function<bool(const AssignmentView&)>& take);
  [[nodiscard]] std::vector<AddressAssignment> of(const std::string& subscriber);

  [[nodiscard]] const std::vector<SourceSpan>& spans() const { return spans_; }
  // What was found damaged so far.
  [[nodiscard]] const std::vector<IdentityDamage>& damage() const { return damage_; }
  [[nodiscard]] UnixMs forgotten_until() const { return forgotten_until_; }
  // Until when all sources were followed that are: what is told of now.
  [[nodiscard]] std::optional<UnixMs> followed_until() const;

 private:
  class OpenFile;
  class Listing;
  explicit IdentityReader(IdentityDirectory directory);
  Result<void> read_files(const IdentityFiles& files);

  IdentityDirectory directory_;
  std::vector<std::unique_ptr<SealedFile>> ended_;
  std::unique_ptr<SealedFile> current_;
  std::vector<std::unique_ptr<OpenFile>> open_;
  std::vector<SourceSpan> spans_;
  std::vector<IdentityDamage> damage_;
  UnixMs forgotten_until_ = UnixMs::min();
};

}  // namespace natsession
