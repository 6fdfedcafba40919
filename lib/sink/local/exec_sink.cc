#include "sink/local/exec_sink.h"

#include <algorithm>
#include <cerrno>

#include "base/comma_list.h"
#include "sink/transport/deadline.h"

namespace natsession {
namespace {

constexpr std::size_t kLineBytes = 256 << 10;
// Between the end of the reading and the end of the process.
constexpr std::chrono::milliseconds kEndsSoon{200};

std::span<const Option<ExecSettings>> exec_options() {
  const auto parse_names = [](std::string_view text) -> Result<std::vector<std::string>> {
    std::vector<std::string> names;
    for (const std::string_view name : comma_list(text)) {
      names.emplace_back(name);
      if (!names.back().empty() && names.back().find_first_of("= ") == std::string::npos) continue;
      return Error{ErrorKind::kUsage,
                   "'" + std::string(text) + "' names no variables of the environment: write NAME,NAME"};
    }
    return names;
  };
  const auto names_text = [](const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
    return text;
  };
  static const Option<ExecSettings> kTable[] = {
      {"env", "NAME,...", "variables of the environment that the command gets beside PATH, HOME, LANG and TZ",
       parsed_option(&ExecSettings::variables, parse_names, names_text)},
      {"run_as", "NAME", "user that the command runs as; usual: natsession-exec, or nobody",
       text_option(&ExecSettings::run_as)},
      {"timeout", "TIME", "for a command that reads nothing",
       time_option(&ExecSettings::timeout, {std::chrono::milliseconds(100), std::chrono::minutes(5)})},
  };
  return kTable;
}

// Whether the shell knows the first word. One that is more than a name only the shell can read.
Result<Reached> find_command(const ExecSettings& settings) {
  const std::size_t begin = settings.command.find_first_not_of(" \t\n");
  const std::string word =
      settings.command.substr(begin, settings.command.find_first_of(" \t\n", begin) - begin);
  if (word.find_first_of("=$`\"'\\(){}[]<>|&;*?#~!") != std::string::npos)
    return Reached{"not looked at: it does not begin with the plain name of a command", /*known=*/false};
  ShellCommand shell({.text = "command -v -- '" + word + "' >/dev/null", .variables = settings.variables});
  auto child = ChildProcess::start(shell);
  if (!child) return child.error();
  const auto end = child->end_within(kReachLimit);
  if (!end) return Error{ErrorKind::kUnavailable, "/bin/sh does not answer"};
  if (!end->well()) return Error{ErrorKind::kUnavailable, "there is no command '" + word + "'"};
  return Reached{"there is a command '" + word + "'"};
}

Result<SinkOpener> parse_exec(const SinkUrl& url) {
  ExecSettings settings;
  settings.command = url.target;
  if (settings.command.find_first_not_of(" \t\n") == std::string::npos) {
    return url.wrong("a command is missing: exec:COMMAND, such as 'exec:gzip >/var/log/nat.gz'");
  }
  if (auto read = read_options(url, exec_options(), settings); !read) return read.error();
  SinkOpener opener;
  opener.reach = [settings] { return find_command(settings); };
  opener.command = {.text = settings.command, .variables = settings.variables, .user = settings.run_as};
  opener.open_command = [name = url.name(), settings](const EncoderOptions& encoder,
                                                      std::unique_ptr<CommandRunner> runner) {
    ExecSettings with_encoder = settings;
    with_encoder.options = encoder;
    return std::make_unique<ExecSink>(name, std::move(with_encoder), std::move(runner));
  };
  return opener;
}

}  // namespace

SinkKind exec_kind() {
  return {.scheme = "exec",
          .usage = "exec:COMMAND",
          .help =
              "lines on the standard input of a shell command, which is started again when it ends; write ? "
              "as %3F and % as %25 in it",
          .options = explain(exec_options()),
          .remote = true,
          .encoding = SinkEncoding::kJson,
          .blocks = true,
          .flows = true,
          .parse = parse_exec};
}

ExecSink::ExecSink(std::string name, ExecSettings settings, std::unique_ptr<CommandRunner> runner)
    : name_(std::move(name)),
      settings_(std::move(settings)),
      encoder_(make_encoder(settings_.options)),
      runner_(std::move(runner)) {}

ExecSink::~ExecSink() {
  stop();
}

Answer ExecSink::deliver(std::span<const SessionRecord> records) {
  if (child_ && child_->end_within({})) forget();
  std::size_t taken = 0;
  while (taken < records.size()) {
    if (!child_) {
      if (auto failed = start()) return *failed;
    }
    encode(records.subspan(taken));
    Answer answer = feed();
    if (!child_) return answer;  // it ended: all of them again
    taken += answer.taken;
    answer.taken = taken;
    if (answer.kind != Answer::Kind::kDelivered) return answer;
  }
  return Answer::delivered(taken);
}

Result<void> ExecSink::reopen() {
  stop();
  return {};
}

Result<void> ExecSink::flush() {
  if (child_ && child_->end_within({})) forget();
  return {};
}

std::optional<Answer> ExecSink::start() {
  auto started = ChildProcess::start(*runner_);
  if (!started)
    return Answer::retry_later(0, "start '" + settings_.command + "': " + started.error().message);
  child_.emplace(std::move(*started));
  text_ = encoder_->header();
  prefix_ = text_.size();
  return std::nullopt;
}

// Fills text_ and ends_. What is in the pipe already, of the same records, is not written again; of other
// records the line under way is completed.
void ExecSink::encode(std::span<const SessionRecord> records) {
  std::string lines;
  std::vector<std::size_t> ends;
  encoder_->append_each(records, lines, [&] {
    ends.push_back(lines.size());
    return lines.size() < kLineBytes;
  });
  const std::size_t in_pipe = written_ - std::min(written_, prefix_);
  if (lines.compare(0, in_pipe, text_, prefix_, in_pipe) == 0) {
    text_.resize(prefix_);
  } else {
    const std::size_t end = *std::lower_bound(ends_.begin(), ends_.end(), written_);
    text_ = text_.substr(written_, end - written_);
    prefix_ = text_.size();
    written_ = 0;
  }
  text_ += lines;
  for (std::size_t& place : ends) place += prefix_;
  ends_ = std::move(ends);
}

// Writes, and waits until the command has read it all.
Answer ExecSink::feed() {
  const Deadline overall(settings_.timeout * kPatienceForAll);
  Deadline progress(settings_.timeout);
  Pauses pauses;
  std::size_t read = 0;
  while (true) {
    std::size_t written = 0;
    const int error_number = child_->write(std::string_view(text_).substr(written_), written);
    written_ += written;
    if (error_number != 0) return ended();
    const std::size_t now = written_ - std::min(written_, child_->unread());
    if (now > read) {
      read = now;
      progress.restart();
      pauses.restart();
    }
    const std::optional<CommandEnd> end = child_->end_within({});
    if (read == text_.size() && (!end || end->well())) return Answer::delivered(acknowledge(read));
    if (end) return ended();
    if (progress.passed() || overall.passed()) {
      return Answer::retry_later(acknowledge(read), "'" + settings_.command + "' reads nothing more");
    }
    child_->wait(written_ < text_.size(), std::min(pauses.next(), progress.left()));
  }
}

// The records whose lines were read are done with: returns how many. The rest stays under way.
std::size_t ExecSink::acknowledge(std::size_t read) {
  const auto first_left = std::upper_bound(ends_.begin(), ends_.end(), read);
  const auto count = static_cast<std::size_t>(first_left - ends_.begin());
  if (count == 0) return 0;
  const std::size_t done = ends_[count - 1];
  text_.erase(0, done);
  ends_.erase(ends_.begin(), first_left);
  for (std::size_t& place : ends_) place -= done;
  written_ -= std::min(written_, done);
  prefix_ = 0;
  return count;
}

// Nobody reads the pipe any more.
Answer ExecSink::ended() {
  std::optional<CommandEnd> end = child_->end_within(kEndsSoon);
  const bool lives_on = !end;
  if (lives_on)
    end = child_->stop({.after_end_of_input = {}, .after_sigterm = settings_.patience.after_sigterm});
  forget();
  const std::string why = "'" + settings_.command + "' " +
                          (lives_on ? "closed its standard input, and was ended" : end->to_string());
  if (!lives_on && end->not_found()) return Answer::target_failed(0, TargetCode::kProjectNotExist, why);
  return Answer::retry_later(0, why);
}

void ExecSink::stop() {
  if (child_) child_->stop(settings_.patience);
  forget();
}

void ExecSink::forget() {
  child_.reset();
  text_.clear();
  ends_.clear();
  prefix_ = 0;
  written_ = 0;
}

}  // namespace natsession
