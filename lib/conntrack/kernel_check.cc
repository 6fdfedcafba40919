#include "conntrack/kernel_check.h"

#include <linux/netlink.h>
#include <sys/utsname.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>
#include <utility>

#include "conntrack/netlink_socket.h"
#include "conntrack/table_dump.h"
#include "session/conntrack_event.h"

namespace natsession {
namespace {

constexpr std::string_view kCountSysctl = "net.netfilter.nf_conntrack_count";
constexpr std::string_view kMaxSysctl = "net.netfilter.nf_conntrack_max";
// A table that is fuller than this is close to dropping new connections.
constexpr std::uint64_t kFullPercent = 90;
// The oldest kernel with every attribute and option that is used here, but for those that are checked one by
// one.
constexpr std::pair kOldest{4U, 19U};
constexpr std::pair kFirstWithStateAtTheEnd{5U, 11U};

using Level = Finding::Level;

// Now and at boot.
std::string load_module(std::string_view name) {
  std::string text = "modprobe ";
  text.append(name).append("\necho ").append(name).append(" >>/etc/modules-load.d/natsession.conf");
  return text;
}

bool is_there(const KernelCheckInput& input, std::string_view sysctl) {
  const auto value = read_sysctl(sysctl, input.proc);
  return value && value->has_value();
}

// The kernel tracks, and answers, but a container does not show how it is set.
bool hides_sysctls(const KernelCheckInput& input) {
  return input.probe.request_error == 0 && !is_there(input, kCountSysctl);
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

using Version = std::pair<unsigned, unsigned>;

Version version_of(std::string_view release) {
  Version version;
  const char* const end = release.data() + release.size();
  const auto [dot, error] = std::from_chars(release.data(), end, version.first);
  if (error == std::errc() && dot != end) std::from_chars(dot + 1, end, version.second);
  return version;
}

Finding check_release(const std::string& release) {
  Finding finding{"kernel", release, "4.19 or later", Level::kOk, "", ""};
  if (version_of(release) < kOldest) {
    finding.level = Level::kWarning;
    finding.meaning = "this program is not tried on kernels this old";
    finding.remedy = "a newer kernel";
  }
  return finding;
}

Finding check_loaded(const KernelCheckInput& input) {
  Finding finding{"nf_conntrack", "loaded", "loaded", Level::kOk, "", ""};
  if (is_there(input, kCountSysctl)) return finding;
  if (hides_sysctls(input)) {
    finding.value = "loaded; its sysctls are hidden here";
    finding.wanted = "/proc/sys/net/netfilter can be read";
    finding.level = Level::kWarning;
    finding.meaning =
        "nobody can see here whether a full log is possible, or how full the table is: with --reliable auto "
        "events that do not fit are let go at once, and told as a gap";
    finding.remedy = "show the container /proc/sys/net/netfilter, or log on the host, with --netns";
    return finding;
  }
  finding.value = "not loaded";
  finding.level = Level::kFailure;
  finding.meaning = "no connection is tracked, so there is nothing to log";
  finding.remedy = load_module("nf_conntrack");
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
    finding.remedy = load_module("nf_conntrack_netlink");
  }
  return finding;
}

Finding check_sysctl(const WantedSysctl& wanted, const KernelCheckInput& input) {
  Finding finding{std::string(wanted.name), "", "1", Level::kOk, "", ""};
  const auto value = read_sysctl(wanted.name, input.proc);
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
  if (value && !*value && hides_sysctls(input)) {
    finding.value = "hidden";
    finding.level = Level::kUnknown;
    return finding;
  }
  finding.remedy = sysctl_remedy(wanted.name, "1", input.netns, input.proc);
  if (value && !*value) finding.remedy = "modprobe nf_conntrack\n" + finding.remedy;
  return finding;
}

Finding check_buffer(ByteCount asked, ByteCount granted, std::string_view proc) {
  Finding finding{"receive buffer", format_byte_count(granted), format_byte_count(asked), Level::kOk, "", ""};
  if (granted < asked) {
    finding.level = Level::kWarning;
    finding.meaning = "a shorter burst of events overruns the socket, which leaves a gap in the log";
    finding.remedy = "run with CAP_NET_ADMIN in the first user namespace, or:\n" +
                     sysctl_remedy("net.core.rmem_max", std::to_string(asked.bytes), "", proc);
  }
  return finding;
}

Finding check_table(const KernelCheckInput& input) {
  Finding finding{"conntrack table", "not known", "below 90 % of nf_conntrack_max", Level::kUnknown, "", ""};
  const auto count = number_of(kCountSysctl, input.proc);
  const auto max = number_of(kMaxSysctl, input.proc);
  if (!count || !max) return finding;
  finding.level = Level::kOk;
  finding.value = std::to_string(*count) + " of " + std::to_string(*max);
  // Divided first: a maximum that someone set to 2^64-1 must not overflow. 0 means no limit.
  if (*max != 0 && *count >= *max / 100 * kFullPercent && *count * 100 >= *max * kFullPercent) {
    finding.level = Level::kWarning;
    finding.meaning = "a full table drops new connections";
    finding.remedy = sysctl_remedy(kMaxSysctl, std::to_string(*max * 2), input.netns, input.proc);
  }
  return finding;
}

Finding check_dump_filter(KernelProbe::DumpFilter filter) {
  Finding finding{"dump filter by status", "supported", "supported", Level::kOk, "", ""};
  switch (filter) {
    case KernelProbe::DumpFilter::kSupported:
      return finding;
    case KernelProbe::DumpFilter::kUnknown:
      finding.level = Level::kUnknown;
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

bool destroy_has_tcp_state(std::string_view release) {
  return version_of(release) >= kFirstWithStateAtTheEnd;
}

std::vector<Finding> check_kernel(const KernelCheckInput& input) {
  std::vector<Finding> findings;
  findings.push_back(check_release(input.release));
  findings.push_back(check_loaded(input));
  findings.push_back(check_permission(input.probe));
  for (const WantedSysctl& wanted : kWantedSysctls) findings.push_back(check_sysctl(wanted, input));
  if (input.buffer_asked && input.buffer_granted) {
    findings.push_back(check_buffer(*input.buffer_asked, *input.buffer_granted, input.proc));
  }
  findings.push_back(check_table(input));
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
