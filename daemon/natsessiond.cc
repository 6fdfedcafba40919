// natsessiond: the composition root. Parse, open the sockets, drop privileges, subscribe, open ledger and
// sinks, restore, loop.
#include <sys/capability.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <new>

#include <fmt/format.h>
#include <unistd.h>

#include "base/exit_status.h"
#include "collector_thread.h"
#include "command_process.h"
#include "config/command_line.h"
#include "config/manual.h"
#include "config_check.h"
#include "control/control_server.h"
#include "control_service.h"
#include "delivery_setup.h"
#include "guard_process.h"
#include "identity_lookup.h"
#include "identity_thread.h"
#include "kernel_setup.h"
#include "messages.h"
#include "namespace_follower.h"
#include "privileges.h"
#include "refused_thread.h"
#include "reports.h"
#include "restart_state.h"
#include "service_manager.h"
#include "supervisor.h"
#include "system_calls.h"

namespace natsession {
namespace {

int fail(const Error& error) {
  log_error(error.message);
  return exit_status(error.kind);
}

std::string hostname() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) name = {};
  return name.data();
}

int print(const std::string& text) {
  const bool written =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  return written ? kDone : kFailed;
}

int run_check(const Config& config) {
  int status = kDone;
  const auto show = [&](const std::string& title, const std::vector<Finding>& findings) {
    for (const Finding& finding : findings) {
      if (is_lack(finding)) status = kMissing;
    }
    return print(title + findings_text(findings)) == kDone;
  };
  const auto user = find_user(config.user);
  if (!user) return fail(user.error());
  if (auto distinct = check_distinct(watched_namespaces(config)); !distinct) return fail(distinct.error());
  for (const std::string& netns : watched_namespaces(config)) {
    const auto findings = examine_kernel(config, netns);
    if (!findings) return fail(findings.error());
    if (!show(config.netns.size() > 1 ? fmt::format("netns {}\n", netns) : "", *findings)) return kFailed;
  }
  const auto findings = check_configuration(config, *user);
  if (!findings) return fail(findings.error());
  return show(config.netns.size() > 1 ? "configuration\n" : "", *findings) ? status : kFailed;
}

std::string ready_text(const Config& config, const KernelSetup& setup) {
  std::string text =
      fmt::format("receive buffer {}", format_byte_count(setup.source->granted_receive_buffer()));
  if (!config.ledger.empty()) text += "; ledger " + config.ledger;
  std::string sinks;
  for (const SinkConfig& sink : config.sinks) sinks += (sinks.empty() ? "" : ", ") + sink.url().text;
  return sinks.empty() ? text : text + "; sinks: " + sinks;
}

CoverageConditions conditions_of(const Config& config) {
  return {0, static_cast<std::uint8_t>(config.nat), static_cast<std::uint8_t>(config.records), config.window};
}

Result<std::vector<KernelSetup>> set_up_kernels(const Config& config, Succession& succession) {
  std::vector<KernelSetup> setups;
  for (const std::string& netns : watched_namespaces(config)) {
    auto setup = set_up_kernel(config, netns, succession);
    if (!setup) return setup.error();
    tell_setup(netns, *setup);
    log_debug(fmt::format("{}receive buffer {}, asked for {}", netns.empty() ? "" : "netns " + netns + ": ",
                          format_byte_count(setup->source->granted_receive_buffer()),
                          format_byte_count(config.rcvbuf)));
    setups.push_back(std::move(*setup));
  }
  return setups;
}

// How full the table may get before reliable mode goes off; with --reliable auto alone: with the others there
// is nothing to decide.
std::optional<unsigned> guarded_percent(const Config& config) {
  return config.reliable == ReliableMode::kAuto ? std::optional(config.guard_percent) : std::nullopt;
}

// The names under which a service manager keeps the event socket of a collector, and its region.
std::string events_name(std::size_t index) {
  return fmt::format("natsession-events-{}", index);
}
std::string region_name(std::size_t index) {
  return fmt::format("natsession-region-{}", index);
}

// What the run before left: with the service manager, or with a guard that listens at --handover, which is
// then this run's, too.
Result<std::unique_ptr<GuardProcess>> take_over(const Config& config, ServiceManager& manager,
                                                Succession& succession) {
  ServiceManager::Stored stored = manager.take_stored();
  for (std::size_t i = 0; i < kMaxNamespaces; ++i) {
    UniqueFd& events = stored[events_name(i)];
    UniqueFd& memory = stored[region_name(i)];
    if (!events || !memory) continue;
    auto region = EventRegion::adopt(std::move(memory));
    if (region) {
      succession.left.push_back({std::move(events), *std::move(region)});
    } else {
      log_warning(fmt::format("what the run before left is not taken up: {}", region.error().message));
    }
  }
  succession.kept = !config.ledger.empty() && (manager.is_there() || !config.handover.empty());
  if (config.handover.empty()) return std::unique_ptr<GuardProcess>();
  std::vector<GuardProcess::Inherited> held;
  auto guard = GuardProcess::join(config.handover, guarded_percent(config), held);
  if (guard && succession.left.empty()) succession.left = std::move(held);
  return guard;
}

// Where a service manager hands over as well, a guard that ends with this process will do.
Result<std::unique_ptr<GuardProcess>> start_guard(const Config& config, const std::optional<User>& user,
                                                  const ServiceManager& manager) {
  if (!config.handover.empty()) {
    auto guard = GuardProcess::start(guarded_percent(config), config.handover, user);
    if (guard || !manager.is_there()) return guard;
    log_warning(fmt::format("{}; the table is not guarded while natsessiond is down", guard.error().message));
  }
  if (config.reliable != ReliableMode::kAuto) return std::unique_ptr<GuardProcess>();
  return GuardProcess::start(guarded_percent(config), "", user);
}

// Which ledger it is, wherever it is moved to.
RegionOwner owner_of(const std::string& ledger, const NamespaceIdentity& netns) {
  struct stat status {};
  if (::stat(ledger.c_str(), &status) != 0) status = {};
  return {.netns_device = netns.device,
          .netns_inode = netns.inode,
          .ledger_device = status.st_dev,
          .ledger_inode = status.st_ino,
          .events = 0};
}

Result<void> subscribe(ConntrackSource& source, const EventNeeds& needs) {
  return source.set_groups(choose_events(needs, source.sysctls().stamps_sessions()));
}

void tell_taken_up(const std::string& netns, const KernelSetup& setup) {
  const std::string where = netns.empty() ? "" : fmt::format("netns {}: ", netns);
  EventRegion& region = *setup.source->region();
  log_info(
      fmt::format("{}taken over from the run before, which ended {:.1f} s ago: {} of its events are not in "
                  "the ledger and "
                  "are handled once more; nothing is missing",
                  where, std::chrono::duration<double>(setup.away).count(), region.journal().taken()));
}

int run_guard_only(const Config& config) {
  if (config.handover.empty())
    return fail(
        {ErrorKind::kUsage, "--guard-only: needs --handover PATH, where natsessiond asks for what it holds"});
  ServiceManager manager;
  const auto user = find_user(config.user);
  if (!user) return fail(user.error());
  if (auto made = make_folders(config, *user); !made) return fail(made.error());
  const auto held = GuardProcess::hold(config.handover, *user, [&] { manager.ready(); });
  return held ? kDone : fail(held.error());
}

int run_daemon(const Config& config, const std::string& file, const Supervisor::Reload& reload) {
  block_signals();
  static const SystemClock clock;  // outlives a sink's thread that hangs
  const auto labels = make_labels(config);
  if (!labels) return fail(labels.error());
  const auto user = find_user(config.user);
  if (!user) return fail(user.error());
  const auto readers = find_readers(config);
  if (!readers) return fail(readers.error());
  const std::vector<std::string> namespaces = watched_namespaces(config);
  if (auto distinct = check_distinct(namespaces); !distinct) return fail(distinct.error());
  ServiceManager manager;
  Succession succession;
  auto guard = take_over(config, manager, succession);
  if (!guard) return fail(guard.error());
  const bool taken_over = !succession.left.empty();
  // Of the one that it runs in there is no other by its name.
  auto opener = config.netns.empty() ? Result(std::unique_ptr<NamespaceOpener>())
                                     : NamespaceOpener::start(config, *user, succession.kept);
  if (!opener) return fail(opener.error());
  auto setups = set_up_kernels(config, succession);
  if (!setups) return fail(setups.error());
  succession.left.clear();  // namespaces that are not watched any more
  auto commands = start_command_processes(config);
  if (!commands) return fail(commands.error());
  auto identity_commands = start_identity_commands(config);
  if (!identity_commands) return fail(identity_commands.error());
  if (auto made = make_folders(config, *user); !made) return fail(made.error());
  if (*guard == nullptr) guard = start_guard(config, *user, manager);
  if (!guard) return fail(guard.error());
  if (auto shared = share_ledger(config, *readers); !shared) return fail(shared.error());
  if (auto set_up = set_up_identity(config, *user); !set_up) return fail(set_up.error());
  ControlServer control({.socket_path = config.control,
                         .group = readers->group,
                         .metrics = config.metrics,
                         .limits = {},
                         .steer_group = config.steer_group});
  if (auto listening = control.listen(); !listening) return fail(listening.error());
  auto sources = open_identity_sources(config, *std::move(identity_commands), clock);
  if (!sources) return fail(sources.error());
  if (auto dropped = keep_only({CAP_NET_ADMIN}, *user); !dropped) return fail(dropped.error());
  if (*user) {
    if (auto may = check_access(config, **user); !may) return fail(may.error());
  }
  const EventNeeds needs = event_needs(config);
  if (config.events && !config.events->destroy) {
    log_warning("events: without destroy a session's end is seen only when a dump does not show it any more");
  }
  const std::string ready = ready_text(config, setups->front());

  // The last that can refuse before anything is begun.
  for (const KernelSetup& setup : *setups) {
    if (setup.source->inherits()) continue;
    if (auto subscribed = subscribe(*setup.source, needs); !subscribed) return fail(subscribed.error());
  }
  LedgerSetup ledger;
  Ordinal first = 0;
  std::optional<LedgerWriter::PreviousRun> previous;
  if (!config.ledger.empty()) {
    ledger.settings = ledger_settings(config);
    auto writer = LedgerWriter::open(ledger.settings, clock, /*torn_is_known=*/taken_over);
    if (!writer) return fail(explain_refusal(writer.error(), *user));
    previous = (*writer)->previous_run();
    first = (*writer)->next();
    ledger.writer = std::move(*writer);
    log_debug(fmt::format("ledger {}: opened; it keeps {}, of at most {}", config.ledger,
                          format_duration(config.retention), format_byte_count(config.ledger_max)));
  }
  for (std::size_t i = 0; i < setups->size(); ++i) {
    KernelSetup& setup = (*setups)[i];
    const EventGroups wanted = choose_events(needs, setup.source->sysctls().stamps_sessions()).groups;
    setup.before = setup.source->take_up(owner_of(config.ledger, setup.identity), first, wanted);
    if (!setup.before) {
      // Of what is taken up the collector changes the groups, when it has looked.
      auto subscribed = subscribe(*setup.source, needs);
      if (!subscribed) return fail(subscribed.error());
      continue;
    }
    setup.away = std::chrono::floor<std::chrono::milliseconds>(
        std::max(clock.steady() - setup.source->region()->turned_at(), std::chrono::nanoseconds()));
    tell_taken_up(namespaces[i], setup);
  }
  static InterfaceDirectory interfaces;  // outlives a sink's thread that hangs
  std::vector<FlowLogTimes> times;
  if (!config.ledger.empty()) {
    auto noted = note_flow_logs(config, to_ms(clock.now()));
    if (noted) {
      times = *std::move(noted);
    } else {
      log_warning(
          fmt::format("{}; a flow log that was off tells of that time as well", noted.error().message));
    }
  }
  std::atomic<Supervisor*> supervisor{nullptr};
  const auto on_no_memory = [&] {
    if (Supervisor* const told = supervisor.load()) told->no_memory();
  };
  SinkIdentity of_sinks;
  std::unique_ptr<IdentityThread> identity;
  if (!config.identity.empty()) {
    auto keeper = open_identity(config);
    if (!keeper) return fail(explain_refusal(keeper.error(), *user));
    of_sinks.subscribers = std::make_shared<const IdentityLookup>(*keeper, config.ledger, clock);
    identity = std::make_unique<IdentityThread>(*std::move(keeper), *std::move(sources), clock, on_no_memory);
  }
  if (!config.pseudonyms.empty()) {
    auto pseudonyms = Pseudonyms::open(config.pseudonyms);
    if (!pseudonyms) return fail(explain_refusal(pseudonyms.error(), *user));
    of_sinks.pseudonyms = *std::move(pseudonyms);
  }
  auto sinks = make_sinks(config, clock, *std::move(commands), interfaces, times, of_sinks);
  if (!sinks) return fail(explain_refusal(sinks.error(), *user));

  WakeFd notice;
  if (auto there = notice.check(); !there) return fail(there.error());
  const auto on_closed = [&](std::string_view sink, const std::string& why) {
    log_error(fmt::format("sink {}: {}", sink, why));
    if (Supervisor* const told = supervisor.load()) told->sink_closed();
  };
  const auto delivery = std::make_shared<Delivery>(
      std::move(*sinks), DeliverySettings{}, clock,
      DeliveryCallbacks{.report = tell_report, .on_closed = on_closed, .on_no_memory = on_no_memory},
      config.instance, std::move(ledger));
  DeliveryThreads delivery_threads(delivery);
  Collectors collectors;
  RefusedThreads refused;
  std::vector<std::shared_ptr<LiveSessions>> tables;
  std::vector<NamespaceIdentity> identities;
  const CoverageConditions conditions = conditions_of(config);
  RestartState restart(config, previous, *setups, labels->origins, number_of(conditions), clock);
  const auto hold = [&](std::size_t index, const ConntrackSource* source) {
    if (*guard != nullptr) {
      if (auto watched = (*guard)->watch(index, source); !watched)
        log_error(fmt::format("natsess-guard: {}", watched.error().message));
    }
    if (!succession.kept) return;
    if (source == nullptr) {
      manager.forget(events_name(index));
      manager.forget(region_name(index));
    } else {
      manager.store(region_name(index), source->region()->fd());
      manager.store(events_name(index), source->event_fd());
    }
  };
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    KernelSetup& setup = (*setups)[i];
    hold(i, setup.source.get());
    if (setup.interfaces) setup.interfaces->tell(interfaces);
    collectors.push_back(std::make_unique<CollectorThread>(
        namespaces[i], setup.identity, std::move(setup.source),
        TrackerSettings{.records = config.records,
                        .window = config.window,
                        .destroys = !config.events || config.events->destroy},
        CollectorSettings{.window = config.window,
                          .reliable = config.reliable,
                          .guard_percent = config.guard_percent,
                          .events = needs,
                          .nothing_before = config.ledger.empty()},
        conditions, *labels->origins[i], labels->vpcs, delivery->add_producer(), clock, notice,
        FollowedFlows{flow_wants(config), nat_status_mask(config.nat), std::move(setup.interfaces)}));
    if (setup.refused) {
      refused.push_back(std::make_unique<RefusedThread>(
          RefusedThread::Settings{flow_windows(config), config.reject_flows}, *std::move(setup.refused),
          *std::move(setup.refused_names), *labels->origins[i], labels->vpcs, delivery->add_producer(),
          clock));
      collectors.back()->report_refused([thread = refused.back().get()](FlowCounters& counters) {
        const RefusedThread::Report report = thread->report();
        counters.refused_packets = report.counters.packets;
        counters.refused_lost = report.counters.lost;
        counters.refused_left_out = report.left_out;
      });
    }
    if (succession.kept) {
      collectors.back()->keep_for_successor(
          {.first = first, .written = [&] { return delivery->files_end(); }});
    }
    restart.hand_to(*collectors.back(), i);
    tables.push_back(std::move(setup.table));
    identities.push_back(setup.identity);
  }
  ControlService service(collectors, *delivery, std::move(tables), clock);
  service.set_configuration(file);
  if (identity) service.set_identity(&identity->keeper());
  std::optional<NamespaceFollower> follower;
  if (*opener) follower.emplace(**opener, std::move(identities), collectors, refused, service, hold, clock);
  Supervisor main_loop(config, reload, collectors, *delivery, delivery_threads, service, notice, guard->get(),
                       follower ? &*follower : nullptr, manager);
  supervisor = &main_loop;
  // Of a start that is refused so late nothing may be in the log, or the run before it would be forgotten.
  const auto refuse = [&](const Error& error) {
    delivery->abandon();
    return fail(error);
  };
  if (auto filtered = refuse_system_calls({}); !filtered)
    log_warning(fmt::format("system calls that this program has no use for are not refused: {}",
                            filtered.error().message));
  if (auto started = delivery_threads.start(); !started) return refuse(started.error());
  if (auto started = control.start(service); !started) return refuse(started.error());
  for (const auto& collector : collectors) {
    if (auto started = collector->start(); !started) return refuse(started.error());
  }
  for (const auto& thread : refused) {
    if (auto started = thread->start(); !started) return refuse(started.error());
  }
  if (identity) {
    identity->set_age([&] { return delivery->ledger_report()->age_now; });
    if (auto started = identity->start(); !started) return refuse(started.error());
  }
  main_loop.on_inputs_end([&] {
    for (const auto& thread : refused) thread->request_stop();
    for (const auto& thread : refused) thread->join();
  });
  delivery->begin();

  return main_loop.run(ready, [&] {
    control.stop();
    if (identity) {
      identity->request_stop();
      identity->join();
    }
    if (config.ledger.empty()) return;
    for (const auto& collector : collectors) collector->settle();
    const auto saved = RestartState::save(config.ledger, delivery->ledger_report()->end, collectors);
    if (!saved)
      log_warning(fmt::format("{}; the next start reads the records instead", saved.error().message));
  });
}

int run(int argc, const char* const* argv) {
  open_messages("natsessiond", LogLevel::kInfo);
  const std::string host = hostname();
  const auto invocation = parse_command_line(argc, argv, host);
  if (!invocation) return fail(invocation.error());
  set_message_level(invocation->config.log_level);
  switch (invocation->action) {
    case Action::kHelp:
      return print(help_text());
    case Action::kDefaultConfig:
      return print(default_config());
    case Action::kListOptions:
      return print(list_options());
    case Action::kVersion:
      return print(version_text());
    case Action::kPrintConfig:
      return print(print_config(*invocation));
    case Action::kCheck:
      return run_check(invocation->config);
    case Action::kGuardOnly:
      return run_guard_only(invocation->config);
    case Action::kRun:
      break;
  }
  return run_daemon(invocation->config, invocation->file,
                    [&] { return natsession::reload(argc, argv, host); });
}

}  // namespace
}  // namespace natsession

int main(int argc, char** argv) {
  try {
    if (argc == 1 && std::string_view(argv[0]) == natsession::GuardProcess::kName) {
      natsession::GuardProcess::begun_anew();
      return natsession::kDone;
    }
    return natsession::run(argc, argv);
  } catch (const std::bad_alloc&) {
    natsession::log_error("no memory is left");
    return natsession::kFailed;
  }
}
