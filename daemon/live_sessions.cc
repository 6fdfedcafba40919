#include "live_sessions.h"

#include <poll.h>

#include "conntrack/decoder.h"
#include "record/labels.h"
#include "session/nat_view.h"
#include "session/port_usage.h"

namespace natsession {
namespace {

// Between two looks at the clock.
constexpr std::chrono::milliseconds kPatience{200};

SessionRecord describe(const ConntrackEvent& entry, const Origin& origin, UnixMs now) {
  SessionRecord session;
  set_nat_view(entry.original, entry.reply, entry.protocol, entry.status, session);
  const bool dnat = is_dnat_view(entry.status);
  const auto& vpc = dnat ? entry.reply_counters : entry.original_counters;
  const auto& pub = dnat ? entry.original_counters : entry.reply_counters;
  session.origin = &origin;
  session.event = RecordEvent::kInterim;
  session.protocol = entry.protocol;
  session.tcp_state = entry.tcp_state;
  session.zone = entry.zone;
  session.mark = entry.mark;
  session.start_time = entry.start ? to_ms(*entry.start) : now;
  session.end_time = now;
  if (entry.start) session.session_start = session.start_time;
  if (vpc) {
    session.bytes_from_vpc = Count(vpc->bytes);
    session.pkts_from_vpc = Count(vpc->packets);
  }
  if (pub) {
    session.bytes_from_pub = Count(pub->bytes);
    session.pkts_from_pub = Count(pub->packets);
  }
  return session;
}

class Matcher final : public EventSource::Handler {
 public:
  Matcher(const SessionFilter& filter, const Origin& origin, SessionsAnswer& answer)
      : filter_(filter), origin_(origin), answer_(answer) {}

  void on_event(const ConntrackEvent& entry) override {
    SessionRecord session = describe(entry, origin_, answer_.now);
    if (!filter_.matches(session)) return;
    if (answer_.sessions.size() < filter_.limit) {
      answer_.sessions.push_back(session);
    } else {
      answer_.more = true;
    }
  }

 private:
  const SessionFilter& filter_;
  const Origin& origin_;
  SessionsAnswer& answer_;
};

}  // namespace

Result<std::unique_ptr<LiveSessions>> LiveSessions::open(NatSelection nat, std::string netns) {
  return make(nat, std::move(netns), NetlinkSocket::open());
}

Result<std::unique_ptr<LiveSessions>> LiveSessions::adopt(NatSelection nat, std::string netns,
                                                          UniqueFd descriptor) {
  return make(nat, std::move(netns), NetlinkSocket::adopt(std::move(descriptor)));
}

Result<std::unique_ptr<LiveSessions>> LiveSessions::make(NatSelection nat, std::string netns,
                                                         Result<NetlinkSocket> socket) {
  if (!socket) return socket.error();
  const auto origin = intern_origin({}, netns);
  if (!origin) return origin.error();
  TableDump dump(*std::move(socket), nat_status_mask(nat), TableDump::passes_of(nat));
  return std::unique_ptr<LiveSessions>(new LiveSessions(std::move(dump), **origin));
}

Result<void> LiveSessions::show(EventSource::Handler& handler, const std::function<bool()>& enough) {
  const std::lock_guard lock(mutex_);
  const auto deadline = std::chrono::steady_clock::now() + kLimit;
  const auto late = [&] { return std::chrono::steady_clock::now() >= deadline; };
  for (auto started = dump_.start(); !started; started = dump_.start()) {
    // Kept while a dump that was given up is thrown away.
    if (started.error().kind != ErrorKind::kUnavailable || late()) return started;
  }
  for (;;) {
    const auto state = dump_.step(handler);
    if (!state) return state.error();
    if (*state != EventSource::DumpState::kMore)
      return {};  // an interrupted one may lack some, as any moment does
    if (enough() || late()) break;
    pollfd poller{dump_.fd(), POLLIN, 0};
    ::poll(&poller, 1, static_cast<int>(kPatience.count()));
  }
  dump_.abandon();
  if (enough()) return {};
  return Error{ErrorKind::kUnavailable, "the conntrack table is not shown within 10 s"};
}

Result<void> LiveSessions::collect(const SessionFilter& filter, SessionsAnswer& answer) {
  Matcher matcher(filter, origin_, answer);
  return show(matcher, [&] { return answer.more; });
}

Result<LiveSessions::Usage> LiveSessions::count() {
  struct Counter final : EventSource::Handler {
    void on_event(const ConntrackEvent& entry) override {
      ++sessions;
      if ((entry.status & kStatusSrcNat) == 0) return;
      const bool icmp = is_icmp(entry.protocol);
      ports.add(entry.reply.dst, entry.protocol, icmp ? entry.reply.src_port : entry.reply.dst_port);
    }
    std::uint64_t sessions = 0;
    PortUsage ports;
  } counter;
  if (auto shown = show(counter, [] { return false; }); !shown) return shown.error();
  return Usage{counter.sessions, counter.ports.entries()};
}

Result<LiveSessions::OldestStart> LiveSessions::oldest_start() {
  struct Oldest final : EventSource::Handler {
    void on_event(const ConntrackEvent& entry) override {
      if (!entry.start) {
        found.some_unknown = true;
      } else if (!found.known || to_ms(*entry.start) < *found.known) {
        found.known = to_ms(*entry.start);
      }
    }
    OldestStart found;
  } oldest;
  if (auto shown = show(oldest, [] { return false; }); !shown) return shown.error();
  return oldest.found;
}

}  // namespace natsession
