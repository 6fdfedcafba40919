// natsessionctl: asks and steers natsessiond. A table of commands; each is a file.
#include "program.h"

namespace natsession::ctl {

AddCommand add_status, add_sessions, add_tail, add_trace, add_top, add_timeline, add_ports, add_gaps, add_sql,
    add_export, add_enable, add_disable, add_check, add_verify, add_dead_letters, add_clickhouse_schema,
    add_flow_log, add_identity;

namespace {

constexpr AddCommand* kCommands[] = {
    add_status, add_sessions, add_tail,         add_trace,    add_top,      add_timeline,
    add_ports,  add_gaps,     add_sql,          add_export,   add_enable,   add_disable,
    add_check,  add_verify,   add_dead_letters, add_flow_log, add_identity, add_clickhouse_schema};

}  // namespace
}  // namespace natsession::ctl

int main(int argc, char** argv) {
  return natsession::ctl::run_program(argc, argv, natsession::ctl::kCommands);
}
