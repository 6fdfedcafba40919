// IdentitySource: somebody who knows whose an address is (a DHCP server's leases, RADIUS accounting, the
// kernel's neighbours …), followed live. One interface, one implementation a file; what a source tells goes
// to an IdentityOutput, which makes assignments of it.
// Threads: open() on the thread that composes the program, turn() on one other.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "identity/assignment.h"

namespace natsession {

// That an address is somebody's now. Texts are the caller's, for as long as the call.
struct SeenAssignment {
  Prefix prefix;
  AssignmentKind kind = AssignmentKind::kOther;
  std::string_view subscriber, mac, host, id;  // as in AddressAssignment
  std::string_view group = {};                 // of what ends together: a RADIUS client's NAS-Identifier
  std::optional<UnixMs> since =
      {};  // when it became this subscriber's, as the source says; none: it does not
  std::optional<UnixMs> expires = {};  // it ends then unless it is seen again
};

// What a source says. The order counts: one that is seen at an address which another subscriber has ends that
// one. Seen again with the same subscriber and mac it is the same assignment (a renewal).
//
// What a file or a client tells late is told with the times that it says: at a start, or when a client asks
// again, `at` may lie before what was told of that address before. It then is no news, but for what was not
// known of the time before.
class IdentityOutput {
 public:
  virtual ~IdentityOutput() = default;
  // What is seen up to end_whole() is all that there is at `at`: what is not has ended, between when it was
  // known last and then. begin_whole() once more before that begins anew.
  virtual void begin_whole() = 0;
  virtual void end_whole(UnixMs at) = 0;
  virtual void seen(const SeenAssignment& seen, UnixMs at) = 0;
  // At `at`, as the source says. `id` empty: whatever is at that prefix, else only that one.
  virtual void ended(const Prefix& prefix, std::string_view id, UnixMs at) = 0;
  // Likewise, where all that the source says is that it ended between two times.
  virtual void ended_between(const Prefix& prefix, std::string_view id, UnixMs earliest, UnixMs latest) = 0;
  // All of a group: a NAS that begins anew (Accounting-On) has no sessions of before.
  virtual void ended_group(std::string_view group, UnixMs at) = 0;
  // What of a group has that id, at whatever prefixes: a Stop that does not say its session's addresses.
  virtual void ended_session(std::string_view group, std::string_view id, UnixMs at) = 0;
  // Nothing that the source knew up to `until` is missing. Told at each turn in which it is so; the time from
  // one call to the next is followed, unless lost() came between.
  virtual void followed(UnixMs until) = 0;
  // What happened from the last followed() on may be missing: for the log of the program, the cause.
  virtual void lost(std::string_view why) = 0;
  // Something that could not be understood, and was left out; counted, and told now and then.
  // `what`: the text that it was, which may name somebody: for whoever may read that, and in no message. It
  // stands behind `why` and a colon, or a `why` that ends with "before".
  virtual void refused(std::string_view why, std::string_view what) = 0;
  void refused(std::string_view why) { refused(why, {}); }
};

class IdentitySource {
 public:
  virtual ~IdentitySource() = default;
  // The URL without options and secrets.
  [[nodiscard]] virtual std::string_view name() const = 0;
  // Opens sockets and files as far as they must be there.
  // Errors: what is missing and the way out. A lease file that is not there yet is none: it is waited for.
  virtual Result<void> open() = 0;
  // To poll for POLLIN; -1: none. May change at each turn (an epoll or inotify descriptor keeps it the same).
  [[nodiscard]] virtual int fd() const = 0;
  // Reads what there is and tells it; never blocks, never throws. Returns how long it may be left alone at
  // most when fd() says nothing. At the first turn it tells all that there is (begin_whole … end_whole),
  // where it can know that.
  virtual std::chrono::milliseconds turn(UnixMs now, IdentityOutput& output) = 0;
  // What it told in the turns so far has been committed: RADIUS clients are answered now, and not before. To
  // be called after each commit.
  virtual void committed() {}
};

}  // namespace natsession
