#include "config_check.h"

#include <sys/capability.h>
#include <sys/stat.h>

#include <cerrno>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "base/files.h"
#include "base/processes.h"
#include "delivery_setup.h"
#include "http/listen_socket.h"
#include "identity/source_url.h"
#include "ledger/coverage.h"
#include "ledger/segment_list.h"
#include "sink/pseudonyms/pseudonyms.h"

namespace natsession {
namespace {

using FindingLevel = Finding::Level;

constexpr const char* kNewerRemedy =
    "natsessiond of the version that wrote it, or a later one, or --ledger with another folder";

Finding& fail(Finding& finding, const std::string& why, const std::string& remedy = {}) {
  finding.level = FindingLevel::kFailure;
  finding.value = why;
  finding.meaning = "natsessiond would not start";
  finding.remedy = remedy;
  return finding;
}

// What a daemon that runs already holds is as it should be, for who looks at its configuration.
Finding held(Finding finding, const ProcessName& holder, const std::string& way_out) {
  finding.value = "held by " + holder.text();
  if (holder.is_daemon()) {
    finding.value += ", which runs";
    return finding;
  }
  return fail(finding, finding.value, way_out);
}

Finding check_control(const Config& config) {
  Finding finding{"control socket " + config.control, "free", "", FindingLevel::kOk, "", ""};
  const auto listener = UnixListener::probe(config.control);
  if (!listener) return fail(finding, listener.error().message);
  if (!*listener) return finding;
  return held(std::move(finding), process_name(**listener),
              "end that process, or --control with another path");
}

Finding check_metrics(const HostPort& where) {
  Finding finding{
      "metrics at " + (where.host.empty() ? "*:" + std::to_string(where.port) : where.to_string()),
      "free",
      "",
      FindingLevel::kOk,
      "",
      ""};
  const auto listening = listen_tcp(where);
  if (listening) return finding;
  const auto inode = tcp_listener(where.port);
  if (!inode) return fail(finding, listening.error().message);
  return held(std::move(finding), owner_of_socket(*inode).value_or(ProcessName()),
              "end that process, or --metrics with another port");
}

bool is_there(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

// As root: folders that are absent are made by it.
Finding check_ledger_to_come(const std::string& directory) {
  Finding finding{"ledger " + directory, "absent: it is made at the start", "", FindingLevel::kOk, "", ""};
  if (auto can = can_make_in(directory); !can) return fail(finding, can.error().message);
  return finding;
}

Finding check_ledger(const Config& config, const std::optional<User>& user) {
  Finding finding{"ledger " + config.ledger, "", "", FindingLevel::kOk, "", ""};
  const std::string give = user ? fmt::format("chown -R {}: {}", user->name, config.ledger) : "";
  if (auto can = can_make_in(config.ledger); !can) return fail(finding, can.error().message, give);
  if (user) {
    Config ledger_alone;
    ledger_alone.ledger = config.ledger;
    if (auto may = check_access(ledger_alone, *user); !may) return fail(finding, may.error().message, give);
  }
  const auto list = SegmentList::open(config.ledger);
  if (!list && list.error().kind != ErrorKind::kUnavailable) return fail(finding, list.error().message, give);
  if (!list) {
    finding.value = "a folder that can be written: it is begun at the start";
    return finding;
  }
  const auto holder = LedgerLock::holder(config.ledger);
  if (!holder) return fail(finding, holder.error().message, give);
  if (*holder)
    return held(std::move(finding), process_name(**holder),
                "end that process, or --ledger with another folder");
  finding.value = fmt::format("{} records in {} segments", list->span().records, list->entries().size());
  for (const SegmentEntry& entry : list->entries()) {
    if (entry.why.empty()) continue;
    if (entry.last) return fail(finding, entry.why, kNewerRemedy);
    finding.level = FindingLevel::kWarning;
    finding.value = entry.why;
    finding.meaning = "what stands in it is lost to questions and sinks";
    finding.remedy = "natsessionctl --ledger " + config.ledger + " verify";
  }
  if (const auto coverage = read_coverage(config.ledger); !coverage)
    return fail(finding, coverage.error().message,
                coverage.error().kind == ErrorKind::kUnavailable ? kNewerRemedy : give);
  return finding;
}

Finding check_sink(const SinkConfig& sink, const std::optional<User>& user) {
  Finding finding{"sink " + sink.url().name(), "", "", FindingLevel::kOk, "", ""};
  if (auto probed = sink.probe(); !probed)
    return fail(finding, explain_refusal(probed.error(), user).message);
  const auto reached = sink.reach();
  if (reached) {
    finding.value = reached->text;
    if (!reached->known) finding.level = FindingLevel::kUnknown;
    return finding;
  }
  finding.level = FindingLevel::kWarning;
  finding.value = reached.error().message;
  finding.meaning = "natsessiond would start, and try again and again; records wait meanwhile";
  return finding;
}

// That they are there and can be read, the sink's own probe tells.
// A file that is not there yet is waited for; one that may not be read is a source that tells nothing.
Finding check_identity(const IdentityUrl& url, const std::optional<User>& user) {
  Finding finding{"identity " + url.name(), "can be followed", "", FindingLevel::kOk, "", ""};
  if (url.command()) {
    finding.value = "a command: it is started with the daemon";
    finding.level = FindingLevel::kUnknown;
    return finding;
  }
  const std::string& path = url.parts.target;
  if (!path.starts_with('/') || path.starts_with("//")) return finding;
  if (::faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0) return finding;
  if (errno == ENOENT) {
    finding.value = "absent: it is waited for";
    finding.level = FindingLevel::kWarning;
    finding.meaning = "of its addresses nothing is known until it is there";
    return finding;
  }
  finding.level = FindingLevel::kWarning;
  finding.value = system_error("read", errno).message;
  finding.meaning = "of its addresses nothing is known";
  finding.remedy = fmt::format("let user {} read {}, as a member of its group, say",
                               user ? user->name : std::string("of the daemon"), path);
  return finding;
}

Finding check_pseudonyms(const std::string& path) {
  Finding finding{"pseudonyms " + path, "a key", "", FindingLevel::kOk, "", ""};
  if (auto key = Pseudonyms::open(path); !key) return fail(finding, key.error().message);
  return finding;
}

Finding check_secret(const std::string& path) {
  Finding finding{"secret " + path, "for its owner and group alone", "", FindingLevel::kOk, "", ""};
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return fail(finding, system_error("look at it", errno).message);
  if ((status.st_mode & (S_IROTH | S_IWOTH)) == 0) return finding;
  finding.level = FindingLevel::kWarning;
  finding.value = fmt::format("mode {:04o}", status.st_mode & 07777U);
  finding.meaning = "everybody on this machine can read it, or write it";
  finding.remedy = "chmod o-rwx " + path;
  return finding;
}

}  // namespace

Result<std::vector<Finding>> check_configuration(const Config& config, const std::optional<User>& user) {
  std::vector<Finding> findings;
  const bool ledger_to_come = !config.ledger.empty() && !is_there(config.ledger);
  if (ledger_to_come) findings.push_back(check_ledger_to_come(config.ledger));
  if (!config.control.empty()) findings.push_back(check_control(config));
  if (config.metrics) findings.push_back(check_metrics(*config.metrics));
  if (auto dropped = keep_only({CAP_NET_ADMIN}, user); !dropped) return dropped.error();
  if (!config.ledger.empty() && !ledger_to_come) findings.push_back(check_ledger(config, user));
  for (const IdentityUrl& url : config.identity) {
    findings.push_back(check_identity(url, user));
    for (const char* const option : {"secret", "secrets"}) {
      if (const std::string* const file = url.option(option)) findings.push_back(check_secret(*file));
    }
  }
  if (!config.pseudonyms.empty()) {
    findings.push_back(check_pseudonyms(config.pseudonyms));
    findings.push_back(check_secret(config.pseudonyms));
  }
  for (const SinkConfig* const destination : destinations(config)) {
    const SinkConfig& sink = *destination;
    findings.push_back(check_sink(sink, user));
    for (const std::string& file : sink.secret_files()) findings.push_back(check_secret(file));
  }
  return findings;
}

}  // namespace natsession
