#include "session/flow_table.h"

#include <random>
#include <set>

#include <catch2/catch.hpp>

namespace natsession {
namespace {

FlowKey<V4> key_of(std::uint32_t id, std::uint16_t port = 1) {
  FlowKey<V4> key{};
  key.id = id;
  key.original_src_port = port;
  return key;
}

TEST_CASE("a session is found by its whole key, not by a part of it", "[session][table]") {
  FlowTable<V4> table;
  const auto key = key_of(1);
  table.insert(key, hash_key(key)).mark = 42;
  CHECK(table.find(key, hash_key(key))->mark == 42);
  auto other = key;
  other.zone = 1;
  CHECK(table.find(other, hash_key(other)) == nullptr);
}

TEST_CASE("keys whose hashes are equal stay apart", "[session][table]") {
  FlowTable<V4> table;
  for (std::uint32_t id = 0; id < 50; ++id) table.insert(key_of(id), 7).mark = id;
  table.erase(*table.find(key_of(20), 7), 7);
  for (std::uint32_t id = 0; id < 50; ++id) {
    const auto* found = table.find(key_of(id), 7);
    if (id == 20) {
      CHECK(found == nullptr);
    } else {
      REQUIRE(found != nullptr);
      CHECK(found->mark == id);
    }
  }
}

TEST_CASE("the table agrees with a set through random inserts and erases", "[session][table]") {
  FlowTable<V4> table;
  std::set<std::uint32_t> model;
  std::mt19937 random(1);  // NOLINT: the same sequence each time
  for (int step = 0; step < 200'000; ++step) {
    const auto id = static_cast<std::uint32_t>(random() % 20'000);
    const auto key = key_of(id);
    auto* found = table.find(key, hash_key(key));
    REQUIRE((found != nullptr) == model.contains(id));
    if (found != nullptr) {
      table.erase(*found, hash_key(key));
      model.erase(id);
    } else {
      table.insert(key, hash_key(key));
      model.insert(id);
    }
  }
  CHECK(table.size() == model.size());
  std::set<std::uint32_t> seen;
  std::uint32_t cursor = 0;
  while (cursor < table.end()) {
    cursor = table.scan(cursor, 1000, [&](Session<V4>& session) { seen.insert(session.key.id); });
  }
  CHECK(seen == model);
}

TEST_CASE("a cell that is used again remembers nothing", "[session][table]") {
  FlowTable<V4> table;
  auto& first = table.insert(key_of(1), 1);
  first.mark = 9;
  first.set(Session<V4>::kMissed);
  table.erase(first, 1);
  const auto& second = table.insert(key_of(2), 2);
  CHECK(&second == &first);
  CHECK(second.mark == 0);
  CHECK(second.flags == Session<V4>::kLive);
  CHECK(second.history == FlowTable<V4>::kNone);
}

TEST_CASE("a million IPv4 sessions take less than 72 bytes each", "[session][table]") {
  FlowTable<V4> table;
  constexpr std::uint32_t kSessions = 1'000'000;
  for (std::uint32_t id = 0; id < kSessions; ++id) table.insert(key_of(id), hash_key(key_of(id)));
  CHECK(table.bytes() < 72ULL * kSessions);
}

}  // namespace
}  // namespace natsession
