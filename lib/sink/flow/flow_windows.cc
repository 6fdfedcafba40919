#include "sink/flow/flow_windows.h"

#include <algorithm>
#include <charconv>

#include "flow/flow_entries.h"

namespace natsession {
namespace {

// Windows that are not told yet, and those that are skipped over at once (nobody ran): older ones are not
// told of.
constexpr std::size_t kMostWindows = 1500;

UnixMs align_up(UnixMs time, std::chrono::milliseconds length) {
  const auto since = time.time_since_epoch();
  auto into = since % length;
  if (into < std::chrono::milliseconds(0)) into += length;
  return into.count() == 0 ? time : UnixMs(since - into + length);
}

std::string part_of(const SessionRecord& closed) {
  return closed.origin->netns + (closed.seq == 0 ? "/sessions" : "/refused");
}

// The text: lines of words, which are separated by tabs; namespaces and interfaces have neither.
void append_words(std::string& out, std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) (out += word) += '\t';
  out.back() = '\n';
}
std::string text_of(UnixMs time) {
  return std::to_string(time.time_since_epoch().count());
}

class Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}
  std::string_view next() {
    const std::size_t end = std::min(rest_.find('\t'), rest_.size());
    const std::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return word;
  }
  std::int64_t number() {
    const std::string_view word = next();
    std::int64_t value = 0;
    std::from_chars(word.data(), word.data() + word.size(), value);
    return value;
  }
  UnixMs time() { return UnixMs(std::chrono::milliseconds(number())); }

 private:
  std::string_view rest_;
};

}  // namespace

UnixMs FlowWindows::end_of_window(UnixMs time) const {
  return align_up(time, window_);
}

// Null for one that is told already: what comes late is an entry all the same, but no status changes.
FlowWindows::Window* FlowWindows::window_at(UnixMs end) {
  if (end <= closed_until_) return nullptr;
  const auto found = windows_.find(end);
  if (found != windows_.end()) return &found->second;
  if (windows_.size() >= kMostWindows) windows_.erase(windows_.begin());
  return &windows_[end];
}

bool FlowWindows::admit(const SessionRecord& entry) {
  const Interface interface { entry.origin->netns, std::string(interface_of(entry)) };
  const UnixMs period = align_up(entry.end_time, FlowLimits::kLimitPeriod);
  std::uint64_t& count = counts_[{period, interface}];
  Window* const window = window_at(end_of_window(entry.end_time));
  if (count >= limits_.entries) {
    ++left_out_;
    if (window != nullptr) window->skipped.insert(interface);
    return false;
  }
  ++count;
  if (window != nullptr) window->had_entries.insert(interface);
  return true;
}

void FlowWindows::skip(UnixMs from, UnixMs until, const Interface& interface) {
  if (until <= closed_until_) return;
  constexpr std::chrono::milliseconds kMoment{1};
  // Of the time before the first window there is nothing to tell.
  const bool is_new = closed_until_ == UnixMs::min();
  from = std::max(
      from, is_new ? until - kMoment
                   : std::max(closed_until_, until - static_cast<std::int64_t>(kMostWindows) * window_));
  for (UnixMs end = align_up(std::max(from, UnixMs()) + kMoment, window_);; end += window_) {
    if (Window* const window = window_at(end)) {
      if (interface.second.empty()) {
        window->all_skipped = true;
      } else {
        window->skipped.insert(interface);
      }
    }
    if (end >= until) return;
  }
}

std::vector<FlowWindows::Status> FlowWindows::close(const SessionRecord& closed, std::size_t parts) {
  std::vector<Status> all;
  Window* const own = window_at(closed.end_time);
  if (own == nullptr) return all;
  own->parts.insert(part_of(closed));
  // Each part closes its windows in order; one that is behind by a whole window is off, or gone, and is not
  // waited for.
  UnixMs over = closed.end_time - window_ - std::chrono::milliseconds(1);
  for (const auto& [end, window] : windows_) {
    if (window.parts.size() >= parts) over = std::max(over, end);
  }
  UnixMs last = closed_until_;
  for (auto window = windows_.begin(); window != windows_.end() && window->first <= over;) {
    Status status;
    status.window = closed;
    status.window.end_time = window->first;
    status.window.start_time = window->first - window_;
    status.had_entries = std::move(window->second.had_entries);
    status.skipped = std::move(window->second.skipped);
    status.all_skipped = window->second.all_skipped;
    status.is_first = last == UnixMs::min();
    last = window->first;
    all.push_back(std::move(status));
    window = windows_.erase(window);
  }
  if (all.empty()) return all;
  closed_until_ = last;
  const UnixMs oldest = closed_until_ - 2 * std::chrono::milliseconds(FlowLimits::kLimitPeriod);
  std::erase_if(counts_, [&](const auto& count) { return count.first.first < oldest; });
  return all;
}

std::string FlowWindows::text() const {
  std::string out;
  append_words(out, {"closed", text_of(closed_until_)});
  for (const auto& [end, window] : windows_) {
    const std::string when = text_of(end);
    append_words(out, {"window", when, window.all_skipped ? "1" : "0"});
    for (const Interface& interface : window.had_entries)
      append_words(out, {"had", when, interface.first, interface.second});
    for (const Interface& interface : window.skipped)
      append_words(out, {"skipped", when, interface.first, interface.second});
    for (const std::string& part : window.parts) append_words(out, {"part", when, part});
  }
  for (const auto& [key, count] : counts_) {
    append_words(out,
                 {"count", text_of(key.first), key.second.first, key.second.second, std::to_string(count)});
  }
  return out;
}

void FlowWindows::restore(std::string_view text) {
  windows_.clear();
  counts_.clear();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    Words words(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view kind = words.next();
    const UnixMs when = words.time();
    if (kind == "closed") {
      closed_until_ = when;
    } else if (kind == "window") {
      windows_[when].all_skipped = words.next() == "1";
    } else if (kind == "had" || kind == "skipped") {
      const std::string netns(words.next());
      auto& interfaces = kind == "had" ? windows_[when].had_entries : windows_[when].skipped;
      interfaces.emplace(netns, words.next());
    } else if (kind == "part") {
      windows_[when].parts.emplace(words.next());
    } else if (kind == "count") {
      const std::string netns(words.next());
      const std::string name(words.next());
      counts_[{when, {netns, name}}] = static_cast<std::uint64_t>(words.number());
    }
  }
}

}  // namespace natsession
