// natsessionctl check: what this kernel and process allow, without the daemon.
#include <memory>

#include <nlohmann/json.hpp>

#include "command.h"
#include "kernel_setup.h"

namespace natsession::ctl {
namespace {

std::string_view name_of(Finding::Level level) {
  switch (level) {
    case Finding::Level::kOk:
      return "ok";
    case Finding::Level::kUnknown:
      return "unknown";
    case Finding::Level::kWarning:
      return "warning";
    case Finding::Level::kFailure:
      break;
  }
  return "failure";
}

std::string findings_json(const std::vector<Finding>& findings) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const Finding& finding : findings) {
    list.push_back({{"name", finding.name},
                    {"value", finding.value},
                    {"wanted", finding.wanted},
                    {"level", name_of(finding.level)},
                    {"meaning", finding.meaning},
                    {"remedy", finding.remedy}});
  }
  return list.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

int run_check(const Global& global, const std::string& netns) {
  const auto findings = examine_kernel(Config{}, netns);
  if (!findings) return fail("check", findings.error());
  if (const int status = print(global.json ? findings_json(*findings) : findings_text(*findings));
      status != kDone)
    return status;
  for (const Finding& finding : *findings) {
    if (is_lack(finding)) return kMissing;
  }
  return kDone;
}

}  // namespace

void add_check(Commands& commands) {
  Command command = commands.add("check", "Say whether this kernel and process allow a full log");
  const auto netns = std::make_shared<std::string>();
  command.option("--netns", *netns, "NAME", "Look at this network namespace");
  command.footer("Examples:\n  natsessionctl check\n  natsessionctl check --netns nat-box");
  command.run([netns](const Global& global) { return run_check(global, *netns); });
}

}  // namespace natsession::ctl
