// Tells a service manager how far the program is: the protocol of sd_notify(3), which is one datagram.
// Threads: any.
#pragma once

#include <string_view>

namespace natsession {

// Sends `state`, such as "READY=1", to the socket in NOTIFY_SOCKET; does nothing when there is none. A
// manager that does not listen is no reason to stop.
void notify_manager(std::string_view state);

}  // namespace natsession
