// Api: /api/v1. Each question is a command of natsessionctl (api_routes.h), whose answer goes to who asked
// while it is made, and ends with him.
// Threads: any, several at once; a call lasts until the first of the answer is there.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "api/api_routes.h"
#include "api/box.h"
#include "ask/asker.h"
#include "ask/question_table.h"
#include "audit/audit_log.h"
#include "http/http_message.h"

namespace natsession::console {

struct ApiSettings {
  std::vector<Box> boxes;
  QuestionLimits limits = {};
  bool require_reason = false;
};

class Api {
 public:
  Api(ApiSettings settings, Asker& asker, QuestionTable& questions, AuditLog& audit)
      : settings_(std::move(settings)), asker_(asker), questions_(questions), audit_(audit) {}

  // `path` is behind /api/v1.
  [[nodiscard]] HttpAnswer answer(const HttpServerRequest& request, std::string_view path,
                                  const Caller& caller);

 private:
  HttpAnswer ask(const HttpServerRequest& request, const ApiRoute& route, const Caller& caller);
  HttpAnswer list_questions(const Caller& caller) const;
  [[nodiscard]] Result<const Box*> box_of(const QueryArguments& arguments) const;

  const ApiSettings settings_;
  Asker& asker_;
  QuestionTable& questions_;
  AuditLog& audit_;
};

// {"error": "…"}; `kind` for programs: usage, forbidden, missing, busy, failed, time, memory.
[[nodiscard]] HttpAnswer refusal(unsigned status, std::string_view kind, std::string_view message);

}  // namespace natsession::console
