// The sinks that there are, in one table, and SinkConfig: what a URL asks of one of them, read once.
// Threads: any; the functions keep no state.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/option.h"
#include "base/result.h"
#include "record/subscriber.h"
#include "sink/blocks/port_blocks.h"
#include "sink/pseudonyms/pseudonyms.h"
#include "sink/sink_kind.h"

namespace natsession {

[[nodiscard]] std::span<const SinkKind> sink_kinds();
// Null if there is no such sink.
[[nodiscard]] const SinkKind* find_sink_kind(std::string_view scheme);
// The options that every sink has.
[[nodiscard]] std::span<const SinkOption> common_sink_options();

// The part of the help that is about sinks and their options, as lines of at most 80 characters.
[[nodiscard]] std::string sink_help();

// How a sink is served, for its URL and for the configuration of all sinks.
inline constexpr Range<std::size_t> kBatchRange{1, 100'000};  // records
inline constexpr Range<ByteCount> kBatchBytesRange{{1ULL << 10}, {64ULL << 20}};
inline constexpr DurationRange kLingerRange{std::chrono::milliseconds(0), std::chrono::hours(1)};
inline constexpr DurationRange kSuspendRange{std::chrono::seconds(1), std::chrono::hours(24)};

// What a URL says of that; nothing is set that it does not say.
struct DeliveryOptions {
  std::optional<std::size_t> batch;                  // records in one batch, at most
  std::optional<ByteCount> batch_bytes;              // their size, at most
  std::optional<std::chrono::milliseconds> linger;   // how long a batch waits to fill
  std::optional<std::chrono::milliseconds> suspend;  // after a failure of the target
  bool from_start = false;  // a new sink begins with the oldest record of the ledger, not with the next
};

// What a URL says of how records look.
struct EncoderChoice {
  bool identity = false;    // with whose they are
  bool pseudonyms = false;  // instead of names and addresses
  std::optional<RecordFormat> format;
  std::optional<TimeFormat> time_format;
  std::optional<FieldSet> fields;
};

// Who can tell whose a record is, for sinks that ask; and what hides it. Either may be null.
struct SinkIdentity {
  std::shared_ptr<const SubscriberLookup> subscribers;
  std::shared_ptr<const Pseudonyms> pseudonyms;
};

class SinkConfig {
 public:
  // Reads a URL: whether it names a sink that there is, with options that it has and values that would do.
  // Touches nothing.
  // Errors: kUsage, naming the URL, the key, the value and what would do. A secret is not repeated.
  [[nodiscard]] static Result<SinkConfig> parse(std::string_view url);

  [[nodiscard]] const SinkUrl& url() const { return url_; }
  // What two URLs have in common that are one sink: options do not count, nor do spellings of one path.
  [[nodiscard]] std::string destination() const;
  [[nodiscard]] bool remote() const { return kind_->remote; }  // see sink_kind.h
  [[nodiscard]] const DeliveryOptions& delivery() const { return delivery_; }
  // It is told of blocks of ports in place of sessions: needs a record of each open session now and then.
  [[nodiscard]] bool tells_blocks() const { return !blocks_.prefixes.empty(); }
  // It can write entries of flow logs (whose vm-id is the subscriber with identity=on); and these as lines of
  // text, or of JSON alone.
  [[nodiscard]] bool takes_flows() const;
  [[nodiscard]] bool takes_json_alone() const;
  [[nodiscard]] bool tells_identity() const { return encoder_.identity; }
  [[nodiscard]] bool tells_pseudonyms() const { return encoder_.pseudonyms; }
  [[nodiscard]] const std::optional<UsualBatch>& usual_batch() const { return kind_->batch; }

  // What it feeds; none: no command.
  [[nodiscard]] const std::optional<Command>& command() const { return opener_.command; }

  // Whether the sink could be opened now, as far as can be told without leaving a trace.
  // Errors: as open().
  [[nodiscard]] Result<void> probe() const;
  // Whether records would arrive now: probe(), and then what is behind a network or another program is asked
  // for as well. No record is sent to it.
  // Errors: as open(); kUnavailable or kPermission, with the cause.
  [[nodiscard]] Result<Reached> reach() const;
  // Files that nobody else should be able to read.
  [[nodiscard]] const std::vector<std::string>& secret_files() const { return opener_.secret_files; }
  // Opens the sink. What the URL says of the encoder goes before `defaults`. `clock` outlives the sink. What
  // is behind a network or another program is not asked for here: its absence is a delivery's answer, and it
  // may come later.
  // Shape:  `runner` runs command(), and is none where that is none.
  // Errors: kUsage, kPermission, kUnavailable or kIo, naming what cannot be opened and why.
  [[nodiscard]] Result<std::unique_ptr<Sink>> open(const EncoderOptions& defaults, const Clock& clock,
                                                   std::unique_ptr<CommandRunner> runner,
                                                   const SinkIdentity& identity = {}) const;

  friend bool operator==(const SinkConfig& a, const SinkConfig& b) { return a.url_.text == b.url_.text; }

 private:
  SinkConfig() = default;
  [[nodiscard]] Result<void> check_options() const;
  [[nodiscard]] Result<void> read_blocks();
  [[nodiscard]] bool has_form_of_its_own() const;  // which the kind reads itself
  [[nodiscard]] EncoderOptions encoder_options(const EncoderOptions& defaults) const;
  [[nodiscard]] Error about_this(Error error) const;

  SinkUrl url_;
  const SinkKind* kind_ = nullptr;
  DeliveryOptions delivery_;
  EncoderChoice encoder_;
  PortBlockSettings blocks_;
  SinkOpener opener_;
};

// Opens all or none: each is probed before the first is opened, so a bad one leaves no file behind.
// Shape:  of `runners` one for each that has a command(), in their order.
// Errors: the first one met.
[[nodiscard]] Result<std::vector<std::unique_ptr<Sink>>> open_sinks(
    std::span<const SinkConfig> sinks, const EncoderOptions& defaults, const Clock& clock,
    std::vector<std::unique_ptr<CommandRunner>> runners = {}, const SinkIdentity& identity = {});

}  // namespace natsession
