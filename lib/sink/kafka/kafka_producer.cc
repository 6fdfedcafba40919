#include "sink/kafka/kafka_producer.h"

#include <algorithm>
#include <array>

#include "sink/kafka/librdkafka.h"

namespace natsession {
namespace {

using KafkaKind = KafkaVerdict::Kind;
constexpr std::size_t kErrorBytes = 512;

KafkaVerdict verdict_of_error(int error) {
  const auto target = [](TargetCode code) { return KafkaVerdict{KafkaKind::kTarget, code}; };
  switch (error) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
      return {};
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
      return target(TargetCode::kLogStoreNotExist);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
      return target(TargetCode::kUnauthorized);
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
    case RD_KAFKA_RESP_ERR__SSL:
      return target(TargetCode::kInvalidAccessKeyId);
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
      return target(TargetCode::kProjectForbidden);
    case RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED:
      return {KafkaKind::kThrottled, TargetCode::kWriteQuotaExceed};
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_MSG:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
      return {KafkaKind::kSuspect};
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
      return {KafkaKind::kPurged};
    default:
      return {KafkaKind::kAgain};
  }
}

// Of one line that can be shown: some of a broker's words are in it.
std::string printable(std::string_view text) {
  std::string line;
  for (const char byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    line += value < ' ' || value == 0x7f ? ' ' : byte;
  }
  return line.substr(0, line.find_last_not_of(' ') + 1);
}

void ignore_log(const rd_kafka_t*, int, const char*, const char*) {}

// Of a configuration that rd_kafka_new() has not taken over.
class Configuration {
 public:
  explicit Configuration(const LibRdkafka& kafka) : kafka_(kafka), conf_(kafka.conf_new()) {
    // What matters comes through error_cb as well.
    kafka_.conf_set_log_cb(conf_, ignore_log);
  }
  Configuration(const Configuration&) = delete;
  Configuration& operator=(const Configuration&) = delete;
  ~Configuration() {
    if (conf_ != nullptr) kafka_.conf_destroy(conf_);
  }
  [[nodiscard]] rd_kafka_conf_t* get() const { return conf_; }
  void release() { conf_ = nullptr; }

  // Errors: kUsage, with the property.
  Result<void> set(const KafkaProperty& property) {
    std::array<char, kErrorBytes> why{};
    const auto result =
        kafka_.conf_set(conf_, property.name.c_str(), property.value.c_str(), why.data(), why.size());
    if (result == RD_KAFKA_CONF_OK) return {};
    const std::string begin = property.from.empty() ? std::string("librdkafka: ") : property.from + ": ";
    if (result == RD_KAFKA_CONF_UNKNOWN) {
      return usage_error(begin + "librdkafka " + kafka_.version_str() + " has no property " +
                         printable(property.name));
    }
    // It may name the property otherwise, and repeat the value.
    return usage_error(
        begin + printable(property.name) + ": " +
        (is_secret_property(property.name) ? "librdkafka does not take this value" : printable(why.data())));
  }

 private:
  const LibRdkafka& kafka_;
  rd_kafka_conf_t* conf_;
};

// What the file may change.
const std::array kUsual{
    KafkaProperty{"client.id", "natsessiond", {}},
    KafkaProperty{"compression.type", "lz4", {}},
    // Where Java's clients put a record with the same key.
    KafkaProperty{"partitioner", "murmur2_random", {}},
    KafkaProperty{"reconnect.backoff.ms", "500", {}},
    // An unknown topic is told after so long: brokers that have just made one may not all know it yet.
    KafkaProperty{"topic.metadata.propagation.max.ms", "10000", {}},
    // More than a batch is never in it. The ledger is what waits for a cluster.
    KafkaProperty{"queue.buffering.max.messages", "200000", {}},
    KafkaProperty{"queue.buffering.max.kbytes", "262144", {}},
    KafkaProperty{"socket.keepalive.enable", "true", {}},
};

const std::array kOurs{
    KafkaProperty{"enable.idempotence", "true", {}},
    KafkaProperty{"acks", "all", {}},
    KafkaProperty{"message.timeout.ms", "0", {}},  // never: the library gives nothing up
    // A message that fails ends the producer: else what is behind it would go before it.
    KafkaProperty{"enable.gapless.guarantee", "true", {}},
    KafkaProperty{"delivery.report.only.error", "false", {}},
};

Result<void> set_all(Configuration& conf, const KafkaSettings& settings, const KafkaProperties& properties,
                     bool with_brokers) {
  for (const KafkaProperty& property : kUsual) {
    if (auto set = conf.set(property); !set) return set.error();
  }
  for (const KafkaProperty& property : properties.all) {
    if (auto set = conf.set(property); !set) return set.error();
  }
  for (const KafkaProperty& property : kOurs) {
    if (auto set = conf.set(property); !set) return set.error();
  }
  if (!with_brokers) return {};
  return conf.set({"bootstrap.servers", settings.brokers, {}});
}

Result<rd_kafka_t*> make_handle(const LibRdkafka& kafka, rd_kafka_type_t type, Configuration& conf) {
  std::array<char, kErrorBytes> why{};
  rd_kafka_t* const handle = kafka.create(type, conf.get(), why.data(), why.size());
  // Of a key's passphrase OpenSSL says no more than that it is wrong.
  if (handle == nullptr) return usage_error("librdkafka: " + printable(why.data()));
  conf.release();
  return handle;
}

// Keeps what librdkafka tells between two looks.
class Told {
 public:
  void note(const LibRdkafka& kafka, rd_kafka_t* handle, int error, const char* reason) {
    if (error == RD_KAFKA_RESP_ERR__FATAL) {
      std::array<char, kErrorBytes> why{};
      const auto cause = kafka.fatal_error(handle, why.data(), why.size());
      told_.fatal = "a fatal error: " + std::string(kafka.err2str(cause)) + ": " + printable(why.data());
      told_.fatal_verdict = verdict_of_error(cause);
      told_.fatal_for_failure = cause == RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE;
    } else if (error == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
      told_.all_down = true;
    } else if (verdict_of_error(error).kind == KafkaKind::kTarget) {
      told_.refusal = printable(reason);
    } else {
      told_.trouble = printable(reason);
    }
  }
  void throttled(const char* broker, int milliseconds) {
    const std::chrono::milliseconds time(milliseconds);
    if (time <= told_.throttled_for) return;
    told_.throttled_by = printable(broker);
    told_.throttled_for = time;
  }
  void taken() {
    told_.refusal.clear();
    told_.all_down = false;
    told_.trouble.clear();
  }
  [[nodiscard]] KafkaTold take() {
    KafkaTold told = told_;
    told_.throttled_by.clear();
    told_.throttled_for = {};
    return told;
  }
  [[nodiscard]] const KafkaTold& get() const { return told_; }

 private:
  KafkaTold told_;
};

class Producer final : public KafkaProducer {
 public:
  explicit Producer(const LibRdkafka& kafka) : kafka_(kafka) {}
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  ~Producer() override {
    if (topic_ != nullptr) kafka_.topic_destroy(topic_);
    if (handle_ == nullptr) return;
    // Or what waits would be sent while it is being destroyed.
    kafka_.purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    kafka_.destroy(handle_);
  }

  Result<void> begin(const KafkaSettings& settings, const KafkaProperties& properties, bool with_brokers) {
    Configuration conf(kafka_);
    if (auto set = set_all(conf, settings, properties, with_brokers); !set) return set.error();
    kafka_.conf_set_opaque(conf.get(), this);
    kafka_.conf_set_dr_msg_cb(conf.get(), on_report);
    kafka_.conf_set_error_cb(conf.get(), on_error);
    kafka_.conf_set_throttle_cb(conf.get(), on_throttle);
    auto handle = make_handle(kafka_, RD_KAFKA_PRODUCER, conf);
    if (!handle) return handle.error();
    handle_ = *handle;
    topic_ = kafka_.topic_new(handle_, settings.topic.c_str(), nullptr);
    if (topic_ == nullptr)
      return usage_error("librdkafka: topic " + settings.topic + ": " + kafka_.err2str(kafka_.last_error()));
    return {};
  }

  Took produce(std::string_view key, std::string_view value, std::uint64_t serial,
               KafkaReport& report) override {
    // librdkafka takes what it copies as void*, and leaves it as it is.
    if (kafka_.produce(topic_, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                       const_cast<char*>(value.data()),  // NOLINT(cppcoreguidelines-pro-type-const-cast)
                       value.size(), key.data(), key.size(),
                       reinterpret_cast<void*>(serial)) == 0)  // NOLINT: a number, never an address
      return Took::kYes;
    const int error = kafka_.last_error();
    if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) return Took::kFull;
    report = {serial, error, verdict_of_error(error), false};
    return Took::kNo;
  }
  void poll(std::chrono::milliseconds limit, std::vector<KafkaReport>& reports) override {
    reports_ = &reports;
    kafka_.poll(handle_, static_cast<int>(limit.count()));
    reports_ = nullptr;
  }
  void flush(std::chrono::milliseconds limit, std::vector<KafkaReport>& reports) override {
    reports_ = &reports;
    kafka_.flush(handle_, static_cast<int>(limit.count()));
    reports_ = nullptr;
  }
  void purge(bool in_flight) override {
    kafka_.purge(handle_, RD_KAFKA_PURGE_F_QUEUE | (in_flight ? RD_KAFKA_PURGE_F_INFLIGHT : 0));
  }
  KafkaTold told() override { return told_.take(); }
  int ask(std::chrono::milliseconds limit) override {
    const rd_kafka_metadata_t* metadata = nullptr;
    if (kafka_.metadata(handle_, 0, topic_, &metadata, static_cast<int>(limit.count())) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
      return RD_KAFKA_RESP_ERR_NO_ERROR;
    const int error = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_NO_ERROR;
    kafka_.metadata_destroy(metadata);
    return error;
  }
  KafkaVerdict verdict_of(int error) const override { return verdict_of_error(error); }
  std::string words_of(int error) const override {
    return kafka_.err2str(static_cast<rd_kafka_resp_err_t>(error));
  }

 private:
  static void on_report(rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
    static_cast<Producer*>(self)->report(*message);
  }
  static void on_error(rd_kafka_t* handle, int error, const char* reason, void* self) {
    auto& producer = *static_cast<Producer*>(self);
    producer.told_.note(producer.kafka_, handle, error, reason);
  }
  static void on_throttle(rd_kafka_t*, const char* broker, std::int32_t, int milliseconds, void* self) {
    static_cast<Producer*>(self)->told_.throttled(broker, milliseconds);
  }
  void report(const rd_kafka_message_t& message) {
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) told_.taken();
    if (reports_ == nullptr) return;  // being destroyed
    const bool doubtful = message.err != RD_KAFKA_RESP_ERR_NO_ERROR &&
                          kafka_.message_status(&message) != RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
    reports_->push_back({reinterpret_cast<std::uint64_t>(message._private),  // NOLINT: a number
                         message.err, verdict_of_error(message.err), doubtful});
  }

  const LibRdkafka& kafka_;
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  std::vector<KafkaReport>* reports_ = nullptr;  // while they are fetched
  Told told_;
};

// As a consumer, which makes no topic by asking for it.
class Visitor {
 public:
  explicit Visitor(const LibRdkafka& kafka) : kafka_(kafka) {}
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  ~Visitor() {
    if (topic_ != nullptr) kafka_.topic_destroy(topic_);
    if (handle_ != nullptr) kafka_.destroy(handle_);
  }

  Result<void> begin(const KafkaSettings& settings, const KafkaProperties& properties) {
    Configuration conf(kafka_);
    if (auto set = set_all(conf, settings, properties, /*with_brokers=*/true); !set) return set.error();
    if (auto set = conf.set({"allow.auto.create.topics", "false", {}}); !set) return set.error();
    kafka_.conf_set_opaque(conf.get(), this);
    kafka_.conf_set_error_cb(conf.get(), on_error);
    auto handle = make_handle(kafka_, RD_KAFKA_CONSUMER, conf);
    if (!handle) return handle.error();
    handle_ = *handle;
    topic_ = kafka_.topic_new(handle_, settings.topic.c_str(), nullptr);
    if (topic_ != nullptr) return {};
    return usage_error("librdkafka: topic " + settings.topic + ": " + kafka_.err2str(kafka_.last_error()));
  }

  Result<Reached> ask(const KafkaSettings& settings, std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    const rd_kafka_metadata_t* metadata = nullptr;
    constexpr int kStep = 500;  // ms
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TRANSPORT;
    while (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
      error = kafka_.metadata(handle_, 0, topic_, &metadata, kStep);
      kafka_.poll(handle_, 0);
      const KafkaTold& told = told_.get();
      if (!told.refusal.empty()) return refused(TargetCode::kInvalidAccessKeyId, told.refusal);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
      if (told.all_down || std::chrono::steady_clock::now() >= end) {
        return Error{ErrorKind::kUnavailable,
                     "ask " + settings.brokers +
                         " for the topic: " + (told.trouble.empty() ? kafka_.err2str(error) : told.trouble)};
      }
    }
    auto reached = tell(settings, *metadata);
    kafka_.metadata_destroy(metadata);
    return reached;
  }

 private:
  static void on_error(rd_kafka_t* handle, int error, const char* reason, void* self) {
    auto& visitor = *static_cast<Visitor*>(self);
    visitor.told_.note(visitor.kafka_, handle, error, reason);
  }
  static Error refused(TargetCode code, const std::string& why) {
    return {code == TargetCode::kLogStoreNotExist ? ErrorKind::kUnavailable : ErrorKind::kPermission,
            std::string(to_string(code)) + ": " + why};
  }

  Result<Reached> tell(const KafkaSettings& settings, const rd_kafka_metadata_t& metadata) const {
    if (metadata.topic_cnt != 1) return Error{ErrorKind::kUnavailable, "the cluster does not tell of topics"};
    const rd_kafka_metadata_topic_t& topic = metadata.topics[0];
    const std::string name = "topic " + settings.topic;
    if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      const KafkaVerdict verdict = verdict_of_error(topic.err);
      const std::string why = name + ": " + kafka_.err2str(topic.err);
      if (verdict.kind == KafkaKind::kTarget) return refused(verdict.code, why);
      return Error{ErrorKind::kUnavailable, why};
    }
    int leaderless = 0;
    for (int i = 0; i < topic.partition_cnt; ++i) leaderless += topic.partitions[i].leader < 0 ? 1 : 0;
    std::string text = "connected; " + name + " has " + std::to_string(topic.partition_cnt) +
                       (topic.partition_cnt == 1 ? " partition" : " partitions");
    if (leaderless > 0)
      return Error{ErrorKind::kUnavailable,
                   text + ", and " + std::to_string(leaderless) + " without a leader"};
    return Reached{text + "; whether it may be written, the first records tell"};
  }

  const LibRdkafka& kafka_;
  rd_kafka_t* handle_ = nullptr;
  rd_kafka_topic_t* topic_ = nullptr;
  Told told_;
};

}  // namespace

const bool KafkaProducer::kBuiltIn = true;

Result<void> KafkaProducer::check(const KafkaSettings& settings, const KafkaProperties& properties) {
  const auto& kafka = LibRdkafka::get();
  if (!kafka) return kafka.error();
  // librdkafka reads keys and certificates, and compares properties, only for a producer. One that knows no
  // broker connects to nothing.
  return Producer(*kafka).begin(settings, properties, /*with_brokers=*/false);
}

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::create(const KafkaSettings& settings,
                                                             const KafkaProperties& properties) {
  const auto& kafka = LibRdkafka::get();
  if (!kafka) return kafka.error();
  auto producer = std::make_unique<Producer>(*kafka);
  if (auto begun = producer->begin(settings, properties, /*with_brokers=*/true); !begun) return begun.error();
  return std::unique_ptr<KafkaProducer>(std::move(producer));
}

Result<Reached> KafkaProducer::reach(const KafkaSettings& settings, const KafkaProperties& properties,
                                     std::chrono::milliseconds limit) {
  const auto& kafka = LibRdkafka::get();
  if (!kafka) return kafka.error();
  Visitor visitor(*kafka);
  if (auto begun = visitor.begin(settings, properties); !begun) return begun.error();
  return visitor.ask(settings, limit);
}

}  // namespace natsession
