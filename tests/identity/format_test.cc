#include <catch2/catch.hpp>

#include "identity/identity_fixture.h"

namespace natsession::testing {
namespace {

// The bytes of the page's example: at the beginning of its lines, up to two blanks.
std::string example_of_page() {
  std::ifstream page(NATSESSION_IDENTITY_FORMAT_PAGE);
  std::string bytes;
  bool within = false;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      within = line == "```identity";
      continue;
    }
    if (!within) continue;
    const std::string hex = line.substr(0, line.find("  "));
    for (std::size_t at = 0; at + 1 < hex.size(); at += 3)
      bytes.push_back(static_cast<char>(std::stoi(hex.substr(at, 2), nullptr, 16)));
  }
  return bytes;
}

TEST_CASE("the example of the format's page is read as it says", "[identity][format]") {
  IdentityFixture log;
  log.writer.reset();
  for (const std::string& name : log.files(".open")) std::filesystem::remove(log.file(name));
  log.write("0000000000000007.open", example_of_page());
  AddressAssignment expected;
  expected.source = "dnsmasq:/leases";
  expected.prefix = prefix_of("192.168.1.23");
  expected.kind = AssignmentKind::kLease;
  expected.subscriber = "alice";
  expected.mac = "02:00:00:00:00:01";
  expected.host = "phone";
  expected.from = expected.from_earliest = moment(1);
  const auto reader = log.reader();
  std::vector<AddressAssignment> found;
  reader->list({}, [&](const AssignmentView& one) {
    found.push_back(one.copy());
    return true;
  });
  CHECK(found == std::vector<AddressAssignment>{expected});
  CHECK(reader->spans() == std::vector<SourceSpan>{{"dnsmasq:/leases", moment(0), moment(10)}});
  CHECK(reader->damage().empty());
  CHECK(log.names("192.168.1.23", 5) == "alice");  // by the hash
  // A writer goes on with it.
  log.open();
  log.told(held("192.168.1.24", "bob", 2));
  CHECK(log.names("192.168.1.23", 5) == "alice");
  CHECK(log.files(".open") == std::vector<std::string>{"0000000000000007.open"});
}

}  // namespace
}  // namespace natsession::testing
