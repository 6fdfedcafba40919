// KafkaSettings: what the URL of a kafka sink says. KafkaProperties: what librdkafka is told besides, from a
// file, so that no password stands on a command line.
// Threads: plain value types; the functions keep no state.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sink/sink_kind.h"
#include "sink/sink_url.h"

namespace natsession {

inline constexpr std::string_view kProtobufFormat = "protobuf";

// What records with the same key have in common: they are in one partition, in their order. All records of a
// session have the same, whichever is chosen.
enum class KafkaKey { kNat, kSession, kHost };

struct KafkaSettings {
  std::string brokers;  // HOST:PORT[,HOST:PORT]
  std::string topic;
  KafkaKey key = KafkaKey::kNat;
  bool protobuf = false;  // else lines of JSON, without their newlines
  // How long deliver() waits for reports that do not come. What it waited for stays with librdkafka.
  std::chrono::milliseconds timeout{10'000};
  std::string properties_file;  // lines of name=value; empty: not given

  // Shape:  //BROKER[:PORT][,BROKER[:PORT]]/TOPIC
  // Errors: kUsage, naming URL, key and value.
  [[nodiscard]] static Result<KafkaSettings> parse(const SinkUrl& url);
};

[[nodiscard]] std::span<const Option<KafkaSettings>> kafka_options();

// Never shown in a message.
struct KafkaProperty {
  std::string name;
  std::string value;
  std::string from;  // FILE:LINE
};

struct KafkaProperties {
  std::vector<KafkaProperty> all;

  // Reads the file, if there is one; that librdkafka has such properties is not looked at. A file that a
  // property names (a key, certificates) must be there, and nobody else may write it.
  // Errors: kUsage, kPermission or kIo, naming the file and line and what is wrong.
  [[nodiscard]] static Result<KafkaProperties> read(const KafkaSettings& settings);
};

// Whether the value of librdkafka's property is a secret, so that no message may have it.
[[nodiscard]] bool is_secret_property(std::string_view name);

}  // namespace natsession
