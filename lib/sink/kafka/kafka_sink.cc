#include "sink/kafka/kafka_sink.h"

#include <algorithm>
#include <array>
#include <limits>

#include "record/address_text.h"
#include "record/text_writer.h"
#include "sink/encoding/record_protobuf.h"
#include "sink/transport/deadline.h"

namespace natsession {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kAllAtOnce = std::numeric_limits<std::size_t>::max();
// A cluster that refuses so many records one after the other refuses not the records but what we are doing.
constexpr std::size_t kMostRejectedInARow = 100;
constexpr milliseconds kStep{100};
// Of a cluster that cannot be reached, or refuses us: some brokers may do nevertheless.
constexpr milliseconds kGrace{2'000};
constexpr milliseconds kAsking{1'000};
// A producer that ends waits so long for the reports of what was sent.
constexpr milliseconds kSettling{2'000};

std::string_view text_between(const char* begin, const char* end) {
  return {begin, static_cast<std::size_t>(end - begin)};
}

Result<SinkOpener> parse_kafka(const SinkUrl& url) {
  auto settings = KafkaSettings::parse(url);
  if (!settings) return settings.error();
  const auto probe = [settings = *settings]() -> Result<void> {
    const auto properties = KafkaProperties::read(settings);
    if (!properties) return properties.error();
    return KafkaProducer::check(settings, *properties);
  };
  const auto reach = [settings = *settings]() -> Result<Reached> {
    const auto properties = KafkaProperties::read(settings);
    if (!properties) return properties.error();
    return KafkaProducer::reach(settings, *properties, kReachLimit);
  };
  std::vector<std::string> secret_files;
  if (!settings->properties_file.empty()) secret_files.push_back(settings->properties_file);
  return SinkOpener{
      .probe = probe,
      .reach = reach,
      .secret_files = std::move(secret_files),
      .open = [name = url.name(), settings = *settings](const EncoderOptions& options, const Clock&) {
        return KafkaSink::open(name, settings, options);
      }};
}

}  // namespace

SinkKind kafka_kind() {
  return {.scheme = "kafka",
          .usage = "kafka://BROKER[:9092][,BROKER]/TOPIC",
          .help = "a message for each record, of JSON or with format=protobuf: natsessiond-kafka(7)",
          .options = explain(kafka_options()),
          .remote = true,
          .encoding = SinkEncoding::kJsonOnly,
          .flows = true,
          .own_format = kProtobufFormat,
          .missing = KafkaProducer::kBuiltIn ? "" : "librdkafka (NATSESSION_SINK_KAFKA)",
          .parse = parse_kafka};
}

Result<std::unique_ptr<Sink>> KafkaSink::open(std::string name, const KafkaSettings& settings,
                                              const EncoderOptions& options) {
  std::unique_ptr<KafkaSink> sink(new KafkaSink(std::move(name), settings, options));
  if (auto opened = sink->reopen(); !opened) return opened.error();
  return std::unique_ptr<Sink>(std::move(sink));
}

KafkaSink::KafkaSink(std::string name, const KafkaSettings& settings, const EncoderOptions& options)
    : name_(std::move(name)),
      settings_(settings),
      encoder_(settings.protobuf ? nullptr : make_encoder(options)),
      most_(kAllAtOnce) {}

// The producer itself is made when there is something for it: its threads then are those of the worker's
// kind.
Result<void> KafkaSink::reopen() {
  auto properties = KafkaProperties::read(settings_);
  if (!properties) return properties.error();
  if (auto checked = KafkaProducer::check(settings_, *properties); !checked) return checked.error();
  properties_ = std::move(*properties);
  most_ = kAllAtOnce;
  settle(kSettling);
  end_producer();
  return {};
}

Result<void> KafkaSink::flush() {
  if (producer_ != nullptr) fetch(milliseconds(0));
  return {};
}

Answer KafkaSink::deliver(std::span<const SessionRecord> records) {
  if (records.empty()) return Answer::delivered(0);
  line_up(records);
  begun_ = heard_at_ = Steady::now();
  while (true) {
    if (gap_ && out_ == 0) end_producer();
    if (producer_ == nullptr) {
      auto producer = KafkaProducer::create(settings_, properties_);
      if (!producer) return Answer::retry_later(0, told_of(producer.error().message));
      producer_ = std::move(*producer);
    }
    produce(records);
    fetch(kStep);
    if (auto answer = judge(records.size())) {
      forget_front(answer->taken + (answer->kind == Answer::Kind::kRejected ? 1 : 0));
      return std::move(*answer);
    }
  }
}

KafkaSink::Name KafkaSink::name_of(const SessionRecord& record) {
  return {record.session_id, record.seq, record.event, record.start_time, record.end_time};
}

// The messages of those that are offered again keep their states; what is not offered any more is let go.
void KafkaSink::line_up(std::span<const SessionRecord> records) {
  const auto first =
      std::find_if(messages_.begin(), messages_.end(),
                   [name = name_of(records[0])](const Message& message) { return message.name == name; });
  forget_front(static_cast<std::size_t>(first - messages_.begin()));
  std::size_t same = 0;
  while (same < std::min(messages_.size(), records.size()) && messages_[same].name == name_of(records[same]))
    ++same;
  if (same < records.size()) {
    while (messages_.size() > same) {
      if (messages_.back().state == State::kOut) --out_;
      if (messages_.back().state == State::kFailed) --failed_;
      messages_.pop_back();
    }
  }
  for (std::size_t i = messages_.size(); i < records.size(); ++i)
    messages_.push_back({name_of(records[i]), next_serial_++, State::kWaiting, 0, {}});
  next_ = 0;
}

void KafkaSink::forget_front(std::size_t count) {
  const auto end = messages_.begin() + static_cast<std::ptrdiff_t>(count);
  for (auto message = messages_.begin(); message != end; ++message) {
    if (message->state == State::kOut) --out_;
    if (message->state == State::kFailed) --failed_;
  }
  messages_.erase(messages_.begin(), end);
  next_ -= std::min(next_, count);
}

void KafkaSink::produce(std::span<const SessionRecord> records) {
  full_ = false;
  // What failed comes before what is behind it, or a session's records would change their order.
  for (; failed_ == 0 && !gap_ && next_ < records.size() && out_ < most_; ++next_) {
    Message& message = messages_[next_];
    if (message.state != State::kWaiting) continue;
    encode(records[next_]);
    KafkaReport report;
    const KafkaProducer::Took took = producer_->produce(key_, value_, message.serial, report);
    full_ = took == KafkaProducer::Took::kFull;
    if (full_) return;
    if (took == KafkaProducer::Took::kYes) {
      message.state = State::kOut;
      ++out_;
    } else if (report.verdict.kind == KafkaVerdict::Kind::kSuspect) {
      message.state = State::kBad;  // it was looked at alone
      message.error = report.error;
    } else {
      fail(message, report);
    }
  }
}

// Sets key_ and value_.
void KafkaSink::encode(const SessionRecord& record) {
  std::array<char, IpAddress::kMaxTextLength + kHex64Length + 2 * kTextSlack> text;
  char* end = text.data();
  if (record.event == RecordEvent::kGap) {
    key_ = record.origin->instance;
  } else {
    switch (settings_.key) {
      case KafkaKey::kNat:
        end = write_endpoint(end, record.nat_ip, record.nat_port);
        break;
      case KafkaKey::kSession:
        end = write_hex64(end, record.session_id);
        break;
      case KafkaKey::kHost:
        end = write_address(end, record.pri_ip);
        break;
    }
    key_ = text_between(text.data(), end);
  }
  value_.clear();
  if (encoder_ == nullptr) {
    append_protobuf(record, value_);
  } else {
    encoder_->append(record, value_);
    value_.pop_back();  // its newline
  }
}

void KafkaSink::fetch(milliseconds limit) {
  reports_.clear();
  if (out_ > 0 && limit.count() > 0) {
    producer_->flush(limit, reports_);
  } else {
    producer_->poll(full_ ? limit : milliseconds(0), reports_);
  }
  if (!reports_.empty()) heard_at_ = Steady::now();
  for (const KafkaReport& report : reports_) note(report);
}

void KafkaSink::note(const KafkaReport& report) {
  const auto message =
      std::lower_bound(messages_.begin(), messages_.end(), report.serial,
                       [](const Message& a, std::uint64_t serial) { return a.serial < serial; });
  if (message == messages_.end() || message->serial != report.serial || message->state != State::kOut) return;
  --out_;
  switch (report.verdict.kind) {
    case KafkaVerdict::Kind::kTaken:
      message->state = State::kTaken;
      rejected_in_a_row_ = 0;
      // What was too much for once goes on in batches that grow again.
      if (out_ == 0 && failed_ == 0 && most_ != kAllAtOnce)
        most_ = most_ > kAllAtOnce / 4 ? kAllAtOnce : most_ * 2;
      break;
    case KafkaVerdict::Kind::kSuspect:
      if (most_ > 1) {
        fail(*message, report);
      } else {
        message->state = State::kBad;
        message->error = report.error;
      }
      break;
    case KafkaVerdict::Kind::kPurged:
      doubtful_ += report.doubtful ? 1 : 0;
      message->state = State::kWaiting;
      next_ = 0;
      gap_ = true;
      break;
    case KafkaVerdict::Kind::kAgain:
    case KafkaVerdict::Kind::kTarget:
    case KafkaVerdict::Kind::kThrottled:
      doubtful_ += report.doubtful ? 1 : 0;
      fail(*message, report);
      break;
  }
}

void KafkaSink::fail(Message& message, const KafkaReport& report) {
  message.state = State::kFailed;
  message.error = report.error;
  message.verdict = report.verdict;
  ++failed_;
}

std::size_t KafkaSink::count_taken(std::size_t among) const {
  const auto end = messages_.begin() + static_cast<std::ptrdiff_t>(among);
  return static_cast<std::size_t>(
      std::find_if(messages_.begin(), end,
                   [](const Message& message) { return message.state != State::kTaken; }) -
      messages_.begin());
}

// What there is to answer; nothing yet: go on.
std::optional<Answer> KafkaSink::judge(std::size_t among) {
  const KafkaTold told = producer_->told();
  if (!told.throttled_by.empty()) {
    throttled_by_ = told.throttled_by;
    throttled_for_ = std::max(throttled_for_, told.throttled_for);
  }
  const std::size_t taken = count_taken(among);
  if (taken == among) {
    if (throttled_by_.empty()) return Answer::delivered(among);
    const std::string why =
        told_of("all was taken, but " + std::exchange(throttled_by_, {}) + " holds us back for " +
                format_duration(throttled_for_) + ": a quota of the cluster");
    return Answer::throttled(taken, TargetCode::kWriteQuotaExceed, why, std::exchange(throttled_for_, {}));
  }
  if (!told.fatal.empty()) return renew(among, told);
  if (messages_[taken].state == State::kBad) return reject(taken);
  if (failed_ > 0) {
    if (!std::exchange(purged_, true)) producer_->purge(/*in_flight=*/false);
    if (out_ == 0) return judge_failures(among);
  }
  return judge_silence(among, told);
}

std::optional<Answer> KafkaSink::judge_failures(std::size_t among) {
  using Kind = KafkaVerdict::Kind;
  const auto find = [&](Kind kind) {
    const auto found = std::find_if(messages_.begin(), messages_.end(), [&](const Message& message) {
      return message.state == State::kFailed && message.verdict.kind == kind;
    });
    return found == messages_.end() ? nullptr : &*found;
  };
  const std::size_t taken = count_taken(among);
  const std::size_t failed = failed_;
  if (const Message* const message = find(Kind::kTarget)) {
    const TargetCode code = message->verdict.code;
    return refused(among, code, producer_->words_of(message->error));
  }
  if (const Message* const message = find(Kind::kThrottled)) {
    const TargetCode code = message->verdict.code;
    const std::string why = told_of(producer_->words_of(message->error)) + doubts();
    try_failed_again();
    return Answer::throttled(taken, code, why);
  }
  if (find(Kind::kSuspect) != nullptr) {
    most_ = std::max<std::size_t>(1, std::min(most_, failed) / 2);
    try_failed_again();
    return std::nullopt;
  }
  const Message* const message = find(Kind::kAgain);
  const std::string why = told_of(producer_->words_of(message == nullptr ? 0 : message->error)) + doubts();
  try_failed_again();
  return Answer::retry_later(taken, why);
}

std::optional<Answer> KafkaSink::judge_silence(std::size_t among, const KafkaTold& told) {
  const Time now = Steady::now();
  const auto silent = now - heard_at_;
  if (!told.refusal.empty() && silent >= std::min(kGrace, settings_.timeout))
    return refused(among, TargetCode::kInvalidAccessKeyId, told.refusal);
  const std::string cause = told.trouble.empty() ? std::string() : ": " + told.trouble;
  if (told.all_down && silent >= std::min(kGrace, settings_.timeout))
    return Answer::retry_later(count_taken(among), told_of("no broker can be reached" + cause));
  if (silent < settings_.timeout && now - begun_ < kPatienceForAll * settings_.timeout) return std::nullopt;
  // A topic that is not ours any more fails no message of some that librdkafka has: they wait.
  const int error = told.all_down ? 0 : producer_->ask(std::min(kAsking, settings_.timeout));
  const KafkaVerdict verdict = producer_->verdict_of(error);
  if (verdict.kind == KafkaVerdict::Kind::kTarget)
    return refused(among, verdict.code, producer_->words_of(error));
  return Answer::retry_later(
      count_taken(among), told_of("no report of " + std::to_string(out_) + " records for " +
                                  format_duration(std::chrono::duration_cast<milliseconds>(silent)) + cause));
}

Answer KafkaSink::reject(std::size_t taken) {
  const std::string why = told_of(producer_->words_of(messages_[taken].error));
  if (++rejected_in_a_row_ <= kMostRejectedInARow) return Answer::rejected(taken, why);
  for (Message& message : messages_) {
    if (message.state == State::kBad) message.state = State::kWaiting;
  }
  return Answer::target_failed(taken, TargetCode::kProjectForbidden,
                               why + "; it has refused " + std::to_string(kMostRejectedInARow) +
                                   " records in a row, so no more are offered");
}

// While it is suspended nothing is to try: librdkafka would connect again and again.
Answer KafkaSink::refused(std::size_t among, TargetCode code, const std::string& why) {
  settle(kSettling);
  // What is on its way to a broker that takes it is not to be sent twice for another's sake.
  if (out_ == 0) end_producer();
  try_failed_again();
  return Answer::target_failed(count_taken(among), code, told_of(why) + doubts());
}

// Nothing: go on with a new producer.
std::optional<Answer> KafkaSink::renew(std::size_t among, const KafkaTold& told) {
  settle(settings_.timeout);
  std::optional<Answer> answer;
  const bool too_long = Steady::now() - begun_ >= kPatienceForAll * settings_.timeout;
  if (told.fatal_for_failure && !too_long) {
    const std::size_t taken = count_taken(among);
    if (failed_ > 0) {
      answer = judge_failures(among);
    } else if (taken < among && messages_[taken].state == State::kBad) {
      answer = reject(taken);
    }
    end_producer();
    return answer;
  }
  end_producer();
  const std::string why = told_of(told.fatal) + doubts();
  const std::size_t taken = count_taken(among);
  if (told.fatal_verdict.kind == KafkaVerdict::Kind::kTarget)
    return Answer::target_failed(taken, told.fatal_verdict.code, why);
  return Answer::retry_later(taken, why + "; a new producer goes on");
}

void KafkaSink::try_failed_again() {
  for (Message& message : messages_) {
    if (message.state == State::kFailed) message.state = State::kWaiting;
  }
  failed_ = 0;
  next_ = 0;
  purged_ = false;
}

// Sends nothing more, and waits for what was sent.
void KafkaSink::settle(milliseconds limit) {
  if (producer_ == nullptr) return;
  producer_->purge(/*in_flight=*/false);
  const Deadline deadline(limit);
  do {
    fetch(kStep);
  } while (out_ > 0 && !deadline.passed());
}

void KafkaSink::end_producer() {
  if (producer_ == nullptr) return;
  producer_.reset();
  gap_ = false;
  for (Message& message : messages_) {
    if (message.state != State::kOut) continue;
    message.state = State::kWaiting;
    ++doubtful_;
  }
  out_ = 0;
  try_failed_again();
}

std::string KafkaSink::doubts() {
  if (doubtful_ == 0) return {};
  return "; " + std::to_string(std::exchange(doubtful_, 0)) +
         " records may come twice: they were sent, and not answered";
}

std::string KafkaSink::told_of(std::string_view why) const {
  return "topic " + settings_.topic + " at " + settings_.brokers + ": " + std::string(why);
}

}  // namespace natsession
