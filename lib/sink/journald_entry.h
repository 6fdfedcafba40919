// A record as an entry of systemd's journal, in the journal's native protocol.
//
//   entry   = *field
//   field   = name "=" text newline                         (a value without a newline)
//           | name newline length data newline              (any value; length is 64 bits, little-endian)
//
// Fields: MESSAGE (the record in logfmt), PRIORITY=6, SYSLOG_IDENTIFIER=natsessiond, MESSAGE_ID, and for each
// field of the record that has a value NATSESSION_ and its name in capitals: NATSESSION_PRI_IP=10.0.0.2.
// Threads: any; pure functions.
// Source: systemd, docs/JOURNAL_NATIVE_PROTOCOL.md
#pragma once

#include <string>
#include <string_view>

#include "record/encoder.h"
#include "record/session_record.h"

namespace natsession {

// What kind of message a session record is, for `journalctl MESSAGE_ID=`. Made once at random, never to be
// changed.
inline constexpr std::string_view kRecordMessageId = "292a7fd538874cfa8d84c294b068252d";

// Appends the entry to `out`. `message` makes the MESSAGE; `options` say how times look, and whether netns is
// told.
void append_journal_entry(const SessionRecord& record, const Encoder& message, const EncoderOptions& options,
                          std::string& out);

}  // namespace natsession
