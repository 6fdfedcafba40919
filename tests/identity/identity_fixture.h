// A log of assignments in a folder of its own, and short words for what is told to it and asked of it.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "identity/identity_reader.h"
#include "identity/identity_writer.h"
#include "support/temp_dir.h"

namespace natsession::testing {

inline constexpr std::chrono::sys_seconds kIdentityStart{std::chrono::seconds(1'795'263'600)};

// So many seconds behind the beginning.
inline UnixMs moment(double seconds) {
  return UnixMs(kIdentityStart) + std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

inline Prefix prefix_of(const std::string& text) {
  const auto prefix = Prefix::parse(text);
  if (!prefix) throw std::runtime_error(prefix.error().message);
  return *prefix;
}
inline IpAddress address_of(const std::string& text) {
  const auto address = IpAddress::parse(text);
  if (!address) throw std::runtime_error(address.error().message);
  return *address;
}

inline constexpr const char* kSource = "dnsmasq:/var/lib/misc/dnsmasq.leases";

inline AddressAssignment held(const std::string& prefix, const std::string& subscriber, double from) {
  AddressAssignment one;
  one.source = kSource;
  one.prefix = prefix_of(prefix);
  one.kind = AssignmentKind::kLease;
  one.subscriber = subscriber;
  one.mac = "02:00:00:00:00:01";
  one.host = subscriber + "-host";
  one.id = "01:" + subscriber;
  if (subscriber.size() % 2 == 0) one.group = "nas of " + subscriber;
  one.from = one.from_earliest = moment(from);
  return one;
}
inline AddressAssignment held(const std::string& prefix, const std::string& subscriber, double from,
                              double until) {
  AddressAssignment one = held(prefix, subscriber, from);
  one.until = one.until_latest = moment(until);
  return one;
}

inline std::vector<AddressAssignment> open_of(IdentityWriter& writer, std::string_view source) {
  std::vector<AddressAssignment> open;
  writer.each_open_of(source, [&](const AssignmentView& one) { open.push_back(one.copy()); });
  return open;
}

class IdentityFixture {
 public:
  explicit IdentityFixture(std::chrono::seconds keep = std::chrono::seconds(0)) : settings{keep} { open(); }

  void open() {
    writer.reset();
    auto opened = IdentityWriter::open(ledger(), settings);
    if (!opened) throw std::runtime_error(opened.error().message);
    writer = std::move(*opened);
  }
  [[nodiscard]] std::string ledger() const { return folder.path().string(); }
  [[nodiscard]] std::string file(const std::string& name) const { return ledger() + "/identity/" + name; }

  void put(const AddressAssignment& one) { writer->put(one); }
  void follow(double from, double until, const std::string& source = kSource) {
    writer->follow({source, moment(from), moment(until)});
  }
  void commit() {
    if (const auto done = writer->commit(false); !done) throw std::runtime_error(done.error().message);
  }
  void told(const AddressAssignment& one) {
    put(one);
    commit();
  }
  // What is behind is put in order, up to the end.
  void tidy(double now) {
    for (int i = 0; i < 200; ++i) {
      if (const auto done = writer->tidy(moment(now)); !done) throw std::runtime_error(done.error().message);
    }
  }
  // Past the longest time that a file is written: all is in order then.
  void seal(double now = 2 * 86'400) {
    tidy(now - 2 * 86'400);
    tidy(now);
  }

  [[nodiscard]] std::unique_ptr<IdentityReader> reader() const {
    auto opened = IdentityReader::open(ledger());
    if (!opened) throw std::runtime_error(opened.error().message);
    return std::move(*opened);
  }
  [[nodiscard]] IdentityAnswer who(const std::string& address, double at, int slack_s = 5) const {
    return reader()->who({address_of(address), moment(at), moment(at), std::chrono::seconds(slack_s), {}});
  }
  // "alice, bob?": those who are certain, and those who are possible.
  [[nodiscard]] std::string names(const std::string& address, double at, int slack_s = 5) const {
    const IdentityAnswer answer = who(address, at, slack_s);
    std::string text;
    for (const IdentityHolder& one : answer.holders)
      text += (text.empty() ? "" : ", ") + one.assignment.subscriber + (one.certain() ? "" : "?");
    return text.empty() ? std::string(to_string(answer.verdict)) : text;
  }
  [[nodiscard]] std::vector<std::string> files(const std::string& suffix) const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(ledger() + "/identity")) {
      if (const std::string name = entry.path().filename().string(); name.ends_with(suffix))
        found.push_back(name);
    }
    std::sort(found.begin(), found.end());
    return found;
  }
  // Whether a text stands in any file, packed or not.
  [[nodiscard]] std::string bytes_of(const std::string& name) const {
    std::ifstream in(file(name), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void write(const std::string& name, const std::string& bytes) const {
    std::ofstream out(file(name), std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

  TempDir folder;
  IdentitySettings settings;
  std::unique_ptr<IdentityWriter> writer;
};

}  // namespace natsession::testing
