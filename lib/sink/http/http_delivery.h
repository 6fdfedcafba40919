// HttpDelivery: how a batch of records gets to an HTTP server, whatever the server: request by request,
// smaller ones where the server finds them too large, and halved where it refuses one for a record in it,
// until that record stands alone. HttpProtocol: what one kind of server adds, its requests and what its
// answers mean.
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "base/result.h"
#include "record/session_record.h"
#include "sink/http/http_client.h"
#include "sink/sink.h"

namespace natsession {

// What an answer means for the records of its request.
struct HttpVerdict {
  enum class Kind {
    kTaken,      // all of them; `answer.why` may tell of a problem beside it
    kTooMuch,    // smaller requests, please; of one record: it is rejected
    kBadRecord,  // one among them, or several: halved until it stands alone
    kAgain,      // what was wrong is not any more: the request is made anew at once, some times at most
    kAnswer,     // `answer` says what; its `taken` counts from the first record of the request
  };
  Kind kind = Kind::kTaken;
  Answer answer = {};

  [[nodiscard]] static HttpVerdict of(Answer answer) { return {Kind::kAnswer, std::move(answer)}; }
};

// What a status says at a server that keeps to HTTP:
//   2xx                                                         kTaken
//   400, 422                                                    kBadRecord
//   413                                                         kTooMuch
//   401, 407                                                    TargetFailed InvalidAccessKeyId
//   403                                                         TargetFailed Unauthorized; where nothing of
//                                                               ours says who we are, ProjectForbidden
//   404, 405, 410; a redirect, which is not followed            TargetFailed LogStoreNotExist
//   429                                                         RetryLater, WriteQuotaExceed; Retry-After
//   any other 4xx                                               TargetFailed ProjectForbidden
//   408, 5xx                                                    RetryLater, after Retry-After
//   no whole answer: refused, silent, cut, garbage, no address  RetryLater
//   a certificate is not accepted, ours or the server's         TargetFailed Unauthorized
// `why` is what people are told; `identified`: credentials are sent.
[[nodiscard]] HttpVerdict judge_by_status(const HttpReply& reply, bool identified, std::string why);

// For --check: what is wrong by a verdict, told as `why`, behind the code of the log's specification where
// there is one.
[[nodiscard]] Error unwell(const HttpVerdict& verdict, const std::string& why);

class HttpProtocol {
 public:
  virtual ~HttpProtocol() = default;

  // Makes the request for the first of `records`, of as many as fit; returns of how many: at least 1.
  // `request.body` stays as it is until the next call.
  // Errors: any; nothing is sent, and the records are offered again later.
  [[nodiscard]] virtual Result<std::size_t> make_request(std::span<const SessionRecord> records,
                                                         HttpRequest& request) = 0;
  // `reply` may be no whole answer (status 0).
  [[nodiscard]] virtual HttpVerdict judge(const HttpReply& reply) = 0;
  // What a reply is told as: operation, object and cause.
  [[nodiscard]] virtual std::string told(const HttpReply& reply) const = 0;
};

class HttpDelivery {
 public:
  // `client` may be new: what was learnt of the server (how much it takes at once) is forgotten.
  void use(std::unique_ptr<HttpClient> client);
  [[nodiscard]] HttpClient& client() { return *client_; }

  // Needs use(). As Sink::deliver(); a server that has refused 100 records in a row refuses not them but what
  // we are doing: TargetFailed ProjectForbidden.
  [[nodiscard]] Answer deliver(std::span<const SessionRecord> records, HttpProtocol& protocol);

 private:
  [[nodiscard]] Answer reject(std::size_t taken, std::string why);

  std::unique_ptr<HttpClient> client_;
  std::size_t most_ = 0;               // records that the server takes at once
  std::size_t rejected_in_a_row_ = 0;  // with nothing taken between
};

}  // namespace natsession
