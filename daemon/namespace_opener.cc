#include "namespace_opener.h"

#include <sys/capability.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "system_calls.h"

namespace natsession {
namespace {

// What the process answers, with the descriptors of source and table; or with none, and what went wrong.
struct Reply {
  std::size_t index = 0;
  NamespaceIdentity identity;
  std::array<char, 1024> error{};  // NUL at its end
};

// Behind those of source and table, where flow logs want them: of interfaces and routes, and of refused
// packets.
constexpr std::size_t kSetupDescriptors = ConntrackSource::kDescriptors + 1;
constexpr std::size_t kRefusedDescriptors = 1 + InterfaceTable::kDescriptors;
static_assert(kSetupDescriptors + InterfaceRoutes::kDescriptors + kRefusedDescriptors <= kMaxDescriptors);

std::size_t descriptors_of_setup(const Config& config) {
  if (flow_windows(config).empty()) return kSetupDescriptors;
  return kSetupDescriptors + InterfaceRoutes::kDescriptors +
         (wants_refused(config) ? kRefusedDescriptors : 0);
}

void answer(int link, std::size_t index, const Result<KernelSetup>& setup) {
  Reply reply;
  reply.index = index;
  std::vector<int> descriptors;
  if (setup) {
    reply.identity = setup->identity;
    const auto source = setup->source->descriptors();
    descriptors.assign(source.begin(), source.end());
    descriptors.push_back(setup->table->descriptor());
    const auto add = [&](const auto& more) {
      descriptors.insert(descriptors.end(), more.begin(), more.end());
    };
    if (setup->interfaces) add(setup->interfaces->descriptors());
    if (setup->refused) {
      descriptors.push_back(setup->refused->fd());
      add(setup->refused_names->descriptors());
    }
  } else {
    setup.error().message.copy(reply.error.data(), reply.error.size() - 1);
  }
  (void)send_message(link, std::as_bytes(std::span(&reply, 1)), descriptors);
}

// The process. Each socket is closed here once it is handed over, or it would keep its namespace.
void open_namespaces(int link, const Config& config, bool kept) {
  const std::vector<std::string> namespaces = watched_namespaces(config);
  for (;;) {
    std::size_t index = 0;
    const auto request = receive_message(link, std::as_writable_bytes(std::span(&index, 1)));
    if (!request || request->length != sizeof index || index >= namespaces.size()) return;
    Succession succession{.kept = kept, .left = {}};
    auto setup = set_up_kernel(config, namespaces[index], succession);
    if (setup) tell_setup(namespaces[index], *setup);
    answer(link, index, setup);
  }
}

}  // namespace

Result<std::unique_ptr<NamespaceOpener>> NamespaceOpener::start(const Config& config,
                                                                const std::optional<User>& user, bool kept) {
  auto process = HelperProcess::start("natsess-netns", {CAP_NET_ADMIN, CAP_SYS_ADMIN}, user, [&](int link) {
    (void)refuse_system_calls({.namespaces = true});
    open_namespaces(link, config, kept);
  });
  if (!process) return process.error();
  return std::unique_ptr<NamespaceOpener>(new NamespaceOpener(config, kept, *std::move(process)));
}

Result<void> NamespaceOpener::ask(std::size_t index) {
  return send_message(process_.link(), std::as_bytes(std::span(&index, 1)), {});
}

std::optional<NamespaceOpener::Answer> NamespaceOpener::take() {
  Reply reply;
  auto message = receive_message(process_.link(), std::as_writable_bytes(std::span(&reply, 1)));
  if (!message || message->length != sizeof reply) return std::nullopt;
  const auto failed = [&](Error error) { return Answer{reply.index, std::move(error)}; };
  if (message->descriptor_count != descriptors_of_setup(config_)) {
    reply.error.back() = '\0';
    return failed({ErrorKind::kUnavailable, reply.error.data()});
  }
  KernelSetup setup;
  setup.identity = reply.identity;
  std::span<UniqueFd> rest(message->descriptors.data(), message->descriptor_count);
  const auto next = [&rest]<std::size_t kCount>() {
    const auto taken = rest.first<kCount>();
    rest = rest.subspan(kCount);
    return taken;
  };
  const std::string netns = watched_namespaces(config_).at(reply.index);
  auto source = ConntrackSource::adopt(source_options(config_, kept_),
                                       next.template operator()<ConntrackSource::kDescriptors>());
  if (!source) return failed(source.error());
  setup.source = *std::move(source);
  auto table = LiveSessions::adopt(config_.nat, netns, std::move(next.template operator()<1>()[0]));
  if (!table) return failed(table.error());
  setup.table = *std::move(table);
  if (!rest.empty()) {
    auto interfaces =
        InterfaceRoutes::adopt(config_, netns, next.template operator()<InterfaceRoutes::kDescriptors>());
    if (!interfaces) return failed(interfaces.error());
    setup.interfaces = *std::move(interfaces);
  }
  if (!rest.empty()) {
    static const SystemClock clock;
    auto refused = RefusedReader::adopt(std::move(next.template operator()<1>()[0]), config_.reject_groups,
                                        clock, CopySequence::From::kZero);
    if (!refused) return failed(refused.error());
    setup.refused = *std::move(refused);
    auto names = InterfaceTable::adopt(next.template operator()<InterfaceTable::kDescriptors>());
    if (!names) return failed(names.error());
    setup.refused_names = *std::move(names);
  }
  return Answer{reply.index, std::move(setup)};
}

}  // namespace natsession
