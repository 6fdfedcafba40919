// A Kafka cluster of librdkafka's own, on the loopback interface, and who reads a topic of it.
//
// It knows no rights and drops no doubles: whatever a producer sends twice can be read twice.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace natsession::testing {

struct KafkaMessage {
  std::int32_t partition = 0;
  std::string key;
  std::string value;
};

// Requests, by the protocol's numbers.
inline constexpr std::int16_t kProduceRequest = 0;
inline constexpr std::int16_t kMetadataRequest = 3;
inline constexpr std::int16_t kInitProducerIdRequest = 22;

class KafkaCluster {
 public:
  explicit KafkaCluster(int brokers = 1, int partitions = 4)
      : brokers_(brokers),
        partitions_(partitions),
        handle_(make(RD_KAFKA_PRODUCER, {})),
        cluster_(rd_kafka_mock_cluster_new(handle_, brokers)) {
    make_topic("nat", partitions);
  }
  KafkaCluster(const KafkaCluster&) = delete;
  KafkaCluster& operator=(const KafkaCluster&) = delete;
  ~KafkaCluster() {
    if (reader_ != nullptr) {
      rd_kafka_consumer_close(reader_);
      rd_kafka_destroy(reader_);
    }
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }

  [[nodiscard]] std::string brokers() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  [[nodiscard]] std::string url(const std::string& topic = "nat") const {
    return "kafka://" + brokers() + "/" + topic;
  }
  [[nodiscard]] rd_kafka_mock_cluster_t* get() const { return cluster_; }
  void make_topic(const std::string& topic, int partitions) {
    rd_kafka_mock_topic_create(cluster_, topic.c_str(), partitions, brokers_);
  }
  // The next requests of this kind are answered so.
  void push_errors(std::int16_t request, std::initializer_list<rd_kafka_resp_err_t> errors) {
    rd_kafka_mock_push_request_errors_array(cluster_, request, errors.size(), std::data(errors));
  }
  void clear_errors(std::int16_t request) { rd_kafka_mock_clear_request_errors(cluster_, request); }
  void set_down(bool down) {
    for (std::int32_t broker = 1; broker <= brokers_; ++broker) {
      if (down) {
        rd_kafka_mock_broker_set_down(cluster_, broker);
      } else {
        rd_kafka_mock_broker_set_up(cluster_, broker);
      }
    }
  }
  void set_answer_time(std::chrono::milliseconds time) {
    for (std::int32_t broker = 1; broker <= brokers_; ++broker)
      rd_kafka_mock_broker_set_rtt(cluster_, broker, static_cast<int>(time.count()));
  }
  void set_leader(std::int32_t partition, std::int32_t broker) {
    rd_kafka_mock_partition_set_leader(cluster_, "nat", partition, broker);
  }

  // All that is in the topic nat, of each partition in order.
  const std::vector<KafkaMessage>& messages() {
    if (reader_ == nullptr) begin_to_read();
    std::size_t wanted = 0;
    for (int partition = 0; partition < partitions_; ++partition) {
      std::int64_t low = 0;
      std::int64_t high = 0;
      if (rd_kafka_query_watermark_offsets(reader_, "nat", partition, &low, &high, 5000) != 0)
        throw std::runtime_error("the topic's end is not told");
      wanted += static_cast<std::size_t>(high);
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (messages_.size() < wanted) {
      if (std::chrono::steady_clock::now() > end) throw std::runtime_error("the topic cannot be read");
      rd_kafka_message_t* const message = rd_kafka_consumer_poll(reader_, 100);
      if (message == nullptr) continue;
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        messages_.push_back(
            {message->partition, text(message->key, message->key_len), text(message->payload, message->len)});
      }
      rd_kafka_message_destroy(message);
    }
    return messages_;
  }

 private:
  static std::string text(const void* bytes, std::size_t size) {
    return bytes == nullptr ? std::string() : std::string(static_cast<const char*>(bytes), size);
  }
  static rd_kafka_t* make(rd_kafka_type_t type,
                          std::initializer_list<std::pair<const char*, std::string>> properties) {
    rd_kafka_conf_t* const conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, [](const rd_kafka_t*, int, const char*, const char*) {});
    std::array<char, 256> why{};
    for (const auto& [name, value] : properties) {
      if (rd_kafka_conf_set(conf, name, value.c_str(), why.data(), why.size()) != RD_KAFKA_CONF_OK)
        throw std::runtime_error(why.data());
    }
    rd_kafka_t* const handle = rd_kafka_new(type, conf, why.data(), why.size());
    if (handle == nullptr) throw std::runtime_error(why.data());
    return handle;
  }
  void begin_to_read() {
    reader_ = make(RD_KAFKA_CONSUMER, {{"bootstrap.servers", brokers()},
                                       {"group.id", "reader"},
                                       {"fetch.wait.max.ms", "10"},
                                       {"enable.auto.commit", "false"}});
    rd_kafka_topic_partition_list_t* const all = rd_kafka_topic_partition_list_new(partitions_);
    for (int partition = 0; partition < partitions_; ++partition)
      rd_kafka_topic_partition_list_add(all, "nat", partition)->offset = 0;
    rd_kafka_assign(reader_, all);
    rd_kafka_topic_partition_list_destroy(all);
  }

  const int brokers_;
  const int partitions_;
  rd_kafka_t* const handle_;
  rd_kafka_mock_cluster_t* const cluster_;
  rd_kafka_t* reader_ = nullptr;
  std::vector<KafkaMessage> messages_;
};

}  // namespace natsession::testing
