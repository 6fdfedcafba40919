// HelperProcess: a small part of this program as a process of its own: with fewer privileges than it needs to
// begin with, or going on where this one is stopped. It is a copy of this process that calls one function.
//
// It has a session of its own, so that what a terminal or a supervisor sends to the group does not reach it;
// it takes no signal, keeps no descriptor but the link, standard error and those that it is given, and is
// killed when this process ends, however that ends, unless it is to outlive it.
// Threads: started while there is one; then one at a time.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "privileges.h"

namespace natsession {

class HelperProcess {
 public:
  // It goes on as `user`, if there is one.
  // Shape:  `name` is what ps(1) shows: at most 15 characters. It keeps the capabilities `kept` (CAP_*), as far
  //         as this process has them. `body` gets its end of the link, a SOCK_SEQPACKET socket, and ends when
  //         that has: receive_message() says 0.
  // Errors: no process or socket can be had.
  [[nodiscard]] static Result<HelperProcess> start(const char* name, std::initializer_list<int> kept,
                                                   const std::optional<User>& user,
                                                   const std::function<void(int link)>& body);
  // The same, but it has to end by itself where this process ends without having ended it.
  [[nodiscard]] static Result<HelperProcess> start_finishing(const char* name,
                                                             const std::optional<User>& user,
                                                             const std::function<void(int link)>& body);
  // The same, but it outlives this process, keeps the descriptor `held`, and says nothing: this is its end of
  // the link, which is all that is left to do with it.
  [[nodiscard]] static Result<UniqueFd> start_outliving(const char* name, const std::optional<User>& user,
                                                        int held, const std::function<void(int link)>& body);
  HelperProcess(HelperProcess&& other) noexcept;
  HelperProcess& operator=(HelperProcess&&) = delete;
  ~HelperProcess();  // ends it

  // This end of the link; -1 once it is known that the process has ended. Readable also when it has.
  [[nodiscard]] int link() const { return link_.get(); }
  // How it has ended, to be called when the link is closed at the other end. Says it once.
  [[nodiscard]] std::string wait_for_end();

 private:
  HelperProcess(pid_t pid, UniqueFd link) : pid_(pid), link_(std::move(link)) {}

  pid_t pid_;
  UniqueFd link_;
};

// One message on a link, with descriptors, of which the receiver gets copies.

inline constexpr std::size_t kMaxDescriptors = 20;

// Errors: the other end is gone, or takes nothing within a second.
[[nodiscard]] Result<void> send_message(int link, std::span<const std::byte> bytes,
                                        std::span<const int> descriptors);

struct LinkMessage {
  std::size_t length = 0;  // 0: the other end is gone
  std::array<UniqueFd, kMaxDescriptors> descriptors;
  std::size_t descriptor_count = 0;
};
// Waits for one, and puts its bytes to the front of `buffer`.
// Errors: kMalformed if it is longer than `buffer`, or has more descriptors than it should.
[[nodiscard]] Result<LinkMessage> receive_message(int link, std::span<std::byte> buffer);

}  // namespace natsession
