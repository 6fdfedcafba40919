// The questions that can be asked over HTTP, and how each is asked of natsessionctl. openapi.json describes
// the same to people; a test compares the two.
// Threads: constants and pure functions.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "access/role.h"
#include "api/row_counter.h"
#include "base/result.h"
#include "http/http_message.h"

namespace natsession::console {

struct ApiParameter {
  enum class Kind : std::uint8_t { kValue, kRepeated, kFlag, kWord };  // kWord: stands without a name
  std::string_view name;
  std::string_view option;  // of natsessionctl, without its dashes
  Kind kind = Kind::kValue;
};

struct ApiRoute {
  std::string_view method;
  std::string_view path;     // behind /api/v1
  std::string_view command;  // of natsessionctl, with what is always the same, words with blanks between
  Role role = Role::kAsk;
  std::span<const ApiParameter> parameters = {};
  bool takes_body = false;  // which is natsessionctl's standard input
  bool audited = true;
  RowCounter::Form rows = RowCounter::Form::kMember;
  std::string_view member = "rows";  // where an answer in JSON has its rows
  // What somebody may ask who only looks: with these parameters alone.
  std::span<const std::string_view> look_parameters = {};
  bool asks_daemon = false;  // there is no answer without one
  // natsessionctl's status 1 is an answer as well: it found nothing, or has no answer to some of a list.
  bool may_find_nothing = false;
};

[[nodiscard]] std::span<const ApiRoute> api_routes();
// What every question takes beside its own: box, tz, format, reason, question.
[[nodiscard]] std::span<const std::string_view> common_parameters();

// Null if there is none. `other_method`: the method that would do for this path, if there is one.
[[nodiscard]] const ApiRoute* find_route(std::string_view method, std::string_view path,
                                         std::string_view& other_method);

// Whether one of this role may ask it so.
[[nodiscard]] bool may_ask(Role role, const ApiRoute& route, const QueryArguments& arguments);

// The words of the command, from its name on.
// Errors: kUsage, naming a parameter that is unknown, or given twice, and what there is.
[[nodiscard]] Result<std::vector<std::string>> command_words(const ApiRoute& route,
                                                             const QueryArguments& arguments);

}  // namespace natsession::console
