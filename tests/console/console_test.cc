// The console over HTTP, in this process: who may ask what, and what is written down of it.
#include "console.h"

#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "access/password.h"
#include "control/http_talk.h"
#include "http/http_server.h"
#include "http/listen_socket.h"
#include "support/temp_dir.h"

namespace natsession::ctl {
AddCommand add_sql, add_top, add_timeline, add_status;
}

namespace natsession::console {
namespace {

using natsession::testing::HttpTalk;
using natsession::testing::TempDir;
using Json = nlohmann::json;

// natsessionctl's own commands over a ledger that is not there, and one that never ends.
void add_endless_export(ctl::Commands& commands) {
  commands.add("export", "Never ends").run([](const ctl::Global&) {
    std::printf("{}\n{}\n");
    for (int i = 0; i < 4000; ++i) std::printf("{\"a\": %d}\n", i);
    std::fflush(stdout);
    while (true) ::pause();
    return 0;
  });
}
constexpr ctl::AddCommand* kServedCommands[] = {ctl::add_sql, ctl::add_top, ctl::add_timeline,
                                                ctl::add_status, add_endless_export};

// Those that begin with an answer, and fail.
void add_half(ctl::Commands& commands, const char* name) {
  const auto csv = std::make_shared<bool>();
  const auto rest = std::make_shared<std::string>();
  commands.add(name, "Fails on its way")
      .flag("--csv", *csv, "CSV")
      .option("--file", *rest, "FILE", "A list")
      .argument("statement", *rest, "TEXT", "A statement", false)
      .run([csv, rest](const ctl::Global&) {
        std::printf(*csv ? "a\n1\n" : "{\"rows\": [{}]}\n");
        return 1;
      });
}
void add_half_sql(ctl::Commands& commands) {
  add_half(commands, "sql");
}
void add_half_top(ctl::Commands& commands) {
  add_half(commands, "top");
}
void add_half_trace(ctl::Commands& commands) {
  add_half(commands, "trace");
}
// One that its limit of memory ends.
void add_hungry_top(ctl::Commands& commands) {
  commands.add("top", "Takes memory without end").run([](const ctl::Global&) {
    std::vector<std::unique_ptr<char[]>> eaten;
    while (true) eaten.push_back(std::make_unique<char[]>(1 << 20));
    return 0;
  });
}
constexpr ctl::AddCommand* kHungryCommands[] = {add_hungry_top};

constexpr ctl::AddCommand* kFailingCommands[] = {add_half_sql, add_half_top, add_half_trace};

struct Served {
  explicit Served(bool passwords, bool require_reason = false,
                  std::span<ctl::AddCommand* const> commands = kServedCommands) {
    if (passwords) {
      for (const auto& [name, role] :
           {std::pair("lou", Role::kLook), {"ada", Role::kAsk}, {"sam", Role::kSteer}})
        REQUIRE(UserFile::set(folder.file("users"), name, {role, *hash_password("secret")}));
      users.emplace(std::move(*UserFile::open(folder.file("users"))));
      logins.emplace(*users, LoginLimits{});
    }
    asker.emplace(std::move(*Asker::start(commands)));
    audit = std::move(*AuditLog::open(folder.file("audit"), ""));
    const std::vector<Box> boxes{{"gate", folder.file("ledger"), "", ""},
                                 {"other", folder.file("other"), "", ""}};
    api.emplace(ApiSettings{boxes, {}, require_reason}, *asker, questions, *audit);
    console.emplace(ConsoleSettings{.tls = false,
                                    .require_reason = require_reason,
                                    .group = "nogroup-of-this-name",
                                    .boxes = boxes,
                                    .version = "0"},
                    RequestGuard({"localhost"}, false), logins ? &*logins : nullptr, *api, *audit);
    listener = std::move(*listen_tcp({"127.0.0.1", 0}));
    HttpServerSettings settings;
    settings.max_body = 1 << 16;
    settings.threads = HttpServerSettings::Threads::kEach;
    server.emplace(std::move(settings),
                   [this](HttpServerRequest& request) { return console->answer(request); });
    REQUIRE(server->start(listener.get()));
  }
  ~Served() {
    questions.cancel_all();
    server->stop();
  }

  HttpTalk begin(const std::string& line, const std::string& fields = "",
                 const std::string& body = "") const {
    HttpTalk talk(bound_port(listener.get()));
    std::string text = line + " HTTP/1.1\r\nHost: localhost\r\n" + fields;
    if (!cookie.empty()) text += "Cookie: other=1; " + cookie + "\r\n";
    if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    talk.send(text + "\r\n" + body);
    return talk;
  }
  struct Told {
    int status = 0;
    std::string head;
    std::string body;
    [[nodiscard]] Json json() const { return Json::parse(body, nullptr, false); }
  };
  Told ask(const std::string& line, const std::string& fields = "", const std::string& body = "") const {
    const std::string all = begin(line, fields, body).read_all();
    const std::size_t end = all.find("\r\n\r\n");
    REQUIRE(end != std::string::npos);
    return {std::stoi(all.substr(9, 3)), all.substr(0, end), all.substr(end + 4)};
  }
  Told log_in(const std::string& name, const std::string& password) {
    const Told told = ask("POST /api/v1/login", "Content-Type: application/json\r\n",
                          Json{{"name", name}, {"password", password}}.dump());
    const std::size_t at = told.head.find("natsession_console=");
    cookie = at == std::string::npos ? "" : told.head.substr(at, told.head.find(';', at) - at);
    return told;
  }
  std::vector<Json> audited() const {
    std::ifstream file(folder.file("audit"));
    std::vector<Json> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
    return lines;
  }

  TempDir folder;
  std::optional<UserFile> users;
  std::optional<Logins> logins;
  std::optional<Asker> asker;
  std::unique_ptr<AuditLog> audit;
  QuestionTable questions{{2, 3}};
  std::optional<Api> api;
  std::optional<Console> console;
  UniqueFd listener;
  std::optional<HttpServer> server;
  std::string cookie;
};

TEST_CASE("without a login there are the pages, and no answer", "[console][http]") {
  Served served(true);
  const auto page = served.ask("GET /traffic?since=-1h");
  CHECK(page.status == 200);
  CHECK(page.body.find("<main") != std::string::npos);
  CHECK(page.head.find("default-src 'none'; script-src 'self'") != std::string::npos);
  CHECK(served.ask("GET /main.js").status == 200);
  CHECK(served.ask("GET /../etc/passwd").status == 404);
  CHECK(served.ask("POST /traffic").status == 405);
  CHECK(served.ask("GET /api/v1/me").json()["needs_login"] == true);
  CHECK_FALSE(served.ask("GET /api/v1/me").json().contains("boxes"));
  for (const char* const line :
       {"GET /api/v1/top", "GET /api/v1/status", "GET /api/v1/questions", "POST /api/v1/disable"}) {
    INFO(line);
    CHECK(served.ask(line).status == 401);
  }
  served.cookie = "natsession_console=0123456789abcdef";
  CHECK(served.ask("GET /api/v1/top").status == 401);
  CHECK(served.audited().empty());
}

TEST_CASE("each page that there is a link to can be opened by its address", "[console][http]") {
  Served served(true);
  const std::string script = served.ask("GET /main.js").body;
  const std::size_t end = script.find("]];", script.find("const PAGES = "));
  std::size_t pages = 0;
  for (std::size_t at = script.find("[\"/"); at < end; at = script.find("[\"/", at + 1)) {
    const std::string path = script.substr(at + 2, script.find('"', at + 2) - at - 2);
    INFO(path);
    CHECK(served.ask("GET " + path + "?since=-1h").status == 200);
    ++pages;
  }
  CHECK(pages >= 7);
}

TEST_CASE("a page that has not changed is not sent again", "[console][http]") {
  Served served(true);
  const auto first = served.ask("GET /console.css");
  const std::size_t at = first.head.find("ETag: ") + 6;
  const auto again = served.ask(
      "GET /console.css", "If-None-Match: " + first.head.substr(at, first.head.find('\r', at) - at) + "\r\n");
  CHECK(again.status == 304);
  CHECK(again.body.empty());
}

TEST_CASE("a login has a cookie that no script and no other site gets", "[console][http]") {
  Served served(true);
  const auto told = served.log_in("ada", "secret");
  REQUIRE(told.status == 200);
  CHECK(told.head.find("; Path=/; HttpOnly; SameSite=Strict") != std::string::npos);
  CHECK(told.json()["role"] == "ask");
  CHECK(served.ask("GET /api/v1/me").json()["user"] == "ada");
  CHECK(served.ask("POST /api/v1/logout").status == 200);
  CHECK(served.ask("GET /api/v1/top").status == 401);
  served.cookie.clear();
  CHECK(served.log_in("ada", "wrong").status == 401);
  CHECK(served
            .ask("POST /api/v1/login", "Content-Type: text/plain\r\n",
                 R"({"name": "ada", "password": "secret"})")
            .status == 415);
  CHECK(served.ask("POST /api/v1/login", "Content-Type: application/json\r\n", R"({"name": 1})").status ==
        400);
  const auto lines = served.audited();
  REQUIRE(lines.size() == 3);
  CHECK(lines[0]["event"] == "login");
  CHECK(lines[1]["event"] == "logout");
  CHECK(lines[2]["event"] == "login_failed");
  CHECK(lines[2]["from"] == "127.0.0.1");
  for (const Json& line : lines) CHECK(line.dump().find("secret") == std::string::npos);
}

TEST_CASE("each role may what it may", "[console][http]") {
  Served served(true);
  const auto status = [&](const char* line) { return served.ask(line).status; };
  served.log_in("lou", "secret");
  CHECK(status("GET /api/v1/timeline") == 503);  // asked: there is no ledger
  CHECK(status("GET /api/v1/timeline?by=pri_ip") == 403);
  CHECK(status("GET /api/v1/top?pri=10.0.0.5&reason=why") == 403);
  CHECK(status("POST /api/v1/disable") == 403);
  // What is refused to somebody who is known stands in the audit log.
  std::vector<Json> refused = served.audited();
  std::erase_if(refused, [](const Json& line) { return line["event"] != "refused"; });
  REQUIRE(refused.size() == 3);
  CHECK(refused[1]["user"] == "lou");
  CHECK(refused[1]["what"] == "top");
  CHECK(refused[1]["asked"] == "top --pri=10.0.0.5");
  CHECK(refused[1]["reason"] == "why");
  CHECK(refused[1]["outcome"] == "this takes the role ask; lou has look");
  served.log_in("ada", "secret");
  CHECK(status("GET /api/v1/top") == 503);
  CHECK(status("POST /api/v1/disable") == 403);
  served.log_in("sam", "secret");
  CHECK(status("POST /api/v1/disable") == 503);  // no daemon is known of this box
  CHECK(status("GET /api/v1/disable") == 405);
}

TEST_CASE("what natsessionctl refuses is refused in its words", "[console][http]") {
  Served served(true);
  served.log_in("ada", "secret");
  const auto wrong = served.ask("GET /api/v1/top?by=bogus");
  CHECK(wrong.status == 400);
  CHECK(wrong.json()["kind"] == "usage");
  CHECK(wrong.json()["error"].get<std::string>().find("--by: there is no field 'bogus'") !=
        std::string::npos);
  CHECK(served.ask("GET /api/v1/top?box=nowhere").json()["error"] ==
        "there is no box 'nowhere'; there are: gate, other");
  CHECK(served.ask("GET /api/v1/top?tz=../../etc/passwd").status == 400);
  CHECK(served.ask("GET /api/v1/nothing").status == 404);
  CHECK(served.ask("GET /api/v2/top").status == 404);
  CHECK(served.ask("POST /api/v1/sql").status == 400);
  CHECK(served.ask("GET /api/v1/top", "", "a body").status == 400);
  CHECK(served.ask("POST /api/v1/sql", "", std::string(100'000, 'x')).status == 413);
}

TEST_CASE("every question is written down before it is answered, and how it ended",
          "[console][http][audit]") {
  Served served(true);
  served.log_in("ada", "secret");
  served.ask("POST /api/v1/sql?box=other&reason=ticket%2017&tz=UTC", "", "SELECT 1 FROM log");
  const auto lines = served.audited();
  REQUIRE(lines.size() == 3);
  const Json& asked = lines[1];
  CHECK(asked["event"] == "asked");
  CHECK(asked["user"] == "ada");
  CHECK(asked["from"] == "127.0.0.1");
  CHECK(asked["box"] == "other");
  CHECK(asked["what"] == "sql");
  CHECK(asked["input"] == "SELECT 1 FROM log");
  CHECK(asked["reason"] == "ticket 17");
  CHECK(lines[2]["event"] == "answered");
  CHECK(lines[2]["id"] == asked["id"]);
  CHECK(lines[2]["rows"] == 0);
}

TEST_CASE("what cannot be written down is not answered", "[console][http][audit]") {
  Served served(true);
  served.log_in("ada", "secret");
  // A folder stands where the file was: it can be opened by nobody.
  ::unlink(served.folder.file("audit").c_str());
  ::mkdir(served.folder.file("audit").c_str(), 0700);
  const auto refused = served.ask("GET /api/v1/top");
  CHECK(refused.status == 503);
  CHECK(refused.json()["error"].get<std::string>().find("audit") != std::string::npos);
  ::rmdir(served.folder.file("audit").c_str());
  CHECK(served.ask("GET /api/v1/top").json()["kind"] == "missing");
  CHECK(served.audited().size() == 2);
}

TEST_CASE("where a reason is demanded, questions that name hosts take one", "[console][http][audit]") {
  Served served(true, /*require_reason=*/true);
  served.log_in("ada", "secret");
  CHECK(served.ask("GET /api/v1/top").json()["kind"] == "reason");
  CHECK(served.ask("GET /api/v1/top?reason=ticket").json()["kind"] == "missing");
  CHECK(served.ask("GET /api/v1/timeline").json()["kind"] == "missing");
  CHECK(served.ask("GET /api/v1/timeline?by=pri_ip").json()["kind"] == "reason");
}

TEST_CASE("an answer comes while it is made, and ends with who asked", "[console][http]") {
  Served served(true);
  served.log_in("ada", "secret");
  auto talk = std::make_unique<HttpTalk>(served.begin("GET /api/v1/export?question=mine"));
  std::string some;
  while (some.find("\"a\": 1}") == std::string::npos) some += talk->read_some();
  const Json running = served.ask("GET /api/v1/questions").json();
  REQUIRE(running["questions"].size() == 1);
  CHECK(running["questions"][0]["id"] == "mine");
  const auto wait_until_over = [&] {
    while (!served.ask("GET /api/v1/questions").json()["questions"].empty()) {
    }
  };
  SECTION("he goes") {
    talk.reset();
    wait_until_over();
  }
  SECTION("he cancels") {
    CHECK(served.ask("DELETE /api/v1/questions/mine").status == 200);
    CHECK(served.ask("DELETE /api/v1/questions/other").status == 404);
    // Broken off: the last chunk is missing.
    CHECK_FALSE(talk->read_all().ends_with("0\r\n\r\n"));
    wait_until_over();
  }
  const auto lines = served.audited();
  CHECK(lines.back()["outcome"] == "cancelled");
  CHECK(lines.back()["rows"] > 1);
}

TEST_CASE("an answer whose question failed on its way is broken off where it cannot say so itself",
          "[console][http]") {
  Served served(true, /*require_reason=*/false, kFailingCommands);
  served.log_in("ada", "secret");
  const auto is_whole = [&](const char* line, const char* body = "") {
    return served.ask(line, "", body).body.ends_with("0\r\n\r\n");
  };
  CHECK_FALSE(is_whole("GET /api/v1/top?format=csv"));
  CHECK_FALSE(is_whole("POST /api/v1/sql?format=csv", "SELECT 1"));
  CHECK(is_whole("GET /api/v1/top"));
  // Of a list some are not found: that is its answer.
  CHECK(is_whole("POST /api/v1/trace?format=csv", "nat,time\n"));
}

TEST_CASE("a limit that ended a question is named, with what to do", "[console][http]") {
  if (!std::string_view(NATSESSION_SANITIZE).empty()) return;  // it needs address space for itself
  Served served(true, /*require_reason=*/false, kHungryCommands);
  served.log_in("ada", "secret");
  const auto told = served.ask("GET /api/v1/top");
  CHECK(told.status == 503);
  CHECK(told.json()["kind"] == "memory");
  const std::string why = told.json()["error"];
  CHECK(why.find("768M") != std::string::npos);
  CHECK(why.find("--memory") != std::string::npos);
  CHECK(why.find("ask about less time") != std::string::npos);
  CHECK(served.audited().back()["outcome"] == "ended by the memory limit");
}

TEST_CASE("a user has so many questions at once", "[console][http]") {
  Served served(true);
  served.log_in("ada", "secret");
  std::vector<HttpTalk> talks;
  for (int i = 0; i < 2; ++i) {
    talks.push_back(served.begin("GET /api/v1/export"));
    REQUIRE_FALSE(talks.back().read_some().empty());
  }
  const auto busy = served.ask("GET /api/v1/export");
  CHECK(busy.status == 429);
  CHECK(busy.head.find("Retry-After") != std::string::npos);
}

TEST_CASE("without passwords the user of this machine counts", "[console][http]") {
  Served served(false);
  const Json me = served.ask("GET /api/v1/me").json();
  CHECK(me["role"] == "steer");
  CHECK(me["needs_login"] == false);
  CHECK(served.ask("POST /api/v1/login", "Content-Type: application/json\r\n", "{}").status == 400);
  CHECK(served.ask("GET /api/v1/me", "Origin: http://evil.example\r\n").status == 403);
}

}  // namespace
}  // namespace natsession::console
