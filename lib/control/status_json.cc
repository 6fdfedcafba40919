#include "control/status_json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstdio>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "record/encoder.h"
#include "record/text_writer.h"

namespace natsession {

namespace {

using Json = nlohmann::ordered_json;

struct Writer {
  template <typename T>
  requires std::integral<T> || std::floating_point<T> || std::same_as<T, std::string>
  static Json write(const T& value) { return value; }
  // A double holds milliseconds since 1970 exactly for the next 280,000 years.
  static Json write(std::chrono::milliseconds value) { return static_cast<double>(value.count()) / 1000; }
  static Json write(UnixMs value) {
    std::array<char, kMaxTimeLength> text{};
    return std::string(text.data(), write_rfc3339(text.data(), value));
  }
  static Json write(DeliveryState value) { return to_string(value); }
  static Json write(EventsWhy value) { return to_string(value); }
  static Json write(TcpState value) {
    return value == TcpState::kNone ? Json(nullptr) : Json(to_string(value));
  }
  static Json write(Count value) { return value.known() ? Json(value.value()) : Json(nullptr); }
  static Json write(const IpAddress& value) { return value.to_string(); }
  template <typename T>
  static Json write(const std::optional<T>& value) {
    return value ? write(*value) : Json(nullptr);
  }
  template <typename T>
  static Json write(const std::vector<T>& values) {
    Json list = Json::array();
    for (const T& value : values) list.push_back(write(value));
    return list;
  }
  template <HasRows T>
  static Json write(const T& value) {
    Json object = Json::object();
    Rows<T>::visit(value, [&](const Row& row, const auto& part) { put(object, row.name, write(part)); });
    return object;
  }
  // Once, and not where each of a hundred rows is written: that takes a sanitizer's compiler a minute.
  [[gnu::noinline]] static void put(Json& object, std::string_view name, Json part) {
    object[std::string(name)] = std::move(part);
  }
};

// Thrown and caught in this file, as the JSON library's own are.
struct Unfit : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Absent and null members leave the value as it is.
struct Reader {
  template <typename T>
  requires std::integral<T> || std::floating_point<T> || std::same_as<T, std::string>
  static void read(const Json& json, T& to) { json.get_to(to); }
  static void read(const Json& json, std::chrono::milliseconds& to) {
    constexpr double kMost = 9e15;  // exact in a double
    to = std::chrono::milliseconds(std::llround(std::clamp(json.get<double>() * 1000, -kMost, kMost)));
  }
  static void read(const Json& json, UnixMs& to) {
    // As write() makes it.
    const auto text = json.get<std::string>();
    int year = 0;
    unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
    int end = 0;
    if (std::sscanf(text.c_str(), "%d-%2u-%2uT%2u:%2u:%2u.%3uZ%n", &year, &month, &day, &hour, &minute,
                    &second, &ms, &end) != 7 ||
        end != static_cast<int>(text.size()))
      throw Unfit("'" + text + "' is no time");
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                           std::chrono::day(day)};
    if (!date.ok()) throw Unfit("'" + text + "' is no date");
    to = std::chrono::sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         std::chrono::seconds(second) + std::chrono::milliseconds(ms);
  }
  static void read(const Json& json, DeliveryState& to) {
    const auto text = json.get<std::string>();
    for (const DeliveryState state :
         {DeliveryState::kSuccess, DeliveryState::kModifying, DeliveryState::kFailed}) {
      if (text == to_string(state)) to = state;
    }
  }
  static void read(const Json& json, EventsWhy& to) {
    const auto text = json.get<std::string>();
    for (const EventsWhy why : kAllEventsWhy) {
      if (text == to_string(why)) to = why;
    }
  }
  static void read(const Json& json, TcpState& to) {
    const auto text = json.get<std::string>();
    for (int number = 0; number <= static_cast<int>(TcpState::kSynSent2); ++number) {
      if (text == to_string(static_cast<TcpState>(number))) to = static_cast<TcpState>(number);
    }
  }
  static void read(const Json& json, Count& to) { to = Count(json.get<std::uint64_t>()); }
  static void read(const Json& json, IpAddress& to) {
    const auto address = IpAddress::parse(json.get<std::string>());
    if (!address) throw Unfit(address.error().message);
    to = *address;
  }
  template <typename T>
  static void read(const Json& json, std::optional<T>& to) {
    read(json, to.emplace());
  }
  template <typename T>
  static void read(const Json& json, std::vector<T>& to) {
    for (const Json& item : json) read(item, to.emplace_back());
  }
  template <HasRows T>
  static void read(const Json& json, T& to) {
    if (!json.is_object()) throw Unfit("not an object");
    Rows<T>::visit(to, [&](const Row& row, auto& part) {
      if (const Json* const found = find(json, row.name)) read(*found, part);
    });
  }
  [[gnu::noinline]] static const Json* find(const Json& json, std::string_view name) {
    const auto found = json.find(name);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  }
};

std::string dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

template <typename T>
Result<T> parse(std::string_view text, const char* what) {
  try {
    T value;
    Reader::read(Json::parse(text), value);
    return value;
  } catch (const std::exception& unfit) {
    return Error{ErrorKind::kMalformed, std::string(what) + ": " + unfit.what()};
  }
}

}  // namespace

std::string status_json(const Status& status) {
  return dump(Writer::write(status));
}

std::string sessions_json(const SessionsAnswer& answer) {
  Json json = Writer::write(answer);
  for (std::size_t i = 0; i < answer.sessions.size(); ++i) {
    const SessionRecord& session = answer.sessions[i];
    // It may be older than when it was first seen.
    json["sessions"][i]["age_seconds"] =
        session.session_start ? Writer::write(std::max(answer.now - session.start_time, {})) : Json();
  }
  return dump(json);
}

std::string ports_json(const PortsAnswer& answer) {
  return dump(Writer::write(answer));
}

std::string flow_logs_json(const FlowLogsAnswer& answer) {
  return dump(Writer::write(answer));
}

std::string flow_log_changed_json(const FlowLogChanged& changed) {
  return dump(Writer::write(changed));
}

std::string error_json(std::string_view message) {
  Json json;
  json["error"] = message;
  return dump(json);
}

Result<Status> read_status_json(std::string_view text) {
  return parse<Status>(text, "status");
}

Result<SessionsAnswer> read_sessions_json(std::string_view text) {
  return parse<SessionsAnswer>(text, "sessions");
}

Result<PortsAnswer> read_ports_json(std::string_view text) {
  return parse<PortsAnswer>(text, "ports");
}

Result<FlowLogsAnswer> read_flow_logs_json(std::string_view text) {
  return parse<FlowLogsAnswer>(text, "flow logs");
}

Result<FlowLogChanged> read_flow_log_changed_json(std::string_view text) {
  return parse<FlowLogChanged>(text, "flow log");
}

std::string read_error_json(std::string_view text) {
  try {
    return Json::parse(text).at("error").get<std::string>();
  } catch (const std::exception&) {
    return {};
  }
}

}  // namespace natsession
