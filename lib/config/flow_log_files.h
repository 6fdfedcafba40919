// FlowLogFiles: the flow logs of a configuration, and the files of those that natsessionctl has made: each is
// alone in flow-NAME.toml, beside natsessiond.toml in the folder flow-logs.d where there is one, else in
// conf.d. What is written, the daemon reads at its next start: so all that it would say to it is asked
// before.
// Threads: one for each object. Two that change files wait for each other, also in one process.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "config/flow_log_config.h"
#include "config/options.h"
#include "flow/flow_log_change.h"

namespace natsession {

struct FoundFlowLog {
  FlowLogConfig log;
  std::string file;
  std::string where;  // the file, with the line
  bool own = false;   // alone in a file of natsessionctl's: it can be changed
};

class FlowLogFiles {
 public:
  // `configuration` is natsessiond.toml.
  // Errors: those of read_settings(), and those of a flow log in it.
  [[nodiscard]] static Result<FlowLogFiles> read(const std::string& configuration);
  // For who is about to change something: as long as this lives nobody else does.
  // Errors: also kPermission, if the file system's rules do not let this process write there.
  [[nodiscard]] static Result<FlowLogFiles> open(const std::string& configuration);

  [[nodiscard]] const std::vector<FoundFlowLog>& logs() const { return logs_; }
  // Errors: kUsage, with the name that was perhaps meant.
  [[nodiscard]] Result<FoundFlowLog> find(std::string_view name) const;

  // Each returns the file that it wrote or removed, once that is on the disk. Behind an error all is as it
  // was.
  // Errors: kUsage, if the daemon would not start with it; or if the log stands in a file that is not its
  //         own, and then where. kPermission, kIo.
  [[nodiscard]] Result<std::string> create(const FlowLogConfig& log);
  using Edit = std::function<Result<void>(FlowLogConfig& log)>;
  // A log that is off after it is not checked together with the others: to turn it off may be the way out.
  // Comments in the file stay where they are.
  [[nodiscard]] Result<std::string> change(std::string_view name, const Edit& edit);
  [[nodiscard]] Result<std::string> remove(std::string_view name);

 private:
  FlowLogFiles() = default;
  [[nodiscard]] static std::string file_of(std::string_view name, const std::string& folder);
  [[nodiscard]] Result<FoundFlowLog> find_own(std::string_view name) const;
  [[nodiscard]] Result<void> check(const std::string& text, const std::string& file,
                                   const std::string& instead_of) const;
  [[nodiscard]] Result<void> write(const std::string& text, const std::string& file) const;

  std::string folder_;       // where a new one goes
  bool own_folder_ = false;  // it is for flow logs alone
  struct stat access_ {};    // of natsessiond.toml: who may read that, may read these
  std::vector<Assignment> settings_;
  std::vector<FoundFlowLog> logs_;
  UniqueFd lock_;
};

// With the name of `known` that was perhaps meant.
[[nodiscard]] Error no_such_flow_log(std::string_view name, const std::vector<std::string>& known);

// The flow log of FlowLogChange::log, whoever has written that.
// Errors: kUsage.
[[nodiscard]] Result<FlowLogConfig> parse_asked(const std::string& text);

[[nodiscard]] FlowLogFacts facts_of(const FoundFlowLog& found);
// All of a configuration's.
// Errors: those of FlowLogFiles::read().
[[nodiscard]] Result<FlowLogsAnswer> flow_logs_of(const std::string& configuration);

// Errors: kUsage, if what is asked for makes no sense, also those of FlowLogFiles.
[[nodiscard]] Result<FlowLogChanged> change_flow_logs(const std::string& configuration,
                                                      const FlowLogChange& change);

// Changes tags: "KEY=VALUE" and "+KEY=VALUE" set a key, `removed` are keys.
// Errors: kUsage: a tag that is none, more than kMaxTags, or a key to remove that is not there.
[[nodiscard]] Result<void> edit_tags(std::vector<std::string>& tags, const std::vector<std::string>& set,
                                     const std::vector<std::string>& removed);

}  // namespace natsession
