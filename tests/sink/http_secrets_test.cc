#include <sys/stat.h>

#include <cstdlib>

#include <catch2/catch.hpp>

#include "sink/http/http_settings.h"
#include "sink/http_peer.h"
#include "sink/sink_fixture.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

class SecretsFixture {
 public:
  SecretsFixture() {
    ::setenv("NATSESSION_TEST_TOKEN", "t0ken", 1);
    ::setenv("NATSESSION_TEST_USER", "us er", 1);
    ::setenv("NATSESSION_TEST_PASSWORD", "p:w\xc3\xa9", 1);
    ::setenv("NATSESSION_TEST_BAD", "a\r\nX-Evil: 1", 1);
    ::unsetenv("NATSESSION_TEST_ABSENT");
  }
  // The headers that came with one record.
  std::map<std::string, std::string> send(Sink& sink) {
    REQUIRE(sink.deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
    return peer.requests().back().headers;
  }
  std::unique_ptr<Sink> open(const std::string& options) {
    auto opened = open_sink(peer.url() + "?" + options, {}, kStoppedClock);
    if (!opened) FAIL(opened.error().message);
    return std::move(*opened);
  }

  const TempDir directory;
  const std::string file = directory.file("secret");
  const HttpPeer peer{[](const ReceivedRequest&) { return HttpAnswer::status(200); }};
};

}  // namespace

TEST_CASE_METHOD(SecretsFixture, "headers come from a file, and are read anew when it is reopened",
                 "[sink][http]") {
  write_file(file, "# for the collector\n\nX-Tenant:  blue \r\nauthorization: Bearer abc\n");
  auto sink = open("headers_file=" + file);
  auto headers = send(*sink);
  CHECK(headers.at("x-tenant") == "blue");
  CHECK(headers.at("authorization") == "Bearer abc");
  write_file(file, "X-Tenant: green");
  CHECK(send(*sink).at("x-tenant") == "blue");
  CHECK(sink->reopen());
  headers = send(*sink);
  CHECK(headers.at("x-tenant") == "green");
  CHECK(headers.count("authorization") == 0);
  write_file(file, "nonsense\n");
  CHECK_FALSE(sink->reopen());
  CHECK(send(*sink).at("x-tenant") == "green");
}

TEST_CASE_METHOD(SecretsFixture, "credentials come from a file or the environment", "[sink][http]") {
  write_file(file, "user:pass:word\n");
  // Oracle for the base64: printf %s 'user:pass:word' | base64
  const auto [options, header] = GENERATE(table<std::string, std::string>({
      {"credentials_file=", "Basic dXNlcjpwYXNzOndvcmQ="},
      {"token_env=NATSESSION_TEST_TOKEN", "Bearer t0ken"},
      {"user_env=NATSESSION_TEST_USER&password_env=NATSESSION_TEST_PASSWORD", "Basic dXMgZXI6cDp3w6k="},
  }));
  auto sink = open(options.ends_with("_file=") ? options + file : options);
  CHECK(send(*sink).at("authorization") == header);
}

TEST_CASE_METHOD(SecretsFixture,
                 "a refusal of one who has shown who he is, is another than that of a stranger",
                 "[sink][http]") {
  const HttpPeer forbidding([](const ReceivedRequest&) { return HttpAnswer::status(403); });
  const auto code = [&](const std::string& options) {
    auto opened = open_sink(forbidding.url() + options, {}, kStoppedClock);
    REQUIRE(opened);
    return (*opened)->deliver(numbered_records(0, 1)).code;
  };
  write_file(file, "AUTHORIZATION: x\n");
  CHECK(code("") == TargetCode::kProjectForbidden);
  CHECK(code("?token_env=NATSESSION_TEST_TOKEN") == TargetCode::kUnauthorized);
  CHECK(code("?headers_file=" + file) == TargetCode::kUnauthorized);
  write_file(file, "X-Tenant: x\n");
  CHECK(code("?headers_file=" + file) == TargetCode::kProjectForbidden);
}

TEST_CASE_METHOD(SecretsFixture,
                 "secrets that cannot be read are an error that names where they should be, not them",
                 "[sink][http]") {
  const std::string folder = directory.path().string();
  const std::string headers = "headers_file=" + file;
  const std::string credentials = "credentials_file=" + file;
  struct Row {
    const char* what;
    std::optional<std::string> content;  // of the file
    std::string options;
    std::vector<std::string> words;
  };
  const std::vector<Row> rows{
      {"no file", {}, headers, {file, "No such file"}},
      {"no header", "X-Tenant: blue\nsecret words\n", headers, {file + ":2", "Name: value"}},
      {"a name with a space", "X Tenant: secret\n", headers, {file + ":1"}},
      {"a header with a control character", "X-Tenant: secret\x01\n", headers, {file + ":1"}},
      {"a large file", std::string(70'000, '#'), headers, {file, "64 KiB"}},
      {"a directory", {}, "credentials_file=" + folder, {folder, "directory"}},
      {"no credentials", "secret\n", credentials, {file + ":1", "USER:PASSWORD"}},
      {"an empty file", "", credentials, {file + ":1"}},
      {"no variable", {}, "token_env=NATSESSION_TEST_ABSENT", {"NATSESSION_TEST_ABSENT", "not set"}},
      {"a line end", {}, "token_env=NATSESSION_TEST_BAD", {"NATSESSION_TEST_BAD", "control character"}},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    std::filesystem::remove(file);
    if (row.content) write_file(file, *row.content);
    const std::string url = peer.url() + "?" + row.options;
    for (const auto& error : {probe_sink(url).error(), open_sink(url, {}, kStoppedClock).error()}) {
      CHECK(error.kind == ErrorKind::kUsage);
      for (const std::string& word : row.words) CHECK_THAT(error.message, Contains(word));
      CHECK_THAT(error.message, !Contains("secret w") && !Contains("Evil"));
    }
  }
}

TEST_CASE_METHOD(SecretsFixture, "a file of secrets that others may write is refused", "[sink][http]") {
  write_file(file, "USER:PASSWORD\n");
  std::filesystem::permissions(file, std::filesystem::perms::others_write,
                               std::filesystem::perm_options::add);
  const std::string url = peer.url() + "?credentials_file=" + file;
  for (const auto& error : {probe_sink(url).error(), open_sink(url, {}, kStoppedClock).error()}) {
    CHECK(error.kind == ErrorKind::kPermission);
    CHECK_THAT(error.message,
               Contains(file + ": not read, because everybody may write it: chmod o-w " + file));
  }
}

TEST_CASE("a secret in a URL is refused, with the way out, and not repeated", "[sink][http]") {
  const std::string url =
      GENERATE(as<std::string>(), "http://user:sesame@host/", "https://sesame@host/log",
               "http://user:sesame@host/?compress=none", "http://user:ses%ame@host/",
               "http://host/?token=sesame", "http://host/?header=X-Key%3A sesame",
               "https://host/?password=sesame&user=x", "http://host/?authorization=sesame");
  CAPTURE(url);
  for (const auto& error : {check_sink_url(url).error(), open_sink(url, {}, kStoppedClock).error()}) {
    CHECK(error.kind == ErrorKind::kUsage);
    CHECK_THAT(error.message, !Contains("sesame") && !Contains("ses%ame"));
    if (url.find("%a") == std::string::npos) {
      CHECK_THAT(error.message, Contains("headers_file=FILE") && Contains("token_env=NAME"));
    }
  }
}
