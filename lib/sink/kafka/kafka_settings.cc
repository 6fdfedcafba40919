#include "sink/kafka/kafka_settings.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

#include "base/comma_list.h"
#include "base/files.h"

namespace natsession {
namespace {

constexpr std::uint16_t kKafkaPort = 9092;
constexpr std::size_t kMaxTopic = 249;  // as brokers have it
constexpr ByteCount kMaxPropertiesFile{64 << 10};

struct Refused {
  std::string_view name;
  std::string_view why;
};
constexpr std::string_view kOfUrl = "the URL has the brokers";
constexpr std::string_view kOfDelivery =
    "records would be lost, doubled or out of order with another value than natsessiond's";
constexpr std::string_view kOfCode = "a logger loads no code that a file names";
constexpr Refused kRefused[] = {
    {"bootstrap.servers", kOfUrl},
    {"metadata.broker.list", kOfUrl},
    {"enable.idempotence", kOfDelivery},
    {"enable.gapless.guarantee", kOfDelivery},
    {"acks", kOfDelivery},
    {"request.required.acks", kOfDelivery},
    {"retries", kOfDelivery},
    {"message.send.max.retries", kOfDelivery},
    {"message.timeout.ms", kOfDelivery},
    {"delivery.timeout.ms", kOfDelivery},
    {"delivery.report.only.error", kOfDelivery},
    {"queuing.strategy", kOfDelivery},
    {"enabled_events", kOfDelivery},
    {"test.mock.num.brokers", "records would go nowhere"},
    {"transactional.id", "there are no transactions here"},
    {"plugin.library.paths", kOfCode},
    {"ssl.engine.location", kOfCode},
    {"internal.termination.signal", "signals are natsessiond's own"},
};

bool is_topic_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
         byte == '.' || byte == '_' || byte == '-';
}

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kBlanks)));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

Result<std::string> read_brokers(const SinkUrl& url, std::string_view list) {
  std::string brokers;
  for (const std::string_view part : comma_list(list)) {
    SinkUrl one = url;
    one.target = "//" + std::string(part);
    const auto endpoint = endpoint_of(one, kKafkaPort);
    if (!endpoint) return endpoint.error();
    brokers += (brokers.empty() ? "" : ",") + endpoint->to_string();
  }
  return brokers;
}

// Such as ssl.key.location.
Result<void> check_named_file(const std::string& path) {
  struct stat status {};
  if (::access(path.c_str(), R_OK) != 0 || ::stat(path.c_str(), &status) != 0)
    return system_error("open " + path, errno, ErrorKind::kUsage);
  return check_writers(path, status);
}

Result<KafkaProperty> read_property(std::string_view line, std::string from) {
  const std::size_t equals = line.find('=');
  KafkaProperty property{std::string(without_blanks(line.substr(0, equals))), {}, std::move(from)};
  if (equals == std::string_view::npos || property.name.empty())
    return usage_error(property.from + ": not a property: write name=value");
  property.value = without_blanks(line.substr(equals + 1));
  if (property.value.find('\0') != std::string::npos)
    return usage_error(property.from + ": " + property.name + " has a NUL byte");
  for (const Refused& refused : kRefused) {
    if (property.name == refused.name)
      return usage_error(property.from + ": " + property.name +
                         " cannot be set: " + std::string(refused.why));
  }
  if (property.name == "partitioner" && property.value == "random") {
    return usage_error(property.from +
                       ": partitioner cannot be random: a session's records would not stay together");
  }
  if (property.name.ends_with(".location") && !property.value.empty() && property.value != "probe") {
    if (auto there = check_named_file(property.value); !there) {
      return Error{there.error().kind, property.from + ": " + property.name + ": " + there.error().message};
    }
  }
  return property;
}

}  // namespace

std::span<const Option<KafkaSettings>> kafka_options() {
  static const Option<KafkaSettings> kTable[] = {
      {"partition_by", "nat|session|host",
       "records with the same NAT address and port, of one session, or of one host are in one partition and "
       "in order",
       choice_option(&KafkaSettings::key, Names<KafkaKey>{{"nat", KafkaKey::kNat},
                                                          {"session", KafkaKey::kSession},
                                                          {"host", KafkaKey::kHost}})},
      {"properties_file", "FILE",
       "properties of librdkafka, lines of name=value: SASL, TLS, compression …; read anew on SIGHUP",
       text_option(&KafkaSettings::properties_file, "a file")},
      {"timeout", "TIME", "how long a report may take before the sink tells that it is in trouble",
       time_option(&KafkaSettings::timeout, {std::chrono::milliseconds(100), std::chrono::minutes(5)})},
  };
  return kTable;
}

Result<KafkaSettings> KafkaSettings::parse(const SinkUrl& url) {
  KafkaSettings settings;
  constexpr std::string_view kForm = ": kafka://BROKER[:9092][,BROKER…]/TOPIC";
  const std::string_view target = url.target;
  if (!target.starts_with("//")) return url.wrong("brokers are missing" + std::string(kForm));
  const std::string_view place = target.substr(2);
  const std::size_t slash = place.find('/');
  auto brokers = read_brokers(url, place.substr(0, slash));
  if (!brokers) return brokers.error();
  settings.brokers = std::move(*brokers);
  if (slash == std::string_view::npos || slash + 1 == place.size())
    return url.wrong("a topic is missing" + std::string(kForm));
  settings.topic = place.substr(slash + 1);
  if (settings.topic.size() > kMaxTopic || settings.topic == "." || settings.topic == ".." ||
      !std::all_of(settings.topic.begin(), settings.topic.end(), is_topic_byte)) {
    return url.wrong("'" + settings.topic +
                     "' is no topic: up to 249 letters, digits, dots, underscores and hyphens");
  }
  for (const SinkUrl::Option& given : url.options) {
    if (given.key == "format") settings.protobuf = given.value == kProtobufFormat;
  }
  if (auto read = read_options(url, kafka_options(), settings); !read) return read.error();
  return settings;
}

bool is_secret_property(std::string_view name) {
  static constexpr std::array<std::string_view, 7> kWords{"password", "secret",  "pem",  "oauthbearer",
                                                          "username", "ssl_key", "token"};
  return std::any_of(kWords.begin(), kWords.end(),
                     [&](std::string_view word) { return name.find(word) != std::string_view::npos; });
}

Result<KafkaProperties> KafkaProperties::read(const KafkaSettings& settings) {
  KafkaProperties properties;
  const std::string& path = settings.properties_file;
  if (path.empty()) return properties;
  const auto text = read_trusted_file(path, kMaxPropertiesFile, ErrorKind::kUsage, O_NONBLOCK);
  if (!text) return text.error();
  if (text->size() > kMaxPropertiesFile.bytes)
    return usage_error("read " + path + ": it is larger than 64 KiB");
  std::string_view rest = *text;
  for (int number = 1; !rest.empty(); ++number) {
    const std::size_t end = std::min(rest.size(), rest.find('\n'));
    const std::string_view line = without_blanks(rest.substr(0, end));
    rest.remove_prefix(std::min(rest.size(), end + 1));
    if (line.empty() || line.starts_with('#')) continue;
    auto property = read_property(line, path + ":" + std::to_string(number));
    if (!property) return property.error();
    properties.all.push_back(std::move(*property));
  }
  return properties;
}

}  // namespace natsession
