// In place of kafka_producer.cc where librdkafka's headers were not there at build time.
#include "sink/kafka/kafka_producer.h"

namespace natsession {

const bool KafkaProducer::kBuiltIn = false;

namespace {
Error not_built() {
  return {ErrorKind::kUnavailable, "this program was built without librdkafka"};
}
}  // namespace

Result<void> KafkaProducer::check(const KafkaSettings&, const KafkaProperties&) {
  return not_built();
}

Result<std::unique_ptr<KafkaProducer>> KafkaProducer::create(const KafkaSettings&, const KafkaProperties&) {
  return not_built();
}

Result<Reached> KafkaProducer::reach(const KafkaSettings&, const KafkaProperties&,
                                     std::chrono::milliseconds) {
  return not_built();
}

}  // namespace natsession
