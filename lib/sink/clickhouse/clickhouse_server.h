// ClickHouseServer: one table of a ClickHouse server, asked over HTTP: how its URL is read, what it can be
// asked, and what its errors mean. For who writes records there (clickhouse_sink.h), and who reads them.
// Source:  X-ClickHouse-Exception-Code, "Code: N." in the body; src/Common/ErrorCodes.cpp.
// Threads: one for each object.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sink/clickhouse/clickhouse_table.h"
#include "sink/http/http_delivery.h"
#include "sink/http/http_settings.h"

namespace natsession::clickhouse {

inline constexpr std::uint16_t kPort = 8123;
inline constexpr std::uint16_t kTlsPort = 8443;

// Where a URL clickhouse://HOST[:PORT]/DATABASE/TABLE points to; clickhouse+https likewise.
struct Place {
  HttpSettings http;
  std::string database;
  std::string table;
  bool compress_given = false;  // its URL says how bodies are compressed

  // Errors: kUsage, naming the URL and what is wrong with it.
  [[nodiscard]] static Result<Place> parse(const SinkUrl& url);
  // `DATABASE`.`TABLE`
  [[nodiscard]] std::string quoted() const { return quoted_name(database) + "." + quoted_name(table); }
  // What a statement is asked at; `settings` begins with &, or is empty.
  [[nodiscard]] std::string url_of(std::string_view statement, std::string_view settings = {}) const;
};

// The number of ClickHouse's own error in an answer; 0: there is none.
[[nodiscard]] unsigned error_number(const HttpReply& reply);
// By that number, where there is one; else by the status, as a proxy or a balancer before the server answers.
[[nodiscard]] HttpVerdict judge_answer(const HttpReply& reply, bool identified, std::string why);

// What the server has.
struct TableLook {
  std::optional<Answer> failure;   // it was not to be seen, or is not as it must be: why
  std::vector<std::string> types;  // of columns(), in their order
  bool takes_tokens = false;       // insert_deduplication_token is a setting of it
  bool has_async = false;          // async_insert is
  std::string expiring;            // the first of columns() whose values are deleted by age; empty: none
};
[[nodiscard]] TableLook look_at(HttpClient& client, const Place& place, bool identified);
// Whether the table of coverage beside it is there and as it must be: else why not.
[[nodiscard]] std::optional<Answer> look_at_coverage(HttpClient& client, const Place& place, bool identified);

// Asks for an answer of some megabytes at most: lines of values apart by tabs. Where it fails `failure` says
// how.
[[nodiscard]] std::optional<std::vector<std::vector<std::string>>> ask(HttpClient& client, const Place& place,
                                                                       std::string_view statement,
                                                                       bool identified,
                                                                       std::optional<Answer>& failure);

}  // namespace natsession::clickhouse
