#include <catch2/catch.hpp>

#include "delivery/log_consumer.h"
#include "record/encoder.h"
#include "support/numbered_record.h"

using namespace natsession;
using natsession::testing::numbered_record;

namespace {

std::vector<SessionRecord> records(std::size_t count) {
  return std::vector<SessionRecord>(count, numbered_record(1'795'263'662));
}

}  // namespace

TEST_CASE("a batch takes what there is up to its limit, and is full there", "[delivery][batch]") {
  const BatchLimits limits{.records = 10};
  CHECK(cut_batch({}, limits).count == 0);
  CHECK(cut_batch(records(9), limits).count == 9);
  CHECK_FALSE(cut_batch(records(9), limits).full);
  CHECK(cut_batch(records(10), limits).full);
  CHECK(cut_batch(records(11), limits).count == 10);
  CHECK(cut_batch(records(11), limits).full);
}

TEST_CASE("a batch ends before the record that would make it too large", "[delivery][batch]") {
  const std::size_t one = estimated_bytes(numbered_record(0));
  CHECK(cut_batch(records(9), {.bytes = {3 * one}}).count == 3);
  CHECK(cut_batch(records(9), {.bytes = {3 * one}}).full);
  CHECK(cut_batch(records(9), {.bytes = {4 * one - 1}}).count == 3);
  CHECK(cut_batch(records(3), {.bytes = {3 * one}}).full);
  CHECK_FALSE(cut_batch(records(3), {.bytes = {3 * one + 1}}).full);
}

TEST_CASE("a record that is larger than a batch may be goes alone", "[delivery][batch]") {
  const Batch batch = cut_batch(records(5), {.bytes = {1}});
  CHECK(batch.count == 1);
  CHECK(batch.full);
}

TEST_CASE("the estimate is near what JSON takes, and not below it", "[delivery][batch]") {
  const bool v6 = GENERATE(false, true);
  const Origin origin{"nat-gateway-eu-7", "tenant-12"};
  SessionRecord record = numbered_record(1'795'263'662, origin);
  record.vpc_id = "vpc-0123456789";
  record.session_start = record.start_time;
  record.bytes_from_pub = record.bytes_from_vpc = Count(123'456'789);
  record.pkts_from_pub = record.pkts_from_vpc = Count(123'456);
  if (v6) {
    const IpAddress address = *IpAddress::parse("2001:db8:1234:5678:9abc:def0:1234:5678");
    record.pri_ip = record.pub_ip = record.nat_ip = address;
  }
  std::string line;
  make_encoder({.with_netns = true})->append(record, line);
  CHECK(estimated_bytes(record) >= line.size());
  CHECK(estimated_bytes(record) < 2 * line.size());
}
