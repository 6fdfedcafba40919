// What is told of the flow logs of a configuration, and what is to be changed of them: between natsessionctl
// and the daemon, over the control socket.
// Threads: plain value types.
#pragma once

#include <string>
#include <vector>

#include "base/report_row.h"

namespace natsession {

// As the configuration's files have it, which the next start reads.
struct FlowLogFacts {
  std::string name = {};
  std::string state = {};  // on, off
  std::string resource = {}, traffic = {}, record = {}, format = {}, window = {};
  std::string destination = {};  // without secrets
  std::string target = {};       // of it, without options: as status has sinks
  std::vector<std::string> tags = {};
  std::string file = {};
  std::string where = {};  // the file, with the line
  bool editable = false;   // alone in a file of its own
  friend bool operator==(const FlowLogFacts&, const FlowLogFacts&) = default;
};

struct FlowLogsAnswer {
  std::vector<FlowLogFacts> logs;
  friend bool operator==(const FlowLogsAnswer&, const FlowLogsAnswer&) = default;
};

struct FlowLogChange {
  std::string action;  // create, start, stop, rename, tag or delete
  std::string name;
  std::string log;                   // of create: the table, as TOML in one line
  std::vector<std::string> words;    // of rename the new name; of tag what is set
  std::vector<std::string> removed;  // of tag
  friend bool operator==(const FlowLogChange&, const FlowLogChange&) = default;
};

struct FlowLogChanged {
  std::string name;  // by now
  std::string done;  // what was done, in words
  std::string file;
  bool restart_needed = true;
  friend bool operator==(const FlowLogChanged&, const FlowLogChanged&) = default;
};

template <>
struct Rows<FlowLogFacts> {
  static void visit(auto& log, auto row) {
    row(member("name"), log.name);
    row(member("state"), log.state);
    row(member("resource"), log.resource);
    row(member("traffic"), log.traffic);
    row(member("record"), log.record);
    row(member("format"), log.format);
    row(member("window"), log.window);
    row(member("destination"), log.destination);
    row(member("target"), log.target);
    row(member("tags"), log.tags);
    row(member("file"), log.file);
    row(member("where"), log.where);
    row(member("editable"), log.editable);
  }
};

template <>
struct Rows<FlowLogsAnswer> {
  static void visit(auto& answer, auto row) { row(member("flow_logs"), answer.logs); }
};

template <>
struct Rows<FlowLogChanged> {
  static void visit(auto& changed, auto row) {
    row(member("name"), changed.name);
    row(member("done"), changed.done);
    row(member("file"), changed.file);
    row(member("restart_needed"), changed.restart_needed);
  }
};

}  // namespace natsession
