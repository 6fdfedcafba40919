#include "flow_log_times.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include "base/files.h"

namespace natsession {
namespace {

constexpr std::string_view kFile = "flow_logs";
constexpr ByteCount kMostBytes{1 << 20};
constexpr std::size_t kMostTimes = 64;  // of one log; of older ones the first begins
constexpr std::size_t kMostLogs = 1024;

std::string_view next_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find('\t'));
  line.remove_prefix(std::min(line.size(), word.size() + 1));
  return word;
}

bool read_time(std::string_view word, UnixMs& time) {
  std::int64_t value = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
  time = UnixMs(std::chrono::milliseconds(value));
  return !word.empty() && read.ec == std::errc() && read.ptr == word.data() + word.size();
}

std::string text_of(UnixMs time) {
  return std::to_string(time.time_since_epoch().count());
}

}  // namespace

std::vector<FlowLogTimes> times_after_start(std::vector<FlowLogTimes> known,
                                            const std::vector<std::string>& on, UnixMs now, UnixMs oldest) {
  for (FlowLogTimes& log : known) {
    const bool is_on = std::find(on.begin(), on.end(), log.name) != on.end();
    if (log.is_off && is_on) log.off.back().until = std::max(log.off.back().from, now);
    if (!log.is_off && !is_on) log.off.push_back({now, now});
    log.is_off = !is_on;
    // Of two the time between is told as off as well: less than there is, never more.
    if (log.off.size() > kMostTimes) {
      log.off[1].from = log.off[0].from;
      log.off.erase(log.off.begin());
    }
    const auto last = log.off.end() - (log.is_off ? 1 : 0);
    log.off.erase(
        std::remove_if(log.off.begin(), last, [&](const TimeOff& off) { return off.until < oldest; }), last);
  }
  for (const std::string& name : on) {
    const bool there =
        std::any_of(known.begin(), known.end(), [&](const FlowLogTimes& log) { return log.name == name; });
    if (!there) known.push_back({name, {}, false});
  }
  // One that is off since before all that the ledger has: nothing of it is left.
  std::erase_if(known, [&](const FlowLogTimes& log) { return log.is_off && log.off.back().from < oldest; });
  if (known.size() > kMostLogs) known.erase(known.begin(), known.end() - kMostLogs);
  return known;
}

std::string text_of_times(const std::vector<FlowLogTimes>& known) {
  std::string text;
  for (const FlowLogTimes& log : known) {
    text += log.name;
    for (std::size_t i = 0; i < log.off.size(); ++i) {
      const bool open = log.is_off && i + 1 == log.off.size();
      text += "\t" + text_of(log.off[i].from) + "\t" + (open ? "-" : text_of(log.off[i].until));
    }
    text += "\n";
  }
  return text;
}

std::vector<FlowLogTimes> parse_times(std::string_view text) {
  std::vector<FlowLogTimes> known;
  while (!text.empty() && known.size() < kMostLogs) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    FlowLogTimes log;
    log.name = next_word(line);
    bool fit = !log.name.empty();
    while (fit && !line.empty()) {
      TimeOff off;
      fit = !log.is_off && log.off.size() < 2 * kMostTimes && read_time(next_word(line), off.from);
      const std::string_view until = next_word(line);
      log.is_off = until == "-";
      off.until = off.from;
      fit = fit && (log.is_off || read_time(until, off.until)) && off.from <= off.until;
      log.off.push_back(off);
    }
    if (fit) known.push_back(std::move(log));
  }
  return known;
}

Result<std::vector<FlowLogTimes>> note_flow_logs(const Config& config, UnixMs now) {
  const std::string path = config.ledger + "/" + std::string(kFile);
  std::string before;
  if (::access(path.c_str(), F_OK) == 0) {
    auto text = read_file(path, kMostBytes, ErrorKind::kIo, O_NOFOLLOW | O_NONBLOCK);
    if (!text) return text.error();
    before = std::move(*text);
  }
  std::vector<std::string> on;
  for (const FlowLogConfig& log : config.flow_logs) {
    if (log.on) on.push_back(log.name);
  }
  auto known = times_after_start(parse_times(before), on, now, now - config.retention);
  const std::string after = text_of_times(known);
  const std::string_view parts[] = {after};
  if (after != before) {
    if (auto written = replace_file(config.ledger, std::string(kFile), parts); !written)
      return written.error();
  }
  return known;
}

}  // namespace natsession
