// NeighbourSource: the kernel's neighbours, by ARP and NDP: which hardware has an address, also one of IPv6
// that a host chose for its privacy. Of the network namespace in which it is opened.
// Threads: as of IdentitySource.
#pragma once

#include <optional>
#include <string>

#include "identity/identity_source.h"
#include "routes/route_socket.h"

namespace natsession {

class NeighbourSource final : public IdentitySource {
 public:
  NeighbourSource(std::string name, bool with_link_local);

  [[nodiscard]] std::string_view name() const override { return name_; }
  // Joins first and lists then, so that nothing falls between.
  Result<void> open() override;
  [[nodiscard]] int fd() const override { return events_ ? events_->fd() : -1; }
  std::chrono::milliseconds turn(UnixMs now, IdentityOutput& output) override;

 private:
  enum class Listing : std::uint8_t { kWanted, kUnderWay, kDone };

  void tell(const RouteSocket::Message& message, UnixMs now, IdentityOutput& output);
  bool ask(IdentityOutput& output);

  std::string name_;
  bool with_link_local_;
  std::optional<RouteSocket> events_;
  std::optional<RouteSocket> questions_;
  Listing listing_ = Listing::kWanted;
  RouteSocket::Answer answer_;
};

}  // namespace natsession
