// InterfaceFinder: what session/ needs of the kernel's routes: by which interface packets come and go, since
// conntrack does not tell. daemon/ makes one of routes/; tests have a table.
// Threads: one, the collector's. It is asked twice for a record, so it must remember.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/ip_address.h"
#include "record/session_record.h"

namespace natsession {

class InterfaceFinder {
 public:
  // The interface by which a packet with `mark` from `from` leaves to `to`: a label (record/labels.h), or one
  // of kLoopbackInterface and kUnknownInterface.
  [[nodiscard]] virtual std::string_view towards(const IpAddress& to, const IpAddress& from,
                                                 std::uint32_t mark) = 0;

 protected:
  ~InterfaceFinder() = default;
};

}  // namespace natsession
