#include "base/result.h"

#include <cerrno>
#include <memory>

#include <catch2/catch.hpp>

namespace natsession {
namespace {

TEST_CASE("a result holds a value or an error", "[base][result]") {
  const Result<int> value = 7;
  REQUIRE(value);
  CHECK(value.has_value());
  CHECK(*value == 7);

  const Result<int> failed = Error{ErrorKind::kMalformed, "bytes are short"};
  REQUIRE_FALSE(failed);
  CHECK(failed.error().kind == ErrorKind::kMalformed);
  CHECK(failed.error().message == "bytes are short");
}

TEST_CASE("a result hands out a value that can only be moved", "[base][result]") {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  REQUIRE(result);
  CHECK(*result.value() == 7);
  const std::unique_ptr<int> taken = *std::move(result);
  REQUIRE(taken);
  CHECK(*taken == 7);
}

TEST_CASE("a result's value can be changed in place", "[base][result]") {
  Result<std::string> result = std::string("a");
  REQUIRE(result);
  *result += "b";
  result->push_back('c');
  CHECK(result.value() == "abc");
}

TEST_CASE("a result of nothing is a success until it is an error", "[base][result]") {
  const Result<void> done;
  CHECK(done);
  const Result<void> failed = Error{ErrorKind::kUnavailable, "no socket"};
  REQUIRE_FALSE(failed);
  CHECK(failed.error().kind == ErrorKind::kUnavailable);
}

TEST_CASE("a failed system call is told with its operation and cause", "[base][result]") {
  const Error missing = system_error("open /nowhere", ENOENT);
  CHECK(missing.kind == ErrorKind::kIo);
  CHECK(missing.message == "open /nowhere: No such file or directory");
  CHECK(system_error("bind", EADDRINUSE, ErrorKind::kUnavailable).kind == ErrorKind::kUnavailable);
}

TEST_CASE("a refusal by the kernel is a matter of permission, whatever else was expected", "[base][result]") {
  CHECK(system_error("bind", EPERM).kind == ErrorKind::kPermission);
  CHECK(system_error("bind", EACCES, ErrorKind::kUnavailable).kind == ErrorKind::kPermission);
}

TEST_CASE("the errno of the moment has no say in an error's text", "[base][result]") {
  errno = EINTR;
  CHECK(system_error("read", EIO).message == "read: Input/output error");
}

}  // namespace
}  // namespace natsession
