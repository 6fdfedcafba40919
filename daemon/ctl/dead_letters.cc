// natsessionctl dead-letters: what sinks have refused for good, as the ledger keeps it
// (delivery/dead_letters.h): to look into, and to take away, to be sent again.
#include "delivery/dead_letters.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "command.h"
#include "words.h"

namespace natsession::ctl {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct DeadLettersCommand {
  std::string sink;
  std::string output;
  bool take = false;
};

struct Letter {
  std::string sink;
  std::string time;  // RFC 3339
  std::string why;
  std::string record;  // JSON, as it was to be sent
};

// The file that is written to, the one before it, and what an earlier --take did not end; the oldest first.
std::vector<std::string> files_of(const std::string& path) {
  return {path + ".1.taken", path + ".taken", path + ".1", path};
}

// False if it is no letter: such a line is passed over.
bool read_letter(const std::string& line, Letter& letter) {
  constexpr std::string_view kRecord = ",\"record\":";  // these quotes stand in no text of JSON
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  const std::size_t at = line.find(kRecord);
  if (!json.is_object() || at == std::string::npos || !line.ends_with('}')) return false;
  letter = {json.value("sink", ""), json.value("time", ""), json.value("why", ""),
            line.substr(at + kRecord.size(), line.size() - at - kRecord.size() - 1)};
  return true;
}

// The letters of whole lines behind the first `skipped` bytes; returns where the next begins.
Result<std::streamoff> read_letters(const std::string& path, std::streamoff skipped,
                                    std::vector<Letter>& out) {
  std::ifstream file(path, std::ios::binary);
  if (!file && (errno == ENOENT || errno == ENOTDIR)) return skipped;
  if (!file) return system_error(path, errno);
  file.seekg(skipped);
  Letter letter;
  for (std::string line; std::getline(file, line) && !file.eof();) {
    skipped += static_cast<std::streamoff>(line.size()) + 1;
    if (read_letter(line, letter)) out.push_back(letter);
  }
  return skipped;
}

Result<std::vector<Letter>> read_all(const std::string& path) {
  std::vector<Letter> letters;
  for (const std::string& file : files_of(path)) {
    if (auto read = read_letters(file, 0, letters); !read) return read.error();
  }
  return letters;
}

std::string records_of(const std::vector<Letter>& letters) {
  std::string text;
  for (const Letter& letter : letters) text += letter.record + "\n";
  return text;
}

int list(const std::string& folder, bool json) {
  std::map<std::string, std::vector<Letter>> by_sink;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    std::string path = at->path().string();
    path.resize(std::min(path.size(), path.rfind(".jsonl") + 6));
    if (by_sink.contains(path)) continue;
    auto letters = read_all(path);
    if (!letters) return fail("dead-letters", letters.error());
    by_sink.emplace(path, std::move(*letters));
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return fail("dead-letters", system_error(folder, error.value()));
  std::erase_if(by_sink, [](const auto& entry) { return entry.second.empty(); });
  Json told = Json::array();
  TextTable table({{"SINK"}, {"LETTERS", TextTable::Align::kRight}, {"OLDEST"}, {"NEWEST"}});
  for (const auto& [path, letters] : by_sink) {
    const Letter& newest = letters.back();
    told.push_back({{"sink", newest.sink},
                    {"file", path},
                    {"letters", letters.size()},
                    {"oldest", letters.front().time},
                    {"newest", newest.time},
                    {"why", newest.why}});
    table.add_row({printable(newest.sink), grouped(letters.size()), printable(letters.front().time),
                   printable(newest.time)});
    table.add_note("the newest: " + printable(newest.why), Paint::kPlain);
    table.add_note(printable(path), Paint::kPlain);
  }
  if (json) return print(told.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  return print(by_sink.empty() ? "no sink has refused a record for good\n" : table.text(screen()));
}

// The daemon goes on in a new file when it finds that its own has another name. A letter that it was just
// writing is in this one when it is looked at again.
Result<std::vector<std::string>> put_aside(const std::string& path) {
  std::vector<std::string> taken;
  for (const std::string& file : {path + ".1", path}) {
    const std::string aside = file + ".taken";
    struct stat status {};
    if (::stat(aside.c_str(), &status) != 0 && ::rename(file.c_str(), aside.c_str()) != 0 && errno != ENOENT)
      return system_error(fmt::format("rename {} to {}", file, aside), errno);
    taken.push_back(aside);
  }
  return taken;
}

Result<void> write_new(const std::string& path, const std::vector<std::string>& files) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(path.c_str(), "wxe"), std::fclose);
  if (!out) return system_error("--output " + path, errno, ErrorKind::kUsage);
  std::vector<std::streamoff> places(files.size());
  for (bool more = true; more;) {
    std::vector<Letter> letters;
    for (std::size_t i = 0; i < files.size(); ++i) {
      const auto place = read_letters(files[i], places[i], letters);
      if (!place) return place.error();
      places[i] = *place;
    }
    const std::string text = records_of(letters);
    more = !text.empty();
    if (std::fwrite(text.data(), 1, text.size(), out.get()) != text.size() || std::fflush(out.get()) != 0 ||
        ::fsync(::fileno(out.get())) != 0)
      return system_error("write " + path, errno);
  }
  return {};
}

int take(const std::string& path, const DeadLettersCommand& options) {
  const auto taken = put_aside(path);
  if (!taken) return fail("dead-letters", taken.error());
  if (auto written = write_new(options.output, *taken); !written)
    return fail("dead-letters", written.error());
  for (const std::string& file : *taken) {
    if (::unlink(file.c_str()) != 0 && errno != ENOENT)
      return fail("dead-letters", system_error("remove " + file, errno));
  }
  return kDone;
}

int run_dead_letters(const Global& global, const DeadLettersCommand& options) {
  if (options.take && options.output.empty())
    return fail("dead-letters", natsession::usage_error("--take: where to? Give --output FILE"));
  if (options.sink.empty() && !options.output.empty())
    return fail("dead-letters",
                natsession::usage_error("--output: of which sink? Give its name, as this command lists it"));
  const auto directory = ledger_directory(global);
  if (!directory) return fail("dead-letters", directory.error());
  std::error_code error;
  if (!fs::is_directory(*directory + "/segments", error))
    return fail("dead-letters", {ErrorKind::kUnavailable, "there is no ledger at " + *directory});
  const std::string folder = *directory + "/dead-letters";
  if (options.sink.empty()) return list(folder, global.json);
  const std::string path = folder + "/" + file_name_of(options.sink) + ".jsonl";
  const auto letters = read_all(path);
  if (!letters) return fail("dead-letters", letters.error());
  if (letters->empty())
    return fail("dead-letters",
                natsession::usage_error("no letters of a sink " + printable(options.sink) + " are kept"));
  if (options.take) return take(path, options);
  if (options.output.empty()) return print(records_of(*letters));
  const auto written = write_new(options.output, files_of(path));
  return written ? kDone : fail("dead-letters", written.error());
}

}  // namespace

void add_dead_letters(Commands& commands) {
  Command command = commands.add("dead-letters", "Show what sinks have refused for good, to send it again");
  const auto options = std::make_shared<DeadLettersCommand>();
  command.argument("sink", options->sink, "SINK",
                   "The records of this sink, as lines of JSON; without it, of which there are", false);
  command.option("-o,--output", options->output, "FILE", "Write them to FILE, which must not be there yet");
  command.flag("--take", options->take, "And remove them from the ledger, once FILE is on the disk");
  command.footer(
      "Examples:\n  natsessionctl dead-letters\n  natsessionctl dead-letters "
      "https://collector.example.net/nat\n"
      "  natsessionctl dead-letters https://collector.example.net/nat --take -o again.json\n"
      "  curl --fail --data-binary @again.json https://collector.example.net/nat");
  command.run([options](const Global& global) { return run_dead_letters(global, *options); });
}

}  // namespace natsession::ctl
