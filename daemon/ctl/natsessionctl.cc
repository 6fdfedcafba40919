// natsessionctl: asks and steers natsessiond. A table of commands; each is a file.
#include <cstdio>

#include "command.h"

int main(int argc, char** argv) {
  using namespace natsession::ctl;  // NOLINT: the program's own names
  CLI::App app("Asks and steers natsessiond.", "natsessionctl");
  app.footer("Example: natsessionctl check --netns nat-box\n"
             "Exit status: 0 all is well, 2 usage, 3 the kernel or a permission is missing, or something could be better.");
  app.set_version_flag("--version", "natsessionctl " NATSESSION_VERSION);
  app.require_subcommand(1);
  Global global;
  app.add_flag("--json", global.json, "Answer in JSON");
  int status = 0;
  add_check(app, global, status);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return status;
}
