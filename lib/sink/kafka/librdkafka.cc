#include "sink/kafka/librdkafka.h"

#include "sink/shared_library.h"

namespace natsession {
namespace {

// RHEL 9 has 1.6: what is newer is not for kafka_producer.cc.
constexpr const char* kLibrdkafka = "librdkafka.so.1";

Result<LibRdkafka> load_librdkafka() {
  const SharedLibrary library(kLibrdkafka);
  LibRdkafka kafka;
  if (!library.find("rd_kafka_conf_destroy", kafka.conf_destroy) ||
      !library.find("rd_kafka_conf_new", kafka.conf_new) ||
      !library.find("rd_kafka_conf_set", kafka.conf_set) ||
      !library.find("rd_kafka_conf_set_dr_msg_cb", kafka.conf_set_dr_msg_cb) ||
      !library.find("rd_kafka_conf_set_error_cb", kafka.conf_set_error_cb) ||
      !library.find("rd_kafka_conf_set_log_cb", kafka.conf_set_log_cb) ||
      !library.find("rd_kafka_conf_set_opaque", kafka.conf_set_opaque) ||
      !library.find("rd_kafka_conf_set_throttle_cb", kafka.conf_set_throttle_cb) ||
      !library.find("rd_kafka_destroy", kafka.destroy) || !library.find("rd_kafka_err2str", kafka.err2str) ||
      !library.find("rd_kafka_fatal_error", kafka.fatal_error) ||
      !library.find("rd_kafka_flush", kafka.flush) ||
      !library.find("rd_kafka_last_error", kafka.last_error) ||
      !library.find("rd_kafka_message_status", kafka.message_status) ||
      !library.find("rd_kafka_metadata", kafka.metadata) ||
      !library.find("rd_kafka_metadata_destroy", kafka.metadata_destroy) ||
      !library.find("rd_kafka_new", kafka.create) || !library.find("rd_kafka_poll", kafka.poll) ||
      !library.find("rd_kafka_produce", kafka.produce) || !library.find("rd_kafka_purge", kafka.purge) ||
      !library.find("rd_kafka_topic_destroy", kafka.topic_destroy) ||
      !library.find("rd_kafka_topic_new", kafka.topic_new) ||
      !library.find("rd_kafka_version_str", kafka.version_str)) {
    return library.missing("kafka needs librdkafka",
                           "install the package natsessiond-kafka, which brings it");
  }
  return kafka;
}

}  // namespace

const Result<LibRdkafka>& LibRdkafka::get() {
  static const Result<LibRdkafka> kLoaded = load_librdkafka();
  return kLoaded;
}

}  // namespace natsession
