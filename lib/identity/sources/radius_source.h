// RadiusSource: a RADIUS accounting server. It answers a report when what it says has been committed: until
// then the client asks again, or keeps it. What comes again, from the same client or by somebody who heard
// it, is answered and not told twice. What is not of a client, or not made with its secret, gets no answer.
// Threads: as of IdentitySource.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "base/seeded_hash.h"
#include "base/unique_fd.h"
#include "identity/identity_source.h"
#include "identity/sources/accounting.h"
#include "identity/sources/radius_secrets.h"

namespace natsession {

struct RadiusSettings {
  std::string address;  // to listen on; empty: all
  std::uint16_t port = 1813;
  std::string secret_file;   // of all clients
  std::string secrets_file;  // by the client's address
};

class RadiusSource final : public IdentitySource {
 public:
  // Answers that wait for a commit; with more of them nothing is received.
  static constexpr std::size_t kMaxWaiting = 8192;
  // Packets that are remembered, so that they are not told twice.
  static constexpr std::size_t kRemembered = 262'144;

  RadiusSource(std::string name, RadiusSettings settings);

  [[nodiscard]] std::string_view name() const override { return name_; }
  // Errors: kUsage, kPermission, kUnavailable: the address, the port or a secret cannot be had.
  Result<void> open() override;
  [[nodiscard]] int fd() const override { return waiting_.size() < kMaxWaiting ? socket_.get() : -1; }
  std::chrono::milliseconds turn(UnixMs now, IdentityOutput& output) override;
  void committed() override;

  // What became of what came.
  struct Counts {
    std::uint64_t told = 0, again = 0, refused = 0, answered = 0, unanswered = 0;
  };
  [[nodiscard]] const Counts& counts() const { return counts_; }

 private:
  struct Peer {
    sockaddr_storage address{};
    socklen_t length = 0;
    // Where the packet came to: the answer goes from there.
    std::vector<std::uint8_t> control;
  };
  struct Answer {
    Peer to;
    std::vector<std::uint8_t> bytes;
  };
  enum class Received : std::uint8_t { kNothing, kOne, kFailed };

  Received receive(UnixMs now, IdentityOutput& output);
  void take(std::span<const std::uint8_t> packet, const Peer& peer, UnixMs now, IdentityOutput& output);
  bool remember(std::uint64_t hash);

  std::string name_;
  RadiusSettings settings_;
  RadiusSecrets secrets_;
  UniqueFd socket_;
  AccountingReport report_;
  SeededHash hash_ = SeededHash::random();
  std::unordered_set<std::uint64_t> heard_;  // hashes of client and packet
  std::deque<std::uint64_t> heard_order_;
  std::deque<Answer> waiting_;
  std::size_t told_waiting_ = 0;  // of them, those that were told in turns before
  std::uint32_t dropped_ = 0;     // by the kernel, as it counts since the socket was made
  Counts counts_;
  std::vector<std::uint8_t> buffer_;
};

}  // namespace natsession
