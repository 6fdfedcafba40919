#include "sink/collector/elasticsearch_sink.h"

#include <algorithm>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "record/address_text.h"
#include "record/escape.h"
#include "record/fields.h"
#include "record/text_writer.h"
#include "sink/collector/flat_record.h"

namespace natsession {
namespace {

using Json = nlohmann::json;

// Below what a server takes by default (http.max_content_length 100 MB), and within one answer's size.
constexpr std::size_t kMaxBulkBytes = 8 << 20;
// An answer that tells what is wrong with each fits into HttpReply::kMaxBytes.
constexpr std::size_t kMaxDocuments = 2000;
constexpr std::uint16_t kPort = 9200;

// Room for a document beside its texts: each of 30 names and values.
constexpr std::size_t kDocumentRoom = 30 * 80;

// {"@timestamp":"…","source.ip":"…", …}
class DocumentWriter {
 public:
  explicit DocumentWriter(char* out) : out_(out) {}

  void begin(UnixMs time) {
    out_ = write_text(out_, R"({"@timestamp":")");
    out_ = write_rfc3339(out_, time);
    *out_++ = '"';
  }
  char* end() {
    *out_++ = '}';
    *out_++ = '\n';
    return out_;
  }
  void text(FlatName name, std::string_view value) {
    key(name);
    out_ = write_json_string(out_, value);
  }
  void word(FlatName name, std::string_view value) {
    key(name);
    quoted([&] { out_ = write_text(out_, value); });
  }
  void number(FlatName name, std::uint64_t value) {
    key(name);
    out_ = write_uint(out_, value);
  }
  void address(FlatName name, const IpAddress& value) {
    key(name);
    quoted([&] { out_ = write_address(out_, value); });
  }
  void time(FlatName name, UnixMs value) {
    key(name);
    quoted([&] { out_ = write_rfc3339(out_, value); });
  }
  void id(FlatName name, std::uint64_t value) {
    key(name);
    quoted([&] { out_ = write_hex64(out_, value); });
  }

 private:
  void key(FlatName name) {
    *out_++ = ',';
    quoted([&] { out_ = write_text(out_, name.ecs); });
    *out_++ = ':';
  }
  template <typename Write>
  void quoted(Write write) {
    *out_++ = '"';
    write();
    *out_++ = '"';
  }

  char* out_;
};

void append_document(const SessionRecord& record, std::string& out) {
  append_line(out, max_record_length(record) + kDocumentRoom, [&](char* at) {
    DocumentWriter writer(at);
    writer.begin(record.end_time);
    writer.word({"ecs.version"}, "8.11.0");
    writer.word({"event.kind"}, "event");
    writer.word({"event.category"}, "network");
    writer.word({"event.type"}, record.event == RecordEvent::kStart ? "start"
                                : record.event == RecordEvent::kEnd ? "end"
                                : record.event == RecordEvent::kGap ? "error"
                                                                    : "info");
    flatten(record, writer);
    return writer.end();
  });
}

void append_action(const SessionRecord& record, std::string& lines) {
  lines += R"({"create":{"_id":")";
  append_line(lines, kHex64Length + 1 + kMaxNumberLength + kTextSlack, [&](char* out) {
    out = write_hex64(out, record.event == RecordEvent::kGap ? derive_gap_id(record) : record.session_id);
    *out++ = '-';
    return write_uint(out, record.seq);
  });
  lines += "\"}}\n";
}

// What is wrong with a document, in the server's words.
std::string cause_of(const Json& item) {
  const auto error = item.find("error");
  if (error == item.end()) return {};
  if (error->is_string()) return error->get<std::string>();
  if (!error->is_object()) return {};
  const auto text = [&](const char* key) {
    const auto found = error->find(key);
    return found != error->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  return text("type") + ": " + text("reason");
}

Result<std::string> index_of(const SinkUrl& url) {
  const std::size_t slash = url.target.find('/', 2);
  std::string index = slash == std::string::npos ? std::string() : url.target.substr(slash + 1);
  if (index.empty()) return url.wrong("an index is missing: " + url.scheme + "://HOST/INDEX");
  const bool fits = index.size() <= 255 && index.front() != '-' && index.front() != '_' &&
                    index.front() != '+' && index != "." && index != ".." &&
                    std::all_of(index.begin(), index.end(), [](char byte) {
                      return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '-' ||
                             byte == '_' || byte == '.' || byte == '+';
                    });
  if (!fits) {
    return url.wrong("the index '" + index +
                     "': write lower-case letters, digits, -, _ and ., and a letter or a digit first");
  }
  return index;
}

// Whether a document's field has room in a mapping, or in one of its objects.
bool takes(const Json& object, std::string_view name, bool strict) {
  if (const auto dynamic = object.find("dynamic"); dynamic != object.end()) strict = *dynamic == "strict";
  const auto properties = object.find("properties");
  if (properties == object.end() || !properties->is_object()) return !strict;
  if (properties->contains(name)) return true;
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
    const auto inner = properties->find(name.substr(0, dot));
    if (inner != properties->end() && inner->is_object()) return takes(*inner, name.substr(dot + 1), strict);
  }
  return !strict;
}

// The names of a document's fields.
struct NameList {
  std::vector<std::string_view> names{"@timestamp", "ecs.version", "event.kind", "event.category",
                                      "event.type"};
  template <typename Value>
  void add(FlatName name, const Value&) {
    names.push_back(name.ecs);
  }
  void text(FlatName name, std::string_view value) { add(name, value); }
  void word(FlatName name, std::string_view value) { add(name, value); }
  void number(FlatName name, std::uint64_t value) { add(name, value); }
  void address(FlatName name, const IpAddress& value) { add(name, value); }
  void time(FlatName name, UnixMs value) { add(name, value); }
  void id(FlatName name, std::uint64_t value) { add(name, value); }
};

// The first field of a session's record that an index which takes no others lacks; empty: none is seen.
std::string lacking_field(const Json& indices) {
  if (!indices.is_object()) return {};
  static const Origin kNoOrigin;
  SessionRecord record;
  record.origin = &kNoOrigin;
  record.protocol = 6;
  record.event = RecordEvent::kEnd;
  record.bytes_from_pub = record.pkts_from_pub = record.bytes_from_vpc = record.pkts_from_vpc = Count(1);
  NameList fields;
  flatten(record, fields);
  std::string lacking;
  for (const auto& [name, index] : indices.items()) {
    const auto mapping = index.is_object() ? index.find("mappings") : index.end();
    if (!index.is_object() || mapping == index.end() || !mapping->is_object()) return {};
    const auto found = std::find_if(fields.names.begin(), fields.names.end(), [&](std::string_view field) {
      return !takes(*mapping, field, /*strict=*/false);
    });
    if (found == fields.names.end()) return {};  // of several one may be what is written to
    lacking = *found;
  }
  return lacking;
}

// A field that the index has no place for: it is not the document's fault.
bool is_of_the_index(std::string_view cause) {
  return cause.starts_with("strict_dynamic_mapping_exception") ||
         cause.find("Limit of total fields") != std::string_view::npos;
}

Result<Reached> look(HttpClient& client, bool identified, const HttpSettings& settings) {
  HttpRequest request{.method = HttpRequest::Method::kGet,
                      .url = settings.url + "?filter_path=*.mappings.dynamic,*.mappings.properties"};
  const HttpReply reply = client.send(request);
  const std::string why = reply.told("look at " + settings.url);
  if (reply.status == 404) {
    return Reached{
        "connected; the index is not there yet: where the server may make it, the first record does, and "
        "guesses types: natsessiond-elasticsearch(7) has a template"};
  }
  if (auto seen = well(reply, identified, why); !seen) return seen.error();
  // Of an answer that was cut off nothing is said.
  const Json indices = Json::parse(reply.body, nullptr, false);
  if (!indices.is_object() && reply.body.size() < HttpReply::kMaxBytes)
    return Error{ErrorKind::kUnavailable, why + ": this is no answer of Elasticsearch"};
  if (const std::string field = lacking_field(indices); !field.empty()) {
    return Error{ErrorKind::kUnavailable,
                 std::string(to_string(TargetCode::kLogStoreNotExist)) + ": look at " + settings.url +
                     ": the index takes no field that it does not have, and has no field " + field};
  }
  return Reached{"connected; the index is there"};
}

Result<SinkOpener> parse(const SinkUrl& url, std::string_view protocol) {
  const auto index = index_of(url);
  if (!index) return index.error();
  const auto settings = HttpSettings::parse(url, protocol, kPort);
  if (!settings) return settings.error();
  return http_opener(
      *settings,
      [name = url.name(), settings = *settings](const EncoderOptions&, const Clock&) {
        return ready(std::make_unique<ElasticsearchSink>(name, settings));
      },
      [settings = *settings](HttpClient& client, bool identified) {
        return look(client, identified, settings);
      });
}

}  // namespace

SinkKind elasticsearch_kind() {
  return {.scheme = "elasticsearch",
          .usage = "elasticsearch://HOST[:9200]/INDEX",
          .help = "documents of Elasticsearch or OpenSearch, by ECS's names; what is there is not made twice",
          .options = explain(http_options()),
          .remote = true,
          .encoding = SinkEncoding::kBinary,
          .missing = HttpClient::kBuiltIn ? "" : "libcurl (NATSESSION_SINK_HTTP)",
          .parse = [](const SinkUrl& url) { return parse(url, "http"); }};
}

SinkKind elasticsearch_https_kind() {
  SinkKind kind =
      over_tls(elasticsearch_kind(), "elasticsearch+https", "elasticsearch+https://HOST[:9200]/INDEX",
               "the same over TLS; options as elasticsearch and https");
  kind.parse = [](const SinkUrl& url) { return parse(url, "https"); };
  return kind;
}

ElasticsearchSink::ElasticsearchSink(std::string name, const HttpSettings& settings)
    : HttpServerSink(std::move(name), settings),
      bulk_url_(settings.url +
                "/_bulk?filter_path=errors,error,items.*.status,items.*.error.type,items.*.error.reason") {}

Result<std::size_t> ElasticsearchSink::make_request(std::span<const SessionRecord> records,
                                                    HttpRequest& request) {
  lines_.clear();
  sent_ = 0;
  while (sent_ < std::min(records.size(), kMaxDocuments) && lines_.size() < kMaxBulkBytes) {
    append_action(records[sent_], lines_);
    append_document(records[sent_++], lines_);
  }
  request.url = bulk_url_;
  request.headers = {"Content-Type: application/x-ndjson"};
  if (auto set = set_body(lines_, request); !set) return set.error();
  return sent_;
}

HttpVerdict ElasticsearchSink::judge(const HttpReply& reply) {
  if (reply.status != 200) return HttpServerSink::judge(reply);
  if (reply.body.size() >= HttpReply::kMaxBytes) return {HttpVerdict::Kind::kTooMuch};
  const Json answer = Json::parse(reply.body, nullptr, false);
  const auto errors = answer.is_object() ? answer.find("errors") : answer.end();
  const auto items = answer.is_object() ? answer.find("items") : answer.end();
  if (errors == answer.end() || !errors->is_boolean())
    return HttpVerdict::of(Answer::retry_later(0, told(reply) + ": this is no answer of Elasticsearch"));
  if (!errors->get<bool>()) return {};
  if (items == answer.end() || !items->is_array() || items->size() != sent_) {
    return HttpVerdict::of(Answer::retry_later(0, told(reply) + ": it does not tell of each document"));
  }
  for (std::size_t i = 0; i < items->size(); ++i) {
    const Json& item = (*items)[i];
    if (!item.is_object() || item.empty() || !item.begin()->is_object()) {
      return HttpVerdict::of(Answer::retry_later(i, told(reply) + ": it does not tell of each document"));
    }
    const Json& result = *item.begin();
    const auto found = result.find("status");
    const int status = found != result.end() && found->is_number_integer() ? found->get<int>() : 0;
    if ((status >= 200 && status < 300) || status == 409) continue;
    const std::string cause = cause_of(result);
    const std::string why = "post to " + settings().url + ": a document: status " + std::to_string(status) +
                            ": " + as_shown(cause);
    if (status == 400 && is_of_the_index(cause))
      return HttpVerdict::of(Answer::target_failed(i, TargetCode::kLogStoreNotExist, why));
    if (status == 400) return HttpVerdict::of(Answer::rejected(i, why));
    if (status == 403) return HttpVerdict::of(Answer::target_failed(i, TargetCode::kProjectForbidden, why));
    if (status == 404) return HttpVerdict::of(Answer::target_failed(i, TargetCode::kLogStoreNotExist, why));
    if (status == 429)
      return HttpVerdict::of(Answer::throttled(i, TargetCode::kWriteQuotaExceed, why, reply.retry_after));
    return HttpVerdict::of(Answer::retry_later(i, why));
  }
  return {};
}

}  // namespace natsession
