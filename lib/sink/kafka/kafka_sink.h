// KafkaSink: a message for each record, to one topic of a Kafka cluster, by an idempotent producer with
// acks=all. Its key is what a session's records have in common, so they are in one partition and in order.
//
// A record is taken when its report says so. One that has no report yet stays with librdkafka, which goes on
// trying; when it is offered again it is waited for, and not sent a second time. So nothing is twice while a
// producer lives. It may be where a producer ends with messages that were sent and not answered: at the end
// of this program, when a fatal error or SIGHUP makes a new one, or when the cluster refuses us. session_id
// and seq name a record for whoever wants to drop doubles.
//
//   what happens                                                answer
//   each record has its report                                  delivered
//   and a broker held us back meanwhile                         RetryLater, WriteQuotaExceed, with all taken:
//                                                               a pause, as long as it asked for
//   no report for `timeout`; no broker can be reached           RetryLater; librdkafka goes on
//   the topic does not exist                                    TargetFailed LogStoreNotExist
//   it may not be written                                       TargetFailed Unauthorized
//   credentials or a certificate are not accepted               TargetFailed InvalidAccessKeyId
//   a policy of the cluster                                     TargetFailed ProjectForbidden
//   a message that is too large, or is not taken for itself     the others first, in ever smaller batches
//                                                               until it stands alone: Rejected; 100 in a
//                                                               row: TargetFailed ProjectForbidden
//   a fatal error                                               RetryLater, with a new producer; for want of
//                                                               rights: TargetFailed Unauthorized
//
// After TargetFailed no producer is left, so nothing is tried while delivery is suspended.
// Threads: as sink.h says.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record/encoder.h"
#include "sink/kafka/kafka_producer.h"
#include "sink/kafka/kafka_settings.h"
#include "sink/sink_kind.h"

namespace natsession {

[[nodiscard]] SinkKind kafka_kind();

class KafkaSink final : public Sink {
 public:
  // Connects to nothing yet.
  // Errors: as KafkaProperties::read() and KafkaProducer::check().
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, const KafkaSettings& settings,
                                                          const EncoderOptions& options);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override;  // reads the properties anew
  Result<void> flush() override;   // hears what librdkafka has to tell

 private:
  using Time = std::chrono::steady_clock::time_point;

  // What makes a record that is offered again the same.
  struct Name {
    std::uint64_t session_id = 0;
    std::uint32_t seq = 0;
    RecordEvent event{};
    UnixMs start, end;
    friend bool operator==(const Name&, const Name&) = default;
  };
  enum class State : std::uint8_t {
    kWaiting,  // to be produced
    kOut,      // has no report yet
    kTaken,
    kFailed,  // by its report; to be produced again, when none is kOut
    kBad,     // will never be taken
  };
  struct Message {
    Name name;
    std::uint64_t serial = 0;
    State state = State::kWaiting;
    int error = 0;
    KafkaVerdict verdict;
  };

  KafkaSink(std::string name, const KafkaSettings& settings, const EncoderOptions& options);

  static Name name_of(const SessionRecord& record);
  void line_up(std::span<const SessionRecord> records);
  void forget_front(std::size_t count);
  void produce(std::span<const SessionRecord> records);
  void encode(const SessionRecord& record);
  void fetch(std::chrono::milliseconds limit);
  void note(const KafkaReport& report);
  void fail(Message& message, const KafkaReport& report);
  [[nodiscard]] std::size_t count_taken(std::size_t among) const;
  [[nodiscard]] std::optional<Answer> judge(std::size_t among);
  [[nodiscard]] std::optional<Answer> judge_failures(std::size_t among);
  [[nodiscard]] std::optional<Answer> judge_silence(std::size_t among, const KafkaTold& told);
  [[nodiscard]] Answer reject(std::size_t taken);
  [[nodiscard]] Answer refused(std::size_t among, TargetCode code, const std::string& why);
  [[nodiscard]] std::optional<Answer> renew(std::size_t among, const KafkaTold& told);
  void try_failed_again();
  void settle(std::chrono::milliseconds limit);
  void end_producer();
  [[nodiscard]] std::string doubts();
  [[nodiscard]] std::string told_of(std::string_view why) const;

  const std::string name_;
  const KafkaSettings settings_;
  const std::unique_ptr<Encoder> encoder_;  // none: protobuf
  KafkaProperties properties_;
  std::unique_ptr<KafkaProducer> producer_;

  std::vector<Message> messages_;  // from the oldest that was offered and not taken; serials rise
  std::uint64_t next_serial_ = 1;
  std::size_t next_ = 0;    // before it none is kWaiting
  std::size_t out_ = 0;     // are kOut
  std::size_t failed_ = 0;  // are kFailed
  bool purged_ = false;     // for their sake
  // So numbers are missing that brokers expect; this producer sends nothing more.
  bool gap_ = false;
  bool full_ = false;  // librdkafka takes no more now
  std::size_t most_;   // are kOut at once
  std::size_t rejected_in_a_row_ = 0;
  std::uint64_t doubtful_ = 0;  // to be produced again, and perhaps in the topic already
  std::string throttled_by_;
  std::chrono::milliseconds throttled_for_{};
  Time begun_;     // this deliver()
  Time heard_at_;  // the last report, or the beginning
  std::string key_;
  std::string value_;
  std::vector<KafkaReport> reports_;
};

}  // namespace natsession
