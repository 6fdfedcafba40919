#include "api/api.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "api/answer_stream.h"
#include "base/byte_count.h"

namespace natsession::console {
namespace {

using Json = nlohmann::ordered_json;

std::string value_of(const QueryArguments& arguments, std::string_view name) {
  for (const auto& [key, value] : arguments) {
    if (key == name) return value;
  }
  return {};
}

// A question must not be read in another zone than the one that was meant: libraries take UTC for one that
// they do not know.
bool is_time_zone(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
           c == '_' || c == '-' || c == '+';
  };
  if (name.empty() || name == "UTC") return true;
  if (name.size() > 64 || name.find("..") != std::string::npos || name.front() == '/' ||
      !std::all_of(name.begin(), name.end(), fits))
    return false;
  const char* const folder = std::getenv("TZDIR");
  std::error_code ignored;
  return std::filesystem::is_regular_file(
      std::string(folder != nullptr ? folder : "/usr/share/zoneinfo") + "/" + name, ignored);
}

constexpr std::size_t kMaxReason = 500;
constexpr std::size_t kMaxId = 64;

// As a shell would read it back.
std::string quoted(const std::string& word) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_./:=,@%+-[]").find(c) != std::string_view::npos;
  };
  if (!word.empty() && std::all_of(word.begin(), word.end(), plain)) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// As somebody would write it, without where the log is.
std::string shown(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    text += quoted(word);
  }
  return text;
}

// What the audit log says of a request, whatever becomes of it.
AuditEvent event_of(const HttpServerRequest& request, const ApiRoute& route, const Caller& caller) {
  const auto part = [&](std::string_view name) {
    return value_of(request.query, name).substr(0, kMaxReason);
  };
  AuditEvent event;
  event.caller = caller;
  event.box = part("box");
  event.what =
      route.method == "POST" && route.path == "/trace" ? "trace list" : std::string(route.path.substr(1));
  event.reason = part("reason");
  event.time_zone = part("tz");
  event.format = part("format");
  return event;
}

std::string next_id() {
  static std::atomic<std::uint64_t> number = 0;
  static const std::int64_t begun = std::chrono::system_clock::now().time_since_epoch().count();
  return std::to_string(begun / 1'000'000) + "-" + std::to_string(++number);
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const std::size_t at = text.rfind('\n');
  std::string line = at == std::string::npos ? text : text.substr(at + 1);
  constexpr std::string_view kProgram = "natsessionctl: ";
  return line.starts_with(kProgram) ? line.substr(kProgram.size()) : line;
}

// How a question ended that has no answer.
HttpAnswer without_answer(const AnswerStream& stream, const std::string& type, const QuestionLimits& limits) {
  const Ended& ended = stream.ended();
  switch (ended.how) {
    case Ended::How::kTime:
      return refusal(503, "time",
                     "it took longer than " + format_duration(limits.time) +
                         ", the limit of a question (--time-limit); ask about less time, or with conditions");
    case Ended::How::kMemory:
      return refusal(503, "memory",
                     "it took more memory than " + format_byte_count(ByteCount{limits.memory}) +
                         ", the limit of a question (--memory); ask about less time, or for fewer rows or "
                         "groups");
    case Ended::How::kBroken:
      return refusal(
          503, "failed",
          stream.cancelled() ? "it was cancelled" : "its process ended before there was an answer");
    case Ended::How::kAnswered:
      break;
  }
  const std::string why = last_line(stream.messages());
  if (ended.status == kDone) return {.content_type = type, .body = type == "application/json" ? "{}\n" : ""};
  if (ended.status == kUsage) return refusal(400, "usage", why);
  if (ended.status == kMissing) return refusal(503, "missing", why);
  return refusal(500, "failed", why.empty() ? "it could not be done" : why);
}

struct Formed {
  std::vector<std::string> words;  // natsessionctl's, all of them
  std::string type = "application/json";
  RowCounter counter{RowCounter::Form::kLines};
  bool tells_itself = false;  // what is missing stands in the answer
};

// How the answer is to look, and the words in front of the command.
Result<Formed> in_form(const ApiRoute& route, const Box& box, const std::string& format,
                       const std::vector<std::string>& command) {
  Formed formed;
  formed.words = box.options();
  formed.words.emplace_back("--progress");
  const bool is_export = route.command == "export";
  if (!is_export && format != "csv" && !format.empty() && format != "json")
    return usage_error("parameter 'format' is neither json nor csv");
  if (is_export) {
    formed.type = format == "csv"      ? "text/csv; charset=utf-8"
                  : format == "logfmt" ? "text/plain; charset=utf-8"
                                       : "application/x-ndjson";
    formed.counter = RowCounter(format == "csv" ? RowCounter::Form::kCsv : RowCounter::Form::kLines);
  } else if (format == "csv") {
    formed.type = "text/csv; charset=utf-8";
    formed.counter = RowCounter(RowCounter::Form::kCsv);
  } else {
    formed.words.emplace_back("--json");
    formed.tells_itself = true;
    formed.counter = RowCounter(route.rows, route.member);
  }
  formed.words.insert(formed.words.end(), command.begin(), command.end());
  if (is_export && !format.empty()) formed.words.push_back("--format=" + format);
  if (!is_export && format == "csv") formed.words.emplace_back("--csv");
  return formed;
}

}  // namespace

HttpAnswer refusal(unsigned status, std::string_view kind, std::string_view message) {
  return {
      .status = status,
      .body = Json{{"error", message}, {"kind", kind}}.dump(-1, ' ', false, Json::error_handler_t::replace) +
              "\n"};
}

Result<const Box*> Api::box_of(const QueryArguments& arguments) const {
  const std::string wanted = value_of(arguments, "box");
  if (wanted.empty()) return &settings_.boxes.front();
  std::string names;
  for (const Box& box : settings_.boxes) {
    if (box.name == wanted) return &box;
    names += (names.empty() ? "" : ", ") + box.name;
  }
  return usage_error("there is no box '" + wanted.substr(0, 100) + "'; there are: " + names);
}

HttpAnswer Api::list_questions(const Caller& caller) const {
  Json list = Json::array();
  for (const QuestionTable::Line& line : questions_.list(caller.name)) {
    list.push_back({{"id", line.id},
                    {"what", line.what},
                    {"seconds", static_cast<double>(line.elapsed.count()) / 1000},
                    {"progress", line.progress.share},
                    {"records", line.progress.records}});
  }
  return {.body = Json{{"questions", std::move(list)}}.dump() + "\n"};
}

HttpAnswer Api::ask(const HttpServerRequest& request, const ApiRoute& route, const Caller& caller) {
  const auto command = command_words(route, request.query);
  if (!command) return refusal(400, "usage", command.error().message);
  const auto box = box_of(request.query);
  if (!box) return refusal(400, "usage", box.error().message);
  const std::string time_zone = value_of(request.query, "tz");
  if (!is_time_zone(time_zone))
    return refusal(400, "usage", "parameter 'tz' is no time zone that this machine knows (package tzdata)");
  const std::string reason = value_of(request.query, "reason");
  if (reason.size() > kMaxReason) return refusal(400, "usage", "parameter 'reason' is longer than 500 bytes");
  if (settings_.require_reason && route.audited && reason.empty() &&
      !may_ask(Role::kLook, route, request.query)) {
    return refusal(400, "reason", "a reason is asked for: parameter 'reason'");
  }
  const std::string id = value_of(request.query, "question");
  if (id.size() > kMaxId) return refusal(400, "usage", "parameter 'question' is longer than 64 bytes");
  if (!route.takes_body && !request.body.empty())
    return refusal(400, "usage", std::string(route.path) + " takes no body");
  if (route.takes_body && request.body.empty())
    return refusal(400, "usage", std::string(route.path) + " is asked in the request's body, which is empty");
  if (route.asks_daemon && (*box)->control.empty())
    return refusal(503, "missing",
                   "no daemon is known of box " + (*box)->name + ": it was given without --control");
  auto formed = in_form(route, **box, value_of(request.query, "format"), *command);
  if (!formed) return refusal(400, "usage", formed.error().message);

  auto place = questions_.reserve(caller.name);
  if (!place) {
    HttpAnswer busy = refusal(429, "busy", place.error().message);
    busy.fields.emplace_back("Retry-After", "2");
    return busy;
  }
  AuditEvent event = event_of(request, route, caller);
  event.event = route.role == Role::kSteer ? "changed" : "asked";
  event.id = next_id();
  event.box = (*box)->name;
  event.asked = shown(*command);
  event.input = request.body;
  if (route.audited) {
    if (auto written = audit_.write(event, to_ms(SystemClock().now())); !written)
      return refusal(503, "missing",
                     "what is not written to the audit log is not answered: " + written.error().message);
  }
  Question question{std::move(formed->words), request.body, time_zone, settings_.limits};
  auto running = asker_.ask(question);
  if (!running) {
    event.event = "answered";
    event.outcome = running.error().message;
    if (route.audited) static_cast<void>(audit_.write(event, to_ms(SystemClock().now())));
    return refusal(503, "missing", running.error().message);
  }
  auto active = std::make_shared<ActiveQuestion>(caller.name, event.asked, std::move(*running));
  questions_.add(id, active);
  auto stream = std::make_unique<AnswerStream>(std::move(active), std::move(*place), request.fd,
                                               std::move(formed->counter),
                                               AnswerForm{formed->tells_itself, route.may_find_nothing},
                                               route.audited ? &audit_ : nullptr, std::move(event));
  if (!stream->wait_for_some()) return without_answer(*stream, formed->type, settings_.limits);
  HttpAnswer answer{.content_type = std::move(formed->type)};
  if (route.command == "export")
    answer.fields.emplace_back("Content-Disposition", "attachment; filename=\"natsession-export\"");
  if (!formed->tells_itself) answer.fields.emplace_back("Trailer", kWarnings);
  answer.stream = std::move(stream);
  return answer;
}

HttpAnswer Api::answer(const HttpServerRequest& request, std::string_view path, const Caller& caller) {
  constexpr std::string_view kQuestions = "/questions";
  if (path == kQuestions && request.method == "GET") return list_questions(caller);
  if (path.starts_with("/questions/") && request.method == "DELETE") {
    if (questions_.cancel(caller.name, std::string(path.substr(kQuestions.size() + 1))))
      return {.body = "{\"cancelled\": true}\n"};
    return refusal(404, "usage", "no such question is being answered");
  }
  std::string_view other;
  const ApiRoute* const route = find_route(request.method, path, other);
  if (route == nullptr && other.empty())
    return refusal(404, "usage", "there is nothing here; /api/v1/openapi.json tells what there is");
  if (route == nullptr) {
    HttpAnswer answer = refusal(405, "usage", "this is asked by " + std::string(other));
    answer.fields.emplace_back("Allow", other);
    return answer;
  }
  if (!may_ask(caller.role, *route, request.query)) {
    const std::string why = "this takes the role " + std::string(to_string(route->role)) + "; " +
                            caller.name + " has " + std::string(to_string(caller.role));
    AuditEvent event = event_of(request, *route, caller);
    event.event = "refused";
    if (const auto command = command_words(*route, request.query)) event.asked = shown(*command);
    event.outcome = why;
    // There is no answer in either case.
    static_cast<void>(audit_.write(event, to_ms(SystemClock().now())));
    return refusal(403, "forbidden", why);
  }
  return ask(request, *route, caller);
}

}  // namespace natsession::console
