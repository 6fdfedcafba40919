// natsessionctl sessions: the sessions that are open now.
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "command.h"
#include "control/session_filter.h"
#include "control/status_json.h"
#include "control_client.h"
#include "status_text.h"
#include "words.h"

namespace natsession::ctl {
namespace {

struct SessionsCommand {
  std::string pri, nat, pub;
  std::string protocol;
  std::string netns;
  std::string limit;
};

QueryArguments query_of(const SessionsCommand& options) {
  QueryArguments query;
  const auto add = [&query](const std::string& name, const std::string& value) {
    if (!value.empty()) query.emplace_back(name, value);
  };
  const auto add_end = [&](const std::string& which, const std::string& text) {
    const Endpoint end = split_endpoint(text);
    add(which + "_ip", end.address);
    add(which + "_port", end.port);
  };
  add_end("pri", options.pri);
  add_end("nat", options.nat);
  add_end("pub", options.pub);
  add("protocol", options.protocol);
  add("netns", options.netns);
  add("limit", options.limit);
  return query;
}

int run_sessions(const Global& global, const SessionsCommand& options) {
  const QueryArguments query = query_of(options);
  if (const auto filter = parse_session_filter(query); !filter) return fail("sessions", filter.error());
  const auto body = ControlClient(global.control).get("/sessions", query);
  if (!body) return fail("sessions", body.error());
  if (global.json) return print(*body);
  const auto answer = read_sessions_json(*body);
  if (!answer) return fail("sessions", answer.error());
  const int status = print(sessions_text(*answer, colours_wanted()));
  if (answer->more) {
    fmt::print(stderr, "natsessionctl: sessions: these are the first {}; --limit N shows more\n",
               answer->sessions.size());
  }
  return status;
}

}  // namespace

void add_sessions(Commands& commands) {
  Command command = commands.add("sessions", "List the sessions that are open now");
  const auto options = std::make_shared<SessionsCommand>();
  command.option("--pri", options->pri, "END", "Private end: address, prefix, address:port or :port");
  command.option("--nat", options->nat, "END", "Translated end, likewise");
  command.option("--pub", options->pub, "END", "Public end, likewise");
  command.option("-p,--protocol", options->protocol, "PROTOCOL", "tcp, udp, icmp ... or a number");
  command.option("--netns", options->netns, "NAME", "Of this network namespace");
  command.option("-n,--limit", options->limit, "N", "At most so many; default 1000");
  command.footer(
      "Examples:\n  natsessionctl sessions --pri 10.0.0.0/8 --protocol tcp\n"
      "  natsessionctl sessions --nat 203.0.113.7:40123\n  natsessionctl sessions --pub '[2001:db8::1]:443'");
  command.run([options](const Global& global) { return run_sessions(global, *options); });
}

}  // namespace natsession::ctl
