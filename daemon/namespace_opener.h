// NamespaceOpener: opens the sockets of a watched namespace once more, when another one is there under its
// name. That needs CAP_SYS_ADMIN, which this program has given up. So a process of its own keeps it
// (natsess-netns) and takes nothing but the number of a namespace of the configuration.
// Threads: the main one.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "config/config.h"
#include "helper_process.h"
#include "kernel_setup.h"

namespace natsession {

class NamespaceOpener {
 public:
  // `kept` as in Succession.
  // Errors: no process can be had.
  [[nodiscard]] static Result<std::unique_ptr<NamespaceOpener>> start(const Config& config,
                                                                      const std::optional<User>& user,
                                                                      bool kept);

  // Asks for the namespace `index` of watched_namespaces(). Its process tells what set_up_kernel() found.
  // Errors: the process is gone, or takes nothing.
  Result<void> ask(std::size_t index);

  // Readable when there is an answer, or when the process has ended.
  [[nodiscard]] int link() const { return process_.link(); }
  struct Answer {
    std::size_t index = 0;
    Result<KernelSetup> setup;  // its findings are told already
  };
  // Waits for it. None: the process has ended, and ended() tells how, once.
  [[nodiscard]] std::optional<Answer> take();
  [[nodiscard]] std::string ended() { return process_.wait_for_end(); }

 private:
  NamespaceOpener(const Config& config, bool kept, HelperProcess process)
      : config_(config), kept_(kept), process_(std::move(process)) {}

  const Config config_;
  const bool kept_;
  HelperProcess process_;
};

}  // namespace natsession
