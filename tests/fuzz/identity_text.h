// What holds of every parser of a source's file, whatever stands in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fuzz/fuzz_main.h"
#include "identity/sources/file_text.h"

namespace natsession::testing {

// Checks each word, and counts them.
class CheckedOutput final : public IdentityOutput {
 public:
  explicit CheckedOutput(UnixMs now) : now_(now) {}

  void begin_whole() override { ++words; }
  void end_whole(UnixMs at) override { word_at(at); }
  void seen(const SeenAssignment& seen, UnixMs at) override {
    word_at(at);
    for (const std::string_view text : {seen.subscriber, seen.mac, seen.host, seen.id, seen.group})
      clean(text);
    require_that(seen.mac.empty() || seen.mac.size() == 17, "a MAC is six bytes");
    if (seen.since)
      require_that(*seen.since <= now_ && *seen.since >= UnixMs{}, "nothing begins later than now");
    if (seen.expires) require_that(*seen.expires >= UnixMs{}, "nothing ends before 1970");
  }
  void ended(const Prefix&, std::string_view id, UnixMs at) override {
    clean(id);
    word_at(at);
  }
  void ended_between(const Prefix& prefix, std::string_view id, UnixMs earliest, UnixMs latest) override {
    require_that(earliest <= latest && earliest >= UnixMs{}, "a time lies between two");
    ended(prefix, id, latest);
  }
  void ended_group(std::string_view group, UnixMs at) override {
    clean(group);
    word_at(at);
  }
  void ended_session(std::string_view group, std::string_view id, UnixMs at) override {
    clean(group);
    clean(id);
    word_at(at);
  }
  void followed(UnixMs until) override { word_at(until); }
  void lost(std::string_view) override { ++words; }
  void refused(std::string_view why, std::string_view) override {
    ++words;
    require_that(why.size() < 1000, "a reason is a short one");
  }

  std::size_t words = 0;

 private:
  void word_at(UnixMs at) {
    ++words;
    require_that(at <= now_ && at >= UnixMs{}, "nothing happened later than now");
  }
  static void clean(std::string_view text) {
    require_that(text.size() <= kMaxIdentityText, "a text is as long as is kept");
    for (const char byte : text)
      require_that(static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f,
                   "a text has no control characters");
  }
  UnixMs now_;
};

template <typename Text>
std::size_t words_of(std::string_view input, bool exact) {
  constexpr UnixMs kNow{std::chrono::seconds(1'796'067'700)};
  Text text;
  CheckedOutput output(kNow);
  const LineTime time{kNow, kNow - std::chrono::milliseconds(250), exact};
  for (int pass = 0; pass < 2; ++pass) {
    text.begin();
    for (std::string_view rest = input; !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size());
      text.line(rest.substr(0, end), time, output);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    text.end(time, output);
    if (!text.wants_another_pass()) break;
  }
  return output.words;
}

template <typename Text>
void fuzz_identity_text(std::span<const std::byte> input) {
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const std::size_t words = words_of<Text>(text, true);
  require_that(words_of<Text>(text, false) == words, "when it was written changes times, and nothing else");
}

}  // namespace natsession::testing
