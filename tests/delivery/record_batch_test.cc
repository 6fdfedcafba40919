#include "delivery/record_batch.h"

#include <thread>

#include <catch2/catch.hpp>

#include "support/numbered_record.h"

using namespace natsession;
using natsession::testing::numbered_record;

TEST_CASE("a batch shows what was published and no more", "[delivery][batch]") {
  RecordBatchPool pool(1);
  RecordBatch* const batch = pool.acquire();
  REQUIRE(batch != nullptr);
  batch->append(numbered_record(0));
  CHECK(batch->view().count == 0);
  batch->publish();
  CHECK(batch->view().count == 1);
  CHECK_FALSE(batch->view().sealed);
  batch->append(numbered_record(1));
  CHECK(batch->view().count == 1);
  batch->seal();
  CHECK(batch->view().count == 2);
  CHECK(batch->view().sealed);
  CHECK(batch->records(1, 2).front().seq == 1);
}

TEST_CASE("a pool gives a batch again only when its last reference is back, and empty", "[delivery][batch]") {
  RecordBatchPool pool(1);
  RecordBatch* const batch = pool.acquire();
  REQUIRE(batch != nullptr);
  batch->append(numbered_record(0));
  batch->seal();
  RecordBatchPool::add_reference(batch);
  CHECK(pool.available() == 0);
  CHECK(pool.acquire() == nullptr);
  pool.release(batch);
  CHECK(pool.acquire() == nullptr);
  pool.release(batch);
  CHECK(pool.available() == 1);
  RecordBatch* const again = pool.acquire();
  CHECK(again == batch);
  CHECK(again->view().count == 0);
  CHECK_FALSE(again->view().sealed);
  CHECK(again->filled() == 0);
}

TEST_CASE("a pool makes no new batch while one is free", "[delivery][batch]") {
  RecordBatchPool pool(100);
  RecordBatch* const first = pool.acquire();
  for (int round = 0; round < 10; ++round) {
    pool.release(first);
    CHECK(pool.acquire() == first);
  }
  CHECK(pool.available() == 99);
}

TEST_CASE("batches come back from another thread while the producer takes them", "[delivery][batch]") {
  RecordBatchPool pool(4);
  std::atomic<RecordBatch*> handed{nullptr};
  std::atomic<bool> over{false};
  std::thread reader([&] {
    while (!over.load()) {
      if (RecordBatch* const batch = handed.exchange(nullptr)) pool.release(batch);
    }
    if (RecordBatch* const batch = handed.exchange(nullptr)) pool.release(batch);
  });
  for (int round = 0; round < 20'000;) {
    RecordBatch* expected = nullptr;
    if (handed.load() != expected) continue;
    RecordBatch* const batch = pool.acquire();
    if (batch == nullptr) continue;
    batch->append(numbered_record(0));
    handed.store(batch);
    ++round;
  }
  over.store(true);
  reader.join();
  CHECK(pool.available() == 4);
}
