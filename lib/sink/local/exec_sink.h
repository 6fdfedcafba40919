// ExecSink: records as lines on the standard input of a command, JSON unless the URL says otherwise.
//
// A record counts as taken when the command has read its line. What the command does with it then is its own
// affair: it should not read what it cannot keep. A batch during which the command ends is sent again as a
// whole to the next one, so records may come twice: (session_id, seq) tells them.
//
//   what happens                                              answer
//   the command ends, whatever its status                     RetryLater; the next delivery starts it again
//   the shell cannot run it: status 126 or 127                TargetFailed ProjectNotExist
//   it reads nothing for `timeout`                            RetryLater; it is left running, and goes on
//                                                             where it was
//   no process or pipe can be had                             RetryLater
//
// At the end, and on SIGHUP, its input ends; it has 5 s to end by itself, then gets SIGTERM, and 2 s later
// SIGKILL, with its process group.
// Threads: as sink.h says.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record/encoder.h"
#include "sink/local/child_process.h"
#include "sink/sink_kind.h"

namespace natsession {

struct ExecSettings {
  std::string command;
  EncoderOptions options;
  std::chrono::milliseconds timeout{10'000};
  std::vector<std::string> variables = {};  // of the environment, by name
  std::string run_as = {};                  // a user
  ChildProcess::Patience patience;
};

[[nodiscard]] SinkKind exec_kind();

class ExecSink final : public Sink {
 public:
  // Starts nothing yet.
  // Of the command it uses what messages need: `runner` knows it.
  ExecSink(std::string name, ExecSettings settings, std::unique_ptr<CommandRunner> runner);
  ~ExecSink() override;

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override;  // the next batch goes to a command that is started anew
  Result<void> flush() override;   // a command that has ended is noticed

 private:
  std::optional<Answer> start();
  void encode(std::span<const SessionRecord> records);
  Answer feed();
  std::size_t acknowledge(std::size_t read);
  Answer ended();
  void stop();
  void forget();

  const std::string name_;
  const ExecSettings settings_;
  const std::unique_ptr<Encoder> encoder_;
  const std::unique_ptr<CommandRunner> runner_;
  std::optional<ChildProcess> child_;
  // What is under way: a header or the end of an older line, then lines.
  std::string text_;
  std::size_t prefix_ = 0;         // so much stands before the first line
  std::vector<std::size_t> ends_;  // where each line ends
  std::size_t written_ = 0;        // so much is in the pipe, or was
};

}  // namespace natsession
