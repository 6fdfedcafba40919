// The reader of RADIUS packets takes any bytes, also such that were made with the secret: the input is signed
// anew, so that what is behind the signature is reached.
#include "fuzz/identity_text.h"
#include "identity/sources/md5.h"
#include "identity/sources/radius_packet.h"

namespace natsession::testing {
namespace {

constexpr std::string_view kSecret = "testing123";

std::vector<std::uint8_t> signed_anew(std::span<const std::byte> input) {
  std::vector<std::uint8_t> packet(input.size());
  if (!input.empty()) std::memcpy(packet.data(), input.data(), input.size());
  if (packet.size() < 20 || packet.size() > kMaxRadiusPacket) return packet;
  packet[0] = 4;
  packet[2] = static_cast<std::uint8_t>(packet.size() >> 8U);
  packet[3] = static_cast<std::uint8_t>(packet.size());
  std::fill_n(packet.begin() + 4, 16, std::uint8_t{0});
  Md5 digest;
  digest.add(packet);
  digest.add({reinterpret_cast<const std::uint8_t*>(kSecret.data()), kSecret.size()});
  const Md5::Digest bytes = digest.finish();
  std::copy(bytes.begin(), bytes.end(), packet.begin() + 4);
  return packet;
}

void take(std::span<const std::uint8_t> packet) {
  constexpr UnixMs kNow{std::chrono::seconds(1'796'067'700)};
  AccountingReport report;
  report.received = kNow;
  if (!read_accounting_request(packet, kSecret, report)) return;
  CheckedOutput output(kNow);
  tell_accounting(report, "192.0.2.1", output);
  const std::vector<std::uint8_t> answer = accounting_response(packet, kSecret);
  require_that(
      answer.size() >= 20 && answer.size() <= kMaxRadiusPacket && answer[0] == 5 && answer[1] == packet[1],
      "an answer is one to that request");
}

}  // namespace

void fuzz_one(std::span<const std::byte> input) {
  take({reinterpret_cast<const std::uint8_t*>(input.data()), input.size()});
  take(signed_anew(input));
}

}  // namespace natsession::testing
