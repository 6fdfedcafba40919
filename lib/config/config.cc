#include "config/config.h"

#include "config/options.h"

namespace natsession {

std::vector<std::string> settings_that_differ(const Config& a, const Config& b) {
  std::vector<std::string> keys;
  for (const Option& option : options()) {
    if (option.is_setting() && option.values(a) != option.values(b)) keys.push_back(option.key());
  }
  return keys;
}

}  // namespace natsession
