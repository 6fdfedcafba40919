#include "conntrack/kernel_check.h"

#include <linux/netlink.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>
#include <tuple>

#include "conntrack/netlink_socket.h"
#include "conntrack/table_dump.h"
#include "session/conntrack_event.h"

namespace natsession {
namespace {

constexpr std::string_view kCountSysctl = "net.netfilter.nf_conntrack_count";
constexpr std::string_view kMaxSysctl = "net.netfilter.nf_conntrack_max";
constexpr std::string_view kDropIn = "/etc/sysctl.d/90-natsession.conf";
// A table that is fuller than this is close to dropping new connections.
constexpr std::uint64_t kFullPercent = 90;
// The oldest kernel with every attribute and option that is used here, but for those that are checked one by
// one.
constexpr unsigned kOldestMajor = 4;
constexpr unsigned kOldestMinor = 19;

using Level = Finding::Level;

std::string set_now_and_at_boot(std::string_view name, std::string_view value) {
  std::string text = "sysctl -w ";
  text.append(name).append("=").append(value);
  text.append("\n").append(kDropIn).append(": ").append(name).append(" = ").append(value);
  return text;
}

// A sysctl as a number; nullopt if it is absent, unreadable or no number.
std::optional<std::uint64_t> number_of(std::string_view name, std::string_view proc) {
  const auto text = read_sysctl(name, proc);
  if (!text || !*text) return std::nullopt;
  const std::string& digits = **text;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

Finding check_release(const std::string& release) {
  unsigned major = 0;
  unsigned minor = 0;
  const char* const end = release.data() + release.size();
  const auto [dot, error] = std::from_chars(release.data(), end, major);
  if (error == std::errc() && dot != end) std::from_chars(dot + 1, end, minor);
  Finding finding{"kernel", release, "4.19 or later", Level::kOk, "", ""};
  if (std::tie(major, minor) < std::tie(kOldestMajor, kOldestMinor)) {
    finding.level = Level::kWarning;
    finding.meaning = "this program is not tried on kernels this old";
    finding.remedy = "a newer kernel";
  }
  return finding;
}

Finding check_loaded(std::string_view proc) {
  Finding finding{"nf_conntrack", "loaded", "loaded", Level::kOk, "", ""};
  const auto count = read_sysctl(kCountSysctl, proc);
  if (!count || !*count) {
    finding.value = "not loaded";
    finding.level = Level::kFailure;
    finding.meaning = "no connection is tracked, so there is nothing to log";
    finding.remedy = "modprobe nf_conntrack\n/etc/modules-load.d/natsession.conf: nf_conntrack";
  }
  return finding;
}

Finding check_permission(const KernelProbe& probe) {
  Finding finding{"conntrack over netlink", "answered", "answered", Level::kOk, "", ""};
  if (probe.request_error == 0) return finding;
  finding.level = Level::kFailure;
  const Error cause = system_error("refused", probe.request_error);
  finding.value = cause.message;
  if (cause.kind == ErrorKind::kPermission) {
    finding.meaning =
        "events and dumps need CAP_NET_ADMIN in the user namespace that owns the network namespace";
    finding.remedy =
        "run as root\nor in the unit file: AmbientCapabilities=CAP_NET_ADMIN\nor setcap cap_net_admin+ep on "
        "the program";
  } else {
    finding.meaning = "the kernel has no conntrack interface for programs";
    finding.remedy =
        "modprobe nf_conntrack_netlink\n/etc/modules-load.d/natsession.conf: nf_conntrack_netlink";
  }
  return finding;
}

Finding check_sysctl(const WantedSysctl& wanted, std::string_view proc) {
  Finding finding{std::string(wanted.name), "", "1", Level::kOk, "", ""};
  const auto value = read_sysctl(wanted.name, proc);
  if (!value) {
    finding.value = value.error().message;
  } else if (!*value) {
    finding.value = "absent";
  } else {
    finding.value = **value;
  }
  if (finding.value == "1") return finding;
  finding.level = Level::kWarning;
  finding.meaning = wanted.meaning;
  finding.remedy = set_now_and_at_boot(wanted.name, "1");
  if (value && !*value) finding.remedy = "modprobe nf_conntrack\n" + finding.remedy;
  return finding;
}

Finding check_buffer(ByteCount asked, ByteCount granted) {
  Finding finding{"receive buffer", format_byte_count(granted), format_byte_count(asked), Level::kOk, "", ""};
  if (granted < asked) {
    finding.level = Level::kWarning;
    finding.meaning = "a shorter burst of events overruns the socket, which leaves a gap in the log";
    finding.remedy = "run with CAP_NET_ADMIN in the first user namespace\nor " +
                     set_now_and_at_boot("net.core.rmem_max", std::to_string(asked.bytes));
  }
  return finding;
}

Finding check_table(std::string_view proc) {
  Finding finding{"conntrack table", "unknown", "below 90 % of nf_conntrack_max", Level::kOk, "", ""};
  const auto count = number_of(kCountSysctl, proc);
  const auto max = number_of(kMaxSysctl, proc);
  if (!count || !max) return finding;
  finding.value = std::to_string(*count) + " of " + std::to_string(*max);
  // Divided first: a maximum that someone set to 2^64-1 must not overflow. 0 means no limit.
  if (*max != 0 && *count >= *max / 100 * kFullPercent && *count * 100 >= *max * kFullPercent) {
    finding.level = Level::kWarning;
    finding.meaning = "a full table drops new connections";
    finding.remedy = set_now_and_at_boot(kMaxSysctl, std::to_string(*max * 2));
  }
  return finding;
}

Finding check_dump_filter(KernelProbe::DumpFilter filter) {
  Finding finding{"dump filter by status", "supported", "supported", Level::kOk, "", ""};
  switch (filter) {
    case KernelProbe::DumpFilter::kSupported:
      return finding;
    case KernelProbe::DumpFilter::kUnknown:
      finding.value = "not known: the table is empty";
      finding.meaning =
          "Linux 5.19 and later have it; without it this program filters, at more CPU for each dump";
      return finding;
    case KernelProbe::DumpFilter::kIgnored:
      finding.value = "ignored";
      break;
    case KernelProbe::DumpFilter::kRefused:
      finding.value = "refused";
      break;
  }
  finding.level = Level::kWarning;
  finding.meaning =
      "at each window the whole table is read, also the flows that are not NATed: nothing is lost, "
      "it costs about 2 us of CPU for each of them";
  finding.remedy = "Linux 5.19 or later";
  return finding;
}

constexpr std::uint32_t kStatusConfirmed = 1U << 3;

// How the kernel's first answer begins.
struct Answer {
  std::uint16_t type = 0;
  int error_number = 0;  // NLMSG_ERROR only
};

// Sends one request on a socket of its own: what else it has to say, as the rest of a dump, goes with the
// socket.
Result<Answer> ask(std::span<const std::byte> request) {
  auto socket = NetlinkSocket::open();
  if (!socket) return socket.error();
  if (auto sent = socket->send(request); !sent) return sent.error();
  std::vector<std::byte> buffer(TableDump::kPartBytes);
  const auto datagram = socket->receive(buffer);
  if (!datagram) return datagram.error();
  nlmsghdr header{};
  if (datagram->sender_port != 0 || datagram->length < sizeof(header)) {
    return Error{ErrorKind::kIo, "ask the conntrack table: no answer"};
  }
  std::memcpy(&header, buffer.data(), sizeof(header));
  Answer answer{header.nlmsg_type, 0};
  int code = 0;
  if (header.nlmsg_type == NLMSG_ERROR && datagram->length >= sizeof(header) + sizeof(code)) {
    std::memcpy(&code, buffer.data() + sizeof(header), sizeof(code));
    answer.error_number = -code;
  }
  return answer;
}

KernelProbe::DumpFilter to_dump_filter(const Answer& answer, bool table_has_entries) {
  if (answer.type == NLMSG_ERROR) return KernelProbe::DumpFilter::kRefused;
  if (answer.type != NLMSG_DONE) return KernelProbe::DumpFilter::kIgnored;
  return table_has_entries ? KernelProbe::DumpFilter::kSupported : KernelProbe::DumpFilter::kUnknown;
}

}  // namespace

std::string kernel_release() {
  utsname name{};
  return ::uname(&name) == 0 ? std::string(name.release) : std::string("unknown");
}

std::vector<Finding> check_kernel(const KernelCheckInput& input) {
  std::vector<Finding> findings;
  findings.push_back(check_release(input.release));
  findings.push_back(check_loaded(input.proc));
  findings.push_back(check_permission(input.probe));
  for (const WantedSysctl& wanted : kWantedSysctls) findings.push_back(check_sysctl(wanted, input.proc));
  if (input.buffer_asked && input.buffer_granted) {
    findings.push_back(check_buffer(*input.buffer_asked, *input.buffer_granted));
  }
  findings.push_back(check_table(input.proc));
  findings.push_back(check_dump_filter(input.probe.dump_filter));
  return findings;
}

Result<KernelProbe> probe_kernel() {
  const auto stats = ask(stats_request(1));
  if (!stats) return stats.error();
  KernelProbe probe;
  probe.request_error = stats->error_number;
  if (probe.request_error != 0) return probe;

  // Every entry of the table is confirmed, so a dump of those that are not shows none, if the filter is
  // known.
  const auto filtered = ask(dump_request(2, StatusFilter{0, kStatusConfirmed}));
  if (!filtered) return filtered.error();
  const auto unfiltered = ask(dump_request(3, std::nullopt));
  if (!unfiltered) return unfiltered.error();
  probe.dump_filter = to_dump_filter(*filtered, unfiltered->type != NLMSG_DONE);
  return probe;
}

}  // namespace natsession
