#include "base/unique_fd.h"

#include <catch2/catch.hpp>
#include <fcntl.h>

namespace natsession {
namespace {

int open_something() {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  REQUIRE(fd >= 0);
  return fd;
}

bool is_open(int fd) {
  return ::fcntl(fd, F_GETFD) != -1;
}

TEST_CASE("a descriptor is closed at the end of its owner", "[base][unique_fd]") {
  const int fd = open_something();
  {
    const UniqueFd owner(fd);
    CHECK(owner);
    CHECK(owner.get() == fd);
    CHECK(is_open(fd));
  }
  CHECK_FALSE(is_open(fd));
}

TEST_CASE("a descriptor moves to its new owner, who drops the old one", "[base][unique_fd]") {
  const int first = open_something();
  const int second = open_something();
  UniqueFd owner(first);
  UniqueFd other(second);
  other = std::move(owner);
  CHECK_FALSE(owner);  // NOLINT: what a moved-from owner holds is the point
  CHECK(other.get() == first);
  CHECK(is_open(first));
  CHECK_FALSE(is_open(second));

  const UniqueFd third(std::move(other));
  CHECK(third.get() == first);
  CHECK_FALSE(other);  // NOLINT
}

TEST_CASE("an owner moved to itself keeps its descriptor", "[base][unique_fd]") {
  UniqueFd owner(open_something());
  UniqueFd& same = owner;
  owner = std::move(same);
  REQUIRE(owner);
  CHECK(is_open(owner.get()));
}

TEST_CASE("a released descriptor stays open, and 0 is a descriptor", "[base][unique_fd]") {
  UniqueFd owner(open_something());
  const int fd = owner.release();
  CHECK_FALSE(owner);
  CHECK(is_open(fd));
  owner.reset(fd);
  owner.reset();
  CHECK_FALSE(is_open(fd));

  UniqueFd zero(0);
  CHECK(zero);
  CHECK(zero.release() == 0);
  CHECK_FALSE(UniqueFd());
}

}  // namespace
}  // namespace natsession
