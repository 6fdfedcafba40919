// StdoutSink: records as lines on the program's standard output. A pipe whose reader has gone ends the sink
// for good.
// Threads: as sink.h says.
#pragma once

#include <memory>
#include <string>

#include "record/encoder.h"
#include "sink/sink_kind.h"
#include "sink/transport/stream_writer.h"

namespace natsession {

[[nodiscard]] SinkKind stdout_kind();

class StdoutSink final : public Sink {
 public:
  // `fd` stays the caller's: 1, or a test's.
  // Errors: kUnavailable if it is not open.
  [[nodiscard]] static Result<std::unique_ptr<Sink>> open(std::string name, std::unique_ptr<Encoder> encoder,
                                                          int fd);

  [[nodiscard]] static Result<void> probe(const std::string& name, int fd);  // whether open() would succeed

  StdoutSink(std::string name, std::unique_ptr<Encoder> encoder, int fd);

  [[nodiscard]] std::string_view name() const override { return name_; }
  Answer deliver(std::span<const SessionRecord> records) override;
  Result<void> flush() override;  // a header goes out, also when no record ever comes

 private:
  [[nodiscard]] bool reader_has_gone(int error_number) const;

  const std::string name_;
  const int fd_;
  StreamWriter writer_;
};

}  // namespace natsession
