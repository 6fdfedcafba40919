// KafkaProducer: one producer of librdkafka, idempotent, to one topic. It alone uses librdkafka.
//
// What is produced stays with librdkafka until its report comes, however long that takes: a message is never
// given up for its age, and may not be produced again before. Who destroys a producer never learns what
// became of what had no report.
// Threads: one at a time; librdkafka's own have nothing of it but what poll() and flush() fetch.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sink/kafka/kafka_settings.h"
#include "sink/sink.h"
#include "sink/sink_kind.h"

namespace natsession {

// What is to be done about an error of librdkafka or of a broker.
struct KafkaVerdict {
  enum class Kind {
    kTaken,      // no error
    kAgain,      // it may pass
    kPurged,     // it was never sent, because purge() was called
    kTarget,     // the cluster refuses, as `code` says
    kThrottled,  // as `code` says
    kSuspect,    // this message or one that went with it is one that the cluster does not take
  };
  Kind kind = Kind::kTaken;
  TargetCode code = TargetCode::kLogStoreNotExist;
};

struct KafkaReport {
  std::uint64_t serial = 0;
  int error = 0;  // librdkafka's
  KafkaVerdict verdict;
  bool doubtful = false;  // of an error: it may be in the topic all the same
};

// What was told beside the reports since it was asked for last; or stands.
struct KafkaTold {
  std::string trouble = {};         // of a connection, the last one
  std::string refusal = {};         // credentials or certificates are not accepted; stands until a message is
  bool all_down = false;            // no broker can be reached; likewise
  std::string fatal = {};           // this producer is of no use any more
  KafkaVerdict fatal_verdict = {};  // likewise: why
  bool fatal_for_failure = false;   // likewise: because a message has failed; its report says more
  std::string throttled_by = {};    // a broker; empty: none
  std::chrono::milliseconds throttled_for{};
};

class KafkaProducer {
 public:
  static const bool
      kBuiltIn;  // this program knows librdkafka; else no_kafka.cc stands in for kafka_producer.cc

  // Whether create() would succeed. Begins nothing that lasts, and sends nothing.
  // Errors: kUsage, naming the property and what is wrong; as LibRdkafka::get().
  [[nodiscard]] static Result<void> check(const KafkaSettings& settings, const KafkaProperties& properties);
  // Errors: likewise; kUnavailable.
  [[nodiscard]] static Result<std::unique_ptr<KafkaProducer>> create(const KafkaSettings& settings,
                                                                     const KafkaProperties& properties);
  // Asks the cluster for the topic, which is not made by that. No record is sent.
  // Errors: kUnavailable or kPermission, in the cluster's words and ours.
  [[nodiscard]] static Result<Reached> reach(const KafkaSettings& settings, const KafkaProperties& properties,
                                             std::chrono::milliseconds limit);
  virtual ~KafkaProducer() = default;

  enum class Took {
    kYes,   // a report will come
    kFull,  // not now: poll() first
    kNo,    // the reason is in `report`
  };
  // Copies key and value. `report` is set for kNo alone.
  [[nodiscard]] virtual Took produce(std::string_view key, std::string_view value, std::uint64_t serial,
                                     KafkaReport& report) = 0;
  // Appends the reports that have come. Waits until there is one, or `limit` has passed.
  virtual void poll(std::chrono::milliseconds limit, std::vector<KafkaReport>& reports) = 0;
  // Likewise, until nothing is without a report; what waits to fill a batch is sent at once.
  virtual void flush(std::chrono::milliseconds limit, std::vector<KafkaReport>& reports) = 0;
  // What has not been sent yet is not to be: its reports say kPurged. `in_flight`: what was sent as well; of
  // that they are doubtful.
  virtual void purge(bool in_flight) = 0;
  [[nodiscard]] virtual KafkaTold told() = 0;
  // Asks the cluster what is wrong with the topic: librdkafka's error, 0 for nothing or no answer within
  // `limit`.
  [[nodiscard]] virtual int ask(std::chrono::milliseconds limit) = 0;
  [[nodiscard]] virtual KafkaVerdict verdict_of(int error) const = 0;
  [[nodiscard]] virtual std::string words_of(int error) const = 0;
};

}  // namespace natsession
