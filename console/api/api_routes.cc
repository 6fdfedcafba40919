#include "api/api_routes.h"

#include <algorithm>
#include <set>

namespace natsession::console {
namespace {

using Kind = ApiParameter::Kind;
using Form = RowCounter::Form;

constexpr ApiParameter kGapParameters[] = {{"since", "since"}, {"until", "until"}};

constexpr ApiParameter kSessionParameters[] = {
    {"pri", "pri"},     {"nat", "nat"},     {"pub", "pub"},  {"protocol", "protocol"},
    {"netns", "netns"}, {"limit", "limit"}, {"sort", "sort"}};

constexpr ApiParameter kTraceParameters[] = {
    {"address", "", Kind::kWord}, {"at", "at"},       {"since", "since"},
    {"until", "until"},           {"pub", "pub"},     {"protocol", "protocol"},
    {"netns", "netns"},           {"slack", "slack"}, {"candidates", "candidates"}};

constexpr ApiParameter kListParameters[] = {{"pub", "pub"},
                                            {"protocol", "protocol"},
                                            {"netns", "netns"},
                                            {"slack", "slack"},
                                            {"candidates", "candidates"}};

constexpr ApiParameter kIdentityParameters[] = {
    {"address", "", Kind::kWord}, {"at", "at"}, {"slack", "slack"}, {"netns", "netns"}};

constexpr ApiParameter kAssignmentParameters[] = {{"prefix", "", Kind::kWord},
                                                  {"subscriber", "subscriber"},
                                                  {"mac", "mac"},
                                                  {"host", "host"},
                                                  {"source", "source"},
                                                  {"kind", "kind"},
                                                  {"netns", "netns"},
                                                  {"open", "open", Kind::kFlag},
                                                  {"limit", "limit"},
                                                  {"since", "since"},
                                                  {"until", "until"}};

constexpr ApiParameter kTopParameters[] = {{"by", "by", Kind::kRepeated},
                                           {"sum", "sum"},
                                           {"count", "count"},
                                           {"from_records", "from-records", Kind::kFlag},
                                           {"where", "where", Kind::kRepeated},
                                           {"pri", "pri"},
                                           {"nat", "nat"},
                                           {"pub", "pub"},
                                           {"protocol", "protocol"},
                                           {"log", "log"},
                                           {"flow_window", "flow-window"},
                                           {"since", "since"},
                                           {"until", "until"}};

constexpr ApiParameter kTimelineParameters[] = {{"bucket", "bucket"},
                                                {"by", "by"},
                                                {"sum", "sum"},
                                                {"series", "series"},
                                                {"at_end", "at-end", Kind::kFlag},
                                                {"from_records", "from-records", Kind::kFlag},
                                                {"where", "where", Kind::kRepeated},
                                                {"pri", "pri"},
                                                {"nat", "nat"},
                                                {"pub", "pub"},
                                                {"protocol", "protocol"},
                                                {"log", "log"},
                                                {"flow_window", "flow-window"},
                                                {"since", "since"},
                                                {"until", "until"}};

constexpr ApiParameter kPortParameters[] = {{"range", "range"},
                                            {"step", "step"},
                                            {"destinations", "destinations"},
                                            {"where", "where", Kind::kRepeated},
                                            {"pri", "pri"},
                                            {"nat", "nat"},
                                            {"pub", "pub"},
                                            {"protocol", "protocol"},
                                            {"since", "since"},
                                            {"until", "until"}};

constexpr ApiParameter kSqlParameters[] = {{"utc", "utc", Kind::kFlag}};

constexpr ApiParameter kExportParameters[] = {{"where", "where", Kind::kRepeated},
                                              {"pri", "pri"},
                                              {"nat", "nat"},
                                              {"pub", "pub"},
                                              {"protocol", "protocol"},
                                              {"log", "log"},
                                              {"flow_window", "flow-window"},
                                              {"record", "record"},
                                              {"time_format", "time-format"},
                                              {"fields", "fields"},
                                              {"since", "since"},
                                              {"until", "until"}};

constexpr ApiParameter kSinkParameters[] = {{"sink", "", Kind::kWord}};

constexpr ApiParameter kNameParameters[] = {{"name", "", Kind::kWord}};

constexpr ApiParameter kFlowLogParameters[] = {
    {"name", "", Kind::kWord},      {"resource", "resource"},        {"traffic", "traffic"},
    {"record", "record"},           {"text_format", "format"},       {"window", "window"},
    {"destination", "destination"}, {"tag", "tag", Kind::kRepeated}, {"off", "off", Kind::kFlag}};

// Sums over all hosts.
constexpr std::string_view kLookTimeline[] = {"since", "until", "bucket", "sum", "at_end", "from_records"};

constexpr std::string_view kCommon[] = {"box", "tz", "format", "reason", "question"};

constexpr ApiRoute kRoutes[] = {
    {.method = "GET",
     .path = "/status",
     .command = "status",
     .role = Role::kLook,
     .audited = false,
     .member = "sinks",
     .asks_daemon = true},
    {.method = "GET",
     .path = "/gaps",
     .command = "gaps",
     .role = Role::kLook,
     .parameters = kGapParameters,
     .audited = false},
    {.method = "GET",
     .path = "/sessions",
     .command = "sessions",
     .parameters = kSessionParameters,
     .member = "sessions",
     .asks_daemon = true},
    {.method = "GET",
     .path = "/trace",
     .command = "trace",
     .parameters = kTraceParameters,
     .member = "candidates",
     .may_find_nothing = true},
    {.method = "POST",
     .path = "/trace",
     .command = "trace --file=-",
     .parameters = kListParameters,
     .takes_body = true,
     .rows = Form::kList,
     .may_find_nothing = true},
    {.method = "GET",
     .path = "/identity",
     .command = "identity who",
     .parameters = kIdentityParameters,
     .member = "holders",
     .may_find_nothing = true},
    {.method = "GET",
     .path = "/identity/assignments",
     .command = "identity list",
     .parameters = kAssignmentParameters,
     .may_find_nothing = true},
    {.method = "GET",
     .path = "/timeline",
     .command = "timeline",
     .parameters = kTimelineParameters,
     .look_parameters = kLookTimeline},
    {.method = "GET", .path = "/top", .command = "top", .parameters = kTopParameters},
    {.method = "GET", .path = "/ports", .command = "ports", .parameters = kPortParameters},
    {.method = "POST", .path = "/sql", .command = "sql -", .parameters = kSqlParameters, .takes_body = true},
    {.method = "GET",
     .path = "/export",
     .command = "export",
     .parameters = kExportParameters,
     .rows = Form::kLines},
    {.method = "POST",
     .path = "/enable",
     .command = "enable",
     .role = Role::kSteer,
     .parameters = kSinkParameters,
     .member = "sinks",
     .asks_daemon = true},
    {.method = "POST",
     .path = "/disable",
     .command = "disable",
     .role = Role::kSteer,
     .parameters = kSinkParameters,
     .member = "sinks",
     .asks_daemon = true},
    {.method = "GET",
     .path = "/flow-logs",
     .command = "flow-log list --by-daemon",
     .role = Role::kLook,
     .audited = false,
     .rows = Form::kList,
     .asks_daemon = true},
    {.method = "POST",
     .path = "/flow-logs/create",
     .command = "flow-log create --by-daemon",
     .role = Role::kSteer,
     .parameters = kFlowLogParameters,
     .asks_daemon = true},
    {.method = "POST",
     .path = "/flow-logs/start",
     .command = "flow-log start --by-daemon",
     .role = Role::kSteer,
     .parameters = kNameParameters,
     .asks_daemon = true},
    {.method = "POST",
     .path = "/flow-logs/stop",
     .command = "flow-log stop --by-daemon",
     .role = Role::kSteer,
     .parameters = kNameParameters,
     .asks_daemon = true},
    {.method = "POST",
     .path = "/flow-logs/delete",
     .command = "flow-log delete --by-daemon",
     .role = Role::kSteer,
     .parameters = kNameParameters,
     .asks_daemon = true},
};

bool has(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void append_words(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) out.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string names_of(const ApiRoute& route) {
  std::string names;
  for (const ApiParameter& parameter : route.parameters) names.append(parameter.name).append(", ");
  for (const std::string_view name : kCommon) names.append(name).append(name == "question" ? "" : ", ");
  return names;
}

}  // namespace

std::span<const ApiRoute> api_routes() {
  return kRoutes;
}

std::span<const std::string_view> common_parameters() {
  return kCommon;
}

const ApiRoute* find_route(std::string_view method, std::string_view path, std::string_view& other_method) {
  for (const ApiRoute& route : kRoutes) {
    if (route.path != path) continue;
    if (route.method == method) return &route;
    other_method = route.method;
  }
  return nullptr;
}

bool may_ask(Role role, const ApiRoute& route, const QueryArguments& arguments) {
  if (role >= route.role) return true;
  if (route.look_parameters.empty()) return false;
  return std::all_of(arguments.begin(), arguments.end(), [&](const auto& argument) {
    return has(route.look_parameters, argument.first) || has(kCommon, argument.first);
  });
}

Result<std::vector<std::string>> command_words(const ApiRoute& route, const QueryArguments& arguments) {
  std::vector<std::string> words;
  append_words(route.command, words);
  std::vector<std::string> bare;
  std::set<std::string_view> given;
  for (const auto& argument : arguments) {
    const std::string& name = argument.first;
    const std::string& value = argument.second;
    const auto known = std::find_if(route.parameters.begin(), route.parameters.end(),
                                    [&](const ApiParameter& one) { return one.name == name; });
    const bool common = has(kCommon, name);
    if (known == route.parameters.end() && !common)
      return usage_error("unknown parameter '" + name.substr(0, 100) + "'; there are: " + names_of(route));
    if (!given.insert(name).second && (common || known->kind != Kind::kRepeated))
      return usage_error("parameter '" + name + "' is given twice");
    if (common || value.empty()) continue;
    const std::string option = "--" + std::string(known->option);
    switch (known->kind) {
      case Kind::kFlag:
        if (value != "yes" && value != "no")
          return usage_error("parameter '" + name + "' is neither yes nor no");
        if (value == "yes") words.push_back(option);
        break;
      case Kind::kWord:
        if (value.front() == '-') return usage_error("parameter '" + name + "' begins with a dash");
        bare.push_back(value);
        break;
      default:
        words.push_back(option + "=" + value);
    }
  }
  words.insert(words.end(), bare.begin(), bare.end());
  return words;
}

}  // namespace natsession::console
