#include "sink/registry.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "base/comma_list.h"
#include "base/help_text.h"
#include "record/subscriber_encoder.h"
#include "sink/blocks/block_sink.h"
#include "sink/clickhouse/clickhouse_sink.h"
#include "sink/cloud/cls_sink.h"
#include "sink/cloud/lts_sink.h"
#include "sink/cloud/sls_sink.h"
#include "sink/collector/elasticsearch_sink.h"
#include "sink/collector/loki_sink.h"
#include "sink/collector/otlp_sink.h"
#include "sink/http/http_sink.h"
#include "sink/ipfix/ipfix_sink.h"
#include "sink/kafka/kafka_sink.h"
#include "sink/local/exec_sink.h"
#include "sink/local/file_sink.h"
#include "sink/local/journald_sink.h"
#include "sink/local/stdout_sink.h"
#include "sink/pseudonyms/pseudonym_sink.h"
#include "sink/syslog/syslog_datagram_sink.h"
#include "sink/syslog/syslog_stream_sink.h"

namespace natsession {
namespace {

// The table.
const auto& kinds() {
  static const std::array kKinds{
      stdout_kind(),        file_kind(),
      journald_kind(),      syslog_kind(),
      syslog_udp_kind(),    syslog_tcp_kind(),
      syslog_tls_kind(),    ipfix_kind(),
      ipfix_tcp_kind(),     ipfix_tls_kind(),
      http_kind(),          https_kind(),
      elasticsearch_kind(), elasticsearch_https_kind(),
      loki_kind(),          loki_https_kind(),
      otlp_kind(),          otlp_https_kind(),
      clickhouse_kind(),    clickhouse_tls_kind(),
      sls_kind(),           cls_kind(),
      lts_kind(),           kafka_kind(),
      exec_kind(),
  };
  return kKinds;
}

// Options that every sink has.

std::span<const Option<EncoderChoice>> encoder_options_table() {
  static const Option<EncoderChoice> kTable[] = {
      {"format", "json|csv|logfmt",
       "as --format, for this sink; journald and syslog: of the message, default logfmt, and syslog also "
       "nat; "
       "exec: default json; "
       "http and lts have json only, ipfix, sls, cls and clickhouse none of these",
       choice_option(&EncoderChoice::format,
                     named({RecordFormat::kJson, RecordFormat::kCsv, RecordFormat::kLogfmt}))},
      {"time_format", "unix|unix_ms|rfc3339", "as --time-format, for this sink",
       choice_option(&EncoderChoice::time_format,
                     named({TimeFormat::kUnix, TimeFormat::kUnixMs, TimeFormat::kRfc3339}))},
      {"fields", "all|cloud", "as --fields, for this sink; journald and syslog: of the message, default all",
       choice_option(&EncoderChoice::fields, named({FieldSet::kAll, FieldSet::kCloud}))},
      {"identity", "on|off",
       "fields subscriber, mac and host behind the others, as --identity tells of the record's end",
       choice_option(&EncoderChoice::identity, Names<bool>{{"on", true}, {"off", false}})},
      {"pseudonyms", "on|off",
       "pseudonyms by --pseudonyms in place of pri_ip, session_id, subscriber, mac and host",
       choice_option(&EncoderChoice::pseudonyms, Names<bool>{{"on", true}, {"off", false}})},
  };
  return kTable;
}

std::span<const Option<DeliveryOptions>> delivery_options_table() {
  static const Option<DeliveryOptions> kTable[] = {
      {"batch", "N", "records in one batch, at most", number_option(&DeliveryOptions::batch, kBatchRange)},
      {"batch_bytes", "SIZE", "their size, at most",
       size_option(&DeliveryOptions::batch_bytes, kBatchBytesRange)},
      {"linger", "TIME",
       "how long a batch waits to fill; as --linger for what is behind a network or a command, clickhouse: "
       "10s, else 0s",
       time_option(&DeliveryOptions::linger, kLingerRange)},
      {"suspend", "TIME", "pause after the target refused, as --suspend",
       time_option(&DeliveryOptions::suspend, kSuspendRange)},
      {"from", "start|end", "where a new sink begins in the ledger",
       choice_option(&DeliveryOptions::from_start, Names<bool>{{"start", true}, {"end", false}})},
  };
  return kTable;
}

Result<std::vector<Prefix>> parse_prefixes(std::string_view text) {
  std::vector<Prefix> prefixes;
  for (const std::string_view one : comma_list(text)) {
    const auto prefix = Prefix::parse(one);
    if (!prefix) return prefix.error();
    prefixes.push_back(*prefix);
  }
  return prefixes;
}

std::string text_of_prefixes(const std::vector<Prefix>& prefixes) {
  std::string text;
  for (const Prefix& prefix : prefixes) text += (text.empty() ? "" : ",") + prefix.to_string();
  return text;
}

// Options of those that can tell of blocks of ports.
std::span<const Option<PortBlockSettings>> block_options_table() {
  static const Option<PortBlockSettings> kTable[] = {
      {"blocks", "PREFIX,...",
       "hosts in PREFIX have blocks of ports of their own: tell of a block when it is allocated and when it "
       "is free, in "
       "place of its sessions",
       parsed_option(&PortBlockSettings::prefixes, parse_prefixes, text_of_prefixes)},
      {"block_size", "N", "ports of a block",
       number_option(&PortBlockSettings::size, Range<std::uint16_t>{2, 65'535})},
      {"block_from", "PORT",
       "the first port of the first block; sessions of ports below it are told as they are",
       number_option(&PortBlockSettings::from, Range<std::uint16_t>{0, 65'534})},
      {"block_idle", "TIME", "a block is free when it had no session for so long",
       time_option(&PortBlockSettings::idle, {std::chrono::seconds(1), std::chrono::hours(24 * 30)})},
  };
  return kTable;
}

const std::vector<SinkOption>& block_options() {
  static const std::vector<SinkOption> kOptions = explain(block_options_table());
  return kOptions;
}

const std::vector<SinkOption>& common_options() {
  static const std::vector<SinkOption> kOptions =
      joined(explain(encoder_options_table()), explain(delivery_options_table()));
  return kOptions;
}

std::array<std::span<const SinkOption>, 4> options_of(const SinkKind& kind) {
  return {kind.options, kind.also, common_options(),
          kind.blocks ? std::span<const SinkOption>(block_options()) : std::span<const SinkOption>()};
}

std::string known_usages() {
  std::string text;
  for (std::size_t i = 0; i < kinds().size(); ++i) {
    if (i > 0) text += i + 1 < kinds().size() ? ", " : " or ";
    text += kinds()[i].usage;
  }
  return text;
}

// The help.

void append_options(std::string& out, std::span<const SinkOption> options) {
  for (const SinkOption& option : options) {
    out += help_row(4, std::string(option.key) + "=" + std::string(option.value_name), option.help);
  }
}

}  // namespace

std::span<const SinkKind> sink_kinds() {
  return kinds();
}

const SinkKind* find_sink_kind(std::string_view scheme) {
  const auto found = std::find_if(kinds().begin(), kinds().end(),
                                  [&](const SinkKind& kind) { return kind.scheme == scheme; });
  return found == kinds().end() ? nullptr : &*found;
}

std::span<const SinkOption> common_sink_options() {
  return common_options();
}

std::string sink_help() {
  std::string out;
  for (const SinkKind& kind : kinds()) {
    out += help_row(2, kind.usage, kind.help);
    append_options(out, kind.options);
  }
  out += help_row(2, "any sink", "may have options, as in 'file:/var/log/nat.json?rotate_size=100M&keep=14'");
  append_options(out, common_options());
  out +=
      help_row(2, "ipfix, and json to stdout, file, http or exec", "may tell of blocks of ports (RFC 7422):");
  append_options(out, block_options());
  return out;
}

Result<SinkConfig> SinkConfig::parse(std::string_view text) {
  auto url = SinkUrl::parse(text);
  if (!url) return url.error();
  SinkConfig config;
  config.url_ = std::move(*url);
  config.kind_ = find_sink_kind(config.url_.scheme);
  if (config.kind_ == nullptr) {
    return config.url_.wrong("there is no sink '" + config.url_.scheme + "': " + known_usages());
  }
  if (auto checked = config.check_options(); !checked) return checked.error();
  SinkUrl of_encoders = config.url_;
  std::erase_if(of_encoders.options, [&](const SinkUrl::Option& given) {
    return given.key == "format" && !given.value.empty() && given.value == config.kind_->own_format;
  });
  if (auto read = read_options(of_encoders, encoder_options_table(), config.encoder_); !read)
    return read.error();
  if (auto read = read_options(config.url_, delivery_options_table(), config.delivery_); !read)
    return read.error();
  const SinkEncoding encoding = config.kind_->encoding;
  const RecordFormat format = config.encoder_.format.value_or(RecordFormat::kJson);
  if (encoding == SinkEncoding::kMessage && format == RecordFormat::kCsv) {
    return config.url_.wrong("format: a line of csv says nothing without its header: logfmt or json");
  }
  if (encoding == SinkEncoding::kJsonOnly && format != RecordFormat::kJson) {
    return config.url_.wrong("format: '" + std::string(to_string(format)) +
                             "': what is sent is lines of json");
  }
  if (encoding == SinkEncoding::kPairs && config.encoder_.format) {
    return config.url_.wrong("format: what is sent is names and values");
  }
  if (encoding == SinkEncoding::kBinary && (config.encoder_.format || config.encoder_.time_format)) {
    return config.url_.wrong(std::string(config.encoder_.format ? "format" : "time_format") +
                             ": what is sent is no text");
  }
  if (config.encoder_.identity && (!config.kind_->flows || config.has_form_of_its_own())) {
    return config.url_.wrong("identity: records of this form have no fields for whose they are");
  }
  if (auto read = config.read_blocks(); !read) return read.error();
  if (!config.kind_->missing.empty()) {
    return config.url_.wrong("this natsessiond was built without " + std::string(config.kind_->missing) +
                             ", so it has no " + config.url_.scheme);
  }
  auto opener = config.kind_->parse(config.url_);
  if (!opener) return opener.error();
  config.opener_ = std::move(*opener);
  return config;
}

bool SinkConfig::has_form_of_its_own() const {
  return !kind_->own_format.empty() &&
         std::any_of(url_.options.begin(), url_.options.end(), [&](const SinkUrl::Option& given) {
           return given.key == "format" && given.value == kind_->own_format;
         });
}

bool SinkConfig::takes_flows() const {
  const bool has_format = std::any_of(url_.options.begin(), url_.options.end(),
                                      [](const SinkUrl::Option& given) { return given.key == "format"; });
  return kind_->flows && !tells_blocks() && !has_format && !encoder_.time_format && !encoder_.fields &&
         !encoder_.pseudonyms;
}

bool SinkConfig::takes_json_alone() const {
  return kind_->encoding == SinkEncoding::kJsonOnly;
}

Result<void> SinkConfig::read_blocks() {
  if (auto read = read_options(url_, block_options_table(), blocks_); !read) return read.error();
  const bool given = std::any_of(url_.options.begin(), url_.options.end(), [](const SinkUrl::Option& option) {
    return option.key.starts_with("block_");
  });
  if (given && !tells_blocks()) return url_.wrong("block_size, block_from and block_idle belong to blocks=");
  return {};
}

Result<void> SinkConfig::check_options() const {
  for (const SinkUrl::Option& given : url_.options) {
    std::string known;
    bool found = false;
    for (const auto options : options_of(*kind_)) {
      for (const SinkOption& option : options) {
        found |= option.key == given.key;
        known += (known.empty() ? "" : ", ") + std::string(option.key);
      }
    }
    if (found) continue;
    if (is_secret_key(given.key)) {
      return url_.wrong("the option '" + given.key + "' " + std::string(kWhyNoSecrets));
    }
    return url_.wrong("unknown option '" + given.key + "' (value '" + given.value +
                      "'): " + std::string(kind_->scheme) + " has " + known);
  }
  return {};
}

std::string SinkConfig::destination() const {
  if (url_.scheme != "file") return url_.name();
  return "file:" + std::filesystem::path(url_.target).lexically_normal().string();
}

EncoderOptions SinkConfig::encoder_options(const EncoderOptions& defaults) const {
  EncoderOptions options = defaults;
  if (kind_->encoding == SinkEncoding::kMessage) {
    options.format = RecordFormat::kLogfmt;
    options.fields = FieldSet::kAll;
  } else if (kind_->encoding != SinkEncoding::kConfigured) {
    options.format = RecordFormat::kJson;
  }
  options.format = encoder_.format.value_or(options.format);
  options.time_format = encoder_.time_format.value_or(options.time_format);
  options.fields = encoder_.fields.value_or(options.fields);
  return options;
}

// An error that names what is wrong, but perhaps not the URL that it came from.
Error SinkConfig::about_this(Error error) const {
  const std::string shown = without_secrets(url_.text);
  if (error.message.find(shown) == std::string::npos)
    error.message = "sink '" + shown + "': " + error.message;
  return error;
}

Result<void> SinkConfig::probe() const {
  if (!opener_.probe) return {};
  if (auto probed = opener_.probe(); !probed) return about_this(probed.error());
  return {};
}

Result<Reached> SinkConfig::reach() const {
  if (auto probed = probe(); !probed) return probed.error();
  if (!opener_.reach) return Reached{"can be written"};
  auto reached = opener_.reach();
  if (!reached) return about_this(reached.error());
  return reached;
}

Result<std::unique_ptr<Sink>> SinkConfig::open(const EncoderOptions& defaults, const Clock& clock,
                                               std::unique_ptr<CommandRunner> runner,
                                               const SinkIdentity& identity) const {
  EncoderOptions options = encoder_options(defaults);
  if (tells_blocks() && kind_->encoding != SinkEncoding::kBinary && options.format != RecordFormat::kJson) {
    return about_this(usage_error("blocks: a block of ports is a record of json: say format=json"));
  }
  std::shared_ptr<PseudonymLookup> hiding;
  if (tells_pseudonyms()) {
    if (identity.pseudonyms == nullptr) return about_this(usage_error("pseudonyms: needs --pseudonyms FILE"));
    hiding = std::make_shared<PseudonymLookup>(identity.pseudonyms, identity.subscribers);
  }
  // Of a flow log's entries, which have an encoder already, it is vm-id.
  if (tells_identity() && !options.own) {
    if (identity.subscribers == nullptr) return about_this(usage_error("identity: needs --identity URL"));
    options.own = std::make_shared<const SubscriberEncoder>(
        options, hiding ? hiding : std::shared_ptr<const SubscriberLookup>(identity.subscribers));
  }
  std::unique_ptr<Sink> opened;
  if (opener_.command) {
    opened = opener_.open_command(options, std::move(runner));
  } else {
    auto sink = opener_.open(options, clock);
    if (!sink) return about_this(sink.error());
    opened = std::move(*sink);
  }
  if (hiding) opened = std::make_unique<PseudonymSink>(std::move(opened), std::move(hiding));
  if (tells_blocks()) opened = std::make_unique<BlockSink>(std::move(opened), blocks_);
  return opened;
}

Result<std::vector<std::unique_ptr<Sink>>> open_sinks(std::span<const SinkConfig> configs,
                                                      const EncoderOptions& defaults, const Clock& clock,
                                                      std::vector<std::unique_ptr<CommandRunner>> runners,
                                                      const SinkIdentity& identity) {
  for (const SinkConfig& config : configs) {
    if (auto probed = config.probe(); !probed) return probed.error();
  }
  std::vector<std::unique_ptr<Sink>> sinks;
  auto runner = runners.begin();
  for (const SinkConfig& config : configs) {
    auto sink = config.open(defaults, clock, config.command() ? std::move(*runner++) : nullptr, identity);
    if (!sink) return sink.error();
    sinks.push_back(std::move(*sink));
  }
  return sinks;
}

}  // namespace natsession
