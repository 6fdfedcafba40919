// IdentityUrl: a source of identity as the command line and the configuration name it; url_parts.h has the
// grammar. The table of kinds is what a help and a completion are made of.
// Threads: plain value types.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/url_parts.h"
#include "identity/identity_source.h"

namespace natsession {

struct IdentityOption {
  std::string_view key;
  std::string_view value_name;
  std::string_view help;
};

struct IdentityKind {
  std::string_view scheme;
  std::string_view usage;                    // dnsmasq:PATH
  std::string_view help;                     // one line
  std::vector<IdentityOption> options = {};  // beyond those that every source has
};

// In the order in which they are told.
[[nodiscard]] std::span<const IdentityKind> identity_kinds();
[[nodiscard]] std::span<const IdentityOption> common_identity_options();
// For --help: a row for each kind and option.
[[nodiscard]] std::string identity_help();

struct IdentityUrl {
  std::string text;  // as it was given
  UrlParts parts;
  const IdentityKind* kind = nullptr;
  // Where its addresses mean something, and where a socket of the source is opened; empty: in all namespaces
  // that are logged, and in the daemon's own.
  std::string netns;

  // Errors: kUsage, naming the URL, what is wrong with it and what would do.
  [[nodiscard]] static Result<IdentityUrl> parse(std::string_view text);

  // What the source is called in the log: the URL without its options, but for netns, without which two of
  // one name would be one.
  [[nodiscard]] std::string name() const;
  // Of exec: what is to be run; it writes lines to what LinesSource::follow() is given.
  [[nodiscard]] std::optional<std::string> command() const;
  // Of an option; nullptr: it is not given.
  [[nodiscard]] const std::string* option(std::string_view key) const;
  [[nodiscard]] Error wrong(std::string_view why) const;
  friend bool operator==(const IdentityUrl& a, const IdentityUrl& b) { return a.text == b.text; }
};

// `clock` outlives the source. Nothing is opened yet.
// Errors: those of IdentityUrl::parse().
[[nodiscard]] Result<std::unique_ptr<IdentitySource>> make_identity_source(std::string_view url,
                                                                           const Clock& clock);
[[nodiscard]] std::unique_ptr<IdentitySource> make_identity_source(const IdentityUrl& url,
                                                                   const Clock& clock);

}  // namespace natsession
