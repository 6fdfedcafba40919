// Options, declared once: a row of a table says an option's key, what people are told of it, and which member
// of a settings struct it is, with its range or its words. Flags, keys of a file and options of a sink's URL
// are all such rows: values are parsed, checked, printed and explained from them and nowhere else.
//
//   const Option<FileSettings> kOptions[] = {
//       {"keep", "N", "keep the N newest files", number_option(&FileSettings::keep, Range<std::size_t>{0})}};
//
// The defaults are what a settings struct that nobody has touched holds.
// Threads: plain values, not changed once they are made.
// Errors:  kUsage, naming the value and what would do; the settings are then unchanged.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/byte_count.h"
#include "base/result.h"
#include "base/time.h"

namespace natsession {

// From `least` to `most`, both included; unless told otherwise to all that there is.
template <typename T>
struct Range {
  T least{};
  T most = std::numeric_limits<T>::max();
};
template <>
struct Range<ByteCount> {
  ByteCount least{};
  ByteCount most{std::numeric_limits<std::uint64_t>::max()};
};
template <>
struct Range<std::chrono::milliseconds> {
  std::chrono::milliseconds least{};
  std::chrono::milliseconds most = std::chrono::milliseconds::max();
};
using DurationRange = Range<std::chrono::milliseconds>;

// What a value looks like in a configuration file.
enum class OptionForm {
  kText,    // a string
  kSize,    // a string, or a whole number of bytes
  kSwitch,  // true or false
  kList,    // strings, each of which is put
  kTables,  // tables, each of which is put as the text of one in a line
};

// How the value of one option gets into settings of type S, and out of them.
template <typename S>
struct OptionValue {
  OptionForm form = OptionForm::kText;
  // Sets the value, or adds it to a list. Empty: the option has none.
  std::function<Result<void>(S&, std::string_view)> put = {};
  std::function<std::vector<std::string>(const S&)> texts = {};  // as put() takes them
  std::function<void(S&)> clear = {};                            // kList only: to no values
  std::string range = {};                                        // "1K to 64M"; empty if there is none
  std::vector<std::string_view> words = {};                      // the names that there are for values
};

// A row.
template <typename S>
struct Option {
  std::string_view key;
  std::string_view value_name;  // as in a manual: SIZE, gzip|none
  std::string_view help;        // without range and default, which are added to it
  OptionValue<S> value;
};

// Of names and what they mean.
template <typename T>
using Names = std::vector<std::pair<std::string_view, T>>;
// Of values that have a to_string().
template <typename T>
[[nodiscard]] Names<T> named(std::initializer_list<T> values) {
  Names<T> names;
  for (const T value : values) names.emplace_back(to_string(value), value);
  return names;
}

namespace option_text {
[[nodiscard]] Result<std::chrono::milliseconds> time(std::string_view text, const DurationRange& range);
[[nodiscard]] Result<ByteCount> size(std::string_view text, const Range<ByteCount>& range);
[[nodiscard]] Result<std::uint64_t> number(std::string_view text, const Range<std::uint64_t>& range);
// The place of `text` among `words`.
[[nodiscard]] Result<std::size_t> word(std::string_view text, std::span<const std::string_view> words);
[[nodiscard]] std::string of(const DurationRange& range);
[[nodiscard]] std::string of(const Range<ByteCount>& range);
[[nodiscard]] std::string of(const Range<std::uint64_t>& range);
// `help`, and in brackets the range and the default, where there are.
[[nodiscard]] std::string explained(std::string_view help, std::string_view range, std::string_view usual);

// A member that may be unset.
template <typename T>
const T* held(const std::optional<T>& member) {
  return member ? &*member : nullptr;
}
template <typename T>
const T* held(const T& member) {
  return &member;
}
}  // namespace option_text

// Any value with a way in and a way out. M is T or std::optional<T>, here and below.
template <typename S, typename M, typename Parse, typename Print>
[[nodiscard]] OptionValue<S> parsed_option(M S::*member, Parse parse, Print print) {
  return {.put = [member, parse](S& settings, std::string_view text) -> Result<void> {
            auto value = parse(text);
            if (!value) return value.error();
            settings.*member = std::move(*value);
            return {};
          },
          .texts = [member, print](const S& settings) -> std::vector<std::string> {
            const auto* const value = option_text::held(settings.*member);
            if (value == nullptr) return {};
            return {std::string(print(*value))};
          }};
}

template <typename S, typename M>
[[nodiscard]] OptionValue<S> time_option(M S::*member, DurationRange range) {
  auto value = parsed_option(
      member, [range](std::string_view text) { return option_text::time(text, range); }, format_duration);
  value.range = option_text::of(range);
  return value;
}

template <typename S, typename M>
[[nodiscard]] OptionValue<S> size_option(M S::*member, Range<ByteCount> range) {
  auto value = parsed_option(
      member, [range](std::string_view text) { return option_text::size(text, range); }, format_byte_count);
  value.form = OptionForm::kSize;
  value.range = option_text::of(range);
  return value;
}

template <typename S, typename M, typename T>
[[nodiscard]] OptionValue<S> number_option(M S::*member, Range<T> within) {
  const Range<std::uint64_t> range{within.least, within.most};
  auto value = parsed_option(
      member,
      [range](std::string_view text) -> Result<T> {
        const auto number = option_text::number(text, range);
        if (!number) return number.error();
        return static_cast<T>(*number);
      },
      [](T number) { return std::to_string(number); });
  value.range = option_text::of(range);
  return value;
}

template <typename S, typename M, typename T>
[[nodiscard]] OptionValue<S> choice_option(M S::*member, const Names<T>& names) {
  std::vector<std::string_view> words;
  for (const auto& [name, meaning] : names) words.push_back(name);
  auto value = parsed_option(
      member,
      [names, words](std::string_view text) -> Result<T> {
        const auto place = option_text::word(text, words);
        if (!place) return place.error();
        return names[*place].second;
      },
      [names](const T& wanted) {
        for (const auto& [name, meaning] : names) {
          if (meaning == wanted) return name;
        }
        return std::string_view();
      });
  value.words = std::move(words);
  return value;
}

// A text of which only one thing is asked: not to be empty; `what` says what it should be. With an empty
// `what` it may be empty.
template <typename S>
[[nodiscard]] OptionValue<S> text_option(std::string S::*member, std::string_view what = {}) {
  return parsed_option(
      member,
      [what](std::string_view text) -> Result<std::string> {
        if (text.empty() && !what.empty()) {
          return Error{ErrorKind::kUsage, "it is empty: give " + std::string(what)};
        }
        return std::string(text);
      },
      [](const std::string& text) { return text; });
}

template <typename S>
[[nodiscard]] OptionValue<S> switch_option(bool S::*member) {
  auto value = choice_option(member, Names<bool>{{"true", true}, {"false", false}});
  value.form = OptionForm::kSwitch;
  return value;
}

// The default of an option, if it is a value that could be given.
template <typename S>
[[nodiscard]] std::string usual_text(const OptionValue<S>& value) {
  S untouched{};
  std::string usual;
  for (const std::string& text : value.texts(untouched)) usual += (usual.empty() ? "" : ",") + text;
  if (value.clear) value.clear(untouched);
  return usual.empty() || !value.put(untouched, usual) ? std::string() : usual;
}

}  // namespace natsession
