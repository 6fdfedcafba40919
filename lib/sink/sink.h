// Sink: where records go. One interface, one implementation a file, one table of them all (registry.h).
// Threads: open() and the destructor run on the thread that composes the program; deliver(), reopen() and
// flush() on the sink's one worker thread. A sink needs no lock.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "record/coverage.h"
#include "record/session_record.h"

namespace natsession {

// Why a target refuses, in the codes of the log's specification (Delivery).
enum class TargetCode {
  kProjectNotExist,   // the destination (host's service, database, directory) does not exist
  kLogStoreNotExist,  // the table, topic or index in it does not exist
  kProjectForbidden,  // the destination refuses all writes
  kInvalidAccessKeyId,
  kUnauthorized,
  kWriteQuotaExceed,       // the destination throttles
  kShardWriteQuotaExceed,  // its partition throttles
};

// The specification's names: ProjectNotExist ….
[[nodiscard]] constexpr std::string_view to_string(TargetCode code) {
  switch (code) {
    case TargetCode::kProjectNotExist:
      return "ProjectNotExist";
    case TargetCode::kLogStoreNotExist:
      return "LogStoreNotExist";
    case TargetCode::kProjectForbidden:
      return "ProjectForbidden";
    case TargetCode::kInvalidAccessKeyId:
      return "InvalidAccessKeyId";
    case TargetCode::kUnauthorized:
      return "Unauthorized";
    case TargetCode::kWriteQuotaExceed:
      return "WriteQuotaExceed";
    case TargetCode::kShardWriteQuotaExceed:
      return "ShardWriteQuotaExceed";
  }
  return {};
}

// A sink's answer to a batch: what happened to it, and so what to do next. When to try again is not its to
// say; it may pass on what the destination asked for.
struct Answer {
  enum class Kind {
    kDelivered,     // all of them
    kRetryLater,    // a passing fault: offer the rest again
    kTargetFailed,  // the destination refuses; `code` says how
    kRejected,      // the first record that was not taken will never be taken: count it and go on behind it
    kClosed,        // the reader of this sink has gone and cannot come back: stdout's pipe
  };
  Kind kind = Kind::kDelivered;
  std::size_t taken = 0;  // so many records, from the front, are done; for kDelivered: all
  TargetCode code = TargetCode::kProjectNotExist;  // kTargetFailed only
  // Operation, object and cause, for people. With kDelivered: empty, or a problem beside the delivery.
  std::string why;
  // So many of those that are done were refused for good, and nobody says which: they count as rejected.
  std::size_t lost = 0;
  std::optional<TargetCode> throttled_by = {};          // kRetryLater only: the destination throttles
  std::optional<std::chrono::milliseconds> after = {};  // likewise: it asks to be left alone for so long

  [[nodiscard]] static Answer delivered(std::size_t all) { return {Kind::kDelivered, all, {}, {}}; }
  [[nodiscard]] static Answer retry_later(std::size_t taken, std::string why) {
    return {Kind::kRetryLater, taken, {}, std::move(why)};
  }
  // A passing fault with a code: kWriteQuotaExceed or kShardWriteQuotaExceed. With all taken: the destination
  // asks for a pause before what comes next.
  [[nodiscard]] static Answer throttled(std::size_t taken, TargetCode code, std::string why,
                                        std::optional<std::chrono::milliseconds> after = {}) {
    Answer answer = retry_later(taken, std::move(why));
    answer.throttled_by = code;
    answer.after = after;
    return answer;
  }
  [[nodiscard]] static Answer target_failed(std::size_t taken, TargetCode code, std::string why) {
    return {Kind::kTargetFailed, taken, code, std::move(why)};
  }
  [[nodiscard]] static Answer rejected(std::size_t taken, std::string why) {
    return {Kind::kRejected, taken, {}, std::move(why)};
  }
  [[nodiscard]] static Answer closed(std::size_t taken, std::string why) {
    return {Kind::kClosed, taken, {}, std::move(why)};
  }
};

// What was proved of the records that a sink was given.
struct ProvedTimes {
  std::string_view instance;  // of the box
  std::uint64_t stream = 0;   // drawn at random by the one who tells: two boxes of one name have two
  std::span<const Coverage> times;
};

// What a flow log has told of windows beside entries, since the start.
// Threads: any.
struct FlowCounts {
  std::atomic<std::uint64_t> no_data{0};   // lines with NODATA
  std::atomic<std::uint64_t> skipped{0};   // lines with SKIPDATA
  std::atomic<std::uint64_t> left_out{0};  // entries beyond the limit of an interface
};

class Sink {
 public:
  virtual ~Sink() = default;
  // The URL it was made from, without its options: for messages, status and its place in a ledger.
  [[nodiscard]] virtual std::string_view name() const = 0;
  // Takes records, in order. May block on its destination, but not for ever without cause; never throws.
  virtual Answer deliver(std::span<const SessionRecord> records) = 0;
  // Whether the destination knows a batch that comes again by its name: then what was not taken is offered
  // again in the same batches, also after a kill where the log outlives the program, and each is named
  // before.
  [[nodiscard]] virtual bool knows_batches() const { return false; }
  // Of what is delivered next: the place of its first record in the log.
  virtual void name_batch(std::uint64_t first) { static_cast<void>(first); }
  // How often at most a destination is told what is proved of its records, where it keeps that beside them;
  // nothing: it does not.
  [[nodiscard]] virtual std::optional<std::chrono::milliseconds> proof_interval() const { return {}; }
  // All records that this rests on were delivered before. What was told already may come again.
  // Errors: kUnavailable with the cause; it is told again later.
  virtual Result<void> take_proof(const ProvedTimes& proved) {
    static_cast<void>(proved);
    return {};
  }
  // What it must know again after a restart of all that it has taken, and is told then; small, any bytes.
  // Where nothing outlives the program, or what is kept is not of the place where the log goes on, it is told
  // nothing.
  [[nodiscard]] virtual std::string memory() const { return {}; }
  virtual void remember(std::string_view memory) { static_cast<void>(memory); }
  // Null: it is no flow log. They may be read for longer than the sink lives.
  [[nodiscard]] virtual std::shared_ptr<const FlowCounts> flow_counts() const { return nullptr; }
  // SIGHUP: begins anew with what the name means now (a rotated file). On error the old destination stays in
  // use.
  virtual Result<void> reopen() { return {}; }
  // Called when nothing has arrived for a while and at the end: time-driven work, and what is buffered goes
  // out.
  virtual Result<void> flush() { return {}; }
};

}  // namespace natsession
