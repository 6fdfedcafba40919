#include "config/flow_log_config.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>

#include <toml++/toml.h>

#include "base/option.h"
#include "config/text.h"
#include "session/settings.h"

namespace natsession {
namespace {

bool is_word(std::string_view text, std::string_view also) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           also.find(c) != std::string_view::npos;
  });
}

// A key of the table and its value's texts.
struct Given {
  std::string key;
  std::vector<std::string> texts;
  bool is_list = false;
};

Result<Given> given_of(const std::string& key, const toml::node& node) {
  Given given{key, {}, false};
  if (const auto* const array = node.as_array()) {
    given.is_list = true;
    for (const toml::node& element : *array) {
      const auto* const text = element.as_string();
      if (text == nullptr) return usage_error(key + ": needs texts in its array");
      given.texts.push_back(text->get());
    }
    return given;
  }
  if (const auto* const text = node.as_string()) {
    given.texts.push_back(text->get());
  } else if (const auto* const on = node.as_boolean()) {
    given.texts.emplace_back(on->get() ? "on" : "off");
  } else {
    return usage_error(key + ": needs a text");
  }
  return given;
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : ",") + text;
  return all;
}

template <typename T, std::size_t kCount>
Result<T> choose(const std::string& key, std::string_view text,
                 const std::array<std::pair<std::string_view, T>, kCount>& words) {
  std::string all;
  for (const auto& [word, value] : words) {
    if (word == text) return value;
    all += (all.empty() ? "" : ", ") + std::string(word);
  }
  return usage_error(key + ": " + in_quotes(text) + " is none of " + all);
}

constexpr std::array kTraffics{std::pair<std::string_view, FlowTraffic>{"all", FlowTraffic::kAll},
                               std::pair<std::string_view, FlowTraffic>{"accept", FlowTraffic::kAccept},
                               std::pair<std::string_view, FlowTraffic>{"reject", FlowTraffic::kReject}};
constexpr std::array kFormats{std::pair<std::string_view, FlowFormat>{"text", FlowFormat::kText},
                              std::pair<std::string_view, FlowFormat>{"json", FlowFormat::kJson}};
constexpr std::array kStates{std::pair<std::string_view, bool>{"on", true},
                             std::pair<std::string_view, bool>{"off", false}};

Result<std::chrono::seconds> parse_window(std::string_view text) {
  const auto window = option_text::time(text, {std::chrono::seconds(1), kMaxWindow});
  if (!window) return usage_error("window: " + window.error().message);
  if (window->count() % 1000 != 0)
    return usage_error("window: " + in_quotes(text) + " is no whole number of seconds");
  return std::chrono::duration_cast<std::chrono::seconds>(*window);
}

// Sinks that write what an encoder gives them, as lines or as names and values.
Result<SinkConfig> parse_destination(std::string_view text) {
  auto sink = SinkConfig::parse(text);
  if (!sink) return usage_error("destination: " + sink.error().message);
  if (!sink->takes_flows()) {
    return usage_error(
        "destination: '" + without_secrets(text) +
        "': it is to be a sink of text, JSON or names and values (stdout, file, exec, http, https, "
        "journald, syslog, kafka, sls, cls, lts or loki), without format, time_format, fields or blocks: "
        "what "
        "is written says the flow log's record and format");
  }
  return std::move(*sink);
}

}  // namespace

Result<void> check_flow_log_name(std::string_view name) {
  if (name.size() <= kMaxFlowLogName && is_word(name, "-_.") && name.front() != '.' && name.front() != '-')
    return {};
  return usage_error("name: " + in_quotes(name) +
                     " is no name of a flow log: letters, digits, -, _ and ., at most " +
                     std::to_string(kMaxFlowLogName));
}

Result<void> check_tag(std::string_view tag) {
  const std::size_t at = tag.find('=');
  constexpr std::size_t kMost = 255;
  if (at != std::string_view::npos && is_word(tag.substr(0, at), "-_.:/") && tag.size() <= kMost &&
      check_text(tag))
    return {};
  return usage_error("tags: " + in_quotes(tag) + " is not KEY=VALUE, such as team=edge");
}

Result<FlowLogConfig> FlowLogConfig::parse(std::string_view text) {
  toml::table table;
  try {
    table = toml::parse("x = " + std::string(text));
  } catch (const toml::parse_error& error) {
    return usage_error("it is no table: " + std::string(error.description()));  // it may hold a password
  }
  const toml::table* const keys = table["x"].as_table();
  if (keys == nullptr || table.size() != 1)
    return usage_error(R"(it is no table, such as {name = "all", resource = "nat", record = "aws", )"
                       R"(destination = "file:/var/log/flow.log"})");

  std::optional<FlowResource> resource;
  std::optional<FlowForm> record;
  std::optional<SinkConfig> destination;
  FlowLogConfig log{
      .name = {}, .tags = {}, .resource = {}, .record = {}, .destination = *SinkConfig::parse("stdout")};
  const auto put = [&](const Given& given) -> Result<void> {
    const std::string& key = given.key;
    const std::string value = joined(given.texts);
    const auto into = [](auto& member, auto parsed) -> Result<void> {
      if (!parsed) return parsed.error();
      member = std::move(*parsed);
      return {};
    };
    if (key == "tags") {
      if (given.texts.size() > kMaxTags) return usage_error("tags: more than " + std::to_string(kMaxTags));
      for (const std::string& tag : given.texts) {
        if (auto fit = check_tag(tag); !fit) return fit;
      }
      log.tags = given.texts;
      return {};
    }
    if (key == "record") return into(record, FlowForm::parse(value));
    if (given.is_list) return usage_error(key + ": needs a text, not an array");
    if (key == "name") {
      log.name = value;
      return check_flow_log_name(value);
    }
    if (key == "resource") return into(resource, FlowResource::parse(value));
    if (key == "traffic") return into(log.traffic, choose(key, value, kTraffics));
    if (key == "format") return into(log.format, choose(key, value, kFormats));
    if (key == "state") return into(log.on, choose(key, value, kStates));
    if (key == "window") return into(log.window, parse_window(value));
    if (key == "destination") return into(destination, parse_destination(value));
    const std::vector<std::string> known{"name",   "tags",   "resource", "traffic",    "record",
                                         "format", "window", "state",    "destination"};
    const std::string_view meant = nearest(key, known);
    return usage_error("unknown key " + in_quotes(key) +
                       (meant.empty() ? ": " + joined(known) : ": did you mean " + std::string(meant) + "?"));
  };
  for (const auto& [key, node] : *keys) {
    const auto given = given_of(std::string(key.str()), node);
    if (!given) return given.error();
    for (const std::string& one : given->texts) {
      // A destination that is wrong may hold a password.
      if (auto fit = check_text(one); !fit)
        return usage_error(given->key + ": it is not UTF-8, or has a control character");
    }
    if (auto done = put(*given); !done) return done.error();
  }
  if (log.name.empty()) return usage_error("name: a flow log needs one, such as name = \"edge\"");
  const std::string of = "flow log " + log.name + ": ";
  if (!resource) return usage_error(of + "resource: needs one: an interface, a subnet, vpc:ID or nat");
  if (!record)
    return usage_error(of +
                       "record: needs one: alibaba, tencent, huawei-v1, huawei-v2, aws or names of fields");
  if (!destination) return usage_error(of + "destination: needs one, such as \"file:/var/log/flow.log\"");
  if (resource->kind == FlowResource::Kind::kNat && log.traffic == FlowTraffic::kReject)
    return usage_error(of + "traffic: nothing that was refused is translated: of nat it is all or accept");
  if (destination->takes_json_alone() && log.format != FlowFormat::kJson)
    return usage_error(of + "format: " + destination->url().scheme +
                       " takes lines of JSON: say format = \"json\"");
  log.resource = std::move(*resource);
  log.record = std::move(*record);
  log.destination = std::move(*destination);
  return log;
}

namespace {

std::string keys_of(const FlowLogConfig& log, std::string_view between) {
  std::string tag_list;
  for (const std::string& tag : log.tags) tag_list += (tag_list.empty() ? "" : ", ") + toml_string(tag);
  std::string out = "name = " + toml_string(log.name);
  const auto add = [&](std::string_view key, const std::string& value) {
    out += std::string(between) + std::string(key) + " = " + value;
  };
  if (!log.tags.empty()) add("tags", "[" + tag_list + "]");
  add("resource", toml_string(log.resource.to_string()));
  add("traffic", toml_string(to_string(log.traffic)));
  add("record", toml_string(log.record.text));
  add("format", log.format == FlowFormat::kJson ? R"("json")" : R"("text")");
  add("window", toml_string(format_duration(log.window)));
  add("destination", toml_string(log.destination.url().text));
  add("state", log.on ? R"("on")" : R"("off")");
  return out;
}

}  // namespace

std::string FlowLogConfig::text() const {
  return "{" + keys_of(*this, ", ") + "}";
}

std::string FlowLogConfig::lines() const {
  return keys_of(*this, "\n") + "\n";
}

}  // namespace natsession
