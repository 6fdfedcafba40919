#include "sink/registry.h"

#include <set>

#include <catch2/catch.hpp>

#include "sink/sink_fixture.h"
#include "sink/sink_url.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

const ManualClock kClock{UnixNs(std::chrono::seconds(1'795'263'662))};

// What a build without a library says of a URL that needs it; empty if it is there.
std::string why_not_built(const std::string& url) {
#ifndef NATSESSION_TEST_HTTP
  if (url.starts_with("http")) return "NATSESSION_SINK_HTTP";
#endif
#ifndef NATSESSION_TEST_TLS
  if (url.starts_with("syslog+tls")) return "NATSESSION_SINK_TLS";
#endif
#ifndef NATSESSION_TEST_KAFKA
  if (url.starts_with("kafka")) return "NATSESSION_SINK_KAFKA";
#endif
  static_cast<void>(url);
  return {};
}

}  // namespace

TEST_CASE("URLs of all sinks and options are accepted", "[sink][registry]") {
  const std::string url = GENERATE(
      "stdout", "stdout?format=csv&time_format=rfc3339&fields=cloud", "journald", "journald?format=json",
      "journald?time_format=unix_ms", "file:x", "file:/var/log/nat.json?format=logfmt",
      "file:/a?rotate_size=100M&rotate_time=1h&compress=zstd&keep=14&mode=0600",
      "file:/a?rotate_time=1d&compress=gzip", "file:/a?rotate_time=1s&compress=none&keep=0", "file:/a%20b",
      "stdout?batch=100&batch_bytes=1M&linger=0s&suspend=1m&from=start",
      "syslog:", "syslog:/run/log?format=json",
      "syslog:?facility=local7&severity=debug&max_message=65507&timeout=100ms&fields=cloud",
      "syslog+udp://host", "syslog+udp://[2001:db8::1]:5514?facility=daemon",
      "syslog+tcp://10.0.0.1:601?framing=newline", "syslog:?format=nat", "syslog+udp://host?format=nat",
      "syslog+tcp://host?format=nat", "ipfix://host",
      "ipfix://[2001:db8::1]:4740?domain=7&instance_id=9&mtu=1280&template_refresh=10m",
      "ipfix+tcp://host?destination=no&options=no&fields=cloud",
      "syslog+tls://host?ca=/a&cert=/b&key=/c&servername=log.example&framing=octet",
      "syslog+tls://host?verify=off", "http://host",
      "http://host:8080/a/b%3Fc=d?compress=none&timeout=5m&headers_file=/a&format=json",
      "https://[::1]/?credentials_file=/a&ca=/b&verify=on", "https://h/?user_env=A&password_env=B",
      "http://h?token_env=A", "kafka://one,two:9093/nat?format=protobuf&partition_by=session&timeout=1s",
      "kafka://[2001:db8::1]/nat?format=json&properties_file=/a", "exec:cat",
      "exec:gzip >/a?format=csv&timeout=1m&run_as=nobody");
  CAPTURE(url);
  const auto checked = check_sink_url(url);
  if (const std::string why = why_not_built(url); !why.empty()) {
    REQUIRE_FALSE(checked);
    CHECK_THAT(checked.error().message, Contains(why));
    return;
  }
  if (!checked) FAIL(checked.error().message);
  CHECK(checked);
}

TEST_CASE("a URL that means nothing is refused with its text, the key, the value and what would do",
          "[sink][registry]") {
  const auto [url, words] = GENERATE(table<std::string, std::vector<std::string>>({
      {"", {"stdout, file:PATH, journald, syslog:[PATH], ", "exec:COMMAND"}},
      {"carrier-pigeon:coop", {"carrier-pigeon", "stdout, file:PATH, journald"}},
      {"stdout:x", {"'x'", "takes no path"}},
      {"journald:/run/x", {"'/run/x'", "takes no path"}},
      {"file", {"file:PATH"}},
      {"file:", {"file:PATH"}},
      {"file:/a?rotat=1",
       {"'rotat'", "'1'",
        "file has rotate_size, rotate_time, compress, keep, mode, format, time_format, fields"}},
      {"stdout?keep=3", {"'keep'", "'3'", "stdout has format, time_format, fields"}},
      {"stdout?batch=0", {"batch:", "'0'", "1 to 100000"}},
      {"stdout?batch=many", {"batch:", "'many'"}},
      {"stdout?batch=99999999999999999999", {"batch:", "out of range"}},
      {"stdout?batch_bytes=1", {"batch_bytes:", "'1'", "1K to 64M"}},
      {"stdout?linger=2h", {"linger:", "'2h'", "1h"}},
      {"stdout?suspend=0s", {"suspend:", "'0s'", "1s to 1d"}},
      {"stdout?from=middle", {"from:", "'middle'", "start or end"}},
      {"syslog:log", {"'log'", "/dev/log", "syslog+tcp://"}},
      {"syslog://host", {"'//host'", "syslog+udp://"}},
      {"syslog:?facility=local8", {"facility:", "'local8'", "local7"}},
      {"syslog:?severity=bad", {"severity:", "'bad'", "info"}},
      {"syslog:?max_message=1024", {"max_message:", "'1024'", "2048 to 65507"}},
      {"syslog:?timeout=1h", {"timeout:", "'1h'", "5m"}},
      {"syslog:?format=csv", {"format:", "logfmt or json"}},
      {"syslog:?framing=octet", {"'framing'", "syslog has facility, severity"}},
      {"syslog+udp:host", {"host is missing", "syslog+udp://HOST:PORT"}},
      {"syslog+udp://", {"host is missing"}},
      {"syslog+udp://host?framing=octet", {"'framing'"}},
      {"syslog+tcp://host:0", {"':0'", "1 to 65535"}},
      {"syslog+tcp://host:65536", {"':65536'"}},
      {"syslog+tcp://host:port", {"':port'"}},
      {"syslog+tcp://host/path", {"'host/path'"}},
      {"syslog+tcp://2001:db8::1", {"1 to 65535"}},
      {"syslog+tcp://[2001:db8::1", {"]"}},
      {"syslog+tcp://[::1]514", {"'514'"}},
      {"syslog+tcp://a b", {"'a b'"}},
      {"http://host?format=nat", {"format:", "'nat'"}},
      {"stdout?format=nat", {"format:", "'nat'"}},
      {"syslog:?format=", {"format:"}},
      {"ipfix://", {"host is missing"}},
      {"ipfix://host?format=json", {"format:", "no text"}},
      {"ipfix://host?time_format=unix", {"time_format:", "no text"}},
      {"ipfix://host?destination=maybe", {"destination:", "'maybe'", "yes or no"}},
      {"ipfix://host?mtu=500", {"mtu:", "576"}},
      {"ipfix+tcp://host?mtu=1500", {"'mtu'", "domain"}},
      {"syslog+tcp://host?framing=lines", {"framing:", "'lines'", "octet or newline"}},
      {"syslog+tcp://host?ca=/a", {"'ca'", "framing"}},
      {"syslog+tls://host?key=/a", {"key:", "cert"}},
      {"syslog+tls://host?ca=", {"ca:", "a file"}},
      {"syslog+tls://host?verify=no", {"verify:", "'no'", "off or on"}},
      {"syslog+tls://host?verify=off&ca=/a", {"verify", "ca="}},
      {"http:", {"host is missing"}},
      {"http:///path", {"host is missing"}},
      {"http://host/a%20b", {"%2520"}},
      {"http://host/?compress=zstd", {"compress:", "'zstd'", "gzip or none"}},
      {"http://host/?format=csv", {"format:", "'csv'", "json"}},
      {"http://host/?user_env=A", {"user_env and password_env"}},
      {"http://host/?token_env=A&credentials_file=/b", {"exclude one another"}},
      {"http://host/?token_env=", {"token_env:", "variable"}},
      {"http://host/?ca=/a", {"'ca'", "headers_file"}},
      {"kafka://one", {"topic is missing"}},
      {"kafka://one/nat?format=logfmt", {"format:", "'logfmt'"}},
      {"kafka://one/nat?acks=1", {"'acks'", "kafka has partition_by, properties_file, timeout"}},
      {"exec:", {"command is missing"}},
      {"exec", {"command is missing"}},
      {"exec:%20", {"command is missing"}},
      {"exec:cat?timeout=1ms", {"timeout:", "'1ms'"}},
      {"file:/a?token=sesame", {"'token'", "would show a secret"}},
      {"stdout?format=xml", {"format:", "'xml'", "json, csv or logfmt"}},
      {"stdout?time_format=iso", {"time_format:", "'iso'", "rfc3339"}},
      {"stdout?fields=some", {"fields:", "'some'", "cloud"}},
      {"journald?format=csv", {"format:", "csv", "logfmt or json"}},
      {"file:/a?rotate_size=big", {"rotate_size:", "'big'", "64M"}},
      {"file:/a?rotate_size=1", {"rotate_size:", "'1'", "1K"}},
      {"file:/a?rotate_time=10", {"rotate_time:", "'10'", "10m"}},
      {"file:/a?rotate_time=10ms", {"rotate_time:", "'10ms'", "1s"}},
      {"file:/a?rotate_time=1h&compress=rar", {"compress:", "'rar'", "gzip, zstd or none"}},
      {"file:/a?rotate_time=1h&keep=-1", {"keep:", "'-1'", "0 or more"}},
      {"file:/a?rotate_time=1h&keep=two", {"keep:", "'two'"}},
      {"file:/a?mode=9", {"mode:", "'9'", "0640"}},
      {"file:/a?mode=7777", {"mode:", "'7777'", "0640"}},
      {"file:/a?compress=gzip", {"compress:", "rotate_size or rotate_time"}},
      {"file:/a?keep=3", {"keep:", "rotate_size or rotate_time"}},
  }));
  CAPTURE(url);
  if (!why_not_built(url).empty()) return;
  const auto checked = check_sink_url(url);
  REQUIRE_FALSE(checked);
  CHECK(checked.error().kind == ErrorKind::kUsage);
  if (url.find("sesame") == std::string::npos) CHECK_THAT(checked.error().message, Contains("'" + url + "'"));
  CHECK_THAT(checked.error().message, !Contains("sesame"));
  for (const std::string& word : words) CHECK_THAT(checked.error().message, Contains(word));

  const auto opened = open_sink(url, {}, kClock);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message == checked.error().message);
}

TEST_CASE("the defaults of the encoder hold unless the URL says otherwise", "[sink][registry]") {
  const TempDir directory;
  const EncoderOptions defaults{.format = RecordFormat::kLogfmt, .time_format = TimeFormat::kRfc3339};
  EncoderOptions expected = defaults;
  std::string options;
  SECTION("nothing said") {}
  SECTION("another format") {
    options = "?format=json";
    expected.format = RecordFormat::kJson;
  }
  SECTION("other times and fields") {
    options = "?time_format=unix_ms&fields=cloud";
    expected.time_format = TimeFormat::kUnixMs;
    expected.fields = FieldSet::kCloud;
  }
  auto sink = open_sink("file:" + directory.file("log") + options, defaults, kClock);
  REQUIRE(sink);
  CHECK((*sink)->name() == "file:" + directory.file("log"));
  const auto records = numbered_records(0, 3);
  CHECK((*sink)->deliver(records).kind == Answer::Kind::kDelivered);
  CHECK(read_file(directory.file("log")) == testing::text_of(records, expected));
}

TEST_CASE("a path is decoded before it is opened", "[sink][registry]") {
  const TempDir directory;
  REQUIRE(open_sink("file:" + directory.file("a%3Fb%20c"), {}, kClock));
  CHECK(testing::list_directory(directory.path()) == std::vector<std::string>{"a?b c"});
}

TEST_CASE("a probe tells what opening would, and leaves nothing behind", "[sink][registry]") {
  const TempDir directory;
  CHECK(probe_sink("file:" + directory.file("new.json")));
  CHECK(testing::list_directory(directory.path()).empty());
  testing::write_file(directory.file("old.json"), "x\n");
  CHECK(probe_sink("file:" + directory.file("old.json")));
  CHECK(read_file(directory.file("old.json")) == "x\n");
  for (const std::string& url :
       {"file:" + directory.file("no/such/log.json"), "file:" + directory.path().string(),
        "file:" + directory.file("old.json") + "/x", std::string("file:/dev/null?rotate_size=1M")}) {
    CAPTURE(url);
    const auto probed = probe_sink(url);
    const auto opened = open_sink(url, {}, kClock);
    REQUIRE_FALSE(probed);
    REQUIRE_FALSE(opened);
    CHECK(probed.error().message == opened.error().message);
    CHECK(probed.error().kind == opened.error().kind);
    CHECK(probed.error().kind == ErrorKind::kUsage);
  }
}

TEST_CASE("of several sinks all are opened or none", "[sink][registry]") {
  const TempDir directory;
  const auto open_all = [](const std::vector<std::string>& urls) {
    std::vector<SinkConfig> configs;
    for (const std::string& url : urls) configs.push_back(*SinkConfig::parse(url));
    return open_sinks(configs, {}, kClock);
  };
  std::vector<std::string> urls{"file:" + directory.file("a.json"), "file:" + directory.file("b.json")};
  auto sinks = open_all(urls);
  REQUIRE(sinks);
  REQUIRE(sinks->size() == 2);
  CHECK((*sinks)[1]->name() == urls[1]);

  urls = {"file:" + directory.file("c.json"), "file:" + directory.file("no/such/d.json")};
  const auto refused = open_all(urls);
  REQUIRE_FALSE(refused);
  CHECK_THAT(refused.error().message, Contains(urls[1]));
  CHECK(testing::list_directory(directory.path()) == std::vector<std::string>{"a.json", "b.json"});
}

TEST_CASE("a URL says how its sink is served, and nothing of it is set that it does not say",
          "[sink][registry]") {
  const auto silent = SinkConfig::parse("file:/a");
  REQUIRE(silent);
  CHECK_FALSE(silent->delivery().batch);
  CHECK_FALSE(silent->delivery().batch_bytes);
  CHECK_FALSE(silent->delivery().linger);
  CHECK_FALSE(silent->delivery().suspend);
  CHECK_FALSE(silent->delivery().from_start);

  const auto config = SinkConfig::parse(
      "file:/a?keep=1&rotate_time=1h&batch=500&batch_bytes=2M&linger=250ms&suspend=90s&from=start");
  REQUIRE(config);
  CHECK(config->delivery().batch == 500);
  CHECK(config->delivery().batch_bytes == ByteCount{2 << 20});
  CHECK(config->delivery().linger == 250ms);
  CHECK(config->delivery().suspend == 90s);
  CHECK(config->delivery().from_start);
  CHECK_FALSE(SinkConfig::parse("stdout?from=end")->delivery().from_start);
}

TEST_CASE("what is behind a network or a command is remote", "[sink][registry]") {
  for (const std::string url : {"syslog:", "syslog+udp://host", "syslog+tcp://host", "exec:cat"}) {
    CHECK(SinkConfig::parse(url)->remote());
  }
  for (const std::string url : {"stdout", "file:/a", "journald"})
    CHECK_FALSE(SinkConfig::parse(url)->remote());
}

TEST_CASE("every kind of sink has a scheme of its own, with which its usage begins", "[sink][registry]") {
  std::set<std::string_view> schemes;
  for (const SinkKind& kind : sink_kinds()) {
    CHECK(kind.parse != nullptr);
    CHECK(kind.usage.starts_with(kind.scheme));
    CHECK(schemes.insert(kind.scheme).second);
    CHECK(find_sink_kind(kind.scheme) == &kind);
  }
}

TEST_CASE("the help tells range and default of an option from its declaration", "[sink][registry]") {
  std::string help;
  for (const char c : sink_help()) {
    if (c == '\n') help += ' ';
    if (c != '\n' && (c != ' ' || !help.ends_with(' '))) help += c;
  }
  for (const std::string part :
       {"batch=N records in one batch, at most (1 to 100000)", "their size, at most (1K to 64M)",
        "in the background (default: none)", "less the umask (default: 0640)", "(1K or more)",
        "takes nothing (100ms to 5m; default: 10s)", "a gap is a warning (default: info)"}) {
    CHECK_THAT(help, Contains(part));
  }
}

TEST_CASE("the help has every sink and every option, in lines that fit a terminal", "[sink][registry]") {
  const std::string help = sink_help();
  for (const SinkKind& kind : sink_kinds()) {
    CHECK_THAT(help, Contains(std::string(kind.usage)));
    for (const SinkOption& option : kind.options) CHECK_THAT(help, Contains(std::string(option.key) + "="));
  }
  for (const SinkOption& option : common_sink_options())
    CHECK_THAT(help, Contains(std::string(option.key) + "="));
  std::size_t longest = 0;
  for (std::size_t begin = 0; begin < help.size();) {
    const std::size_t end = help.find('\n', begin);
    longest = std::max(longest, end - begin);
    begin = end + 1;
  }
  CHECK(longest <= 80);
}

TEST_CASE("a URL is a scheme alone, with a target, and with options", "[sink][url]") {
  const auto plain = SinkUrl::parse("stdout");
  REQUIRE(plain);
  CHECK(plain->text == "stdout");
  CHECK(plain->scheme == "stdout");
  CHECK(plain->target.empty());
  CHECK(plain->options.empty());

  const auto full = SinkUrl::parse("file:/var/log/nat.json?rotate_size=100M&keep=14");
  REQUIRE(full);
  CHECK(full->scheme == "file");
  CHECK(full->target == "/var/log/nat.json");
  REQUIRE(full->options.size() == 2);
  CHECK(full->options[0].key == "rotate_size");
  CHECK(full->options[0].value == "100M");
  CHECK(full->options[1].key == "keep");
  CHECK(full->options[1].value == "14");
}

TEST_CASE("only the first colon and the first question mark part a URL", "[sink][url]") {
  const auto url = SinkUrl::parse("file:a:b?k=c:d?e=f");
  REQUIRE(url);
  CHECK(url->target == "a:b");
  REQUIRE(url->options.size() == 1);
  CHECK(url->options[0].value == "c:d?e=f");
}

TEST_CASE("percent escapes stand for any byte in targets and values", "[sink][url]") {
  const auto url = SinkUrl::parse("file:/a%3Fb%25c%20d?k=1%262%3d");
  REQUIRE(url);
  CHECK(url->target == "/a?b%c d");
  CHECK(url->options[0].value == "1&2=");
}

TEST_CASE("a URL that is malformed is refused, and the message says where", "[sink][url]") {
  const auto [text, part] = GENERATE(table<std::string, std::string>({
      {"file:/a%", "%25"},
      {"file:/a%2", "%25"},
      {"file:/a%zz", "%25"},
      {"file:/a%+1", "%25"},
      {"file:/a%00b", "%25"},
      {"file:/a?k=%zz", "k: '%zz'"},
      {"file:/a?", "'' is not an option"},
      {"file:/a?k", "'k' is not an option"},
      {"file:/a?k=1&", "'' is not an option"},
      {"file:/a?=1", "'=1' is not an option"},
      {"file:/a?k=1&j=2&k=3", "k: is given twice"},
  }));
  CAPTURE(text);
  const auto url = SinkUrl::parse(text);
  REQUIRE_FALSE(url);
  CHECK(url.error().kind == ErrorKind::kUsage);
  CHECK_THAT(url.error().message, Contains("'" + text + "'") && Contains(part));
}

TEST_CASE("a message shows a URL without its secrets", "[sink][url]") {
  const auto [url, shown] = GENERATE(table<std::string, std::string>({
      {"file:/a?mode=0600", "file:/a?mode=0600"},
      {"http://host/a@b", "http://***@b"},
      {"http://user:pass@host/x?compress=none", "http://user:***@host/x?compress=none"},
      {"http://user:p:a@ss@host/", "http://user:***@host/"},
      {"http://token@host/", "http://***@host/"},
      {"http://host/?token=a&compress=none&password=b", "http://host/?token=***&compress=none&password=***"},
      {"http:/user:pass@host/", "http:/user:***@host/"},
      {"http:user:pass@host", "http:user:***@host"},
      {"https//user:pass@host/", "https//user:***@host/"},
      {"http:%2F%2Fuser:pass@host/", "http:%2F%2Fuser:***@host/"},
      {"http://user%3Apass%40host/", "http://***%40host/"},
      {"http://user:pa?ss@host/", "http://user:***@host/"},
      {"http://user:pa/ss@host/", "http://user:***@host/"},
      {"syslog+tcp://user:pass@host", "syslog+tcp://user:***@host"},
      {"user:pass@host", "user:***@host"},
      {"http://host/?passwd=a&X-Auth-Token=b", "http://host/?passwd=***&X-Auth-Token=***"},
      {"http://host:80/?headers_file=/a@b", "http://host:80/?headers_file=/a@b"},
      {"file:/a@b?keep=1", "file:/a@b?keep=1"},
      {"http://host/?token", "http://host/?token"},
      {"http://host/?token_env=NAME", "http://host/?token_env=NAME"},
      {"exec:a@b", "exec:a@b"},
      {"", ""},
      {"?", "?"},
  }));
  CHECK(without_secrets(url) == shown);
}

TEST_CASE("a user or password in a URL is refused, and in no message", "[sink][url]") {
  const std::string text =
      GENERATE(as<std::string>(), "http://me:sesame@host/", "https://sesame@host", "http:/me:sesame@host/",
               "http:me:sesame@host", "https//me:sesame@host/", "http:%2F%2Fme:sesame@host/",
               "http://me%3Asesame%40host/", "http://me:sesame?x=1@host/", "http://me:x?sesame@host/",
               "http://me:x/sesame@host/", "HTTP://me:sesame@host/", "syslog+tls://me:sesame@host:6514",
               "syslog+udp://me:sesame@host?facility=none", "me:sesame@host", "http://me:ses%zz@host/?x=%zz");
  CAPTURE(text);
  const auto url = SinkUrl::parse(text);
  REQUIRE_FALSE(url);
  CHECK(url.error().kind == ErrorKind::kUsage);
  CHECK_THAT(url.error().message, Contains("a user or password") && !Contains("sesame") && !Contains("ses%"));
}

TEST_CASE("an @ elsewhere in a URL is no secret", "[sink][url]") {
  for (const std::string text : {"file:/var/log/a@b", "exec:mail -s nat root@host", "http://host/a@b",
                                 "https://[::1]:8443/?ca=/etc/a@b", "syslog+tls://host?servername=a@b"}) {
    CAPTURE(text);
    CHECK(SinkUrl::parse(text));
  }
}
