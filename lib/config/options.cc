#include "config/options.h"

#include <algorithm>
#include <array>

#include "base/comma_list.h"
#include "config/text.h"
#include "identity/source_url.h"
#include "session/event_choice.h"

namespace natsession {
namespace {

using Texts = std::vector<std::string>;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::string_view kOutput = "Where records go, and how they are written";
constexpr std::string_view kSessions = "Which sessions, and what is said of them";
constexpr std::string_view kKernel = "The kernel";
constexpr std::string_view kLedger = "The ledger, and delivery to sinks";
constexpr std::string_view kFlowLogs = "Flow logs";
constexpr std::string_view kIdentity = "Identity";
constexpr std::string_view kProgram = "The program";

// A list of what `parse` makes of a text, at most `most`. `same` says why a new one cannot stand beside an
// old one; empty if it can.
template <typename T, typename Parse, typename Print, typename Same>
OptionValue<Config> list_option(std::vector<T> Config::*member, std::size_t most, std::string_view what,
                                Parse parse, Print print, Same same) {
  return {.form = OptionForm::kList,
          .put = [=](Config& config, std::string_view text) -> Result<void> {
            auto value = parse(text);
            if (!value) return value.error();
            std::vector<T>& list = config.*member;
            if (list.size() == most) {
              return usage_error("more than " + std::to_string(most) + " " + std::string(what));
            }
            for (const T& other : list) {
              if (std::string why = same(*value, other); !why.empty())
                return usage_error(in_quotes(text) + why);
            }
            list.push_back(std::move(*value));
            return {};
          },
          .texts =
              [=](const Config& config) {
                Texts texts;
                for (const T& value : config.*member) texts.emplace_back(print(value));
                return texts;
              },
          .clear = [=](Config& config) { (config.*member).clear(); }};
}

OptionValue<Config> sinks_option() {
  return list_option(
      &Config::sinks, kMaxSinks, "sinks",
      [](std::string_view text) -> Result<SinkConfig> {
        if (text.empty())
          return usage_error("it is empty: stdout, file:PATH, journald or another that --help lists");
        return SinkConfig::parse(text);
      },
      [](const SinkConfig& sink) { return sink.url().text; },
      [](const SinkConfig& sink, const SinkConfig& other) -> std::string {
        if (sink.destination() != other.destination()) return {};
        return sink == other ? " is given twice"
                             : " has the same destination as " + in_quotes(other.url().text);
      });
}

OptionValue<Config> identity_option() {
  return list_option(
      &Config::identity, kMaxIdentitySources, "sources", IdentityUrl::parse,
      [](const IdentityUrl& url) { return url.text; },
      [](const IdentityUrl& url, const IdentityUrl& other) -> std::string {
        return url.name() == other.name() ? " is the same source as " + in_quotes(other.text) : "";
      });
}

OptionValue<Config> vpc_rules_option() {
  return list_option(
      &Config::vpc_rules, kMaxVpcRules, "rules", VpcRule::parse,
      [](const VpcRule& rule) { return rule.text; },
      [](const VpcRule& rule, const VpcRule& other) -> std::string {
        const bool same = rule.kind == other.kind && rule.prefix == other.prefix && rule.zone == other.zone &&
                          rule.mark == other.mark && rule.mark_mask == other.mark_mask;
        return same ? " would never be used: " + in_quotes(other.text) + " matches the same sessions" : "";
      });
}

OptionValue<Config> netns_option() {
  return list_option(
      &Config::netns, kMaxNamespaces, "namespaces",
      [](std::string_view text) -> Result<std::string> {
        if (text.empty())
          return usage_error("it is empty: a name as in 'ip netns', or a path such as /proc/1234/ns/net");
        return std::string(text);
      },
      [](const std::string& name) { return name; },
      [](const std::string& name, const std::string& other) -> std::string {
        return name == other ? " is given twice" : "";
      });
}

// The part before the first '=' and what is behind.
Result<std::pair<std::string_view, std::string_view>> split_pair(std::string_view text,
                                                                 std::string_view example) {
  const std::size_t at = text.find('=');
  if (at != std::string_view::npos && at > 0 && at + 1 < text.size())
    return std::pair(text.substr(0, at), text.substr(at + 1));
  return usage_error(in_quotes(text) + " is not of the form " + std::string(example));
}

constexpr std::size_t kMaxFlowRules = 1024;

// Named by their names in messages: their text is long.
OptionValue<Config> flow_logs_option() {
  return {.form = OptionForm::kTables,
          .put = [](Config& config, std::string_view text) -> Result<void> {
            auto log = FlowLogConfig::parse(text);
            if (!log) return log.error();
            if (config.flow_logs.size() == kMaxFlowLogs)
              return usage_error("more than " + std::to_string(kMaxFlowLogs) + " flow logs");
            for (const FlowLogConfig& other : config.flow_logs) {
              if (log->name == other.name)
                return usage_error("name: there is a flow log " + other.name + " already");
              if (log->destination.destination() == other.destination.destination())
                return usage_error("flow log " + log->name + ": destination: the flow log " + other.name +
                                   " has the same");
            }
            config.flow_logs.push_back(std::move(*log));
            return {};
          },
          .texts =
              [](const Config& config) {
                Texts texts;
                for (const FlowLogConfig& log : config.flow_logs) texts.push_back(log.text());
                return texts;
              },
          .clear = {}};  // those of another file come to them
}

OptionValue<Config> interface_rules_option() {
  return list_option(
      &Config::interface_rules, kMaxFlowRules, "interfaces",
      [](std::string_view text) -> Result<InterfaceRule> {
        const auto pair = split_pair(text, "INTERFACE=PREFIX, such as eth1=10.0.0.0/8");
        if (!pair) return pair.error();
        const auto resource = FlowResource::parse(pair->first);
        if (!resource || resource->kind != FlowResource::Kind::kInterface)
          return usage_error(in_quotes(text) + ": " + in_quotes(pair->first) + " names no interface");
        const auto prefix = Prefix::parse(pair->second);
        if (!prefix) return prefix.error();
        return InterfaceRule{resource->name, *prefix};
      },
      [](const InterfaceRule& rule) { return rule.interface + "=" + rule.prefix.to_string(); },
      [](const InterfaceRule& rule, const InterfaceRule& other) -> std::string {
        return rule.prefix == other.prefix ? ": " + other.interface + " has this prefix already" : "";
      });
}

OptionValue<Config> reject_groups_option() {
  return list_option(
      &Config::reject_groups, 16, "groups",
      [](std::string_view text) -> Result<std::uint16_t> {
        const auto number = option_text::number(text, {1, 65'535});
        if (!number) return number.error();
        return static_cast<std::uint16_t>(*number);
      },
      [](std::uint16_t group) { return std::to_string(group); },
      [](std::uint16_t group, std::uint16_t other) -> std::string {
        return group == other ? " is given twice" : "";
      });
}

OptionValue<Config> interface_ids_option() {
  using Pair = std::pair<std::string, std::string>;
  return list_option(
      &Config::interface_ids, kMaxFlowRules, "interfaces",
      [](std::string_view text) -> Result<Pair> {
        const auto pair = split_pair(text, "INTERFACE=ID, such as eth1=eni-1");
        if (!pair) return pair.error();
        return Pair(pair->first, pair->second);
      },
      [](const Pair& pair) { return pair.first + "=" + pair.second; },
      [](const Pair& pair, const Pair& other) -> std::string {
        return pair.first == other.first ? ": it has the id " + other.second + " already" : "";
      });
}

OptionValue<Config> prefix_ids_option(FlowIds::ByPrefix Config::*member) {
  using Pair = std::pair<Prefix, std::string>;
  return list_option(
      member, kMaxFlowRules, "prefixes",
      [](std::string_view text) -> Result<Pair> {
        const auto pair = split_pair(text, "PREFIX=ID, such as 10.0.0.0/24=vsw-1");
        if (!pair) return pair.error();
        const auto prefix = Prefix::parse(pair->first);
        if (!prefix) return prefix.error();
        return Pair(*prefix, pair->second);
      },
      [](const Pair& pair) { return pair.first.to_string() + "=" + pair.second; },
      [](const Pair& pair, const Pair& other) -> std::string {
        return pair.first == other.first ? ": it has the id " + other.second + " already" : "";
      });
}

// Groups add up; one text may name several, with commas between them. auto stands alone.
OptionValue<Config> events_option() {
  static constexpr std::string_view kAuto = "auto";
  static constexpr std::array kWords{kEventGroups[0].name, kEventGroups[1].name, kEventGroups[2].name, kAuto};
  static constexpr EventGroups kNone{false, false, false};
  return {.form = OptionForm::kList,
          .put = [](Config& config, std::string_view text) -> Result<void> {
            std::optional<EventGroups> groups = config.events;
            for (std::string_view name : comma_list(text)) {
              while (name.starts_with(' ')) name.remove_prefix(1);
              while (name.ends_with(' ')) name.remove_suffix(1);
              const auto place = option_text::word(name, kWords);
              if (!place) return place.error();
              const bool chooses = kWords[*place] == kAuto;
              if (!groups ? !chooses : chooses && groups != kNone)
                return usage_error("auto chooses the groups itself: no other stands beside it");
              if (chooses) {
                groups.reset();
              } else {
                (*groups).*kEventGroups[*place].member = true;
              }
            }
            config.events = groups;
            return {};
          },
          .texts =
              [](const Config& config) {
                if (!config.events) return Texts{std::string(kAuto)};
                Texts texts;
                for (const NamedGroup& group : kEventGroups) {
                  if ((*config.events).*group.member) texts.emplace_back(group.name);
                }
                return texts;
              },
          .clear = [](Config& config) { config.events = kNone; },
          .words = {std::begin(kWords), std::end(kWords)}};
}

OptionValue<Config> instance_option() {
  constexpr std::size_t kMostBytes = 255;
  return parsed_option(
      &Config::instance,
      [](std::string_view text) -> Result<std::string> {
        if (text.empty()) return usage_error("it is empty: leave it out for the host's name");
        if (text.size() > kMostBytes) {
          return usage_error("it has " + std::to_string(text.size()) + " bytes: at most " +
                             std::to_string(kMostBytes));
        }
        return std::string(text);
      },
      [](const std::string& name) { return name; });
}

OptionValue<Config> guard_option() {
  constexpr Range<unsigned> kPercent{10, 99};
  auto value = number_option(&Config::guard_percent, kPercent);
  value.put = [put = value.put](Config& config, std::string_view text) -> Result<void> {
    if (put(config, text.ends_with('%') ? text.substr(0, text.size() - 1) : text)) return {};
    return usage_error(in_quotes(text) + " is not a share of the conntrack table: 10% to 99%");
  };
  value.texts = [](const Config& config) { return Texts{std::to_string(config.guard_percent) + "%"}; };
  value.range = "10% to 99%";
  return value;
}

OptionValue<Config> sync_option() {
  constexpr DurationRange kInterval{milliseconds(10), minutes(1)};
  const Names<Sync::Mode> names{{"always", Sync::Mode::kAlways}, {"never", Sync::Mode::kNever}};
  auto value = parsed_option(
      &Config::sync,
      [=](std::string_view text) -> Result<Sync> {
        for (const auto& [name, mode] : names) {
          if (text == name) return Sync{.mode = mode};
        }
        const auto interval = option_text::time(text, kInterval);
        if (!interval) return usage_error(interval.error().message + "; or always, or never");
        return Sync{.interval = *interval};
      },
      [=](const Sync& sync) {
        for (const auto& [name, mode] : names) {
          if (sync.mode == mode) return std::string(name);
        }
        return format_duration(sync.interval);
      });
  value.words = {"always", "never"};
  value.range = option_text::of(kInterval);
  return value;
}

OptionValue<Config> socket_option(std::string Config::*member) {
  constexpr std::size_t kMostBytes = 107;  // sun_path, less the NUL
  return parsed_option(
      member,
      [](std::string_view path) -> Result<std::string> {
        if (path.size() <= kMostBytes) return std::string(path);
        return usage_error(in_quotes(path) + " has " + std::to_string(path.size()) +
                           " bytes: the path of a socket has at most " + std::to_string(kMostBytes));
      },
      [](const std::string& path) { return path; });
}

OptionValue<Config> metrics_option() {
  return parsed_option(
      &Config::metrics,
      [](std::string_view text) -> Result<std::optional<HostPort>> {
        if (text.empty()) return std::optional<HostPort>();
        const auto where = HostPort::parse(text);
        if (where) return std::optional<HostPort>(*where);
        return usage_error(
            in_quotes(text) +
            " is not HOST:PORT, such as 127.0.0.1:9469, [::1]:9469 or :9469: " + where.error().message);
      },
      [](const HostPort& where) { return where.to_string(); });
}

// The table.
std::vector<Flag> make_flags() {
  return {
      {"sink", kOutput, "URL",
       "Where records go: stdout, file:PATH, journald and others (see SINKS). May be given several times; "
       "with a ledger there need be none.",
       "Others are a syslog server, an IPFIX collector, an HTTP server, the clouds' log services and a "
       "command. Every sink gets every "
       "record.",
       sinks_option(), R"("file:/var/log/natsession.json")", "",
       /*needs_one=*/false,
       /*may_be_secret=*/true},
      {"format", kOutput, "FORMAT", "How records are written: json, csv or logfmt.",
       "json is one object a line, csv has a header line, and logfmt is key=value pairs.",
       choice_option(&Config::format,
                     named({RecordFormat::kJson, RecordFormat::kCsv, RecordFormat::kLogfmt}))},
      {"time-format", kOutput, "FORMAT", "How times are written: unix (seconds), unix_ms or rfc3339.",
       "unix is seconds since 1970 with milliseconds behind the point, unix_ms whole milliseconds, and "
       "rfc3339 a date and time in UTC.",
       choice_option(&Config::time_format,
                     named({TimeFormat::kUnix, TimeFormat::kUnixMs, TimeFormat::kRfc3339}))},
      {"fields", kOutput, "SET",
       "Fields of csv and logfmt: all, or cloud for the fifteen that clouds' NAT gateways give.",
       "JSON always has all.", choice_option(&Config::fields, named({FieldSet::kAll, FieldSet::kCloud}))},
      {"nat", kSessions, "KIND", "Sessions whose source (snat) or destination (dnat) is translated, or any.",
       "A session with both is logged as source NAT, with the destination that was asked for.",
       choice_option(&Config::nat, Names<NatSelection>{{"snat", NatSelection::kSnat},
                                                       {"dnat", NatSelection::kDnat},
                                                       {"any", NatSelection::kAny}})},
      {"records", kSessions, "MODE",
       "window: one record for each --window with traffic, and one when the session ends. end: one, when "
       "it ends. start-end: one when it begins, one when it ends.",
       "With window an open session that is idle has a record at least once a day, with zero counters. With "
       "the others nothing is heard of it until it ends.",
       choice_option(&Config::records, Names<RecordMode>{{"window", RecordMode::kWindow},
                                                         {"end", RecordMode::kEnd},
                                                         {"start-end", RecordMode::kStartEnd}})},
      {"window", kSessions, "TIME", "Length of the windows, which are aligned to the clock.",
       "A TIME is a whole number and ms, s, m, h or d. At each end of a window the connection table is "
       "read once.",
       time_option(&Config::window, {kMinWindow, kMaxWindow})},
      {"instance", kSessions, "ID", "Name of this NAT gateway in every record.", "It has at most 255 bytes.",
       instance_option(), R"("nat-1")", "the host's name"},
      {"vpc-id", kSessions, "[PREFIX=]ID",
       "vpc_id of sessions from an address prefix, from zone:N or with mark:V[/MASK]; without PREFIX, of "
       "all others. May be given several times.",
       "The address is that of the private side (10.0.0.0/8=blue), the zone is that of conntrack "
       "(zone:7=green), and the bits of a mark outside its mask do not count (mark:0x10/0xff=red). The "
       "longest prefix that matches is taken, else the first zone, else the first mark, else the rule "
       "without PREFIX; where there is none the field is empty.",
       vpc_rules_option(), R"("10.0.0.0/8=blue")"},
      {"events", kKernel, "LIST",
       "Events to ask the kernel for: of new, update and destroy those that are named, with commas between "
       "them; or auto: those that the log needs. Fewer cost the forwarding path less.",
       "destroy alone costs it least, and still logs every session, when it ends. Without destroy a "
       "session's end is found only when a window closes. auto takes destroy alone where the kernel stamps "
       "when sessions begin (nf_conntrack_timestamp), and new beside it where it does not, with "
       "--records=start-end and with --reliable=off; before Linux 5.11 it takes all, for the field "
       "tcp_state. "
       "It goes by that sysctl while the program runs, and natsessionctl(1) status tells what it has chosen, "
       "and why; see WHICH EVENTS.",
       events_option(), R"(["new", "destroy"])", "",
       /*needs_one=*/true},
      {"netns", kKernel, "NAME",
       "Network namespace to watch, by its name in ip-netns(8) or by its path. May be given several "
       "times; records then say which.",
       "They do so in the field netns. Each namespace has a collector of its own; one that is named twice, "
       "if by other names, is refused. Where another namespace takes the name while the program runs, its "
       "sessions are logged from then on, and a gap record tells of the time between; but one that was named "
       "by a process is not followed beyond it. A process of its own, natsess-netns, keeps CAP_SYS_ADMIN for "
       "that; should it end, that is told, and until a restart a namespace that takes the name is not "
       "logged.",
       netns_option(), R"("nat")", "the daemon's own"},
      {"rcvbuf", kKernel, "SIZE", "Receive buffer of the event socket.",
       "A bigger one holds a longer burst: one event takes about 1 KiB. What the kernel granted is said at "
       "the start.",
       size_option(&Config::rcvbuf, {{4ULL << 10}, {2ULL << 30}})},
      {"reliable", kKernel, "MODE",
       "Whether the kernel keeps ends of sessions that do not fit the receive buffer and sends them again: "
       "on, off, or auto: on, but off while that fills the conntrack table (see --guard).",
       "on loses no session, whatever the burst; but each flow whose end is kept counts against "
       "nf_conntrack_max, and a full table drops new connections. auto then goes off, because "
       "forwarding comes before logging. While off, what does not fit is lost, counted, and told by a gap "
       "record.",
       choice_option(&Config::reliable, Names<ReliableMode>{{"auto", ReliableMode::kAuto},
                                                            {"on", ReliableMode::kOn},
                                                            {"off", ReliableMode::kOff}})},
      {"guard", kKernel, "PERCENT",
       "With --reliable=auto: off above this share of nf_conntrack_max while events are delayed, on "
       "again below three quarters of it.",
       "What is compared is nf_conntrack_count. A small process of its own, natsess-guard, does it while "
       "this "
       "one does not run (SIGSTOP, a debugger); who freezes the whole control group of the service stops "
       "both, "
       "and nobody guards the table then. Should natsess-guard end, killed perhaps, that is told, and until "
       "a "
       "restart nobody does while this program is stopped; while it runs it does so itself.",
       guard_option()},
      {"tune", kKernel, "",
       "Set the sysctls that a full log needs: accounting, timestamps, events for every flow.",
       "That is done at the start, and they stay set; see WHAT THE KERNEL MUST DO.",
       switch_option(&Config::tune)},
      {"ledger", kLedger, "DIR",
       "Keep all records in DIR, the ledger, and deliver them to the sinks from there. natsessionctl(1) "
       "asks it.",
       "DIR is made when it is absent. A sink that was away gets what it missed, also over a restart. "
       "Without --sink the ledger is all there is.",
       text_option(&Config::ledger), R"("/var/lib/natsessiond/ledger")",
       "none, but a bounded queue in memory"},
      {"retention", kLedger, "TIME", "How long the ledger keeps records.", "",
       time_option(&Config::retention, {minutes(1), hours(24 * 3660)})},
      {"ledger-max", kLedger, "SIZE",
       "How large the ledger may grow. Beyond it the oldest records go, also those that a sink has yet to "
       "get.",
       "The sink then gets a gap record that says so.",
       size_option(&Config::ledger_max, {.least = {16ULL << 20}})},
      {"sync", kLedger, "WHEN",
       "How often what arrived is written to the ledger and forced to disk: a time, always, or never "
       "(written each second, not forced).",
       "A power cut loses what was not forced yet, or, with never, what the kernel had not brought to disk. "
       "A kill loses what was not written yet, unless that is held for the next process (--handover). "
       "Either is told by a gap record.",
       sync_option()},
      {"batch", kLedger, "N", "Records that a remote sink is given at once, at most.", "",
       number_option(&Config::batch, kBatchRange)},
      {"batch-bytes", kLedger, "SIZE", "Their size, at most.", "",
       size_option(&Config::batch_bytes, kBatchBytesRange)},
      {"linger", kLedger, "TIME", "How long a record waits for a batch to fill.", "",
       time_option(&Config::linger, kLingerRange)},
      {"suspend", kLedger, "TIME", "How long delivery to a sink rests after its target refused.",
       "That is, it does not exist, forbids all writes, or finds the credentials wrong. After the "
       "rest, once there is new data, one batch is sent as a test.",
       time_option(&Config::suspend, kSuspendRange)},
      {"flow-log",
       kFlowLogs,
       "TABLE",
       "A flow log: an entry for each interface and direction that a flow crosses, translated or not; see "
       "FLOW "
       "LOGS. In the file a table [[flow_log]] each; those of several files add up.",
       "It has a name, a resource (an interface, a subnet, vpc:ID or nat), traffic (all, accept or reject), "
       "a "
       "record (alibaba, tencent, huawei-v1, huawei-v2, aws, or names of fields), a format (text or json), a "
       "window, a destination (a sink's URL), a state (on or off) and tags.",
       flow_logs_option(),
       R"([{name = "edge", resource = "eth1", record = "aws", destination = "file:/var/log/flow.log"}])",
       {},
       false,
       /*may_be_secret=*/true},
      {"flow-log-max", kFlowLogs, "N", "How many flow logs there may be.", "",
       number_option(&Config::flow_log_max, Range<unsigned>{1, kMaxFlowLogs})},
      {"flow-entries", kFlowLogs, "N",
       "How many entries of an interface a flow log has in ten minutes, at most; more are left out, and it "
       "says so "
       "(SKIPDATA).",
       "", number_option(&Config::flow_entries, Range<std::uint32_t>{1, 100'000'000})},
      {"interface", kFlowLogs, "NAME=PREFIX",
       "By which interface addresses in PREFIX are reached, where the kernel's routes do not tell: "
       "asymmetric and "
       "policy routing. May be given several times.",
       "The longest prefix is taken; for all other addresses the kernel is asked.", interface_rules_option(),
       R"("eth1=10.0.0.0/8")"},
      {"reject-group", kFlowLogs, "N",
       "NFLOG group to which the firewall's rules hand copies of packets that they drop. May be given "
       "several times.",
       "Only flow logs of all or rejected traffic ask for it; see FLOW LOGS for the rules.",
       reject_groups_option(), R"("100")"},
      {"reject-flows", kFlowLogs, "N",
       "How many refused flows of one window are added up; more are counted as skipped.", "",
       number_option(&Config::reject_flows, Range<std::uint32_t>{1000, 4'000'000})},
      {"account-id", kFlowLogs, "ID", "Account or project in flow logs.", "",
       text_option(&Config::account_id), R"("123456789012")"},
      {"region-id", kFlowLogs, "ID", "Region in flow logs.", "", text_option(&Config::region_id),
       R"("eu-central-1")"},
      {"az-id", kFlowLogs, "ID", "Availability zone in flow logs.", "", text_option(&Config::az_id),
       R"("eu-central-1a")"},
      {"interface-id", kFlowLogs, "NAME=ID",
       "Id of an interface in flow logs; else its name. May be given several times.", "",
       interface_ids_option(), R"("eth1=eni-1")"},
      {"network-id", kFlowLogs, "PREFIX=ID",
       "Id of the subnet of an address (vswitch-id, network-id). May be given several times.", "",
       prefix_ids_option(&Config::network_ids), R"("10.0.0.0/24=vsw-1")"},
      {"vm-id", kFlowLogs, "PREFIX=ID", "Id of the machine that has an address. May be given several times.",
       "", prefix_ids_option(&Config::vm_ids), R"("10.0.0.5=i-1")"},
      {"identity", kIdentity, "URL",
       "Who tells whose an address is: leases, RADIUS accounting, the kernel's neighbours and others, "
       "followed "
       "live. May be given several times; needs --ledger.",
       "What they tell is kept in the ledger's directory, apart from sessions, and answers whose a session "
       "was: "
       "see IDENTITY for the kinds of URL.",
       identity_option(), R"("dnsmasq:/var/lib/misc/dnsmasq.leases")"},
      {"identity-keep", kIdentity, "TIME", "How long is kept whose an address was, once it is so no more.",
       "", time_option(&Config::identity_keep, {std::chrono::hours(1), std::chrono::hours(24 * 3650)})},
      {"identity-group", kIdentity, "GROUP", "Whose members may read whose addresses were.",
       "The ledger's readers (--control-group) see addresses; names they see only as members of this group, "
       "too.",
       text_option(&Config::identity_group), R"("natsession-identity")", "the daemon's user alone"},
      {"pseudonyms", kIdentity, "FILE",
       "The key for sinks with pseudonyms=on, which get keyed hashes in place of names and of inside "
       "addresses.",
       "At least 16 bytes that nobody else may read, such as `openssl rand -hex 32` writes. Without it "
       "nobody "
       "can tell whose a pseudonym is; with another one all are others.",
       text_option(&Config::pseudonyms), R"("/etc/natsessiond/pseudonyms.key")"},
      {"config",
       kProgram,
       "FILE",
       "Read settings from FILE, then from conf.d/*.toml and flow-logs.d/*.toml beside it. Flags win over "
       "files.",
       {},
       {},
       {},
       "no file"},
      {"handover", kProgram, "PATH",
       "Lose nothing between this run and the next: what it needs to go on is held, and handed over on this "
       "unix "
       "socket.",
       "A small process, natsess-guard, outlives this one by a minute at most, and meanwhile holds the event "
       "socket, on "
       "which events go on queueing, and what was received and is not in the ledger yet. The next "
       "natsessiond with the "
       "same path and the same ledger goes on there, also after kill -9, and the log has no gap. Started "
       "while "
       "this one runs, it asks it to stop, and takes over. Needs --ledger. Where systemd keeps descriptors "
       "for "
       "the unit (FileDescriptorStoreMax=) it hands them over by itself; the guard is a unit then "
       "(natsessiond-guard.service, see --guard-only), so that the table is guarded while natsessiond is "
       "down.",
       socket_option(&Config::handover), R"("/run/natsessiond/handover.sock")"},
      {"user", kProgram, "NAME",
       "Whom to go on as, with CAP_NET_ADMIN and nothing else, once all that takes root is done.",
       "Ledger and files of sinks must be that user's; a folder for the ledger or the control socket that is "
       "absent is made for it. So must be readable to it what is read again later: the configuration at "
       "SIGHUP, "
       "and files that sinks name. Commands of exec sinks run as another (SINKS). With root it stays root.",
       text_option(&Config::user), R"("natsession")", "natsession for root, if it exists"},
      {"control", kProgram, "PATH",
       "Serve status, live sessions and metrics on this unix socket; natsessionctl(1) asks it.",
       "The socket has mode 0660, and the group of --control-group.", socket_option(&Config::control),
       R"("/run/natsessiond/control.sock")"},
      {"control-group", kProgram, "GROUP",
       "Whose members may read: the control socket, and the ledger with natsessionctl.",
       "The ledger's folders and files are given to this group, with mode 0750 and 0640 (the set-group-ID "
       "bit of "
       "the folders hands it on), as far as the umask leaves that; it takes a start as root, or as a member. "
       "Members see who talked to whom: "
       "choose them as you would who reads the sinks' files.",
       text_option(&Config::control_group), R"("natsession")", "natsession, if it exists"},
      {"steer-group", kProgram, "GROUP",
       "Whose members may also enable and disable sinks and all logging, and change flow logs.",
       "Root and the daemon's own user always may. Who opens the socket must be in --control-group as well.",
       text_option(&Config::steer_group), R"("natsession-admin")", "root alone"},
      {"metrics", kProgram, "HOST:PORT", "Serve /metrics for Prometheus on this address, too.",
       "Nothing else is served there. An IPv6 address stands in brackets; without HOST it is every address.",
       metrics_option(), R"("127.0.0.1:9469")"},
      {"log-level", kProgram, "LEVEL",
       "The least important of the daemon's own messages on stderr: error, warning, info or debug.",
       "They begin with a level such as <4> when stderr leads to the journal. debug tells of each dump of "
       "the connection table, of what each sink has delivered by then, of what was opened, and of each "
       "setting that a reload has changed.",
       choice_option(&Config::log_level, Names<LogLevel>{{"error", LogLevel::kError},
                                                         {"warning", LogLevel::kWarning},
                                                         {"info", LogLevel::kInfo},
                                                         {"debug", LogLevel::kDebug}})},
      {"check", kProgram, "",
       "Say what the kernel and this configuration lack for a full log and how to mend it, and exit.",
       "That is: the kernel and its rules in each network namespace, the ledger, whether each sink can be "
       "reached, the "
       "control socket and the port of metrics, files of secrets, and permissions. Nothing is changed, and "
       "no sink is "
       "sent anything; what could not be seen is told as unknown. The exit status is 0 if nothing is lacking "
       "and 3 "
       "otherwise."},
      {"print-config", kProgram, "",
       "Print the effective configuration, and where each value comes from, and exit.",
       "It is a file that --config reads back, with the default of every key."},
      {"default-config", kProgram, "",
       "Print a configuration file that explains every setting, each in a comment at its default, and exit."},
      {"list-options", kProgram, "",
       "Print every option and the values that it knows, for a shell's completion, and exit."},
      {"version", kProgram, "", "Print the version and exit."},
      {"help", kProgram, "", "Print a summary and exit."},
      {"guard-only", kProgram, "",
       "Be only the guard that --handover names, until a signal: for a unit of its own.",
       "It takes over from nobody, and without a natsessiond has nothing to do."},
  };
}

constexpr std::size_t kWidestLine = 100;

std::string toml_array(const Texts& texts, bool are_tables) {
  std::string line = "[";
  std::string lines = "[\n";
  for (const std::string& text : texts) {
    const std::string element = are_tables ? text : toml_string(text);
    if (line.size() > 1) line += ", ";
    line += element;
    lines += "  " + element + ",\n";
  }
  return line.size() < kWidestLine ? line + "]" : lines + "]";
}

}  // namespace

std::string Flag::flag() const {
  return "--" + std::string(name);
}

std::string Flag::key() const {
  std::string result(name);
  std::replace(result.begin(), result.end(), '-', '_');
  return result;
}

std::string Flag::toml_value(const Config& config) const {
  const Texts texts = value.texts(config);
  if (is_list()) return toml_array(texts, value.form == OptionForm::kTables);
  const std::string text = texts.empty() ? "" : texts.front();
  return value.form == OptionForm::kSwitch ? text : toml_string(text);
}

std::span<const Flag> flags() {
  static const std::vector<Flag> kFlags = make_flags();
  return kFlags;
}

const Flag* find_setting(std::string_view key) {
  const auto all = flags();
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const Flag& flag) { return flag.is_setting() && flag.key() == key; });
  return found == all.end() ? nullptr : &*found;
}

std::vector<std::string> settings_that_differ(const Config& a, const Config& b) {
  std::vector<std::string> keys;
  for (const Flag& flag : flags()) {
    if (flag.is_setting() && flag.value.texts(a) != flag.value.texts(b)) keys.push_back(flag.key());
  }
  return keys;
}

}  // namespace natsession
