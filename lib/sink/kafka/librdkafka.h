// LibRdkafka: the functions of librdkafka that a Kafka sink calls. They are looked for when the first such
// sink is made, so a machine without one needs no librdkafka.
// Threads: any.
#pragma once

#include <librdkafka/rdkafka.h>

#include "base/result.h"

namespace natsession {

struct LibRdkafka {
  decltype(&rd_kafka_conf_destroy) conf_destroy = nullptr;
  decltype(&rd_kafka_conf_new) conf_new = nullptr;
  decltype(&rd_kafka_conf_set) conf_set = nullptr;
  decltype(&rd_kafka_conf_set_dr_msg_cb) conf_set_dr_msg_cb = nullptr;
  decltype(&rd_kafka_conf_set_error_cb) conf_set_error_cb = nullptr;
  decltype(&rd_kafka_conf_set_log_cb) conf_set_log_cb = nullptr;
  decltype(&rd_kafka_conf_set_opaque) conf_set_opaque = nullptr;
  decltype(&rd_kafka_conf_set_throttle_cb) conf_set_throttle_cb = nullptr;
  decltype(&rd_kafka_destroy) destroy = nullptr;
  decltype(&rd_kafka_err2str) err2str = nullptr;
  decltype(&rd_kafka_fatal_error) fatal_error = nullptr;
  decltype(&rd_kafka_flush) flush = nullptr;
  decltype(&rd_kafka_last_error) last_error = nullptr;
  decltype(&rd_kafka_message_status) message_status = nullptr;
  decltype(&rd_kafka_metadata) metadata = nullptr;
  decltype(&rd_kafka_metadata_destroy) metadata_destroy = nullptr;
  decltype(&rd_kafka_new) create = nullptr;  // rd_kafka_new
  decltype(&rd_kafka_poll) poll = nullptr;
  decltype(&rd_kafka_produce) produce = nullptr;
  decltype(&rd_kafka_purge) purge = nullptr;
  decltype(&rd_kafka_topic_destroy) topic_destroy = nullptr;
  decltype(&rd_kafka_topic_new) topic_new = nullptr;
  decltype(&rd_kafka_version_str) version_str = nullptr;

  // There until the process ends.
  // Errors: kUnavailable, with the cause and which package has it.
  [[nodiscard]] static const Result<LibRdkafka>& get();
};

}  // namespace natsession
