#include "session/flow_key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace natsession {

std::uint64_t hash_bytes(const void* data, std::size_t size) {
  return XXH3_64bits(data, size);
}

}  // namespace natsession
