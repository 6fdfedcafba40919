// natsessionctl check: what this kernel and process allow, without the daemon.
#include <fmt/format.h>

#include <cstdio>

#include "command.h"
#include "kernel_setup.h"

namespace natsession::ctl {
namespace {

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string findings_json(const std::vector<Finding>& findings) {
  std::string out = "[";
  for (const Finding& finding : findings) {
    const std::string_view level = finding.level == Finding::Level::kOk        ? "ok"
                                   : finding.level == Finding::Level::kWarning ? "warning"
                                                                               : "failure";
    if (out.size() > 1) out += ",\n ";
    out += fmt::format(R"({{"name":{},"value":{},"wanted":{},"level":"{}","meaning":{},"remedy":{}}})",
                       json_string(finding.name), json_string(finding.value), json_string(finding.wanted), level,
                       json_string(finding.meaning), json_string(finding.remedy));
  }
  return out + "]\n";
}

int check(const Global& global, const std::string& netns) {
  const auto findings = examine_kernel(Config{}, netns);
  if (!findings) {
    fmt::print(stderr, "natsessionctl: check: {}\n", findings.error().message);
    return findings.error().kind == ErrorKind::kUsage ? 2 : 3;
  }
  const std::string text = global.json ? findings_json(*findings) : findings_text(*findings);
  std::fwrite(text.data(), 1, text.size(), stdout);
  for (const Finding& finding : *findings) {
    if (finding.level != Finding::Level::kOk) return 3;
  }
  return 0;
}

}  // namespace

void add_check(CLI::App& app, const Global& global, int& status) {
  CLI::App* const command = app.add_subcommand("check", "Say whether this kernel and process allow a full log");
  const auto netns = std::make_shared<std::string>();
  command->add_option("--netns", *netns, "Look at this network namespace")->type_name("NAME");
  command->callback([&global, &status, netns] { status = check(global, *netns); });
}

}  // namespace natsession::ctl
