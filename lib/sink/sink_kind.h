// SinkKind: one row of the table of sinks (registry.cc): how a sink is written, which options it has, and
// what makes an opener of its URL. Each sink's own header declares its row.
// Threads: any; rows are not changed once they are made.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_count.h"
#include "base/option.h"
#include "base/result.h"
#include "base/time.h"
#include "record/encoder.h"
#include "sink/local/child_process.h"
#include "sink/sink.h"
#include "sink/sink_url.h"

namespace natsession {

// What people are told of an option.
struct SinkOption {
  std::string_view key;
  std::string_view value_name;
  std::string help;  // with range and default
};

// What records look like in a sink of this kind, where its URL does not say.
enum class SinkEncoding {
  kConfigured,  // as --format says
  kJson,        // lines of JSON, whatever --format says: for readers that expect them
  kJsonOnly,    // and nothing else can be asked for
  kPairs,       // names and values: format cannot be asked for
  kBinary,      // bytes of its own: neither format nor time_format can be asked for
  kMessage,     // a message for people, beside the fields: all of a record, as logfmt; CSV is refused
};

// What was seen of a destination, without sending it anything.
struct Reached {
  std::string text;   // for people
  bool known = true;  // false: whether records would arrive could not be seen
};

// A destination that does not answer within so long is not there, for reach().
inline constexpr std::chrono::milliseconds kReachLimit{5000};

// A URL that has been read and checked.
struct SinkOpener {
  // Whether open() would succeed, as far as can be told without leaving a trace. Empty: nothing can be told.
  std::function<Result<void>()> probe = {};
  // Whether records would arrive now, as far as can be told without sending one: connects, looks for the
  // command. Takes some seconds at most. Empty: probe() has told all.
  std::function<Result<Reached>()> reach = {};
  std::vector<std::string> secret_files = {};
  // `clock` outlives the sink.
  std::function<Result<std::unique_ptr<Sink>>(const EncoderOptions& options, const Clock& clock)> open = {};
  // In its stead, where a command is fed: what `runner` runs.
  std::optional<Command> command = {};
  std::function<std::unique_ptr<Sink>(const EncoderOptions& options, std::unique_ptr<CommandRunner> runner)>
      open_command = {};
};

// When a batch is full where neither the URL nor the kind of sink has it as the configuration of all sinks
// does.
struct UsualBatch {
  std::size_t records = 0;
  ByteCount bytes;
  std::chrono::milliseconds linger{};  // how long one waits to fill
};

struct SinkKind {
  std::string_view scheme;
  std::string_view usage;                // file:PATH; with // where a host stands behind the scheme
  std::string_view help;                 // one line
  std::vector<SinkOption> options = {};  // beyond those that every sink has
  std::vector<SinkOption> also = {};     // options as well, which the help tells with another kind
  // Behind a network or another program: records are gathered for a moment, so that fewer batches go out.
  bool remote = false;
  SinkEncoding encoding = SinkEncoding::kConfigured;
  bool blocks =
      false;  // it can tell of blocks of ports (port_blocks.h), where its records are JSON or kBinary
  bool flows = false;  // it can write entries of flow logs, by an encoder of theirs (EncoderOptions::own)
  std::optional<UsualBatch> batch = {};  // none: as the configuration of all sinks says
  std::string_view own_format = {};      // what format= may be beside the encoders'; the kind reads it itself
  std::string_view missing = {};  // the library that this program was built without; empty: all is there
  // Reads what is this kind's own in a URL whose keys are known to exist.
  // Errors: kUsage, naming the URL, the key, the value and what would do.
  Result<SinkOpener> (*parse)(const SinkUrl& url) = nullptr;

  [[nodiscard]] bool has_host() const { return usage.find("//") != std::string_view::npos; }
};

// A table of options as people are told it.
template <typename S>
[[nodiscard]] std::vector<SinkOption> explain(std::span<const Option<S>> table) {
  std::vector<SinkOption> told;
  for (const Option<S>& row : table) {
    told.push_back(
        {row.key, row.value_name, option_text::explained(row.help, row.value.range, usual_text(row.value))});
  }
  return told;
}

// Those of one table, and then of another.
[[nodiscard]] inline std::vector<SinkOption> joined(std::vector<SinkOption> first,
                                                    const std::vector<SinkOption>& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// Puts those options of a URL that are in the table into `settings`.
// Errors: kUsage, naming the URL, the key, the value and what would do.
template <typename S>
[[nodiscard]] Result<void> read_options(const SinkUrl& url, std::span<const Option<S>> table, S& settings) {
  for (const SinkUrl::Option& given : url.options) {
    for (const Option<S>& row : table) {
      if (row.key != given.key) continue;
      if (auto put = row.value.put(settings, given.value); !put) return url.wrong(given, put.error().message);
    }
  }
  return {};
}

}  // namespace natsession
