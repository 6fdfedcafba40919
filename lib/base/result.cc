#include "base/result.h"

#include <cerrno>
#include <system_error>

namespace natsession {

Error system_error(std::string operation, int error_number, ErrorKind otherwise) {
  const bool refused = error_number == EPERM || error_number == EACCES;
  operation += ": ";
  operation += std::generic_category().message(error_number);
  return Error{refused ? ErrorKind::kPermission : otherwise, std::move(operation)};
}

}  // namespace natsession
