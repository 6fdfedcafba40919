#include "sink/http/http_client.h"

#include <algorithm>
#include <array>

#include "sink/http/libcurl.h"

namespace natsession {
namespace {

// So much of a head is kept; a server that sends more is not listened to.
constexpr std::size_t kMaxHeadBytes = 64 << 10;
constexpr std::chrono::milliseconds kMaxConnectTime{10'000};
constexpr std::chrono::hours kMaxRetryAfter{1};

using List = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

void append(const LibCurl& curl, List& list, const std::string& text) {
  curl_slist* const longer = curl.slist_append(list.get(), text.c_str());
  if (longer == nullptr) return;  // out of memory: as good as not answered, so the batch comes again
  static_cast<void>(list.release());
  list.reset(longer);
}

bool is_certificate_error(CURLcode code) {
  static constexpr std::array kCodes{CURLE_PEER_FAILED_VERIFICATION,
                                     CURLE_SSL_CERTPROBLEM,
                                     CURLE_SSL_ISSUER_ERROR,
                                     CURLE_SSL_INVALIDCERTSTATUS,
                                     CURLE_SSL_PINNEDPUBKEYNOTMATCH,
                                     CURLE_SSL_CACERT_BADFILE,
                                     CURLE_SSL_CLIENTCERT};
  return std::find(kCodes.begin(), kCodes.end(), code) != kCodes.end();
}

// The server's alert about our certificate has no code of its own, only OpenSSL's words.
bool tells_of_certificate_alert(std::string_view text) {
  return text.find("alert") != std::string_view::npos &&
         (text.find("certificate") != std::string_view::npos ||
          text.find("unknown ca") != std::string_view::npos ||
          text.find("handshake failure") != std::string_view::npos);
}

class CurlClient final : public HttpClient {
 public:
  CurlClient(const HttpSettings& settings, const HttpSecrets& secrets, const LibCurl& curl, CURL* handle)
      : settings_(settings), secrets_(secrets), curl_(curl), handle_(handle) {}
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;
  ~CurlClient() override { curl_.easy_cleanup(handle_); }

  void set_up() {
    set(CURLOPT_ERRORBUFFER, error_.data());
    set(CURLOPT_URL, settings_.url.c_str());
    // Variables such as http_proxy are for people's programs: they would send a log to whoever set them.
    set(CURLOPT_PROXY, "");
    set(CURLOPT_USERAGENT, "natsessiond");
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(settings_.timeout.count()));
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(settings_.timeout, kMaxConnectTime).count()));
    set(CURLOPT_WRITEFUNCTION, &CurlClient::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_HEADERFUNCTION, &CurlClient::on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    const TlsSettings& tls = settings_.tls;
    set(CURLOPT_SSL_VERIFYPEER, tls.verify ? 1L : 0L);
    set(CURLOPT_SSL_VERIFYHOST, tls.verify ? 2L : 0L);
    if (!tls.ca_file.empty()) {
      set(CURLOPT_CAINFO, tls.ca_file.c_str());
      set(CURLOPT_CAPATH, static_cast<const char*>(nullptr));
    }
    if (!tls.cert_file.empty()) {
      set(CURLOPT_SSLCERT, tls.cert_file.c_str());
      set(CURLOPT_SSLKEY, tls.key_file.empty() ? tls.cert_file.c_str() : tls.key_file.c_str());
      set(CURLOPT_KEYPASSWD, "");  // a key with a passphrase is an error, not a question on the terminal
    }
    if (secrets_.has_user) {
      set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
      set(CURLOPT_USERNAME, secrets_.user.c_str());
      set(CURLOPT_PASSWORD, secrets_.password.c_str());
    } else if (!secrets_.token.empty()) {
      set(CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
      set(CURLOPT_XOAUTH2_BEARER, secrets_.token.c_str());
    }
  }

  Result<void> connect(std::chrono::milliseconds limit) override {
    set(CURLOPT_CONNECT_ONLY, 1L);
    set(CURLOPT_TIMEOUT_MS, static_cast<long>(std::min(settings_.timeout, limit).count()));
    const CURLcode code = curl_.easy_perform(handle_);
    if (code == CURLE_OK) return {};
    return Error{ErrorKind::kUnavailable, error_[0] != '\0' ? error_.data() : curl_.easy_strerror(code)};
  }

  HttpReply send(const HttpRequest& request) override {
    List headers(nullptr, curl_.slist_free_all);
    append(curl_, headers, "Expect:");  // no question whether the body may come
    for (const std::string& header : request.headers) append(curl_, headers, header);
    for (const std::string& header : secrets_.headers) append(curl_, headers, header);
    set(CURLOPT_URL, request.url.empty() ? settings_.url.c_str() : request.url.c_str());
    set(CURLOPT_CUSTOMREQUEST, request.method == HttpRequest::Method::kPut ? "PUT" : nullptr);
    if (request.method == HttpRequest::Method::kGet) {
      set(CURLOPT_HTTPGET, 1L);
    } else {
      set(CURLOPT_POST, 1L);
      set(CURLOPT_POSTFIELDS, request.body.data() == nullptr ? "" : request.body.data());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
    }
    set(CURLOPT_HTTPHEADER, headers.get());
    error_[0] = '\0';
    reply_ = {};
    on_body_ = request.on_body ? &request.on_body : nullptr;
    head_bytes_ = 0;
    head_is_whole_ = talks_too_long_ = false;
    const CURLcode code = curl_.easy_perform(handle_);
    set(CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
    finish(code);
    return std::move(reply_);
  }

 private:
  template <typename Value>
  void set(CURLoption option, Value value) {
    curl_.easy_setopt(handle_, option, value);
  }

  static std::size_t on_body(const char* data, std::size_t one, std::size_t size, void* client) {
    return static_cast<CurlClient*>(client)->take({data, one * size});
  }

  static std::size_t on_header(const char* data, std::size_t one, std::size_t size, void* client) {
    return static_cast<CurlClient*>(client)->take_header({data, one * size}) ? one * size : 0;
  }

  // A connection that is closed within the head is not an error to libcurl, but the end of the head.
  bool take_header(std::string_view line) {
    head_is_whole_ = line == "\r\n" || line == "\n";
    head_bytes_ += line.size();
    if (head_bytes_ > kMaxHeadBytes) return false;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      if (!head_is_whole_) reply_.headers.clear();  // a status line: what stood before was 100 Continue's
      return true;
    }
    std::string name(line.substr(0, colon));
    for (char& letter : name) {
      if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    }
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t", colon + 1)));
    reply_.headers.emplace_back(std::move(name), line.substr(0, line.find_last_not_of(" \t\r\n") + 1));
    return true;
  }

  std::size_t take(std::string_view part) {
    if (on_body_ != nullptr) {
      long status = 0;
      curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
      if (status == 200) return (*on_body_)(part) ? part.size() : 0;
    }
    talks_too_long_ = reply_.body.size() + part.size() > HttpReply::kMaxBytes;
    reply_.body += part.substr(0, HttpReply::kMaxBytes - reply_.body.size());
    return talks_too_long_ ? 0 : part.size();
  }

  void finish(CURLcode code) {
    long status = 0;
    curl_.easy_getinfo(handle_, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK && !(code == CURLE_WRITE_ERROR && talks_too_long_)) {
      reply_.error = error_[0] != '\0' ? error_.data() : curl_.easy_strerror(code);
      reply_.refused = is_certificate_error(code) || tells_of_certificate_alert(reply_.error);
      return;
    }
    if (!head_is_whole_) {
      reply_.error = "the answer was cut";
      return;
    }
    reply_.status = static_cast<int>(status);
    const char* location = nullptr;
    if (curl_.easy_getinfo(handle_, CURLINFO_REDIRECT_URL, &location) == CURLE_OK && location != nullptr) {
      reply_.location = location;
    }
    curl_off_t seconds = 0;
    if (curl_.easy_getinfo(handle_, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK && seconds > 0) {
      reply_.retry_after = std::min<std::chrono::milliseconds>(
          kMaxRetryAfter, std::chrono::seconds(std::min<curl_off_t>(seconds, 1'000'000)));
    }
  }

  const HttpSettings settings_;
  const HttpSecrets secrets_;
  const LibCurl& curl_;
  CURL* const handle_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  HttpReply reply_;  // of the request that is under way
  const std::function<bool(std::string_view)>* on_body_ = nullptr;
  std::size_t head_bytes_ = 0;
  bool head_is_whole_ = false;
  bool talks_too_long_ = false;
};

}  // namespace

const bool HttpClient::kBuiltIn = true;

Result<std::unique_ptr<HttpClient>> HttpClient::create(const HttpSettings& settings,
                                                       const HttpSecrets& secrets) {
  if (auto readable = settings.tls.probe(); !readable) return readable.error();
  const auto& curl = LibCurl::get();
  if (!curl) return curl.error();
  CURL* const handle = curl->easy_init();
  if (handle == nullptr) return Error{ErrorKind::kUnavailable, "libcurl cannot be started"};
  auto client = std::make_unique<CurlClient>(settings, secrets, *curl, handle);
  client->set_up();
  return std::unique_ptr<HttpClient>(std::move(client));
}

}  // namespace natsession
