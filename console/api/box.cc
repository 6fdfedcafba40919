#include "api/box.h"

#include <algorithm>
#include <string_view>

#include "command_line.h"

namespace natsession::console {
namespace {

struct Named {
  std::string name;  // empty: none was given
  std::string what;
};

// A name has no slash, so a path with an equals sign is not taken apart.
Named named(const std::string& text) {
  const std::size_t end = text.find('=');
  if (end == std::string::npos || end == 0 || text.substr(0, end).find_first_of("/:") != std::string::npos)
    return {{}, text};
  return {text.substr(0, end), text.substr(end + 1)};
}

class Boxes {
 public:
  explicit Boxes(std::string own_name) : own_name_(std::move(own_name)) {}

  // Those without a name are numbered by their kind: `unnamed` counts them.
  Result<void> add(const std::string& option, const std::string& text, std::string Box::*member,
                   std::size_t& unnamed) {
    const Named given = named(text);
    if (given.what.empty()) return usage_error(option + ": '" + text + "' names nothing");
    Box& box = given.name.empty() ? numbered(unnamed++) : with_name(given.name);
    if (!(box.*member).empty()) return usage_error(option + ": " + box.name + " has one already");
    box.*member = given.what;
    return {};
  }

  [[nodiscard]] std::vector<Box> take() && { return std::move(boxes_); }

 private:
  Box& with_name(const std::string& name) {
    const auto found =
        std::find_if(boxes_.begin(), boxes_.end(), [&](const Box& box) { return box.name == name; });
    if (found != boxes_.end()) return *found;
    return boxes_.emplace_back(Box{name, {}, {}, {}});
  }
  Box& numbered(std::size_t number) {
    return with_name(number == 0 ? own_name_ : own_name_ + "-" + std::to_string(number + 1));
  }

  std::string own_name_;
  std::vector<Box> boxes_;
};

}  // namespace

std::vector<std::string> Box::options() const {
  std::vector<std::string> words;
  if (!ledger.empty()) words.push_back("--ledger=" + ledger);
  if (!store.empty()) words.push_back("--store=" + store);
  // A socket that is not there: another box's daemon must not be asked.
  words.push_back("--control=" + (control.empty() ? std::string("/nonexistent/control.sock") : control));
  return words;
}

Result<std::vector<Box>> boxes_of(const std::vector<std::string>& ledgers,
                                  const std::vector<std::string>& stores,
                                  const std::vector<std::string>& controls, const std::string& own_name) {
  if (ledgers.empty() && stores.empty() && controls.empty())
    return std::vector<Box>{{own_name, {}, {}, ctl::Global().control}};
  Boxes boxes(own_name);
  std::size_t logs = 0;
  std::size_t daemons = 0;
  for (const std::string& ledger : ledgers) {
    if (auto added = boxes.add("--ledger", ledger, &Box::ledger, logs); !added) return added.error();
  }
  for (const std::string& store : stores) {
    if (auto added = boxes.add("--store", store, &Box::store, logs); !added) return added.error();
  }
  for (const std::string& control : controls) {
    if (auto added = boxes.add("--control", control, &Box::control, daemons); !added) return added.error();
  }
  std::vector<Box> all = std::move(boxes).take();
  for (const Box& box : all) {
    if (!box.ledger.empty() && !box.store.empty())
      return usage_error(box.name + " has a ledger and a store: one of them");
  }
  return all;
}

}  // namespace natsession::console
