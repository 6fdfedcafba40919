#include "api/box.h"

#include <catch2/catch.hpp>

namespace natsession::console {
namespace {

using Texts = std::vector<std::string>;

TEST_CASE("without anything said it is the daemon of this machine", "[console][box]") {
  const auto boxes = boxes_of({}, {}, {}, "gate");
  REQUIRE(boxes);
  REQUIRE(boxes->size() == 1);
  CHECK(boxes->front().name == "gate");
  CHECK(boxes->front().options() == Texts{"--control=/run/natsessiond/control.sock"});
}

TEST_CASE("ledgers and sockets without names belong together by their order", "[console][box]") {
  const auto boxes = boxes_of({"/a", "/b"}, {}, {"/a.sock"}, "gate");
  REQUIRE(boxes);
  REQUIRE(boxes->size() == 2);
  CHECK((*boxes)[0].options() == Texts{"--ledger=/a", "--control=/a.sock"});
  CHECK((*boxes)[1].name == "gate-2");
  CHECK((*boxes)[1].control.empty());
}

TEST_CASE("a box without a socket does not ask another one's daemon", "[console][box]") {
  const auto boxes = boxes_of({"old=/mnt/old"}, {}, {}, "gate");
  REQUIRE(boxes);
  CHECK(boxes->front().options() == Texts{"--ledger=/mnt/old", "--control=/nonexistent/control.sock"});
}

TEST_CASE("those of one name are one box, and a path with an equals sign is a path", "[console][box]") {
  const auto boxes = boxes_of({"b=/b", "/x/a=b"}, {"all=clickhouse://host/db/t"}, {"b=/b.sock"}, "gate");
  REQUIRE(boxes);
  REQUIRE(boxes->size() == 3);
  CHECK((*boxes)[0].control == "/b.sock");
  CHECK((*boxes)[1].ledger == "/x/a=b");
  CHECK((*boxes)[2].options().front() == "--store=clickhouse://host/db/t");
}

TEST_CASE("a box has one ledger or one store, and a name names something", "[console][box]") {
  CHECK(boxes_of({"a=/1", "a=/2"}, {}, {}, "gate").error().message == "--ledger: a has one already");
  CHECK(boxes_of({"a=/1"}, {"a=clickhouse://h/d/t"}, {}, "gate").error().kind == ErrorKind::kUsage);
  CHECK(boxes_of({"a="}, {}, {}, "gate").error().kind == ErrorKind::kUsage);
}

}  // namespace
}  // namespace natsession::console
