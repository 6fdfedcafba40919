#include "sink/cloud/cloud_credentials.h"

#include <catch2/catch.hpp>

#include "sink/cloud_peer.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

// The metadata service of a machine: its role's keys change with `generation`.
class FakeRoles {
 public:
  std::string origin() const { return "http://" + place_of(peer_); }
  int generation = 1;
  bool hardened = false;
  bool away = false;
  std::vector<ReceivedRequest> requests() const { return peer_.requests(); }

 private:
  HttpAnswer answer(const ReceivedRequest& request) const {
    if (away) return HttpAnswer::status(500);
    if (request.line.starts_with("PUT /latest/api/token "))
      return HttpAnswer::status(hardened ? 200 : 404, {}, "t0k");
    const auto shown = request.headers.find("x-aliyun-ecs-metadata-token");
    if (hardened && (shown == request.headers.end() || shown->second != "t0k"))
      return HttpAnswer::status(403);
    const std::string path = "/latest/meta-data/ram/security-credentials/";
    if (request.line.starts_with("GET " + path + " ")) return HttpAnswer::status(200, {}, "nat-writer\n");
    if (!request.line.starts_with("GET " + path + "nat-writer ")) return HttpAnswer::status(404);
    const std::string number = std::to_string(generation);
    return HttpAnswer::status(200, {},
                              R"({"Code":"Success","AccessKeyId":"STS.)" + number +
                                  R"(","AccessKeySecret":"secret)" + number + R"(","SecurityToken":"token)" +
                                  number + R"(","Expiration":"1970-01-01T0)" + number + R"(:00:00Z"})");
  }
  HttpPeer peer_{[this](const ReceivedRequest& request) { return answer(request); }};
};

}  // namespace

TEST_CASE("keys are a line of two or three parts", "[sink][cloud]") {
  CHECK(read_cloud_keys("id:secret") == CloudKeys{"id", "secret", {}, {}});
  CHECK(read_cloud_keys(" id:secret:to:ken \r") == CloudKeys{"id", "secret", "to:ken", {}});
  for (const char* const text : {"", "id", ":secret", "id:", "id::token", "id:sec\x01ret"})
    CHECK_FALSE(read_cloud_keys(text));
}

TEST_CASE("keys of a file are read anew when they are refused, once a delivery", "[sink][cloud]") {
  const TempDir directory;
  const std::string file = directory.file("keys");
  write_file(file, "old:secret\n");
  const HttpPeer peer([&](const ReceivedRequest& request) {
    const bool good = request.headers.at("authorization").find("=new/") != std::string::npos;
    return good && request.headers.at("x-acs-security-token") == "tok" ? sls_ok()
                                                                       : sls_error(401, "Unauthorized");
  });
  auto sink = std::move(*open_sink(sls_url(peer, "&credentials_file=" + file), {}, kStoppedClock));
  CHECK(sink->deliver(numbered_records(0, 1)).code == TargetCode::kUnauthorized);
  CHECK(peer.requests().size() == 1);
  write_file(file, "new:secret:tok\n");
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
  CHECK(peer.requests().size() == 3);
  std::filesystem::remove(file);
  CHECK(sink->deliver(numbered_records(1, 2)).kind == Answer::Kind::kDelivered);
  CHECK_FALSE(sink->reopen());
}

TEST_CASE("keys that cannot be read are an error that names where they should be, not them",
          "[sink][cloud]") {
  const TempDir directory;
  const std::string file = directory.file("keys");
  write_file(file, "sesame\n");
  const HttpPeer peer([](const ReceivedRequest&) { return sls_ok(); });
  for (const std::string& where :
       {std::string("credentials_file=") + file, std::string("credentials_file=") + file + "2",
        std::string("id_env=NATSESSION_TEST_ABSENT&secret_env=NATSESSION_TEST_ABSENT")}) {
    const auto probed = probe_sink(sls_url(peer, "&" + where));
    REQUIRE_FALSE(probed);
    CHECK_THAT(probed.error().message,
               !Contains("sesame") && (Contains(file) || Contains("NATSESSION_TEST_ABSENT")));
  }
}

TEST_CASE("a machine's role gives keys, and others before they expire", "[sink][cloud]") {
  FakeRoles roles;
  roles.hardened = GENERATE(false, true);
  const std::string role = GENERATE("auto", "nat-writer");
  std::string id;
  const HttpPeer peer([&](const ReceivedRequest& request) {
    id = request.headers.at("authorization") + request.headers.at("x-acs-security-token");
    return sls_ok();
  });
  ManualClock clock{UnixNs(0s)};
  auto sink =
      std::move(*open_sink(sls_url(peer, "&role=" + role + "&metadata=" + roles.origin()), {}, clock));
  const auto deliver = [&] { return sink->deliver(numbered_records(0, 1)); };
  CHECK(deliver().kind == Answer::Kind::kDelivered);
  CHECK_THAT(id, Contains("STS.1/") && Contains("token1"));
  const std::size_t asked = roles.requests().size();
  clock.advance(57min);
  CHECK(deliver().kind == Answer::Kind::kDelivered);
  CHECK(roles.requests().size() == asked);
  roles.generation = 2;
  clock.advance(1min);
  CHECK(deliver().kind == Answer::Kind::kDelivered);
  CHECK_THAT(id, Contains("STS.2/") && Contains("token2"));
  // Away, the old ones serve until they expire, and it is not asked at each batch.
  roles.away = true;
  clock.advance(60min);
  CHECK(deliver().kind == Answer::Kind::kDelivered);
  const std::size_t tried = roles.requests().size();
  CHECK(deliver().kind == Answer::Kind::kDelivered);
  CHECK(roles.requests().size() == tried);
  clock.advance(3min);
  const Answer answer = deliver();
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK_THAT(answer.why, Contains("metadata service") && !Contains("secret"));
}

TEST_CASE("a machine without the role has no keys, which its status says", "[sink][cloud]") {
  FakeRoles roles;
  const HttpPeer peer([](const ReceivedRequest&) { return sls_ok(); });
  auto sink =
      std::move(*open_sink(sls_url(peer, "&role=other&metadata=" + roles.origin()), {}, kStoppedClock));
  const Answer answer = sink->deliver(numbered_records(0, 1));
  CHECK(answer.kind == Answer::Kind::kTargetFailed);
  CHECK(answer.code == TargetCode::kInvalidAccessKeyId);
  CHECK(peer.requests().empty());
}

TEST_CASE("keys of a role that are refused are asked for anew, at once", "[sink][cloud]") {
  FakeRoles roles;
  const HttpPeer peer([&](const ReceivedRequest& request) {
    return request.headers.at("authorization").find("STS.2/") != std::string::npos
               ? sls_ok()
               : sls_error(401, "Unauthorized");
  });
  auto sink =
      std::move(*open_sink(sls_url(peer, "&role=auto&metadata=" + roles.origin()), {}, kStoppedClock));
  CHECK(sink->deliver(numbered_records(0, 1)).code == TargetCode::kUnauthorized);
  roles.generation = 2;
  CHECK(sink->deliver(numbered_records(0, 1)).kind == Answer::Kind::kDelivered);
}
