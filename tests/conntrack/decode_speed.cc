// decode_speed: ns per message, over the NEW and DESTROY messages of the corpus. Build with the preset
// `release`.
//   decode_speed [CORPUS [ROUNDS]]
// Three ways through the same messages: the decoder; libmnl visiting every attribute and doing nothing with
// it; and libnetfilter_conntrack's nfct_nlmsg_parse().
#include <libmnl/libmnl.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include <libnetfilter_conntrack/libnetfilter_conntrack.h>

#include "conntrack/decoder.h"
#include "support/corpus.h"

namespace natsession {
namespace {

struct AlignedMessage {
  alignas(64) std::array<std::byte, 1024> bytes{};
  std::size_t length = 0;
  [[nodiscard]] const nlmsghdr* header() const { return reinterpret_cast<const nlmsghdr*>(bytes.data()); }
};

std::size_t count_attributes(const nlattr* at, const char* end) {
  std::size_t count = 0;
  for (; mnl_attr_ok(at, static_cast<int>(end - reinterpret_cast<const char*>(at))); at = mnl_attr_next(at)) {
    ++count;
    if ((at->nla_type & NLA_F_NESTED) != 0) {
      const auto* inner = static_cast<const char*>(mnl_attr_get_payload(at));
      count += count_attributes(reinterpret_cast<const nlattr*>(inner), inner + mnl_attr_get_payload_len(at));
    }
  }
  return count;
}

// The best of five: others use this machine too.
template <typename Work>
double ns_per_message(const std::vector<AlignedMessage>& messages, unsigned rounds, Work&& work) {
  double best = 1e9;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto begin = std::chrono::steady_clock::now();
    for (unsigned round = 0; round < rounds; ++round) {
      for (const AlignedMessage& message : messages) work(message);
    }
    const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - begin;
    best = std::min(best, elapsed.count() / rounds / static_cast<double>(messages.size()));
  }
  return best;
}

std::vector<AlignedMessage> read_messages(const char* corpus) {
  std::vector<AlignedMessage> messages;
  for (const auto& message : testing::read_corpus(corpus)) {
    if (!message.name.starts_with("new-") && !message.name.starts_with("destroy-")) continue;
    AlignedMessage aligned;
    if (message.bytes.size() > aligned.bytes.size()) continue;
    std::copy(message.bytes.begin(), message.bytes.end(), aligned.bytes.begin());
    aligned.length = message.bytes.size();
    messages.push_back(aligned);
  }
  return messages;
}

}  // namespace
}  // namespace natsession

int main(int argc, char** argv) {
  using namespace natsession;
  const auto messages = read_messages(argc > 1 ? argv[1] : NATSESSION_DECODER_CORPUS);
  const auto rounds = argc > 2 ? static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10)) : 20'000U;
  if (messages.empty() || rounds == 0) return 2;

  std::uint64_t used = 0;  // printed, so that nothing is optimised away
  std::size_t attributes = 0;
  for (const AlignedMessage& message : messages) {
    const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message.header()));
    attributes +=
        count_attributes(static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message.header(), 4)), end);
  }
  ConntrackEvent event;
  DecodeCounters counters;
  const double decoder = ns_per_message(messages, rounds, [&](const AlignedMessage& message) {
    if (decode(std::span(message.bytes).first(message.length), event, counters) == DecodeResult::kEvent)
      used += event.id;
  });
  const double walk = ns_per_message(messages, rounds, [&](const AlignedMessage& message) {
    const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message.header()));
    used +=
        count_attributes(static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message.header(), 4)), end);
  });
  const double library =
      ns_per_message(messages, std::max(1U, rounds / 10), [&](const AlignedMessage& message) {
        const std::unique_ptr<nf_conntrack, decltype(&nfct_destroy)> entry(nfct_new(), nfct_destroy);
        if (nfct_nlmsg_parse(message.header(), entry.get()) >= 0)
          used += nfct_get_attr_u32(entry.get(), ATTR_ID);
      });
  std::printf("%zu messages, %.1f attributes each (check %llu)\n", messages.size(),
              static_cast<double>(attributes) / static_cast<double>(messages.size()),
              static_cast<unsigned long long>(used));
  std::printf("decode()                        %7.1f ns\n", decoder);
  std::printf("libmnl, visiting attributes     %7.1f ns\n", walk);
  std::printf("libnetfilter_conntrack, parsing %7.1f ns\n", library);
  return 0;
}
