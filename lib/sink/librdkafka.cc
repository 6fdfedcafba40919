#include "sink/librdkafka.h"

#include <string>

#include <dlfcn.h>

namespace natsession {
namespace {

// RHEL 9 has 1.6: what is newer is not for kafka_producer.cc.
constexpr const char* kLibrdkafka = "librdkafka.so.1";

Result<LibRdkafka> load_librdkafka() {
  // Never closed: it has threads, and OpenSSL has registered what is called at exit.
  void* const handle = ::dlopen(kLibrdkafka, RTLD_NOW | RTLD_LOCAL);
  LibRdkafka kafka;
  const auto find = [handle](const char* name, auto& function) {
    using Function = std::remove_reference_t<decltype(function)>;
    function = reinterpret_cast<Function>(::dlsym(handle, name));  // NOLINT: dlsym()'s own
    return function != nullptr;
  };
  if (handle == nullptr || !find("rd_kafka_conf_destroy", kafka.conf_destroy) ||
      !find("rd_kafka_conf_new", kafka.conf_new) || !find("rd_kafka_conf_set", kafka.conf_set) ||
      !find("rd_kafka_conf_set_dr_msg_cb", kafka.conf_set_dr_msg_cb) ||
      !find("rd_kafka_conf_set_error_cb", kafka.conf_set_error_cb) ||
      !find("rd_kafka_conf_set_log_cb", kafka.conf_set_log_cb) ||
      !find("rd_kafka_conf_set_opaque", kafka.conf_set_opaque) ||
      !find("rd_kafka_conf_set_throttle_cb", kafka.conf_set_throttle_cb) ||
      !find("rd_kafka_destroy", kafka.destroy) || !find("rd_kafka_err2str", kafka.err2str) ||
      !find("rd_kafka_fatal_error", kafka.fatal_error) || !find("rd_kafka_flush", kafka.flush) ||
      !find("rd_kafka_last_error", kafka.last_error) ||
      !find("rd_kafka_message_status", kafka.message_status) || !find("rd_kafka_metadata", kafka.metadata) ||
      !find("rd_kafka_metadata_destroy", kafka.metadata_destroy) || !find("rd_kafka_new", kafka.create) ||
      !find("rd_kafka_poll", kafka.poll) || !find("rd_kafka_produce", kafka.produce) ||
      !find("rd_kafka_purge", kafka.purge) || !find("rd_kafka_topic_destroy", kafka.topic_destroy) ||
      !find("rd_kafka_topic_new", kafka.topic_new) || !find("rd_kafka_version_str", kafka.version_str)) {
    const char* const cause = ::dlerror();  // NOLINT(concurrency-mt-unsafe): of this thread
    return Error{ErrorKind::kUnavailable, std::string("kafka needs librdkafka: ") +
                                              (cause == nullptr ? kLibrdkafka : cause) +
                                              "; install the package natsessiond-kafka, which brings it"};
  }
  return kafka;
}

}  // namespace

const Result<LibRdkafka>& LibRdkafka::get() {
  static const Result<LibRdkafka> kLoaded = load_librdkafka();
  return kLoaded;
}

}  // namespace natsession
