// CloudSink: records to the log service of a cloud, by signed requests. CloudService: what one cloud adds,
// its requests, and what its answers say. What all have in common is here: keys that are renewed once when
// they are refused, the service's clock where this machine's is too far off, and records whose time the
// service would not keep.
// Threads: as sink.h says.
#pragma once

#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "record/encoder.h"
#include "sink/cloud/cloud_credentials.h"
#include "sink/cloud/signed_request.h"
#include "sink/http/http_delivery.h"
#include "sink/http/http_settings.h"
#include "sink/sink_kind.h"

namespace natsession {

// Which records a service keeps, by their time and its own.
struct KeptTimes {
  std::optional<std::chrono::milliseconds> past;    // none: however old
  std::optional<std::chrono::milliseconds> future;  // none: however far ahead
};

enum class Late {
  kReject,  // to the dead letters
  kSend,    // sent all the same, and then to the dead letters, since nobody can say that it was kept
};

struct CloudSettings {
  HttpSettings http;
  CloudKeySettings keys;
  Late late = Late::kReject;
  std::optional<std::chrono::milliseconds> late_after;  // none: as the service says
  bool plain = false;                                   // http in place of https

  // Reads cloud_options() and those of TLS. Where requests go, `http.origin` and `http.url`, each service
  // says itself.
  // Errors: kUsage, naming the URL and what would do.
  [[nodiscard]] static Result<CloudSettings> parse(const SinkUrl& url);
};
// Beside those of TLS.
[[nodiscard]] std::vector<SinkOption> cloud_options();

// ENDPOINT and what stands behind it, of a URL such as sls://ENDPOINT/PROJECT/LOGSTORE.
struct CloudPlace {
  std::string endpoint;  // HOST or HOST:PORT
  std::vector<std::string> parts;

  // `form`: the URL as it should be. Each part is of letters, digits, - _ and .
  // Errors: kUsage, naming the URL and the form.
  [[nodiscard]] static Result<CloudPlace> of(const SinkUrl& url, std::size_t parts, std::string_view form);
  // Without its port.
  [[nodiscard]] std::string host() const;
  // It is reached as it stands, with nothing before it: an address, or a name without a dot.
  [[nodiscard]] bool is_plain() const;
  // https://, or what `settings` say, and `before` the endpoint, if that is not plain.
  [[nodiscard]] std::string origin(const CloudSettings& settings, std::string_view before = {}) const;
};

// What a service's answer says.
struct CloudJudgement {
  enum class Kind {
    kTaken,
    kTooMuch,    // as HttpVerdict has them
    kBadRecord,  //
    kBadTime,    // a bad record, and its time alone is bad: that of many in a row says nothing of the others
    kFailed,     // `code`
    kKeys,       // likewise, unless other keys are to be had
    kThrottled,  // `code`
    kClock,      // the time of the request is too far from the service's
    kLater,      // a passing fault; or it was not the service that answered
  };
  Kind kind = Kind::kTaken;
  TargetCode code = TargetCode::kProjectForbidden;
};

// A row of a service's table of codes.
struct CloudCode {
  std::string_view code;
  CloudJudgement judgement;
};
// What an answer of the service itself says: 2xx kTaken; 413 kTooMuch; what `codes` says of `code`; else by
// its status: 401, 403 kKeys Unauthorized; 404 LogStoreNotExist; 408, 5xx kLater; 429 kThrottled; any other
// 4xx kBadRecord.
[[nodiscard]] CloudJudgement judge_by_code(const HttpReply& reply, std::string_view code,
                                           std::span<const CloudCode> codes);
// Whether `text` has one of `words`, which are in lower case, in any case.
[[nodiscard]] bool says(std::string text, std::initializer_list<std::string_view> words);
// What this program was built without and what clouds cannot be had without; empty: all is there.
[[nodiscard]] std::string_view what_clouds_miss();

class CloudService {
 public:
  virtual ~CloudService() = default;

  [[nodiscard]] virtual const RoleService& roles() const = 0;
  [[nodiscard]] virtual KeptTimes kept_times() const = 0;
  // Forgets what belongs to the keys of before: SIGHUP.
  virtual Result<void> reopen() { return {}; }
  // False: it has its own way, and none of ours.
  [[nodiscard]] virtual bool has_keys() const { return true; }
  // Whether its own way has changed: it is asked when the service refuses it.
  [[nodiscard]] virtual bool renew() { return false; }

  // The signed request for the first of `records`, of as many as fit; returns of how many. For none at all: a
  // request that writes nothing. `now` is the service's time. `request.body` stays until the next call.
  // Errors: any.
  [[nodiscard]] virtual Result<std::size_t> make_request(std::span<const SessionRecord> records,
                                                         const CloudKeys& keys, UnixNs now,
                                                         HttpRequest& request) = 0;
  // Of a whole answer.
  [[nodiscard]] virtual CloudJudgement judge(const HttpReply& reply) const = 0;
  // Whether such an answer to a request of no records says that records would be taken.
  [[nodiscard]] virtual bool admits(const CloudJudgement& judgement) const {
    return judgement.kind == CloudJudgement::Kind::kTaken ||
           judgement.kind == CloudJudgement::Kind::kBadRecord;
  }
  // The header with the number under which the service knows a request, in lower case; empty: none.
  [[nodiscard]] virtual std::string_view request_id_header() const { return {}; }
};

class CloudSink final : public Sink, private HttpProtocol {
 public:
  // Connects to nothing yet. `clock` outlives the sink.
  // Errors: as HttpClient::create(), and CloudCredentials::get() but for the metadata service's silence.
  [[nodiscard]] static Result<std::unique_ptr<CloudSink>> open(std::string name,
                                                               const CloudSettings& settings,
                                                               std::unique_ptr<CloudService> service,
                                                               const Clock& clock);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> reopen() override;

  // Whether records would arrive: a request of none is sent.
  // Errors: kUnavailable or kPermission, in the service's words and ours.
  [[nodiscard]] Result<Reached> reach();

 private:
  // Where a record's time stands to what the service keeps.
  enum class Age { kKept, kLate, kAhead };
  using Name = std::pair<std::uint64_t, std::uint32_t>;

  CloudSink(std::string name, const CloudSettings& settings, std::unique_ptr<CloudService> service,
            const Clock& clock);

  Result<std::size_t> make_request(std::span<const SessionRecord> records, HttpRequest& request) override;
  HttpVerdict judge(const HttpReply& reply) override;
  [[nodiscard]] std::string told(const HttpReply& reply) const override;

  [[nodiscard]] UnixNs service_time() const { return clock_.now() + offset_; }
  [[nodiscard]] std::optional<Answer> keys_missing(std::size_t taken);
  [[nodiscard]] Age age_of(const SessionRecord& record) const;
  [[nodiscard]] std::size_t alike(std::span<const SessionRecord> records) const;
  Answer deliver_late(std::span<const SessionRecord> records);
  [[nodiscard]] Answer wait_for(const SessionRecord& record) const;
  [[nodiscard]] HttpVerdict refused(TargetCode code, const HttpReply& reply);
  bool learn_time(const HttpReply& reply, std::chrono::nanoseconds least);

  const std::string name_;
  const CloudSettings settings_;
  const std::unique_ptr<CloudService> service_;
  const Clock& clock_;
  CloudCredentials credentials_;
  HttpDelivery delivery_;
  std::chrono::nanoseconds offset_{};  // of the service's clock to ours, once requests were refused for it
  bool renewed_ = false;               // in this delivery
  bool learnt_ = false;                // likewise: the service's time
  bool bad_time_ = false;              // what the last answer said
  std::string notice_;                 // to be told with the next batch that is taken
  std::deque<Name> sent_late_;         // sent, and not yet rejected
};

// The opener of a URL: `make` makes the service. What is missing is told by probe() already.
[[nodiscard]] SinkOpener cloud_opener(
    const SinkUrl& url, const CloudSettings& settings,
    std::function<std::unique_ptr<CloudService>(const EncoderOptions& options)> make);

}  // namespace natsession
