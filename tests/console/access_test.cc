#include <sys/socket.h>
#include <sys/stat.h>

#include <fstream>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "access/local_peer.h"
#include "access/logins.h"
#include "access/password.h"
#include "access/request_guard.h"
#include "access/user_file.h"
#include "control/http_talk.h"
#include "http/listen_socket.h"
#include "support/temp_dir.h"

namespace natsession::console {
namespace {

using natsession::testing::HttpTalk;
using natsession::testing::TempDir;
using namespace std::chrono_literals;

HttpServerRequest request(HttpFields fields) {
  HttpServerRequest made;
  made.method = "GET";
  made.path = "/api/v1/me";
  made.fields = std::move(fields);
  return made;
}

TEST_CASE("a request that calls the console by another name is refused", "[console][guard]") {
  const RequestGuard guard({"localhost", "127.0.0.1", "[::1]", "nat.example.net"}, false);
  for (const char* const good :
       {"localhost", "LOCALHOST:8088", "127.0.0.1:1", "[::1]:8088", "nat.example.net:443"}) {
    INFO(good);
    CHECK_FALSE(guard.refuse(request({{"Host", good}}), true));
  }
  for (const char* const bad :
       {"evil.example", "127.0.0.1.evil.example", "localhost.evil:8088", "", "[::2]:8088"}) {
    INFO(bad);
    CHECK(guard.refuse(request({{"Host", bad}}), true));
  }
  CHECK(guard.refuse(request({}), false));
  CHECK_FALSE(RequestGuard({}, true).refuse(request({}), true));
}

TEST_CASE("what a page of another site asks is refused", "[console][guard]") {
  const RequestGuard guard({"localhost"}, false);
  const auto refused = [&](const char* name, const char* value) {
    return guard.refuse(request({{"Host", "localhost:8088"}, {name, value}}), true).has_value();
  };
  CHECK_FALSE(refused("Origin", "http://localhost:8088"));
  for (const char* const origin :
       {"http://evil.example", "http://localhost:9999", "null", "http://localhost"})
    CHECK(refused("Origin", origin));
  CHECK_FALSE(refused("Sec-Fetch-Site", "same-origin"));
  CHECK_FALSE(refused("Sec-Fetch-Site", "none"));
  CHECK(refused("sec-fetch-site", "cross-site"));
  CHECK(refused("Sec-Fetch-Site", "same-site"));
  // Nor is a question asked by a link that a mail has, or by an address that was typed.
  CHECK(refused("Sec-Fetch-Mode", "navigate"));
  CHECK_FALSE(refused("Sec-Fetch-Mode", "cors"));
  HttpServerRequest description = request({{"Host", "localhost"}, {"Sec-Fetch-Mode", "navigate"}});
  description.path = "/api/v1/openapi.json";
  CHECK_FALSE(guard.refuse(description, true));
}

TEST_CASE("a password matches its own hash alone", "[console][password]") {
  const auto hash = hash_password("correct horse");
  REQUIRE(hash);
  CHECK(hash->starts_with("$y$"));
  CHECK(*hash_password("correct horse") != *hash);
  CHECK(password_matches("correct horse", *hash));
  CHECK_FALSE(password_matches("correct horsE", *hash));
  CHECK_FALSE(password_matches("", *hash));
  CHECK_FALSE(password_matches("correct horse", ""));
  CHECK_FALSE(password_matches("correct horse", "nonsense"));
  CHECK_FALSE(password_matches(std::string("correct horse\0x", 15), *hash));
  CHECK(hash_password("").error().kind == ErrorKind::kUsage);
  CHECK(hash_password(std::string(5000, 'x')).error().kind == ErrorKind::kUsage);
}

struct Users {
  Users() : path(folder.file("users")) {
    set("alice", Role::kAsk, "wonderland");
    auto opened = UserFile::open(path);
    REQUIRE(opened);
    file.emplace(std::move(*opened));
  }
  void set(const std::string& name, Role role, const std::string& password) const {
    REQUIRE(UserFile::set(path, name, {role, *hash_password(password)}));
  }
  TempDir folder;
  std::string path;
  std::optional<UserFile> file;
};

TEST_CASE_METHOD(Users, "the file of users is read again when it has changed", "[console][users]") {
  CHECK(file->find("alice")->role == Role::kAsk);
  CHECK_FALSE(file->find("bob"));
  set("bob", Role::kSteer, "builder");
  CHECK(file->find("bob")->role == Role::kSteer);
  REQUIRE(UserFile::remove(path, "alice"));
  CHECK_FALSE(file->find("alice"));
  ::unlink(path.c_str());
  CHECK_FALSE(file->find("bob"));
  CHECK_FALSE(file->trouble().empty());
  struct stat status {};
  set("eve", Role::kLook, "x");
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE_METHOD(Users, "a file of users that everybody may read, or that is malformed, is refused",
                 "[console][users]") {
  ::chmod(path.c_str(), 0644);
  CHECK(UserFile::open(path).error().kind == ErrorKind::kUsage);
  for (const char* const text :
       {"alice", "alice:ask", "alice:king:x", "al ice:ask:x", "alice:ask:", ":ask:x", "a:ask:x\na:look:y"}) {
    INFO(text);
    CHECK_FALSE(parse_users(text, "users"));
  }
  CHECK(parse_users("# nobody\n\na:look:$y$x:y\n", "users")->at("a").hash == "$y$x:y");
  CHECK(UserFile::set(path, "a:b", {}).error().kind == ErrorKind::kUsage);
}

TEST_CASE_METHOD(Users, "a login lasts until it is idle, too old or ended, or the user changes",
                 "[console][logins]") {
  Logins logins(*file, {.idle = 10s, .in_all = 25s});
  const Logins::Clock::time_point begin{1h};
  const auto token = logins.check("alice", "wonderland", "192.0.2.1", begin);
  REQUIRE(token);
  CHECK(token->size() == 64);
  CHECK(logins.find(*token, begin)->name == "alice");
  CHECK_FALSE(logins.find("x" + token->substr(1), begin));
  CHECK_FALSE(logins.find("", begin));
  CHECK(logins.find(*token, begin + 9s));
  CHECK(logins.find(*token, begin + 18s));
  SECTION("in all") {
    CHECK_FALSE(logins.find(*token, begin + 26s));
  }
  SECTION("idle") {
    CHECK_FALSE(logins.find(*token, begin + 29s));
  }
  SECTION("logout") {
    logins.end(*token);
    CHECK_FALSE(logins.find(*token, begin + 18s));
  }
  SECTION("another password") {
    set("alice", Role::kAsk, "looking-glass");
    CHECK_FALSE(logins.find(*token, begin + 18s));
  }
  SECTION("another role") {
    REQUIRE(UserFile::set(path, "alice", {Role::kLook, file->find("alice")->hash}));
    CHECK(logins.find(*token, begin + 18s)->role == Role::kLook);
  }
  SECTION("removed") {
    REQUIRE(UserFile::remove(path, "alice"));
    CHECK_FALSE(logins.find(*token, begin + 18s));
  }
}

TEST_CASE_METHOD(Users, "who tries too often waits, by address and by name", "[console][logins]") {
  Logins logins(*file, {.failures = 3, .interval = 10s});
  const Logins::Clock::time_point begin{1h};
  const auto try_it = [&](const char* name, const char* password, const char* from, std::chrono::seconds at) {
    const auto token = logins.check(name, password, from, begin + at);
    return token ? std::string("in") : token.error().message;
  };
  const std::string wrong = "no user has this name and password";
  CHECK(try_it("alice", "1", "192.0.2.1", 0s) == wrong);
  CHECK(try_it("nobody", "2", "192.0.2.1", 0s) == wrong);
  CHECK(try_it("alice", "3", "192.0.2.1", 0s) == wrong);
  CHECK(try_it("alice", "wonderland", "192.0.2.1", 0s) == "too many logins have failed; wait 10 seconds");
  CHECK(try_it("bob", "x", "192.0.2.1", 5s) == "too many logins have failed; wait 5 seconds");
  CHECK(try_it("alice", "wonderland", "192.0.2.2", 5s) == "in");
  // From many addresses against one name.
  CHECK(try_it("carol", "1", "192.0.2.3", 5s) == wrong);
  CHECK(try_it("carol", "1", "192.0.2.4", 5s) == wrong);
  CHECK(try_it("carol", "1", "192.0.2.5", 5s) == wrong);
  CHECK(try_it("carol", "1", "192.0.2.6", 5s) == "too many logins have failed; wait 10 seconds");
  CHECK(try_it("alice", "wonderland", "192.0.2.1", 11s) == "in");
}

TEST_CASE_METHOD(Users, "the oldest login ends for one too many", "[console][logins]") {
  Logins logins(*file, {.logins = 2});
  const Logins::Clock::time_point begin{1h};
  const auto first = logins.check("alice", "wonderland", "unix", begin);
  const auto second = logins.check("alice", "wonderland", "unix", begin + 1s);
  const auto third = logins.check("alice", "wonderland", "unix", begin + 2s);
  CHECK_FALSE(logins.find(*first, begin + 3s));
  CHECK(logins.find(*second, begin + 3s));
  CHECK(logins.find(*third, begin + 3s));
}

TEST_CASE("the user at the other end of a local connection is known, and not of one that is gone",
          "[console][peer]") {
  auto listener = listen_tcp({"127.0.0.1", 0});
  REQUIRE(listener);
  auto talk = std::make_unique<HttpTalk>(bound_port(listener->get()));
  const UniqueFd end(::accept(listener->get(), nullptr, nullptr));
  REQUIRE(end);
  CHECK(local_peer(end.get()) == ::getuid());
  talk.reset();
  // Its socket shows root's number when no process has it any more.
  CHECK_FALSE(local_peer(end.get()));

  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  CHECK(local_peer(pair[0]) == ::getuid());
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST_CASE("IPv4 at a socket of both families is known as well", "[console][peer]") {
  auto listener = listen_tcp({"", 0});
  REQUIRE(listener);
  const HttpTalk talk(bound_port(listener->get()));
  const UniqueFd end(::accept(listener->get(), nullptr, nullptr));
  CHECK(local_peer(end.get()) == ::getuid());
}

}  // namespace
}  // namespace natsession::console
