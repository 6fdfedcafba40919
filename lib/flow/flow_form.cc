#include "flow/flow_form.h"

#include <algorithm>
#include <array>
#include <span>

#include "base/comma_list.h"

namespace natsession {
namespace {

using Column = FlowForm::Column;
using enum FlowField;

// Each name that any record has; the first of a field is the one that it has of its own.
constexpr std::array kNames{Column{kVersion, "version"},
                            Column{kAccount, "account-id"},
                            Column{kAccount, "project-id"},
                            Column{kInterfaceId, "interface-id"},
                            Column{kInterfaceId, "eni-id"},
                            Column{kNetworkId, "network-id"},
                            Column{kNetworkId, "vswitch-id"},
                            Column{kVmId, "vm-id"},
                            Column{kVpcId, "vpc-id"},
                            Column{kRegion, "region-id"},
                            Column{kZone, "az-id"},
                            Column{kSource, "srcaddr"},
                            Column{kDestination, "dstaddr"},
                            Column{kSourcePort, "srcport"},
                            Column{kDestinationPort, "dstport"},
                            Column{kProtocol, "protocol"},
                            Column{kPackets, "packets"},
                            Column{kBytes, "bytes"},
                            Column{kStart, "start"},
                            Column{kEnd, "end"},
                            Column{kDirection, "direction"},
                            Column{kDirection, "flow-direction"},
                            Column{kTcpFlags, "tcp-flags"},
                            Column{kTcpState, "tcp-flag"},
                            Column{kAction, "action"},
                            Column{kLogStatus, "log-status"},
                            Column{kInterface, "interface"},
                            Column{kInstance, "instance"},
                            Column{kNetns, "netns"},
                            Column{kSessionId, "session-id"},
                            Column{kSeq, "seq"}};

constexpr Column kAlibaba[] = {{kVersion, "version"},
                               {kNetworkId, "vswitch-id"},
                               {kVmId, "vm-id"},
                               {kVpcId, "vpc-id"},
                               {kAccount, "account-id"},
                               {kInterfaceId, "eni-id"},
                               {kSource, "srcaddr"},
                               {kSourcePort, "srcport"},
                               {kDestination, "dstaddr"},
                               {kDestinationPort, "dstport"},
                               {kProtocol, "protocol"},
                               {kInOut, "direction"},
                               {kPackets, "packets"},
                               {kBytes, "bytes"},
                               {kStart, "start"},
                               {kTcpFlags, "tcp-flags"},
                               {kEnd, "end"},
                               {kLogStatus, "log-status"},
                               {kAction, "action"}};

constexpr Column kCommon[] = {{kVersion, "version"},
                              {kAccount, "account-id"},
                              {kInterfaceId, "interface-id"},
                              {kSource, "srcaddr"},
                              {kDestination, "dstaddr"},
                              {kSourcePort, "srcport"},
                              {kDestinationPort, "dstport"},
                              {kProtocol, "protocol"},
                              {kPackets, "packets"},
                              {kBytes, "bytes"},
                              {kStart, "start"},
                              {kEnd, "end"},
                              {kAction, "action"},
                              {kLogStatus, "log-status"}};

constexpr Column kBehindHuawei[] = {{kDirection, "direction"}, {kTcpState, "tcp-flag"},
                                    {kRegion, "region-id"},    {kZone, "az-id"},
                                    {kVpcId, "vpc-id"},        {kNetworkId, "network-id"}};

std::vector<Column> as_huawei(bool second) {
  std::vector<Column> columns(std::begin(kCommon), std::end(kCommon));
  columns[1].name = "project-id";
  if (second) columns.insert(columns.end(), std::begin(kBehindHuawei), std::end(kBehindHuawei));
  return columns;
}

std::string all_names() {
  std::string text;
  for (const std::string_view name : flow_field_names())
    text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

}  // namespace

std::vector<std::string_view> flow_field_names() {
  std::vector<std::string_view> names;
  for (const Column& column : kNames) names.push_back(column.name);
  return names;
}

Result<FlowForm> FlowForm::parse(std::string_view text) {
  FlowForm form;
  form.text = text;
  if (text == "alibaba") {
    form.version = 1;
    form.columns.assign(std::begin(kAlibaba), std::end(kAlibaba));
    return form;
  }
  if (text == "tencent" || text == "aws") {
    form.columns.assign(std::begin(kCommon), std::end(kCommon));
    return form;
  }
  if (text == "huawei-v1" || text == "huawei-v2") {
    form.version = text == "huawei-v1" ? 1 : 2;
    form.columns = as_huawei(form.version == 2);
    return form;
  }
  for (const std::string_view name : comma_list(text)) {
    const auto known =
        std::find_if(kNames.begin(), kNames.end(), [&](const Column& column) { return column.name == name; });
    if (known == kNames.end()) {
      return usage_error(
          "record '" + form.text + "': there is no '" + std::string(name) +
          "': alibaba, tencent, huawei-v1, huawei-v2 or aws, or fields with commas between: " + all_names());
    }
    if (std::find(form.columns.begin(), form.columns.end(), *known) != form.columns.end())
      return usage_error("record '" + form.text + "': '" + std::string(name) + "' stands there twice");
    form.columns.push_back(*known);
  }
  return form;
}

}  // namespace natsession
