#include "ask/csv_text.h"

#include "record/escape.h"

namespace natsession::ctl {

void append_csv(std::string_view text, std::string& out) {
  const std::size_t before = out.size();
  out.resize(before + max_escaped_length(text.size()));
  const char* const end = write_csv_text(out.data() + before, text);
  out.resize(static_cast<std::size_t>(end - out.data()));
}

}  // namespace natsession::ctl
