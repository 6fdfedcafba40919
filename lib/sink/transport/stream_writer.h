// StreamWriter: records as lines of text into a file descriptor, in large writes. No line is torn or doubled:
// of a record that is partly out the rest is kept, and goes out first when the same record is offered again.
//
// Threads: one, the sink's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "record/encoder.h"
#include "record/session_record.h"

namespace natsession {

class StreamWriter {
 public:
  static constexpr std::uint64_t kNoLimit = ~std::uint64_t{0};

  struct Written {
    std::size_t taken = 0;  // records that are completely out, from the front
    std::uint64_t bytes = 0;
    int error_number = 0;  // 0 if nothing failed; then fewer than all were taken only because of the limit
  };

  explicit StreamWriter(std::unique_ptr<Encoder> encoder);

  [[nodiscard]] std::string_view header() const { return encoder_->header(); }

  // A new destination: `prologue` goes out before the next record. What was left of an old prologue is
  // forgotten. Only while no record is under way.
  void begin(std::string_view prologue);

  // Writes as many of `records` as fit into `limit_bytes`; with `first_always` the first that is written may
  // pass it. After an error the next call must offer the same records from the first that was not taken on.
  [[nodiscard]] Written write(int fd, std::span<const SessionRecord> records,
                              std::uint64_t limit_bytes = kNoLimit, bool first_always = false);

  // Writes what is left of the prologue or of a record under way. The record counts as taken in the next
  // write().
  [[nodiscard]] Written finish(int fd);

  // A record is partly out, `bytes_under_way()` of it.
  [[nodiscard]] bool record_under_way() const { return rest_is_record_; }
  [[nodiscard]] std::size_t bytes_under_way() const { return rest_is_record_ ? under_way_ : 0; }
  // The bytes that are out have been taken back: the record will be written as a whole.
  void forget_record_under_way();

 private:
  int write_all(int fd, std::string_view text, std::size_t& out);
  int write_rest(int fd, std::uint64_t& bytes);
  void encode(std::span<const SessionRecord> records, std::uint64_t limit_bytes, bool first_may_pass);

  const std::unique_ptr<Encoder> encoder_;
  std::string buffer_;
  std::vector<std::size_t> ends_;  // where each record in the buffer ends
  std::string rest_;               // goes out before anything else
  bool rest_is_record_ = false;    // else it is the prologue's
  std::size_t under_way_ = 0;      // bytes of the record that are out
  std::size_t ahead_ = 0;          // records that finish() completed and no answer has counted: 0 or 1
};

}  // namespace natsession
