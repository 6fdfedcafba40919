#include "identity/sources/words.h"

#include <catch2/catch.hpp>

#include "identity/sources/md5.h"
#include "support/identity_story.h"

namespace natsession::testing {
namespace {

std::string time_text(const char* text) {
  const auto time = time_of(text);
  return time ? text_of(*time) : "none";
}

std::string hex(const Md5::Digest& digest) {
  std::string text = colons_of(digest);
  std::erase(text, ':');
  return text;
}

std::span<const std::uint8_t> as_bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

TEST_CASE("times are read as programs and people write them", "[identity][words]") {
  CHECK(time_text("1796067501") == "1796067501");
  CHECK(time_text("1796067501.25") == "1796067501.250");
  CHECK(time_text("1796067501250") == "1796067501.250");
  CHECK(time_text("2026-11-30") == "1795996800");
  CHECK(time_text("2026-11-30T19:38:21Z") == "1796067501");
  CHECK(time_text("2026-11-30 21:38:21.5+02:00") == "1796067501.500");
  for (const char* const text :
       {"", "x", "-1", "1.", "1.x", "253402300800000", "2026-11-31", "2026-02-30T00:00:00Z",
        "2026-11-30T24:00:00Z", "2026-11-30T19:38:21", "2026-11-30T19:38:21+25:00", "1969-12-31",
        "1970-01-01T00:30:00+01:00", "99999999999999999999", "2026-11-30T"})
    CHECK(time_text(text) == "none");
}

TEST_CASE("a hardware address is read in each form that clients and servers write", "[identity][words]") {
  for (const char* const text :
       {"02:00:0a:00:00:0b", "02-00-0A-00-00-0B", "0200.0a00.000b", "02000A00000b", "02000a-00000b"}) {
    INFO(text);
    CHECK(mac_of(text) == (std::string_view(text) == "02000a-00000b" ? "" : "02:00:0a:00:00:0b"));
  }
  for (const char* const text : {"", "02:00:0a:00:00", "02:00:0a:00:00:0b:0c", "0g:00:0a:00:00:0b",
                                 "020:0:0a:00:00:0b", "02:00:0a:00:000b:", "10.0.0.1"})
    CHECK(mac_of(text).empty());
}

TEST_CASE("texts are told as UTF-8 without control characters, and not longer than they are kept",
          "[identity][words]") {
  CHECK(shown("Zoë") == "Zoë");
  CHECK(shown("a\x1b[2Jb\xff\xc0\x80\xed\xa0\x80") == "a?[2Jb??????");
  CHECK(shown("\xc3") == "?");
  CHECK(shown("abcë", 4) == "abc");
  IdentityStory story;
  SeenAssignment seen;
  const std::string long_text(300, 'x');
  seen.subscriber = long_text;
  seen.host = "a\nb";
  tell_seen(story, seen, UnixMs{});
  CHECK(story.lines[0] == "seen ::/0 other " + std::string(253, 'x') + " host=a?b at 0");
  tell_ended(story, {}, "a\nb", UnixMs{});
  CHECK(story.lines[1] == "ended ::/0 id=a?b at 0");
}

TEST_CASE("MD5 and its HMAC are those of RFC 1321 and RFC 2202", "[identity][md5]") {
  const auto of = [](std::string_view text) {
    Md5 digest;
    digest.add(as_bytes_of(text));
    return hex(digest.finish());
  };
  CHECK(of("") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(of("message digest") == "f96b697d7cb7938d525a2f31aaf161d0");
  CHECK(of("12345678901234567890123456789012345678901234567890123456789012345678901234567890") ==
        "57edf4a22be3c955ac49da2e2107b67a");
  // Of lengths around a block, against md5sum.
  CHECK(of(std::string(55, 'a')) == "ef1772b6dff9a122358552954ad0df65");
  CHECK(of(std::string(56, 'a')) == "3b0c8ac703f828b04c6c197006d17218");
  CHECK(of(std::string(64, 'a')) == "014842d480b571495a4a0363793f7367");
  CHECK(hex(hmac_md5(as_bytes_of("Jefe"), as_bytes_of("what do ya want for nothing?"))) ==
        "750c783e6ab0b503eaa86e310a5db738");
  const std::string key(80, '\xaa');
  CHECK(hex(hmac_md5(as_bytes_of(key),
                     as_bytes_of("Test Using Larger Than Block-Size Key - Hash Key First"))) ==
        "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
}

}  // namespace natsession::testing
