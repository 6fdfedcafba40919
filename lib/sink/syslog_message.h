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
// 32473 is the enterprise number that RFC 5612 keeps for documentation: this project has none of its own. No
// byte of a message is a control character: in a text those are \n, \t, \u001f ... as in JSON.
// Threads: any; keeps no state between calls.
// Source: RFC 5424, 6; RFC 5612
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "record/encoder.h"
#include "record/session_record.h"

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

class SyslogMessage {
 public:
  SyslogMessage(const SyslogHeader& header, const EncoderOptions& options);

  // Appends the message of one record, without any framing.
  void append(const SessionRecord& record, std::string& out) const;

 private:
  const SyslogHeader header_;
  const EncoderOptions options_;
  const std::string process_id_;
  const std::unique_ptr<Encoder> text_;
};

}  // namespace natsession
