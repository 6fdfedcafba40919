// JournaldSink: records as structured entries of systemd's journal, over its native socket. It never waits
// for a stuck journal beyond a moment: what the journal does not take is tried again later. A journal that
// was restarted is found again.
//
// Threads: as sink.h says.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "record/encoder.h"
#include "record/session_record.h"
#include "sink/sink_kind.h"

namespace natsession {

struct JournaldSettings {
  EncoderOptions options;  // of MESSAGE; times look alike in all fields
  std::string socket_path = "/run/systemd/journal/socket";
  // A full queue is waited for so long at a time: the journal takes entries by the hundred, then needs a
  // moment.
  std::chrono::milliseconds patience{100};
};

[[nodiscard]] SinkKind journald_kind();

class JournaldSink final : public Sink {
 public:
  // Errors: kUnavailable if there is no journal, kPermission.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, const JournaldSettings& settings);
  // Whether open() would succeed.
  [[nodiscard]] static Result<void> probe(const JournaldSettings& settings);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;

 private:
  JournaldSink(std::string name, const JournaldSettings& settings);

  int send_some(std::size_t& sent);
  int send_large(std::string_view entry);
  [[nodiscard]] bool wait_for_room() const;

  const std::string name_;
  const JournaldSettings settings_;
  const std::unique_ptr<Encoder> message_;
  UniqueFd socket_;  // none while the journal is away
  std::string buffer_;
  std::vector<std::size_t> ends_;  // where each entry in the buffer ends
};

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

// What kind of message a session record is, for `journalctl MESSAGE_ID=`. Made once at random, never to be
// changed.
inline constexpr std::string_view kRecordMessageId = "292a7fd538874cfa8d84c294b068252d";

// Appends the entry to `out`. `message` makes the MESSAGE; `options` say how times look, and whether netns is
// told.
void append_journal_entry(const SessionRecord& record, const Encoder& message, const EncoderOptions& options,
                          std::string& out);

}  // namespace natsession
