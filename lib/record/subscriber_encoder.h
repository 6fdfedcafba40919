// SubscriberEncoder: records as text, with whose they are: fields subscriber, mac and host behind the others.
// Threads: any, if the look-up may be asked by any.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "record/encoder.h"
#include "record/subscriber.h"

namespace natsession {

class SubscriberEncoder final : public Encoder {
 public:
  // `options` without an encoder of its own: of the other fields. `lookup` may be null: nobody is known.
  SubscriberEncoder(const EncoderOptions& options, std::shared_ptr<const SubscriberLookup> lookup);

  [[nodiscard]] std::string_view header() const override { return header_; }
  // A gap record is nobody's and has no such fields, but for the columns of CSV. What is not known is null in
  // JSON, and left out in logfmt.
  void append(const SessionRecord& record, std::string& out) const override;
  void append_each(std::span<const SessionRecord> records, std::string& out,
                   const std::function<bool()>& goes_on) const override;
  void append_pairs(const SessionRecord& record,
                    std::vector<std::pair<std::string_view, std::string>>& out) const override;
  [[nodiscard]] bool is_of_sessions() const override { return true; }

 private:
  char* write_name(std::string_view name, std::string_view value, char* at) const;
  [[nodiscard]] const Subscriber& find(const SessionRecord& record) const;
  void append_of(const Subscriber& found, const SessionRecord& record, std::string& out) const;

  const EncoderOptions options_;
  const std::unique_ptr<Encoder> others_;
  const std::shared_ptr<const SubscriberLookup> lookup_;
  std::string header_;
};

}  // namespace natsession
