#include "sink/registry.h"

#include <algorithm>
#include <array>

#include "sink/delivery_options.h"
#include "sink/encoder_choice.h"

namespace natsession {
namespace {

// The table.
const auto& kinds() {
  static const std::array kKinds{
      stdout_kind(),     file_kind(),       journald_kind(), syslog_kind(), syslog_udp_kind(),
      syslog_tcp_kind(), syslog_tls_kind(), http_kind(),     https_kind(),  exec_kind(),
  };
  return kKinds;
}

const std::vector<SinkOption>& common_options() {
  static const std::vector<SinkOption> kOptions = [] {
    std::vector<SinkOption> options;
    for (const auto table : {encoder_option_table(), delivery_option_table()}) {
      options.insert(options.end(), table.begin(), table.end());
    }
    return options;
  }();
  return kOptions;
}

std::string known_usages() {
  std::string text;
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (i > 0) text += i + 1 < kinds().size() ? ", " : " or ";
    text += kinds()[i].usage;
  }
  return text;
}

std::array<std::span<const SinkOption>, 3> options_of(const SinkKind& kind) {
  return {kind.options, kind.also, common_options()};
}

std::string known_keys(const SinkKind& kind) {
  std::string text;
  for (const auto options : options_of(kind)) {
    for (const SinkOption& option : options) text += (text.empty() ? "" : ", ") + std::string(option.key);
  }
  return text;
}

bool has_key(const SinkKind& kind, std::string_view key) {
  for (const auto options : options_of(kind)) {
    const auto is_it = [&](const SinkOption& option) { return option.key == key; };
    if (std::any_of(options.begin(), options.end(), is_it)) return true;
  }
  return false;
}

struct Checked {
  SinkUrl url;
  const SinkKind* kind;
};

Result<Checked> check(std::string_view text) {
  auto url = SinkUrl::parse(text);
  if (!url) return url.error();
  const auto kind = std::find_if(kinds().begin(), kinds().end(),
                                 [&](const SinkKind& one) { return one.scheme == url->scheme; });
  if (kind == kinds().end()) {
    return url->wrong("there is no sink '" + url->scheme + "': " + known_usages());
  }
  if (kind->screen != nullptr) {
    if (auto screened = kind->screen(*url); !screened) return screened.error();
  }
  for (const SinkUrl::Option& option : url->options) {
    if (!has_key(*kind, option.key)) {
      const std::string value = is_secret_key(option.key) ? "***" : option.value;
      return url->wrong("unknown option '" + option.key + "' (value '" + value +
                        "'): " + std::string(kind->scheme) + " has " + known_keys(*kind));
    }
  }
  if (const auto options = encoder_options(*url, {}); !options) return options.error();
  if (const auto options = delivery_options(*url); !options) return options.error();
  if (auto checked = kind->check(*url); !checked) return checked.error();
  return Checked{std::move(*url), &*kind};
}

// An error that names what is wrong, but perhaps not the URL that it came from.
Error about(const std::string& url, Error error) {
  const std::string shown = without_secrets(url);
  if (error.message.find(shown) == std::string::npos)
    error.message = "sink '" + shown + "': " + error.message;
  return error;
}

}  // namespace

std::span<const SinkKind> sink_kinds() {
  return kinds();
}
std::span<const SinkOption> common_sink_options() {
  return common_options();
}

Result<void> check_sink_url(std::string_view url) {
  const auto checked = check(url);
  if (!checked) return checked.error();
  return {};
}

Result<void> probe_sink(std::string_view url) {
  const auto checked = check(url);
  if (!checked) return checked.error();
  const auto probed = checked->kind->probe(checked->url);
  if (!probed) return about(checked->url.text, probed.error());
  return {};
}

Result<std::unique_ptr<Sink>> open_sink(std::string_view url, const EncoderOptions& defaults,
                                        const Clock& clock) {
  const auto checked = check(url);
  if (!checked) return checked.error();
  const auto options = encoder_options(checked->url, defaults);
  if (!options) return options.error();
  auto sink = checked->kind->open(checked->url, *options, clock);
  if (!sink) return about(checked->url.text, sink.error());
  return sink;
}

Result<std::vector<std::unique_ptr<Sink>>> open_sinks(std::span<const std::string> urls,
                                                      const EncoderOptions& defaults, const Clock& clock) {
  for (const std::string& url : urls) {
    if (auto probed = probe_sink(url); !probed) return probed.error();
  }
  std::vector<std::unique_ptr<Sink>> sinks;
  for (const std::string& url : urls) {
    auto sink = open_sink(url, defaults, clock);
    if (!sink) return sink.error();
    sinks.push_back(std::move(*sink));
  }
  return sinks;
}

}  // namespace natsession
