// LinesSource: follows what a command tells in lines of JSON (ToldLines), through a pipe that somebody else
// gives: whoever runs the command.
// Threads: as of IdentitySource.
#pragma once

#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "identity/identity_source.h"
#include "identity/sources/told_lines.h"

namespace natsession {

class LinesSource final : public IdentitySource {
 public:
  static constexpr std::size_t kMaxLine = std::size_t{64} * 1024;

  explicit LinesSource(std::string name);

  // What the command writes to; a run that was there before is over.
  void follow(UniqueFd output);
  // The command has closed its end, or none was given yet.
  [[nodiscard]] bool is_over() const { return !pipe_; }

  [[nodiscard]] std::string_view name() const override { return name_; }
  Result<void> open() override { return {}; }
  [[nodiscard]] int fd() const override { return pipe_.get(); }
  std::chrono::milliseconds turn(UnixMs now, IdentityOutput& output) override;

 private:
  void take(std::string_view bytes, UnixMs now, IdentityOutput& output);

  std::string name_;
  UniqueFd pipe_;
  ToldLines lines_;
  std::string line_;
  bool skips_line_ = false;
  std::vector<char> buffer_;
};

}  // namespace natsession
