#include "sink/local/journald_sink.h"

#include <catch2/catch.hpp>

#include "sink/sink_fixture.h"
#include "support/fake_journal.h"

using namespace natsession;
using namespace std::chrono_literals;
using Catch::Matchers::Contains;
using namespace natsession::testing;

namespace {

class JournaldFixture {
 public:
  JournaldFixture() {
    auto opened = JournaldSink::open("journald", settings);
    if (!opened) FAIL(opened.error().message);
    sink = std::move(*opened);
  }
  FakeJournal::Entry deliver_one(const SessionRecord& record) {
    CHECK(sink->deliver({&record, 1}).kind == Answer::Kind::kDelivered);
    const auto entries = journal.receive();
    REQUIRE(entries.size() == 1);
    return entries[0];
  }

  FakeJournal journal;
  JournaldSettings settings{
      .options = {.format = RecordFormat::kLogfmt}, .socket_path = journal.socket_path(), .patience = 0ms};
  std::unique_ptr<Sink> sink;
};

}  // namespace

TEST_CASE_METHOD(JournaldFixture, "an entry has the record as text and as fields", "[sink][journald]") {
  SessionRecord record = numbered_record(7);
  record.vpc_id = "vpc-1";
  record.tcp_state = TcpState::kTimeWait;
  record.session_start = testing::at_second(3);
  const auto entry = deliver_one(record);
  std::string message = testing::text_of({record}, settings.options);
  message.pop_back();
  CHECK(entry == FakeJournal::Entry{{"MESSAGE", message},
                                    {"PRIORITY", "6"},
                                    {"SYSLOG_IDENTIFIER", "natsessiond"},
                                    {"MESSAGE_ID", std::string(kRecordMessageId)},
                                    {"NATSESSION_INSTANCE", "nat-1"},
                                    {"NATSESSION_VPC_ID", "vpc-1"},
                                    {"NATSESSION_PROTOCOL", "17"},
                                    {"NATSESSION_PRI_IP", "10.0.0.2"},
                                    {"NATSESSION_PRI_PORT", "40000"},
                                    {"NATSESSION_PUB_IP", "198.51.100.7"},
                                    {"NATSESSION_PUB_PORT", "53"},
                                    {"NATSESSION_NAT_IP", "203.0.113.1"},
                                    {"NATSESSION_NAT_PORT", "50000"},
                                    {"NATSESSION_BYTES_FROM_VPC", "100"},
                                    {"NATSESSION_PKTS_FROM_VPC", "1"},
                                    {"NATSESSION_START_TIME", "7.000"},
                                    {"NATSESSION_END_TIME", "8.000"},
                                    {"NATSESSION_EVENT", "end"},
                                    {"NATSESSION_SESSION_ID", "1122334455667788"},
                                    {"NATSESSION_SEQ", "7"},
                                    {"NATSESSION_SESSION_START", "3.000"},
                                    {"NATSESSION_TCP_STATE", "TIME_WAIT"},
                                    {"NATSESSION_REASON", "destroyed"}});
  CHECK(kRecordMessageId.size() == 32);
}

TEST_CASE_METHOD(JournaldFixture, "fields that only some records have are there when they are",
                 "[sink][journald]") {
  SessionRecord record = numbered_record(0);
  record.has_orig_dst = true;
  record.orig_dst_ip = *IpAddress::parse("2001:db8::1");
  record.orig_dst_port = 8080;
  record.zone = 3;
  record.mark = 0xffffffff;
  record.bytes_from_pub = Count(0);
  const auto entry = deliver_one(record);
  CHECK(entry.at("NATSESSION_ORIG_DST_IP") == "2001:db8::1");
  CHECK(entry.at("NATSESSION_ORIG_DST_PORT") == "8080");
  CHECK(entry.at("NATSESSION_ZONE") == "3");
  CHECK(entry.at("NATSESSION_MARK") == "4294967295");
  CHECK(entry.at("NATSESSION_BYTES_FROM_PUB") == "0");
  CHECK(entry.count("NATSESSION_VPC_ID") == 0);
  CHECK(entry.count("NATSESSION_NETNS") == 0);
  CHECK(entry.count("NATSESSION_EVENTS_LOST") == 0);
}

TEST_CASE_METHOD(JournaldFixture, "a gap is an entry with its reason and number", "[sink][journald]") {
  SessionRecord record;
  record.origin = &testing::test_origin();
  record.event = RecordEvent::kGap;
  record.reason = RecordReason::kOverrun;
  record.events_lost = Count(12);
  const auto entry = deliver_one(record);
  CHECK(entry.at("NATSESSION_EVENT") == "gap");
  CHECK(entry.at("NATSESSION_REASON") == "overrun");
  CHECK(entry.at("NATSESSION_EVENTS_LOST") == "12");
  CHECK(entry.at("NATSESSION_LOG_STATUS") == "SKIPDATA");
  CHECK(entry.count("NATSESSION_PRI_IP") == 0);
}

TEST_CASE_METHOD(JournaldFixture, "a value with a newline arrives unchanged", "[sink][journald]") {
  const Origin origin{"nat\n1\nPRIORITY=0", ""};
  const auto entry = deliver_one(numbered_record(0, origin));
  CHECK(entry.at("NATSESSION_INSTANCE") == origin.instance);
  CHECK(entry.at("PRIORITY") == "6");
  std::string message = testing::text_of({numbered_record(0, origin)}, settings.options);
  message.pop_back();
  CHECK(entry.at("MESSAGE") == message);
}

TEST_CASE("a message with a newline in it arrives unchanged", "[sink][journald]") {
  class TwoLines final : public Encoder {
   public:
    [[nodiscard]] std::string_view header() const override { return {}; }
    void append(const SessionRecord&, std::string& out) const override { out += "one\ntwo\n"; }
  };
  std::string bytes;
  append_journal_entry(numbered_record(0), TwoLines(), {}, bytes);
  const auto entry = FakeJournal::parse(bytes);
  CHECK(entry.at("MESSAGE") == "one\ntwo");
  CHECK(entry.at("PRIORITY") == "6");
  CHECK(entry.at("NATSESSION_PRI_IP") == "10.0.0.2");
}

TEST_CASE_METHOD(JournaldFixture, "times look as chosen, in the message and in the fields",
                 "[sink][journald]") {
  settings.options.time_format = TimeFormat::kRfc3339;
  sink = std::move(*JournaldSink::open("journald", settings));
  const auto entry = deliver_one(numbered_record(0));
  CHECK(entry.at("NATSESSION_START_TIME") == "1970-01-01T00:00:00.000Z");
  CHECK_THAT(entry.at("MESSAGE"), Contains("start_time=1970-01-01T00:00:00.000Z"));
}

TEST_CASE_METHOD(JournaldFixture, "a journal whose queue is full is tried again, and gets each record once",
                 "[sink][journald]") {
  const auto records = numbered_records(0, 600);
  std::size_t taken = 0;
  std::size_t refusals = 0;
  std::vector<FakeJournal::Entry> entries;
  while (taken < records.size()) {
    const Answer answer = sink->deliver(std::span(records).subspan(taken));
    taken += answer.taken;
    for (auto& entry : journal.receive()) entries.push_back(std::move(entry));
    REQUIRE(entries.size() == taken);
    if (answer.kind == Answer::Kind::kDelivered) continue;
    CHECK(answer.kind == Answer::Kind::kRetryLater);
    CHECK_THAT(answer.why, Contains(journal.socket_path()) && Contains("full"));
    ++refusals;
  }
  CHECK(refusals > 0);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].at("NATSESSION_SEQ") != std::to_string(i)) FAIL("entry " << i << " is another");
  }
}

TEST_CASE_METHOD(JournaldFixture, "a stuck journal is waited for no longer than a moment",
                 "[sink][journald]") {
  const auto records = numbered_records(0, 5000);
  const Answer answer = sink->deliver(records);
  CHECK(answer.kind == Answer::Kind::kRetryLater);
  CHECK(sink->deliver(std::span(records).subspan(answer.taken)).taken == 0);
  settings.patience = 10ms;
  auto patient = std::move(*JournaldSink::open("journald", settings));
  CHECK(patient->deliver(records).taken == 0);
}

TEST_CASE_METHOD(JournaldFixture, "an entry that is too large for a datagram goes as a sealed file",
                 "[sink][journald]") {
  const Origin origin{std::string(9 << 20, 'x'), ""};
  std::vector<SessionRecord> records = numbered_records(0, 3);
  records[1].origin = &origin;
  CHECK(sink->deliver(records).kind == Answer::Kind::kDelivered);
  const auto entries = journal.receive();
  REQUIRE(entries.size() == 3);
  CHECK(journal.files() == 1);
  CHECK(journal.all_sealed());
  CHECK((entries[1].at("NATSESSION_INSTANCE") == origin.instance));
  for (std::size_t i = 0; i < 3; ++i) CHECK(entries[i].at("NATSESSION_SEQ") == std::to_string(i));
}

TEST_CASE_METHOD(JournaldFixture, "a journal that is started anew is found again", "[sink][journald]") {
  const auto records = numbered_records(0, 4);
  CHECK(sink->deliver(std::span(records).first(1)).taken == 1);
  SECTION("after a crash") {
    journal.crash();
  }
  SECTION("after its socket was removed") {
    journal.remove();
  }
  for (int attempt = 0; attempt < 2; ++attempt) {
    const Answer answer = sink->deliver(std::span(records).subspan(1));
    CHECK(answer.kind == Answer::Kind::kRetryLater);
    CHECK(answer.taken == 0);
    CHECK_THAT(answer.why, Contains(journal.socket_path()));
  }
  journal.listen();
  CHECK(sink->deliver(std::span(records).subspan(1)).taken == 3);
  CHECK(journal.receive().size() == 3);
}

TEST_CASE("an absent journal is an error that says so", "[sink][journald]") {
  FakeJournal journal;
  std::string cause;
  SECTION("no socket") {
    journal.remove();
    cause = "No such file or directory";
  }
  SECTION("a socket on which nobody listens") {
    journal.crash();
    cause = "Connection refused";
  }
  const JournaldSettings settings{.options = {}, .socket_path = journal.socket_path()};
  const auto opened = JournaldSink::open("journald", settings);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == ErrorKind::kUnavailable);
  CHECK_THAT(opened.error().message, Contains("journald") && Contains(settings.socket_path) &&
                                         Contains(cause) && Contains("is systemd-journald running?"));
  const auto probed = JournaldSink::probe(settings);
  REQUIRE_FALSE(probed);
  CHECK(probed.error().message == opened.error().message);
}
