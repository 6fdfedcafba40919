#include "sink/http/http_delivery.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace natsession {
namespace {

constexpr std::size_t kNoLimit = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kMaxRejectedInARow = 100;
constexpr int kMaxTriesAtOnce = 4;

}  // namespace

HttpVerdict judge_by_status(const HttpReply& reply, bool identified, std::string why) {
  const int status = reply.status;
  const auto failed = [&](TargetCode code) {
    return HttpVerdict::of(Answer::target_failed(0, code, std::move(why)));
  };
  if (status >= 200 && status < 300) return {};
  if (status == 413) return {HttpVerdict::Kind::kTooMuch};
  if (status == 400 || status == 422) return {HttpVerdict::Kind::kBadRecord};
  if (status == 0) {
    return reply.refused ? failed(TargetCode::kUnauthorized)
                         : HttpVerdict::of(Answer::retry_later(0, std::move(why)));
  }
  if (status == 429) {
    // The clouds' log services name what is exhausted in the body.
    const bool part = reply.body.find(to_string(TargetCode::kShardWriteQuotaExceed)) != std::string::npos;
    return HttpVerdict::of(
        Answer::throttled(0, part ? TargetCode::kShardWriteQuotaExceed : TargetCode::kWriteQuotaExceed,
                          std::move(why), reply.retry_after));
  }
  if (status == 401 || status == 407) return failed(TargetCode::kInvalidAccessKeyId);
  if (status == 403) return failed(identified ? TargetCode::kUnauthorized : TargetCode::kProjectForbidden);
  if (status == 404 || status == 405 || status == 410) return failed(TargetCode::kLogStoreNotExist);
  if (status >= 300 && status < 400) return failed(TargetCode::kLogStoreNotExist);
  if (status >= 400 && status < 500 && status != 408) return failed(TargetCode::kProjectForbidden);
  Answer answer = Answer::retry_later(0, std::move(why));
  answer.after = reply.retry_after;
  return HttpVerdict::of(std::move(answer));
}

Error unwell(const HttpVerdict& verdict, const std::string& why) {
  std::string code;
  if (verdict.kind == HttpVerdict::Kind::kAnswer) {
    if (verdict.answer.kind == Answer::Kind::kTargetFailed) code = to_string(verdict.answer.code);
    if (verdict.answer.throttled_by) code = to_string(*verdict.answer.throttled_by);
  }
  return {ErrorKind::kUnavailable, (code.empty() ? "" : code + ": ") + why};
}

void HttpDelivery::use(std::unique_ptr<HttpClient> client) {
  client_ = std::move(client);
  most_ = kNoLimit;
}

Answer HttpDelivery::deliver(std::span<const SessionRecord> records, HttpProtocol& protocol) {
  std::size_t taken = 0;
  std::size_t suspects = 0;  // among so many records from the next on there is a bad one
  std::size_t lost = 0;
  std::string noticed;
  const auto with_lost = [&](Answer answer) {
    answer.lost += lost;
    return answer;
  };
  int tries = 0;
  while (taken < records.size()) {
    std::size_t most = std::min(most_, records.size() - taken);
    if (suspects > 0) most = std::min(most, std::max<std::size_t>(1, suspects / 2));
    HttpRequest request;
    const Result<std::size_t> made = protocol.make_request(records.subspan(taken, most), request);
    if (!made) return with_lost(Answer::retry_later(taken, made.error().message));
    const std::size_t count = *made;
    const HttpReply reply = client_->send(request);
    HttpVerdict verdict = protocol.judge(reply);
    tries = verdict.kind == HttpVerdict::Kind::kAgain ? tries + 1 : 0;
    switch (verdict.kind) {
      case HttpVerdict::Kind::kTaken:
        taken += count;
        suspects -= std::min(suspects, count);
        rejected_in_a_row_ = 0;
        lost += verdict.answer.lost;
        if (noticed.empty()) noticed = std::move(verdict.answer.why);
        break;
      case HttpVerdict::Kind::kAnswer:
        if (verdict.answer.taken > 0) rejected_in_a_row_ = 0;
        verdict.answer.taken += taken;
        if (verdict.answer.kind == Answer::Kind::kRejected)
          return with_lost(reject(verdict.answer.taken, std::move(verdict.answer.why)));
        return with_lost(std::move(verdict.answer));
      case HttpVerdict::Kind::kTooMuch:
        if (count == 1) return with_lost(reject(taken, protocol.told(reply)));
        most_ = count / 2;
        break;
      case HttpVerdict::Kind::kBadRecord:
        if (count == 1) return with_lost(reject(taken, protocol.told(reply)));
        suspects = count;
        break;
      case HttpVerdict::Kind::kAgain:
        if (tries >= kMaxTriesAtOnce) return with_lost(Answer::retry_later(taken, protocol.told(reply)));
        break;
    }
  }
  Answer answer = Answer::delivered(taken);
  answer.why = std::move(noticed);
  return with_lost(std::move(answer));
}

Answer HttpDelivery::reject(std::size_t taken, std::string why) {
  if (++rejected_in_a_row_ <= kMaxRejectedInARow) return Answer::rejected(taken, std::move(why));
  return Answer::target_failed(taken, TargetCode::kProjectForbidden,
                               why + "; it has refused " + std::to_string(kMaxRejectedInARow) +
                                   " records in a row, so no more are offered");
}

}  // namespace natsession
