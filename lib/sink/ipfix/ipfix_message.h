// Records as IPFIX, RFC 7011: NAT events by RFC 8158, both directions by RFC 5103. No I/O here.
//
//   message = version(10) length export_time sequence domain *set       16 bytes, then sets; all big-endian
//   set     = id length 1*( template | options_template | data )        data: its id is the template's
//
// What stands in a data record, in this order; each under its IANA number:
//
//   323 observation time       ms; end_time, of a start record start_time
//   230 natEvent               start and end: see below; an interim record has none
//   8|27, 225|281, 4, 7, 227   pri_ip, nat_ip, protocol, pri_port, nat_port
//   12|28, 226|282, 11, 228    where the host meant to go, and pub_ip; likewise the ports
//   152, 153                   start_time and end_time of the slice, ms
//   136 flowEndReason          interim records only: 2, active timeout
//   1, 2                       bytes_from_vpc, pkts_from_vpc, where they are known
//   29305:1, 29305:2           bytes_from_pub, pkts_from_pub, where they are known
//   463 natInstanceID          `instance_id`, if it is set
//   234 ingressVRFID           zone, if it is not 0
//   148 flowId                 session_id
//   236 VRFname                vpc_id, if it is not empty
//   300 observationDomainName  netns, where more than one is watched
//   32|139 ICMP type and code  of ICMP and ICMPv6; last, since nfcapd makes one of its own of 7
//
// The fourth line is not there without `destination`. natEvent is 4 and 5 (NAT44 session create, delete), 6
// and 7 (NAT64), and 1 and 2 for what RFC 8158 has no event for, NAT of IPv6 to IPv6. An interim record has
// none: a collector would take create for a second session and delete for its end, and what counts traffic
// takes a record without natEvent for the flow record that it is.
//
// A block of ports (port_blocks.h) is one record where it is allocated and one where it is free: 323
// start_time, or of the second end_time; 230, 16 or 17; 8|27, 225|281; 361 and 362 the first port and the
// last; 463, 234, 236 and 300 as above.
//
// What may be absent makes another template. A template's id tells its shape (IpfixShape::id()), so one id
// means the same in every run, and who still knows a template of the run before reads this one's records with
// it.
//
// A gap is a record of an options template (RFC 7011, 4.3): 144 exportingProcessId; 323, 152 and 153 its
// times, and 166 notSentFlowTotalCount, where the number is known. The instance's name is one, too: 149
// observationDomainId and 300 observationDomainName. They count in the sequence as every data record does.
// Threads: IpfixBatch belongs to one, the sink's; the rest keeps no state.
// Source: RFC 7011, 3, 4.3, 8, 10; RFC 8158, 4; RFC 5103, 5; IANA's registry of IPFIX elements
#pragma once

#include <array>
#include <bitset>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "record/encoder.h"
#include "record/session_record.h"

namespace natsession {

struct IpfixSettings {
  std::uint32_t domain = 1;       // observation domain of every message
  std::uint32_t instance_id = 0;  // natInstanceID; 0: not sent
  bool destination = true;        // whom a session was with (RFC 6888, REQ-12, would leave it out)
  bool options = true;            // gaps and the instance's name
  std::uint32_t process_id = 0;
  FieldSet fields = FieldSet::kAll;  // kCloud: without flowId, zone and netns
  bool with_netns = false;
};

// Which fields a data record has.
struct IpfixShape {
  bool interim = false;
  bool pri_v6 = false;
  bool destination_v6 = false;  // where the host meant to go
  bool nat_v6 = false;
  bool pub_v6 = false;
  bool counts_vpc = false;
  bool counts_pub = false;
  bool destination = false;
  bool instance_id = false;
  bool session_id = false;
  bool zone = false;
  bool netns = false;
  bool vpc = false;
  std::uint8_t icmp = 0;  // 0 none, 1 ICMP, 2 ICMPv6

  // Shape: `record` is no gap.
  [[nodiscard]] static IpfixShape of(const SessionRecord& record, const IpfixSettings& settings);
  [[nodiscard]] static IpfixShape from_id(std::uint16_t id);
  // kFirst to kLast.
  [[nodiscard]] std::uint16_t id() const;

  static constexpr std::uint16_t kFirst = 256;
  static constexpr std::uint16_t kLast = kFirst + 2 * 16 * 4 * 3 * 5 * 8 - 1;
};

// Which fields a record of a block has; likewise.
struct IpfixBlockShape {
  bool pri_v6 = false;
  bool nat_v6 = false;
  bool instance_id = false;
  bool zone = false;
  bool netns = false;
  bool vpc = false;

  [[nodiscard]] static IpfixBlockShape of(const SessionRecord& record, const IpfixSettings& settings);
  [[nodiscard]] static IpfixBlockShape from_id(std::uint16_t id);
  [[nodiscard]] std::uint16_t id() const;

  static constexpr std::uint16_t kFirst = IpfixShape::kLast + 6;  // behind the options templates
  static constexpr std::uint16_t kLast = kFirst + (1U << 6) - 1;
};

// The options templates.
enum class IpfixOptions : std::uint16_t {
  kName = IpfixShape::kLast + 1,
  kGap,  // and 1 more where its beginning is known, 2 more where the number of events is
  kLast = kGap + 3,
};
static_assert(static_cast<unsigned>(IpfixOptions::kLast) + 1 == IpfixBlockShape::kFirst);

// Appends the template record with this id, one of IpfixShape, IpfixBlockShape or IpfixOptions, without its
// set's header.
void append_ipfix_template(std::uint16_t id, std::string& out);
// Appends the data record, without its set's header.
// Shape: `shape` is of this record and these settings.
void append_ipfix_record(const SessionRecord& record, const IpfixShape& shape, const IpfixSettings& settings,
                         std::string& out);

// Gives messages that go out again, on another connection, their place there: their sequence less `less`, and
// the export time `now`, since no template may be younger than its data.
// Shape: whole messages, one behind the other.
void restamp_ipfix(std::string& messages, std::uint32_t less, UnixMs now);
[[nodiscard]] std::uint32_t ipfix_sequence(std::string_view message);

// A run of records as messages in one buffer, and what the peer knows of templates and sequence.
//
// What fill() made must go out in its order, and sent() be told how much of it did, before fill() is called
// again.
class IpfixBatch {
 public:
  struct Message {
    std::size_t end;         // in text()
    std::size_t taken;       // so many of fill()'s records are in this message or before it
    std::uint32_t sequence;  // of the message behind it
    std::uint64_t lost;      // events in gaps, so far
  };
  struct Moment {
    UnixMs wall;
    std::chrono::nanoseconds steady;
  };

  // `refresh`: templates go out anew after so long (UDP), and each first in a message of its own; none: a
  // stream, which loses none.
  IpfixBatch(const IpfixSettings& settings, std::optional<std::chrono::nanoseconds> refresh);

  // The peer knows nothing, and counts from 0.
  void begin_session();
  // The peer knows nothing, and gets messages again whose first had the number `first`: from 0 on now.
  // Returns messages with all templates, which go out before them.
  [[nodiscard]] std::string begin_session_again(std::uint32_t first, UnixMs now);

  // A message is at most so long, from now on.
  // Units: bytes; at least kShortest.
  void set_longest(std::size_t bytes) { longest_ = bytes; }
  static constexpr std::size_t kShortest = 512;    // RFC 7011, 10.3.3
  static constexpr std::size_t kLongest = 65'535;  // what a length can say
  // A text in a record is cut behind so many bytes; what is not UTF-8 is U+FFFD.
  static constexpr std::size_t kLongestText = 128;

  // Takes records from the front until there are `limit_bytes`, but one in any case.
  void fill(std::span<const SessionRecord> records, std::size_t limit_bytes, const Moment& now);
  // Templates that are due, and nothing else.
  void fill_due(const Moment& now) { fill({}, 0, now); }
  // Of what fill() made so many messages went out; the others never will.
  void sent(std::size_t count);

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::span<const Message> messages() const { return messages_; }
  [[nodiscard]] std::string_view message(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : messages_[index - 1].end;
    return std::string_view(text_).substr(begin, messages_[index].end - begin);
  }
  // All records that fill() took, those that it left out among them.
  [[nodiscard]] std::size_t taken() const { return taken_; }

 private:
  struct Told {
    std::size_t message;
    std::uint16_t id;
  };

  void append(const SessionRecord& record);
  void append_gap(const SessionRecord& record);
  void append_name(std::string_view name);
  void append_data(std::uint16_t id, std::string_view record);
  void tell_template(std::uint16_t id, std::size_t record_bytes);
  void put_template(std::uint16_t id);
  void refresh_templates();
  void open_message();
  void close_message();
  void close_set();
  [[nodiscard]] std::size_t room() const;  // in the message that is open, or in a new one

  const IpfixSettings settings_;
  const std::optional<std::chrono::nanoseconds> refresh_;
  std::size_t longest_ = kShortest;

  // What the peer knows.
  std::bitset<65'536> known_;  // templates, by id
  std::vector<std::uint16_t> known_ids_;
  std::string name_;  // of the instance; empty: none was told
  std::uint32_t sequence_ = 0;
  std::uint64_t lost_ = 0;
  std::optional<std::chrono::nanoseconds> refreshed_;  // steady

  // What is being made.
  std::string text_;
  std::vector<Message> messages_;
  std::vector<Told> told_;  // templates that are in messages_ for the first time
  std::uint32_t export_time_ = 0;
  std::size_t taken_ = 0;
  std::optional<std::size_t> message_begin_;  // of the one that is open, in text_
  std::size_t set_begin_ = 0;                 // likewise; only if open_set_
  std::uint16_t open_set_ = 0;                // its id; 0: none
  std::uint32_t next_sequence_ = 0;
  std::uint64_t next_lost_ = 0;
  std::string record_;
  std::string template_;
};

}  // namespace natsession
