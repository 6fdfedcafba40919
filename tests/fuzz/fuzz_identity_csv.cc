// The parser of a list that somebody keeps takes any bytes.
#include "fuzz/identity_text.h"
#include "identity/sources/csv_text.h"

namespace natsession::testing {

void fuzz_one(std::span<const std::byte> input) {
  fuzz_identity_text<CsvText>(input);
}

}  // namespace natsession::testing
