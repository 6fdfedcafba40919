// natsessionctl clickhouse-schema: the statements that make the table of records in ClickHouse.
#include <memory>

#include "command.h"
#include "sink/clickhouse/clickhouse_table.h"

namespace natsession::ctl {
namespace {

struct SchemaCommand {
  std::string database = "default";
  std::string table = "nat_sessions";
  std::string version;
  std::size_t days = 180;
  bool replicated = false;
};

int run_clickhouse_schema(const SchemaCommand& options) {
  clickhouse::TableWish wish;
  wish.database = options.database;
  wish.table = options.table;
  wish.keep_days = static_cast<unsigned>(options.days);
  wish.replicated = options.replicated;
  if (!options.version.empty()) {
    const auto version = clickhouse::Version::parse(options.version);
    if (!version)
      return fail("clickhouse-schema", {ErrorKind::kUsage, "--server-version: " + version.error().message});
    wish.version = *version;
  }
  return print(clickhouse::create_statements(wish));
}

}  // namespace

void add_clickhouse_schema(Commands& commands) {
  Command command =
      commands.add("clickhouse-schema", "Print the statements that make the table for clickhouse:// sinks");
  const auto options = std::make_shared<SchemaCommand>();
  command.option("--database", options->database, "NAME", "In this database; default default");
  command.option("--table", options->table, "NAME", "What the table is called; default nat_sessions");
  command.option("--days", options->days, 0, 36'500, "N",
                 "Records are deleted so many days after they ended; 0: never; default 180");
  command.option(
      "--server-version", options->version, "VERSION",
      "Of the server, as SELECT version() tells it: types and settings that it lacks are not used; "
      "default 24.3");
  command.flag("--replicated", options->replicated,
               "ReplicatedMergeTree, with the macros {shard} and {replica}");
  command.footer(
      "natsessiond-clickhouse(7) says what the columns are, and which rights are needed.\n\n"
      "Examples:\n  natsessionctl clickhouse-schema --database nat | clickhouse-client -n\n"
      "  natsessionctl clickhouse-schema --server-version 18.16.1");
  command.run([options](const Global&) { return run_clickhouse_schema(*options); });
}

}  // namespace natsession::ctl
