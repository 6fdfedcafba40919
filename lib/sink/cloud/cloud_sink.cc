#include "sink/cloud/cloud_sink.h"

#include <algorithm>

#include "record/text_writer.h"
#include "sink/cloud/log_group.h"
#include "sink/encoding/digest.h"

namespace natsession {
namespace {

// A request is refused for its time at a quarter of an hour, where that is known.
constexpr std::chrono::minutes kClockTrouble{5};
// A service's clock that is further from ours is not taken for the time: somebody has to look.
constexpr std::chrono::hours kMostOff{24};
// A record further ahead than this is not waited for: its clock was wrong, and may have been by years.
constexpr std::chrono::hours kLongestWait{24};
constexpr std::chrono::minutes kWaitAtOnce{1};
// Sent at once of what is late: their names are remembered.
constexpr std::size_t kMaxLateAtOnce = 10'000;

std::span<const Option<CloudSettings>> own_cloud_options() {
  static const Option<CloudSettings> kTable[] = {
      {"late", "reject|send",
       "what is older than the service keeps: to the dead letters; or sent before, though nobody can say "
       "whether "
       "it was kept",
       choice_option(&CloudSettings::late, Names<Late>{{"reject", Late::kReject}, {"send", Late::kSend}})},
      {"late_after", "TIME",
       "how old that is: 7d for sls and 2d for lts unless told otherwise; cls keeps all",
       time_option(&CloudSettings::late_after, {std::chrono::minutes(1), std::chrono::hours(24 * 3650)})},
      {"tls", "on|off", "off: http in place of https, for a proxy or a test",
       choice_option(&CloudSettings::plain, Names<bool>{{"off", true}, {"on", false}})},
  };
  return kTable;
}

std::span<const Option<HttpSettings>> cloud_http_options() {
  static const Option<HttpSettings> kTable[] = {
      {"timeout", "TIME", "from connecting to the end of the answer",
       time_option(&HttpSettings::timeout, {std::chrono::milliseconds(100), std::chrono::minutes(5)})},
  };
  return kTable;
}

std::string time_text(UnixMs time) {
  std::array<char, kMaxTimeLength + kTextSlack> text;
  return {text.data(), static_cast<std::size_t>(write_rfc3339(text.data(), time) - text.data())};
}

std::string age_text(std::chrono::nanoseconds age) {
  const auto hours = std::chrono::duration_cast<std::chrono::hours>(age).count();
  if (hours >= 48) return std::to_string(hours / 24) + " days";
  if (hours >= 1) return std::to_string(hours) + " h";
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(age).count()) + " s";
}

// For --check.
CloudSettings with_limit(CloudSettings settings) {
  settings.http.timeout = std::min(settings.http.timeout, kReachLimit);
  return settings;
}

bool is_part(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
             std::string_view::npos &&
         text != "." && text != "..";
}

}  // namespace

std::vector<SinkOption> cloud_options() {
  return joined(explain(cloud_key_options()),
                joined(explain(own_cloud_options()), explain(cloud_http_options())));
}

Result<CloudPlace> CloudPlace::of(const SinkUrl& url, std::size_t parts, std::string_view form) {
  const auto wrong = [&] { return url.wrong("write " + std::string(form)); };
  std::string_view rest = url.target;
  if (!rest.starts_with("//")) return wrong();
  rest.remove_prefix(2);
  CloudPlace place;
  place.endpoint = rest.substr(0, rest.find('/'));
  while (rest.find('/') != std::string_view::npos) {
    rest.remove_prefix(rest.find('/') + 1);
    place.parts.emplace_back(rest.substr(0, rest.find('/')));
  }
  if (place.parts.size() != parts || !std::all_of(place.parts.begin(), place.parts.end(), is_part))
    return wrong();
  SinkUrl only_host = url;
  only_host.target = "//" + place.endpoint;
  if (auto endpoint = endpoint_of(only_host, 1); !endpoint) return endpoint.error();
  return place;
}

std::string CloudPlace::host() const {
  return HostPort::parse(endpoint, 1)->host;
}

bool CloudPlace::is_plain() const {
  const std::string name = host();
  return name.find('.') == std::string::npos || name.find(':') != std::string::npos ||
         name.find_first_not_of("0123456789.") == std::string::npos;
}

std::string CloudPlace::origin(const CloudSettings& settings, std::string_view before) const {
  std::string text = settings.plain ? "http://" : "https://";
  if (!is_plain()) text += before;
  return text + endpoint;
}

Result<CloudSettings> CloudSettings::parse(const SinkUrl& url) {
  CloudSettings settings;
  if (auto read = read_options(url, cloud_key_options(), settings.keys); !read) return read.error();
  if (auto read = read_options(url, own_cloud_options(), settings); !read) return read.error();
  if (auto read = read_options(url, cloud_http_options(), settings.http); !read) return read.error();
  auto tls = TlsSettings::parse(url);
  if (!tls) return tls.error();
  settings.http.tls = std::move(*tls);
  return settings;
}

CloudJudgement judge_by_code(const HttpReply& reply, std::string_view code,
                             std::span<const CloudCode> codes) {
  using Kind = CloudJudgement::Kind;
  const int status = reply.status;
  if (status >= 200 && status < 300) return {};
  if (status == 413) return {Kind::kTooMuch, {}};
  for (const CloudCode& row : codes) {
    if (row.code == code) return row.judgement;
  }
  if (status == 401 || status == 403) return {Kind::kKeys, TargetCode::kUnauthorized};
  if (status == 404) return {Kind::kFailed, TargetCode::kLogStoreNotExist};
  if (status == 429) return {Kind::kThrottled, TargetCode::kWriteQuotaExceed};
  if (status >= 400 && status < 500 && status != 408) return {Kind::kBadRecord, {}};
  return {Kind::kLater, {}};
}

bool says(std::string text, std::initializer_list<std::string_view> words) {
  for (char& letter : text) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return std::any_of(words.begin(), words.end(),
                     [&](std::string_view word) { return text.find(word) != std::string::npos; });
}

std::string_view what_clouds_miss() {
  if (!HttpClient::kBuiltIn) return "libcurl (NATSESSION_SINK_HTTP)";
  return kDigestsBuiltIn ? "" : "OpenSSL (NATSESSION_SINK_TLS)";
}

Result<std::unique_ptr<CloudSink>> CloudSink::open(std::string name, const CloudSettings& settings,
                                                   std::unique_ptr<CloudService> service,
                                                   const Clock& clock) {
  std::unique_ptr<CloudSink> sink(new CloudSink(std::move(name), settings, std::move(service), clock));
  if (auto opened = sink->reopen(); !opened) return opened.error();
  return sink;
}

CloudSink::CloudSink(std::string name, const CloudSettings& settings, std::unique_ptr<CloudService> service,
                     const Clock& clock)
    : name_(std::move(name)),
      settings_(settings),
      service_(std::move(service)),
      clock_(clock),
      credentials_(settings.keys, service_->roles(), clock) {}

Result<void> CloudSink::reopen() {
  if (auto reopened = service_->reopen(); !reopened) return reopened.error();
  // A role's keys are asked for with the first batch: its service may be there later.
  if (service_->has_keys() && settings_.keys.role.empty()) {
    if (auto renewed = credentials_.renew(); !renewed) return renewed.error();
  }
  auto client = HttpClient::create(settings_.http, {});
  if (!client) return client.error();
  delivery_.use(std::move(*client));
  return {};
}

Answer CloudSink::deliver(std::span<const SessionRecord> records) {
  renewed_ = learnt_ = false;
  std::string noticed;
  std::size_t taken = 0;
  while (taken < records.size()) {
    if (auto missing = keys_missing(taken)) return std::move(*missing);
    const auto run = records.subspan(taken, alike(records.subspan(taken)));
    const Age age = age_of(run.front());
    if (age == Age::kAhead) {
      Answer answer = wait_for(run.front());
      answer.taken = taken;
      return answer;
    }
    Answer answer = age == Age::kLate ? deliver_late(run) : delivery_.deliver(run, *this);
    answer.taken += taken;
    // After an outage there may be any number of them, and behind them are fresh ones.
    if (bad_time_ && answer.kind == Answer::Kind::kTargetFailed)
      return Answer::rejected(answer.taken, std::move(answer.why));
    if (answer.kind != Answer::Kind::kDelivered) return answer;
    taken = answer.taken;
    if (noticed.empty()) noticed = std::move(answer.why);
  }
  Answer answer = Answer::delivered(taken);
  answer.why = std::move(noticed);
  return answer;
}

std::optional<Answer> CloudSink::keys_missing(std::size_t taken) {
  if (!service_->has_keys()) return std::nullopt;
  const auto keys = credentials_.get();
  if (keys) return std::nullopt;
  if (keys.error().kind == ErrorKind::kUnavailable) return Answer::retry_later(taken, keys.error().message);
  return Answer::target_failed(taken, TargetCode::kInvalidAccessKeyId, keys.error().message);
}

CloudSink::Age CloudSink::age_of(const SessionRecord& record) const {
  KeptTimes kept = service_->kept_times();
  if (settings_.late_after) kept.past = settings_.late_after;
  const UnixMs now = to_ms(service_time());
  const UnixMs time = log_time(record);
  if (kept.past && time < now - *kept.past) return Age::kLate;
  if (kept.future && time > now + *kept.future)
    return time > now + *kept.future + kLongestWait ? Age::kLate : Age::kAhead;
  return Age::kKept;
}

// How many of them, from the first on, are of its age.
std::size_t CloudSink::alike(std::span<const SessionRecord> records) const {
  const Age first = age_of(records.front());
  const auto other = std::find_if(records.begin(), records.end(),
                                  [&](const SessionRecord& record) { return age_of(record) != first; });
  return static_cast<std::size_t>(other - records.begin());
}

// One record is rejected at a time: what is sent is remembered until it was.
Answer CloudSink::deliver_late(std::span<const SessionRecord> records) {
  const SessionRecord& first = records.front();
  const auto name_of = [](const SessionRecord& record) { return Name(record.session_id, record.seq); };
  std::string why;
  if (settings_.late == Late::kSend) {
    if (sent_late_.empty() || sent_late_.front() != name_of(first)) {
      sent_late_.clear();
      const auto some = records.first(std::min(records.size(), kMaxLateAtOnce));
      Answer answer = delivery_.deliver(some, *this);
      if (answer.taken == 0) return answer;
      for (const SessionRecord& record : some.first(answer.taken)) sent_late_.push_back(name_of(record));
    }
    sent_late_.pop_front();
    why = "sent, but not counted as delivered: ";
  }
  const UnixMs now = to_ms(service_time());
  const UnixMs time = log_time(first);
  why += "its time, " + time_text(time) + ", is ";
  why += time < now ? age_text(now - time) + " ago" : age_text(time - now) + " ahead";
  return Answer::rejected(0, why + ": the service does not keep such records, and need not say so");
}

Answer CloudSink::wait_for(const SessionRecord& record) const {
  const UnixMs now = to_ms(service_time());
  const auto ahead = log_time(record) - now;
  Answer answer = Answer::retry_later(
      0, "the next record's time, " + time_text(log_time(record)) + ", is " + age_text(ahead) +
             " ahead: the service takes it when its time has come; is this machine's clock right?");
  answer.after = std::min<std::chrono::milliseconds>(ahead - *service_->kept_times().future, kWaitAtOnce);
  return answer;
}

Result<std::size_t> CloudSink::make_request(std::span<const SessionRecord> records, HttpRequest& request) {
  static const CloudKeys kNone;
  const CloudKeys* keys = &kNone;
  if (service_->has_keys()) {
    const auto got = credentials_.get();
    if (!got) return got.error();
    keys = *got;
  }
  return service_->make_request(records, *keys, service_time(), request);
}

HttpVerdict CloudSink::judge(const HttpReply& reply) {
  using Kind = CloudJudgement::Kind;
  bad_time_ = false;
  if (reply.status == 0) return judge_by_status(reply, /*identified=*/true, told(reply));
  const CloudJudgement judgement = service_->judge(reply);
  switch (judgement.kind) {
    case Kind::kTaken: {
      HttpVerdict taken;
      taken.answer.why = std::exchange(notice_, {});
      return taken;
    }
    case Kind::kTooMuch:
      return {HttpVerdict::Kind::kTooMuch};
    case Kind::kBadTime:
      bad_time_ = true;
      return {HttpVerdict::Kind::kBadRecord};
    case Kind::kBadRecord:
      return {HttpVerdict::Kind::kBadRecord};
    case Kind::kFailed:
      return HttpVerdict::of(Answer::target_failed(0, judgement.code, told(reply)));
    case Kind::kKeys:
      return refused(judgement.code, reply);
    case Kind::kThrottled:
      return HttpVerdict::of(Answer::throttled(0, judgement.code, told(reply), reply.retry_after));
    case Kind::kClock:
      if (learn_time(reply, std::chrono::seconds(1))) return {HttpVerdict::Kind::kAgain};
      break;
    case Kind::kLater:
      break;
  }
  Answer answer = Answer::retry_later(0, told(reply));
  answer.after = reply.retry_after;
  return HttpVerdict::of(std::move(answer));
}

// The keys may have been renewed meanwhile, or the signature be refused for its time.
HttpVerdict CloudSink::refused(TargetCode code, const HttpReply& reply) {
  std::string why = told(reply);
  if (!renewed_) {
    renewed_ = true;
    if (service_->has_keys()) {
      const auto renewed = credentials_.renew();
      if (renewed && *renewed) return {HttpVerdict::Kind::kAgain};
      if (!renewed) why += "; and to renew the keys: " + renewed.error().message;
    } else if (service_->renew()) {
      return {HttpVerdict::Kind::kAgain};
    }
  }
  if (learn_time(reply, kClockTrouble)) return {HttpVerdict::Kind::kAgain};
  return HttpVerdict::of(Answer::target_failed(0, code, std::move(why)));
}

// Whether the service's clock is that far from what was taken for it, and is taken now: once a delivery.
bool CloudSink::learn_time(const HttpReply& reply, std::chrono::nanoseconds least) {
  if (learnt_) return false;
  auto time = read_cloud_time(reply.header("x-log-time"));
  if (!time) time = read_http_date(reply.header("date"));
  if (!time) return false;
  const auto off = std::chrono::nanoseconds(*time - service_time());
  if (std::chrono::abs(off) < least || std::chrono::abs(offset_ + off) > kMostOff) return false;
  learnt_ = true;
  offset_ += off;
  const auto behind = std::chrono::nanoseconds(offset_);
  notice_ = "this machine's clock is " + age_text(std::chrono::abs(behind)) +
            (behind.count() > 0 ? " behind" : " ahead of") + " the service's, whose time requests have now";
  return true;
}

std::string CloudSink::told(const HttpReply& reply) const {
  std::string text = reply.told("post to " + settings_.http.url);
  const std::string_view id = reply.header(service_->request_id_header());
  if (!service_->request_id_header().empty() && !id.empty())
    text += " (request " + std::string(id.substr(0, 64)) + ")";
  return text;
}

Result<Reached> CloudSink::reach() {
  renewed_ = learnt_ = false;
  if (auto missing = keys_missing(0)) return Error{ErrorKind::kPermission, missing->why};
  // Keys or time are renewed once each, as in a delivery.
  for (int tries = 0;; ++tries) {
    HttpRequest request;
    if (auto made = make_request({}, request); !made) return made.error();
    const HttpReply reply = delivery_.client().send(request);
    if (reply.status != 0 && service_->admits(service_->judge(reply)))
      return Reached{"keys and destination are accepted; a request of no records was sent"};
    const HttpVerdict verdict = judge(reply);
    if (verdict.kind == HttpVerdict::Kind::kAgain && tries < 3) continue;
    return unwell(verdict, told(reply));
  }
}

SinkOpener cloud_opener(const SinkUrl& url, const CloudSettings& settings,
                        std::function<std::unique_ptr<CloudService>(const EncoderOptions& options)> make) {
  static const SystemClock kClock;
  const auto open = [name = url.name(), settings, make](const EncoderOptions& options, const Clock& clock) {
    return CloudSink::open(name, settings, make(options), clock);
  };
  std::vector<std::string> secret_files = settings.http.tls.secret_files();
  if (!settings.keys.credentials_file.empty()) secret_files.push_back(settings.keys.credentials_file);
  return SinkOpener{
      .probe = [open]() -> Result<void> {
        const auto opened = open({}, kClock);
        if (!opened) return opened.error();
        return {};
      },
      .reach = [name = url.name(), quick = with_limit(settings), make]() -> Result<Reached> {
        auto opened = CloudSink::open(name, quick, make({}), kClock);
        if (!opened) return opened.error();
        return (*opened)->reach();
      },
      .secret_files = std::move(secret_files),
      .open = [open](const EncoderOptions& options, const Clock& clock) -> Result<std::unique_ptr<Sink>> {
        auto opened = open(options, clock);
        if (!opened) return opened.error();
        return std::unique_ptr<Sink>(std::move(*opened));
      }};
}

}  // namespace natsession
