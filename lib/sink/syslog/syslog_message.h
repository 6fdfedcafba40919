// A record as a syslog message, RFC 5424. No I/O here.
//
//   message = "<" facility * 8 + severity ">1 " timestamp SP hostname SP "natsessiond" SP pid SP event SP
//             "[natsession@32473" 1*( SP field "=" quoted ) "]" SP text
//
//   timestamp  end_time, in UTC with milliseconds; "-" outside the years 0 to 9999
//   hostname   the record's instance; what is not a printable ASCII character is an underscore
//   event      start, interim, end or gap
//   field      the names of record/FORMAT.md; fields without a value are left out; times as chosen
//   text       the record as logfmt or JSON, as chosen
//
// With format=nat a session's beginning and end have the form of draft-ietf-behave-syslog-nat-logging-06, as
// VPP writes it; it has no counters:
//
//   message = "<" facility * 8 + severity ">1 " timestamp SP hostname SP "NAT" SP pid SP
//             ( "SADD" / "SDEL" ) SP
//             "[nsess SSUBIX=" zone " SVLAN=" 0 " IATYP=" type " ISADDR=" pri_ip " ISPORT=" pri_port
//             " XATYP=" type " XSADDR=" nat_ip " XSPORT=" nat_port " PROTO=" protocol
//             " XDADDR=" pub_ip " XDPORT=" pub_port "]"           each value in quotes
//
//   type       IPv4 or IPv6
//   timestamp  end_time; of SADD start_time
//
// It has no message for what a window counted, nor for a gap: these keep the form above.
//
// 32473 is the enterprise number that RFC 5612 keeps for documentation: this project has none of its own. No
// byte of a message is a control character: in a text those are \n, \t, \u001f ... as in JSON.
// Threads: any; keeps no state between calls.
// Source: RFC 5424, 6; RFC 5612
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "record/encoder.h"
#include "record/session_record.h"
#include "sink/sink_kind.h"

namespace natsession {

// The numbers of RFC 5424, tables 1 and 2.
struct SyslogHeader {
  static constexpr int kLocal0 = 16;
  static constexpr int kInformational = 6;
  static constexpr int kWarning = 4;

  int facility = kLocal0;
  int severity = kInformational;  // of sessions; a gap is a warning, if that is more
  long process_id = 0;
};

inline constexpr std::string_view kNatFormat = "nat";

class SyslogMessage {
 public:
  // `nat`: the form with SADD and SDEL, where there is one.
  SyslogMessage(const SyslogHeader& header, const EncoderOptions& options, bool nat = false);

  // Appends the message of one record, without any framing.
  void append(const SessionRecord& record, std::string& out) const;

 private:
  void append_header(const SessionRecord& record, UnixMs time, std::string_view application,
                     std::string_view message_id, std::string& out) const;
  void append_nat(const SessionRecord& record, std::string& out) const;
  void append_own(const SessionRecord& record, std::string& out) const;

  const SyslogHeader header_;
  const EncoderOptions options_;
  const bool nat_;
  const std::string process_id_;
  const std::unique_ptr<Encoder> text_;
};

// What the syslog sinks have in common, whatever their transport. SyslogSettings: what the URL says.
// SyslogBatch: a run of records as syslog messages, framed, in one buffer; where each ends.
// Threads: settings are a plain value; a batch belongs to one thread, the sink's.

enum class SyslogFraming {
  kNone,     // a datagram is a message
  kOctets,   // RFC 6587, 3.4.1: the length in digits, a space, the message
  kNewline,  // RFC 6587, 3.4.2: the message, a newline
};

struct SyslogSettings {
  SyslogHeader header;
  EncoderOptions options;  // of the text; times look alike in the fields
  bool nat = false;        // format=nat
  SyslogFraming framing = SyslogFraming::kNone;
  // Without framing. What is longer is rejected, never cut. RFC 5424 makes receivers take 480, asks them to
  // take 2048; rsyslog takes 8192 unless told otherwise.
  std::size_t max_message = 8192;
  std::chrono::milliseconds timeout{10'000};  // to connect, and for a peer that takes nothing

  // Reads syslog_options() and syslog_framing_options().
  // Errors: kUsage, naming URL, key and value.
  [[nodiscard]] static Result<SyslogSettings> parse(const SinkUrl& url, SyslogFraming framing);
  [[nodiscard]] SyslogSettings with(const EncoderOptions& encoder) const;
};

[[nodiscard]] std::span<const Option<SyslogSettings>> syslog_options();
// What only streams have.
[[nodiscard]] std::span<const Option<SyslogSettings>> syslog_framing_options();

class SyslogBatch {
 public:
  explicit SyslogBatch(const SyslogSettings& settings);

  // Takes records from the front until there are `limit_bytes`, but one in any case; or until the next one's
  // message would be too long.
  void fill(std::span<const SessionRecord> records, std::size_t limit_bytes);

  [[nodiscard]] std::string_view text() const { return text_; }
  [[nodiscard]] std::span<const std::size_t> ends() const { return ends_; }
  // The message at `index`, with its framing.
  [[nodiscard]] std::string_view message(std::size_t index) const {
    const std::size_t begin = index == 0 ? 0 : ends_[index - 1];
    return std::string_view(text_).substr(begin, ends_[index] - begin);
  }
  // Why the first of the records cannot be sent, ever; empty if it can.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }

 private:
  bool append(const SessionRecord& record);

  const SyslogMessage encoder_;
  const SyslogFraming framing_;
  const std::size_t max_message_;
  std::string message_;
  std::string text_;
  std::vector<std::size_t> ends_;
  std::string refusal_;
};

}  // namespace natsession
