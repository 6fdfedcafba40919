#include "status_text.h"

#include <cstdlib>
#include <ctime>
#include <iterator>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>

#include "base/help_text.h"
#include "control/golden.h"
#include "control/sample_status.h"
#include "words.h"

namespace natsession::ctl {
namespace {

using namespace testing;  // NOLINT: the tests' own language

struct InUtc {
  InUtc() {
    ::setenv("TZ", "UTC", 1);
    ::tzset();
  }
};

TEST_CASE("the status as a table shows logging, collectors, sinks and the ledger", "[control][ctl]") {
  const InUtc utc;
  Status status = sample_status();
  status.collectors.push_back(sample_collector("blue"));
  status.collectors.back().reliable = false;
  status.collectors.back().guard_tripped = true;
  status.collectors.push_back(sample_collector("red"));
  status.collectors.back().gone = true;
  status.collectors.push_back(sample_collector("green"));
  status.collectors.back().sysctls.events = false;
  status.ledger->failure = "write: No space left on device";
  check_golden("status.txt", status_text(status, false));
}

TEST_CASE("disabled logging and a disabled sink are shown, and a past failure stays in sight",
          "[control][ctl]") {
  const InUtc utc;
  Status status = sample_status();
  status.logging = false;
  status.sinks[0].enabled = false;
  status.sinks[0].state = DeliveryState::kModifying;
  status.sinks[1].state = DeliveryState::kSuccess;
  status.sinks[1].suspended_until.reset();
  const std::string text = status_text(status, false);
  CHECK(text.find("logging is disabled") != std::string::npos);
  CHECK(text.find("no       Modifying") != std::string::npos);
  CHECK(text.find("last failure: Unauthorized: certificate") != std::string::npos);
  CHECK(text.find("-      disabled") != std::string::npos);
}

TEST_CASE("a sink that nothing was offered to, and one that waits for data, say so", "[control][ctl]") {
  const InUtc utc;
  Status status = sample_status();
  status.sinks[0] = {};
  status.sinks[0].state = DeliveryState::kModifying;
  status.sinks[1].suspended_until = status.now + std::chrono::milliseconds(1);
  const std::string text = status_text(status, false);
  CHECK(text.find("\n  nothing was offered to it yet\n") != std::string::npos);
  CHECK(text.find("; suspended until there is new data, which is then sent as a test\n") !=
        std::string::npos);
  CHECK(text.find("0.0s more") == std::string::npos);
}

TEST_CASE("where the locale knows ASCII alone nothing else is shown", "[control][ctl]") {
  const auto in = [](const char* name, const char* value, const std::string& text) {
    for (const char* const other : {"LC_ALL", "LC_CTYPE", "LANG"}) ::unsetenv(other);
    if (value != nullptr) ::setenv(name, value, 1);
    const std::string shown = printable(text);
    ::unsetenv(name);
    ::setenv("LANG", "C.UTF-8", 1);
    return shown;
  };
  CHECK(in("LC_ALL", "C",
           "gr\xc3\xb6\xc3\x9f"
           "er \xe2\x82\xac") == "gr??er ?");
  CHECK(in("LANG", "POSIX", "\xc3\xb6") == "?");
  CHECK(in("LANG", "de_DE.utf8", "\xc3\xb6") == "\xc3\xb6");
  CHECK(in("LANG", nullptr, "\xc3\xb6") == "\xc3\xb6");
}

TEST_CASE("colours come only where they are wanted", "[control][ctl]") {
  CHECK(status_text(sample_status(), false).find('\x1b') == std::string::npos);
  CHECK(status_text(sample_status(), true).find("\x1b[31mFailed\x1b[0m") != std::string::npos);
}

TEST_CASE("live sessions as a table", "[control][ctl]") {
  const SessionsAnswer answer{
      .sessions = {sample_session(), sample_session6()}, .more = false, .now = at(1'795'263'662'108)};
  check_golden("sessions.txt", sessions_text(answer, false));
}

TEST_CASE("columns that all sessions leave empty are left out", "[control][ctl]") {
  SessionsAnswer answer{.sessions = {sample_session()}, .more = false, .now = at(1'795'263'662'108)};
  answer.sessions[0].zone = 0;
  answer.sessions[0].mark = 0;
  const std::string text = sessions_text(answer, false);
  CHECK(text.find("ZONE") == std::string::npos);
  CHECK(text.find("MARK") == std::string::npos);
  CHECK(text.find("NETNS") == std::string::npos);
}

TEST_CASE("a table is as wide as its widest cells, in characters", "[control][ctl]") {
  TextTable table({{"A"}, {"NUMBER", TextTable::Align::kRight}, {"Z"}});
  table.add_row({"größer", "1", "x"});
  table.add_row({"b", "1234567", ""});
  table.add_note("note", Paint::kBad);
  CHECK(table.text(false) == "A        NUMBER  Z\ngrößer        1  x\nb       1234567\n  note\n");
  CHECK(table.text(true).find("\x1b[31mnote\x1b[0m") != std::string::npos);
}

TEST_CASE("on a narrow screen a row goes on in further lines, and nothing is left out", "[control][ctl]") {
  const InUtc utc;
  const SessionsAnswer answer{
      .sessions = {sample_session(), sample_session6()}, .more = false, .now = at(1'795'263'662'108)};
  const Screen narrow{/*with_colours=*/false, 80};
  check_golden("sessions80.txt", sessions_text(answer, narrow));
  check_golden("status80.txt", status_text(sample_status(), narrow));
  const auto words = [](const std::string& text) {
    std::istringstream in(text);
    return std::multiset<std::string>(std::istream_iterator<std::string>(in), {});
  };
  for (const std::size_t width : {std::size_t{1}, std::size_t{40}, std::size_t{80}, std::size_t{120}}) {
    const std::string text = sessions_text(answer, {false, width});
    CHECK(words(text) == words(sessions_text(answer, false)));
    std::istringstream lines(text + status_text(sample_status(), {false, width}));
    for (std::string line; width >= 80 && std::getline(lines, line);) CHECK(width_of(line) <= width);
  }
}

TEST_CASE("text from elsewhere cannot steer the terminal", "[control][ctl]") {
  CHECK(printable("a\x1b[2Jb\r\nc\td\x7f") == "a?[2Jb  c d?");
  CHECK(printable("\xc2\x9b"
                  "31m \xc3\xa4") == "?31m \xc3\xa4");
  Status status = sample_status();
  status.sinks[1].message = "\x1b]0;owned\x07";
  CHECK(status_text(status, false).find('\x1b') == std::string::npos);
}

TEST_CASE("numbers, sizes and times are told in words", "[control][ctl]") {
  const InUtc utc;
  CHECK(grouped(0) == "0");
  CHECK(grouped(999) == "999");
  CHECK(grouped(1000) == "1,000");
  CHECK(grouped(18'446'744'073'709'551'615U) == "18,446,744,073,709,551,615");
  CHECK(bytes_in_words(1023) == "1023 B");
  CHECK(bytes_in_words(1024) == "1.0 KiB");
  CHECK(bytes_in_words((1 << 20) - 1) == "1.0 MiB");
  CHECK(bytes_in_words(18'446'744'073'709'551'615U) == "16384.0 PiB");
  CHECK(time_in_words(at(1'795'263'662'108)) == "2026-11-21 12:21:02 UTC");  // date -u -d @1795263662
  using std::chrono::milliseconds;
  CHECK(span_in_words(milliseconds(-5)) == "0.0s");
  CHECK(span_in_words(milliseconds(1'490)) == "1.4s");
  CHECK(span_in_words(milliseconds(59'999)) == "59s");
  CHECK(span_in_words(milliseconds(60'000)) == "1m 0s");
  CHECK(span_in_words(milliseconds(3'599'000)) == "59m 59s");
  CHECK(span_in_words(milliseconds(86'399'000)) == "23h 59m");
  CHECK(span_in_words(milliseconds(86'400'000)) == "1d 0h");
}

}  // namespace
}  // namespace natsession::ctl
