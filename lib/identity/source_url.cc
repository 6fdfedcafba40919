#include "identity/source_url.h"

#include <algorithm>
#include <array>

#include "base/help_text.h"
#include "base/option.h"
#include "identity/sources/csv_text.h"
#include "identity/sources/dhcpd_text.h"
#include "identity/sources/dnsmasq_text.h"
#include "identity/sources/file_source.h"
#include "identity/sources/kea_text.h"
#include "identity/sources/lines_source.h"
#include "identity/sources/neighbour_source.h"
#include "identity/sources/networkd_source.h"
#include "identity/sources/radius_detail_text.h"
#include "identity/sources/radius_source.h"
#include "net/host_port.h"

namespace natsession {
namespace {

constexpr std::uint16_t kRadiusPort = 1813;

// The table.
const std::vector<IdentityKind>& kinds_of_identity() {
  static const std::vector<IdentityKind> kKinds{
      {"dnsmasq", "dnsmasq:PATH", "leases of dnsmasq: its lease file, IPv4 and IPv6"},
      {"kea", "kea:PATH", "leases of Kea: its memfile (CSV), IPv4 or IPv6, with delegated prefixes"},
      {"dhcpd", "dhcpd:PATH",
       "leases of ISC's dhcpd: its dhcpd.leases, IPv4 or IPv6, with delegated prefixes"},
      {"networkd",
       "networkd",
       "leases of systemd-networkd's DHCP server; from systemd 256 on it keeps them",
       {{"folder", "PATH", "where it keeps them, if it is elsewhere"}}},
      {"neighbours",
       "neighbours",
       "the kernel's neighbours: the MAC of an address, by ARP and NDP",
       {{"link_local", "on|off", "also of addresses of the link alone (default off)"}}},
      {"radius",
       "radius://ADDRESS:PORT",
       "a RADIUS accounting server, on UDP port 1813 unless told otherwise",
       {{"secret", "FILE", "has the secret of all clients in its first line"},
        {"secrets", "FILE", "has secrets by the client's address: lines of PREFIX SECRET"}}},
      {"radius-detail", "radius-detail:PATH", "RADIUS accounting that FreeRADIUS wrote: its detail file"},
      {"csv", "csv:PATH", "a list that somebody keeps: columns prefix, name, and from, until, mac, host, id"},
      {"exec", "exec:COMMAND", "a command that tells in lines of JSON"},
  };
  return kKinds;
}

constexpr std::array<IdentityOption, 1> kCommonOptions{{
    {"netns", "NAME", "where its addresses mean something; else in all network namespaces that are logged"},
}};

std::string known_kinds() {
  std::string text;
  const auto& all = kinds_of_identity();
  for (std::size_t i = 0; i < all.size(); ++i)
    text += (i == 0 ? "" : i + 1 < all.size() ? ", " : " or ") + std::string(all[i].usage);
  return text;
}

bool takes_target(const IdentityKind& kind) {
  return kind.usage.find(':') != std::string_view::npos;
}

Result<RadiusSettings> radius_settings(const IdentityUrl& url) {
  std::string_view place = url.parts.target;
  if (!place.starts_with("//")) return url.wrong("write radius://ADDRESS or radius://ADDRESS:PORT");
  place.remove_prefix(2);
  const auto where = HostPort::parse(place, kRadiusPort);
  if (!where) return url.wrong(where.error().message);
  if (!where->host.empty() && !IpAddress::parse(where->host))
    return url.wrong("'" + where->host +
                     "' is not an address of this machine to listen on; 0.0.0.0 or [::] is all");
  RadiusSettings settings;
  settings.address = where->host;
  settings.port = where->port;
  if (const std::string* const file = url.option("secret")) settings.secret_file = *file;
  if (const std::string* const file = url.option("secrets")) settings.secrets_file = *file;
  if (settings.secret_file.empty() && settings.secrets_file.empty())
    return url.wrong("needs secret=FILE or secrets=FILE: what RADIUS clients prove their packets with");
  return settings;
}

Result<void> check_identity_options(IdentityUrl& url) {
  for (const UrlParts::Option& given : url.parts.options) {
    std::string known;
    bool found = false;
    const auto look_in = [&](std::span<const IdentityOption> options) {
      for (const IdentityOption& option : options) {
        found |= option.key == given.key;
        known += (known.empty() ? "" : ", ") + std::string(option.key);
      }
    };
    look_in(url.kind->options);
    look_in(kCommonOptions);
    if (!found)
      return url.wrong("unknown option '" + given.key + "': " + std::string(url.kind->scheme) + " has " +
                       known);
    if (given.value.empty()) return url.wrong(given.key + ": is empty");
  }
  if (const std::string* const netns = url.option("netns")) {
    // A name in /run/netns.
    if (netns->find('/') != std::string::npos || *netns == "." || *netns == "..")
      return url.wrong("netns: '" + *netns +
                       "' is not the name of a network namespace, as ip netns list has them");
    url.netns = *netns;
  }
  if (const std::string* const on = url.option("link_local"); on != nullptr && *on != "on" && *on != "off")
    return url.wrong("link_local: '" + *on + "' is neither on nor off");
  return {};
}

}  // namespace

std::span<const IdentityKind> identity_kinds() {
  return kinds_of_identity();
}

std::span<const IdentityOption> common_identity_options() {
  return kCommonOptions;
}

std::string identity_help() {
  std::string out;
  const auto append = [&](std::span<const IdentityOption> options) {
    for (const IdentityOption& option : options)
      out += help_row(4, std::string(option.key) + "=" + std::string(option.value_name), option.help);
  };
  for (const IdentityKind& kind : kinds_of_identity()) {
    out += help_row(2, kind.usage, kind.help);
    append(kind.options);
  }
  out +=
      help_row(2, "any source", "may have options, as in 'dnsmasq:/var/lib/misc/dnsmasq.leases?netns=lan'");
  append(kCommonOptions);
  return out;
}

Error IdentityUrl::wrong(std::string_view why) const {
  return usage_error("identity '" + text + "': " + std::string(why));
}

const std::string* IdentityUrl::option(std::string_view key) const {
  const auto found = std::find_if(parts.options.begin(), parts.options.end(),
                                  [&](const UrlParts::Option& option) { return option.key == key; });
  return found == parts.options.end() ? nullptr : &found->value;
}

std::string IdentityUrl::name() const {
  const std::string place = text.substr(0, text.find('?'));
  return netns.empty() ? place : place + "?netns=" + netns;
}

std::optional<std::string> IdentityUrl::command() const {
  if (kind == nullptr || kind->scheme != "exec") return std::nullopt;
  return parts.target;
}

Result<IdentityUrl> IdentityUrl::parse(std::string_view text) {
  IdentityUrl url;
  url.text = text.substr(0, text.find('\0'));
  auto parts = UrlParts::parse(text);
  if (!parts) return url.wrong(parts.error().message);
  url.parts = std::move(*parts);
  const auto& all = kinds_of_identity();
  const auto kind = std::find_if(all.begin(), all.end(),
                                 [&](const IdentityKind& one) { return one.scheme == url.parts.scheme; });
  if (kind == all.end()) return url.wrong("there is no source '" + url.parts.scheme + "': " + known_kinds());
  url.kind = &*kind;
  if (auto checked = check_identity_options(url); !checked) return checked.error();
  if (takes_target(*kind) && url.parts.target.empty()) return url.wrong("write " + std::string(kind->usage));
  if (!takes_target(*kind) && !url.parts.target.empty())
    return url.wrong("'" + url.parts.target + "': " + url.parts.scheme + " takes no path or address");
  if (url.parts.scheme == "radius") {
    if (auto settings = radius_settings(url); !settings) return settings.error();
  } else if (takes_target(*kind) && url.parts.scheme != "exec" && !url.parts.target.starts_with('/')) {
    return url.wrong("'" + url.parts.target + "' is not a path from / on");
  }
  return url;
}

std::unique_ptr<IdentitySource> make_identity_source(const IdentityUrl& url, const Clock& clock) {
  const std::string_view scheme = url.kind->scheme;
  const auto of_file = [&](std::unique_ptr<FileText> text) {
    return std::make_unique<FileSource>(url.name(), url.parts.target, std::move(text), clock);
  };
  if (scheme == "dnsmasq") return of_file(std::make_unique<DnsmasqText>());
  if (scheme == "kea") return of_file(std::make_unique<KeaText>());
  if (scheme == "dhcpd") return of_file(std::make_unique<DhcpdText>());
  if (scheme == "csv") return of_file(std::make_unique<CsvText>());
  if (scheme == "radius-detail") return of_file(std::make_unique<RadiusDetailText>());
  if (scheme == "networkd") {
    const std::string* const folder = url.option("folder");
    return std::make_unique<NetworkdSource>(
        url.name(), folder != nullptr ? std::vector<std::string>{*folder} : NetworkdSource::usual_folders());
  }
  if (scheme == "neighbours") {
    const std::string* const on = url.option("link_local");
    return std::make_unique<NeighbourSource>(url.name(), on != nullptr && *on == "on");
  }
  if (scheme == "radius") return std::make_unique<RadiusSource>(url.name(), *radius_settings(url));
  return std::make_unique<LinesSource>(url.name());
}

Result<std::unique_ptr<IdentitySource>> make_identity_source(std::string_view text, const Clock& clock) {
  const auto url = IdentityUrl::parse(text);
  if (!url) return url.error();
  return make_identity_source(*url, clock);
}

}  // namespace natsession
