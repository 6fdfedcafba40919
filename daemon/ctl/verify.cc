// natsessionctl verify: reads the whole ledger and says what is damaged. Changes nothing; the daemon may be
// writing it.
#include <cstdio>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "command.h"
#include "ledger/verify_ledger.h"
#include "ledger_place.h"
#include "verify_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

constexpr std::string_view kClearLine = "\r\x1b[K";

void show_progress(const std::string& file, std::uint64_t done, std::uint64_t total) {
  const std::uint64_t percent = total == 0 ? 100 : done * 100 / total;
  fmt::print(stderr, "{}{} % of {}: {}", kClearLine, percent, bytes_in_words(total), printable(file));
}

int run(const Global& global) {
  const auto directory = ledger_directory(global);
  if (!directory) return fail("verify", directory.error());
  const bool progress = ::isatty(STDERR_FILENO) != 0;
  const auto report = verify_ledger(*directory, progress ? show_progress : VerifyProgress());
  if (progress) fmt::print(stderr, "{}", kClearLine);
  if (!report) return fail("verify", report.error());
  const int status =
      print(global.json ? verify_json(*report) : verify_text(*directory, *report, colours_wanted()));
  return status != kDone ? status : report->sound() ? kDone : kFailed;
}

}  // namespace

void add_verify(CLI::App& app, const Global& global, Action& action) {
  CLI::App* const command = app.add_subcommand("verify", "Read the whole ledger and say what is damaged");
  command->footer(
      "Examples:\n  natsessionctl verify\n  natsessionctl --ledger /var/lib/natsessiond/ledger verify");
  command->callback([&global, &action] { action = [&global] { return run(global); }; });
}

}  // namespace natsession::ctl
