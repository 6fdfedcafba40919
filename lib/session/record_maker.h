// RecordMaker: turns what is known of a session into records, and remembers what has been reported of it.
// Threads: one, the collector's.
#pragma once

#include <array>
#include <chrono>
#include <optional>

#include "record/record_output.h"
#include "session/collector_report.h"
#include "session/interface_finder.h"
#include "session/open_sessions.h"
#include "session/session.h"
#include "session/settings.h"
#include "session/slab.h"
#include "session/twin_numbers.h"
#include "session/vpc_map.h"

namespace natsession {

class RecordMaker {
 public:
  // `origin` outlives every record: it is interned (record/labels.h).
  RecordMaker(RecordMode mode, std::chrono::milliseconds window, const Origin& origin, VpcMap vpcs,
              RecordOutput& output, std::uint32_t flow = 0, InterfaceFinder* interfaces = nullptr)
      : mode_(mode),
        window_(window),
        origin_(&origin),
        vpcs_(std::move(vpcs)),
        output_(output),
        flow_(flow),
        interfaces_(interfaces) {}

  // The session begins.
  template <typename Family>
  void start(Session<Family>& session);

  // A slice of a live session ends at `end`. `shown` is its dump entry, null when no dump showed it. Nothing
  // is written for a slice that was reported already, nor, unless `always` or for a day there was no record,
  // for one in which nothing moved.
  template <typename Family>
  void interim(Session<Family>& session, const ConntrackEvent* shown, UnixMs end, bool always);

  // The session is over, at `end`; `destroy` is its last event, null when it vanished. Its history is
  // released.
  template <typename Family>
  void end(Session<Family>& session, const ConntrackEvent* destroy, RecordReason reason, UnixMs end);

  // FlowKind::kWindowClosed, of the window that ends at `end`.
  void window_closed(UnixMs end);
  void gap(UnixMs start, UnixMs end, RecordReason reason, Count lost);

  // The session is one that the log of an earlier run knows, if it is among `open`: it goes on from there.
  template <typename Family>
  void adopt(Session<Family>& session, OpenSessions& open);
  // Whether it is one that vanished() was told of: its DESTROY has come after all.
  template <typename Family>
  [[nodiscard]] bool is_over(const Session<Family>& session, OpenSessions& open) const;
  // A session of an earlier run that is not there any more.
  void vanished(const SessionRecord& total, UnixMs end);
  // `total` with the origin and vpc_id that records have now.
  [[nodiscard]] SessionRecord here(const SessionRecord& total) const;
  // What OpenSessions would tell of the session; nullopt if it has no record yet.
  template <typename Family>
  [[nodiscard]] std::optional<SessionRecord> total(const Session<Family>& session) const;

  void relabel(const Origin& origin, VpcMap vpcs) {
    origin_ = &origin;
    vpcs_ = std::move(vpcs);
  }
  [[nodiscard]] const History* history(std::uint32_t index) const;  // null for Slab::kNone
  [[nodiscard]] std::uint32_t add_history(const History& history);

  [[nodiscard]] const RecordCounts& records() const { return records_; }
  [[nodiscard]] std::uint64_t counters_reset() const { return counters_reset_; }
  [[nodiscard]] std::size_t bytes() const { return histories_.bytes(); }

 private:
  template <typename Family>
  [[nodiscard]] SessionRecord describe(const Session<Family>& session) const;
  template <typename Family>
  void set_flow_fields(const Session<Family>& session, SessionRecord& record) const;
  template <typename Family>
  [[nodiscard]] bool has_dnat_view(const Session<Family>& session) const;
  template <typename Family>
  void set_slice(const Session<Family>& session, UnixMs end, SessionRecord& record) const;
  void set_traffic(const ConntrackEvent& seen, const History* before, bool dnat_view, SessionRecord& record);
  void number_twin(SessionRecord& record);
  void emit(SessionRecord& record);

  RecordMode mode_;
  std::chrono::milliseconds window_;
  const Origin* origin_;
  VpcMap vpcs_;
  RecordOutput& output_;
  const std::uint32_t flow_;
  InterfaceFinder* const interfaces_;
  Slab<History> histories_;
  TwinNumbers twins_;
  RecordCounts records_;
  std::uint64_t counters_reset_ = 0;
};

}  // namespace natsession
