// AuditLog: who asked what, when and from where, and how much was answered: a line of JSON for each in a
// file, and an entry of the journal where there is one. The log of sessions is personal data, so nothing is
// answered whose question could not be written down.
// Threads: any.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "access/role.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "sink/transport/datagram_socket.h"

namespace natsession::console {

struct AuditEvent {
  std::string event;  // asked, answered, changed, refused, login, login_failed, logout
  std::string id;     // joins what was asked and answered
  Caller caller;
  bool known = true;  // the caller; else only called so, and has no role
  std::string box;
  std::string what;   // trace, sql ...
  std::string asked;  // the command line
  std::string input;  // a list, or a statement
  std::string reason;
  std::string time_zone;  // in which times were read
  std::string format;
  std::optional<std::uint64_t> rows;
  std::optional<std::chrono::milliseconds> elapsed;
  std::string outcome;   // how it ended
  std::string warnings;  // what the answer must say beside
};

class AuditLog {
 public:
  // Makes the file if there is none, with mode 0640.
  // Errors: kPermission, kUnavailable with the path.
  [[nodiscard]] static Result<std::unique_ptr<AuditLog>> open(std::string path, std::string journal_socket);

  // On the disk when it returns. A file that was moved away is made anew.
  // Errors: kIo …: it is not in the file.
  [[nodiscard]] Result<void> write(const AuditEvent& event, UnixMs now);

 private:
  AuditLog(std::string path, std::string journal_socket)
      : path_(std::move(path)), journal_socket_(std::move(journal_socket)) {}
  Result<void> reopen();
  void tell_journal(const AuditEvent& event, const std::string& line);

  const std::string path_;
  const std::string journal_socket_;
  std::mutex mutex_;
  UniqueFd file_;
  DatagramSocket journal_;
};

}  // namespace natsession::console
