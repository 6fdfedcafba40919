#include "query/log_cursor.h"

#include <limits>

#include "query/scan_batch_state.h"
#include "record/text_writer.h"

namespace natsession {
namespace {

void give_static(std::string_view text, sqlite3_context* result) {
  sqlite3_result_text64(result, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

void give_copy(std::string_view text, sqlite3_context* result) {
  sqlite3_result_text64(result, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

void give_number(std::uint64_t number, sqlite3_context* result) {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<sqlite3_int64>::max());
  if (number <= kLargest) {
    sqlite3_result_int64(result, static_cast<sqlite3_int64>(number));
  } else {
    sqlite3_result_double(result, static_cast<double>(number));
  }
}

void give_time(std::int64_t ms, sqlite3_context* result) {
  sqlite3_result_double(result, static_cast<double>(ms) / 1000);
}

std::int64_t whole_seconds(std::int64_t ms) {
  return ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
}

void give_word(Field field, std::uint8_t number, sqlite3_context* result) {
  std::string_view word;
  if (field == Field::kEvent) word = to_string(static_cast<RecordEvent>(number));
  if (field == Field::kTcpState) word = to_string(static_cast<TcpState>(number));
  if (field == Field::kReason) word = to_string(static_cast<RecordReason>(number));
  if (!word.empty()) give_static(word, result);
}

void give_count(Count count, sqlite3_context* result) {
  if (count.known()) give_number(count.value(), result);
}

}  // namespace

int LogCursor::begin(const LogPlan& plan, std::span<sqlite3_value*> values) {
  end();
  Query query;
  query.gap_records = true;
  for (std::size_t i = 0; i < plan.constraints.size() && i < values.size(); ++i) {
    const auto possible = add_constraint(plan.constraints[i], values[i], query);
    if (!possible) {
      context_.error = possible.error();
      return SQLITE_ERROR;
    }
    if (!*possible) return SQLITE_OK;  // at the end
  }
  for (std::size_t column = 0; column < kFieldCount; ++column) {
    if ((plan.columns_used >> column & 1) != 0) query.columns.add(static_cast<Field>(column));
  }
  if ((plan.columns_used >> kTimeColumn & 1) != 0) query.columns.add(Field::kEndTime);
  if (context_.scans == SqlContext::kMaxScans) {
    context_.error = Error{ErrorKind::kUsage, "SQL: the statement reads the log in more than " +
                                                  std::to_string(SqlContext::kMaxScans) + " places at once"};
    return SQLITE_ERROR;
  }
  ScanControl control = context_.control;
  if (context_.scans >= SqlContext::kScansWithThreads) control.threads = 1;
  scan_.emplace(context_.ledger, std::move(query), std::move(control));
  ++context_.scans;
  return next_batch();
}

int LogCursor::next_batch() {
  place_ = 0;
  batch_ = scan_->next();
  for (auto& texts : address_texts_) texts.clear();
  if (batch_ != nullptr) return SQLITE_OK;
  const auto good = scan_->error();
  const bool cancelled = scan_->report().cancelled;
  end();  // SQLite keeps the cursor, perhaps as one of many
  if (!good) {
    context_.error = good.error();
    return SQLITE_ERROR;
  }
  return cancelled ? SQLITE_INTERRUPT : SQLITE_OK;
}

int LogCursor::advance() {
  if (++place_ < batch_->size()) return SQLITE_OK;
  return next_batch();
}

void LogCursor::end() {
  batch_ = nullptr;
  if (!scan_) return;
  scan_->stop();
  context_.report.merge(scan_->report());
  scan_.reset();
  --context_.scans;
}

sqlite3_int64 LogCursor::row_id() const {
  return static_cast<sqlite3_int64>(batch_->ordinal(place_));
}

// What is not given is NULL.
void LogCursor::give(int column, sqlite3_context* result) {
  const std::uint32_t row = batch_->rows()[place_];
  if (column == kTimeColumn) {
    sqlite3_result_int64(result, whole_seconds(batch_->times(Field::kEndTime)[row]));
    return;
  }
  const FieldSpec& spec = kFields[static_cast<std::size_t>(column)];
  const Field field = spec.field;
  if (!spec.in_gap && batch_->is_gap(place_)) return;
  if (address_field(field)) {
    give_address(field, result);
  } else if (port_field(field)) {
    give_number(batch_->ports(field)[row], result);
  } else if (time_field(field)) {
    const std::int64_t time = batch_->times(field)[row];
    if (time != kUnknownTime || field != Field::kSessionStart) give_time(time, result);
  } else if (counter_field(field)) {
    const std::uint64_t count = batch_->counters(field)[row];
    if (count != kUnknownCount) give_number(count, result);
  } else if (field == Field::kSeq) {
    give_number(batch_->counters(field)[row], result);
  } else if (field == Field::kProtocol) {
    give_number(batch_->small(field)[row], result);
  } else if (small_field(field)) {
    give_word(field, batch_->small(field)[row], result);
  } else {
    give_from_record(field, *batch_->record(place_), result);
  }
}

void LogCursor::give_address(Field field, sqlite3_context* result) {
  const AddressColumn column = batch_->addresses(field);
  auto& texts = address_texts_[static_cast<std::size_t>(*address_field(field))];
  if (texts.empty()) texts.resize(column.distinct.size());
  const std::size_t index = column.index[batch_->rows()[place_]];
  if (texts[index] == nullptr) texts[index] = context_.texts.address(column.distinct[index]);
  if (texts[index] != nullptr) {
    give_static(*texts[index], result);
  } else {
    give_copy(column.distinct[index].to_string(), result);
  }
}

void LogCursor::give_text(std::string_view text, sqlite3_context* result) {
  const std::string* const kept = context_.texts.text(text);
  if (kept != nullptr) {
    give_static(*kept, result);
  } else {
    give_copy(text, result);
  }
}

void LogCursor::give_from_record(Field field, const SessionRecord& record, sqlite3_context* result) {
  const bool gap = record.event == RecordEvent::kGap;
  switch (field) {
    case Field::kInstance:
      return give_text(record.origin->instance, result);
    case Field::kNetns:
      return give_text(record.origin->netns, result);
    case Field::kVpcId:
      return give_text(record.vpc_id, result);
    case Field::kSessionId: {
      std::array<char, kHex64Length> text;
      return give_copy({text.data(), write_hex64(text.data(), record.session_id)}, result);
    }
    case Field::kOrigDstIp:
      if (record.has_orig_dst) give_copy(record.orig_dst_ip.to_string(), result);
      return;
    case Field::kOrigDstPort:
      if (record.has_orig_dst) give_number(record.orig_dst_port, result);
      return;
    case Field::kZone:
      if (record.zone != 0) give_number(record.zone, result);
      return;
    case Field::kMark:
      if (record.mark != 0) give_number(record.mark, result);
      return;
    case Field::kEventsLost:
      if (gap) give_count(record.events_lost, result);
      return;
    case Field::kLogStatus:
      if (gap) give_static(kGapLogStatus, result);
      return;
    default:
      return;
  }
}

}  // namespace natsession
