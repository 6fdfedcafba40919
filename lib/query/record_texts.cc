#include "query/record_texts.h"

#include <algorithm>

namespace natsession {

void RecordTexts::keep(SessionRecord& record) {
  static const Origin kUnknown;
  const auto same_origin = [&](const Origin& origin) {
    return record.origin != nullptr && origin.instance == record.origin->instance &&
           origin.netns == record.origin->netns;
  };
  auto origin = std::find_if(origins_.begin(), origins_.end(), same_origin);
  if (origin == origins_.end() && record.origin != nullptr && origins_.size() < kMaxTexts) {
    origins_.push_back(*record.origin);
    origin = std::prev(origins_.end());
  }
  record.origin = origin != origins_.end() ? &*origin : &kUnknown;

  auto vpc = std::find(vpcs_.begin(), vpcs_.end(), record.vpc_id);
  if (vpc == vpcs_.end() && vpcs_.size() < kMaxTexts) {
    vpcs_.emplace_back(record.vpc_id);
    vpc = std::prev(vpcs_.end());
  }
  record.vpc_id = vpc != vpcs_.end() ? std::string_view(*vpc) : std::string_view();
}

}  // namespace natsession
