// AnswerStream: a question's output, on its way to who asked. When he goes, it is cancelled; when it has
// ended, the audit log says how, and how many rows it had.
// Threads: one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "api/row_counter.h"
#include "ask/question_table.h"
#include "audit/audit_log.h"
#include "http/http_message.h"

namespace natsession::console {

// The trailer field with what natsessionctl warned of, where the answer's form has no place for it.
inline constexpr const char* kWarnings = "Natsession-Warnings";

struct AnswerForm {
  bool tells_itself = false;      // what is missing stands in the answer; else in the trailer
  bool may_find_nothing = false;  // ApiRoute's
};

class AnswerStream final : public HttpBody {
 public:
  // An answer that does not tell itself, and whose question failed on its way, is broken off.
  // `peer`: the connection's socket. `audit`: null if nothing is to be written.
  AnswerStream(std::shared_ptr<ActiveQuestion> question, QuestionTable::Place place, int peer,
               RowCounter counter, AnswerForm form, AuditLog* audit, AuditEvent event);
  ~AnswerStream() override;

  // Waits for the first of the answer. True if there is some; else it has ended, and ended() says how.
  [[nodiscard]] bool wait_for_some();
  [[nodiscard]] const Ended& ended() const { return *ended_; }
  [[nodiscard]] bool cancelled() const { return question_->cancelled; }
  [[nodiscard]] std::string messages() const { return question_->running.messages(); }

  [[nodiscard]] std::ptrdiff_t read(std::span<char> room) override;
  [[nodiscard]] HttpFields trailer() override;

 private:
  std::ptrdiff_t read_output(std::span<char> room);
  void end();
  [[nodiscard]] bool is_whole() const;

  std::shared_ptr<ActiveQuestion> question_;
  QuestionTable::Place place_;
  const int peer_;
  RowCounter counter_;
  const AnswerForm form_;
  AuditLog* const audit_;
  AuditEvent event_;
  std::string first_;      // read already
  std::size_t taken_ = 0;  // of first_
  std::optional<Ended> ended_;
};

}  // namespace natsession::console
