#include "ask/clickhouse_rows.h"

#include <utility>

#include "ledger/frame.h"

namespace natsession::ctl {
namespace {

// A piece that is handed on.
constexpr std::size_t kPiece = kMaxFrameRecords;
constexpr std::size_t kMaxRow = 8 << 20;

}  // namespace

std::string AnswerRows::shown(std::string_view bytes) {
  constexpr std::size_t kShownBytes = 300;
  std::string text(bytes.substr(0, kShownBytes));
  for (char& byte : text) {
    if (byte < ' ' || byte > '~') byte = ' ';
  }
  return text;
}

bool StoreRows::add(std::string_view part) {
  std::string_view bytes = part;
  if (!rest_.empty()) {
    rest_ += part;
    bytes = rest_;
  }
  while (!bytes.empty()) {
    const clickhouse::RowReader::Outcome outcome = reader_.take(bytes, record_);
    if (outcome == clickhouse::RowReader::Outcome::kMore) break;
    if (outcome == clickhouse::RowReader::Outcome::kBad) {
      why_ = reader_.why() + ": " + shown(bytes);
      return false;
    }
    if (!keep()) return false;
  }
  // `bytes` may be a part of it.
  rest_ = std::string(bytes);
  if (rest_.size() > kMaxRow) {
    why_ = "the answer has a row that does not end";
    return false;
  }
  return true;
}

Result<void> StoreRows::finish() {
  if (!why_.empty()) return Error{ErrorKind::kUnavailable, why_};
  if (!rest_.empty() && !unwanted_) {
    return Error{ErrorKind::kUnavailable, "the answer ends within a row: " + shown(rest_)};
  }
  if (!unwanted_ && !piece_.empty()) take_(std::move(piece_));
  return {};
}

// A batch that came twice stands side by side, since rows are in order.
bool StoreRows::keep() {
  if (!piece_.empty() && piece_.back() == record_) return true;
  if (piece_.empty() && last_ && *last_ == record_) return true;
  piece_.push_back(record_);
  if (piece_.size() < kPiece) return true;
  last_ = piece_.back();
  std::vector<SessionRecord> full;
  full.reserve(kPiece);
  full.swap(piece_);
  unwanted_ = !take_(std::move(full));
  return !unwanted_;
}

}  // namespace natsession::ctl
