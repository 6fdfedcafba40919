// Flow logs: which there are, and the traffic that was refused, by interface.
import {ask} from "./api.js";
import {answerInto, reservations} from "./busy.js";
import {timeChart} from "./charts.js";
import {field, h, note, replace, select} from "./dom.js";
import {formatOf, number} from "./format.js";
import {range, rangeForm} from "./range.js";
import {TOO_MANY, bucketMs, pivot, timeOf} from "./series.js";
import * as state from "./state.js";
import {table} from "./table.js";

function logsTable(answer, me, again, told) {
  const rows = Array.isArray(answer) ? answer : answer.flow_logs ?? answer.rows ?? [];
  if (!rows.length) return note("There is no flow log.");
  const act = (word, name) => async () => {
    try {
      await ask(`flow-logs/${word}`, {name}, {method: "POST"});
      again();
    } catch (error) {
      replace(told, note(error.message, "bad"));
    }
  };
  const names = Object.keys(rows[0]).filter((name) => typeof rows[0][name] !== "object" || name === "tags");
  return table([...names.map((name) => ({name, text: (value) => (value !== null && typeof value === "object" ? JSON.stringify(value) : String(value ?? "–"))})),
    ...(me.role === "steer" ? [{name: "", title: "Steer", element: (_, row) => h("span", {},
      h("button", {type: "button", onclick: act("start", row.name)}, "Start"), " ", h("button", {type: "button", onclick: act("stop", row.name)}, "Stop"), " ",
      h("button", {type: "button", onclick: act("delete", row.name)}, "Delete"))}] : [])], rows, {caption: "Flow logs"});
}

function createForm(again) {
  const told = h("div", {});
  const inputs = {
    name: h("input", {name: "name", required: true, size: 16}),
    resource: h("input", {name: "resource", required: true, size: 18, placeholder: "eth0, 10.0.0.0/24, vpc:ID, nat"}),
    traffic: select(["all", "accept", "reject"], "all", {name: "traffic"}),
    record: select(["aws", "alibaba", "tencent", "huawei-v1", "huawei-v2"], "aws", {name: "record"}),
    text_format: select(["text", "json"], "text", {name: "text_format"}),
    window: select(["1m", "5m", "10m"], "10m", {name: "window"}),
    destination: h("input", {name: "destination", required: true, size: 32, placeholder: "file:/var/log/natsessiond/flows.log"}),
  };
  return h("details", {}, h("summary", {}, "Create a flow log"), h("form", {class: "row", onsubmit: async (event) => {
    event.preventDefault();
    try {
      await ask("flow-logs/create", Object.fromEntries(Object.entries(inputs).map(([name, input]) => [name, input.value])), {method: "POST"});
      again();
      replace(told, note("It is written; the daemon reads it at its next start.", "good"));
    } catch (error) {
      replace(told, note(error.message, "bad"));
    }
  }}, field("Name", inputs.name), field("Resource", inputs.resource), field("Traffic", inputs.traffic), field("Record", inputs.record),
    field("Form", inputs.text_format), field("Window", inputs.window), field("Destination", inputs.destination),
    h("button", {type: "submit", class: "main"}, "Create")), told);
}

export function flowLogs(me) {
  const list = h("div", {});
  const told = h("div", {});
  const refused = h("div", {});
  const who = h("div", {});
  const show = () => answerInto(list, "flow-logs", {}, (answer) => [logsTable(answer, me, show, told), told], {ofAnybody: true});
  const showRefused = () => {
    const parameters = {...range("-1h"), log: "flow", where: ["action=REJECT"]};
    answerInto(refused, "timeline", {...parameters, by: "interface", sum: "packets"}, (answer) => {
      const {times, sets, tooMany} = pivot(answer, "interface", "packets");
      if (tooMany) return note(TOO_MANY, "bad");
      return [reservations(answer), answer.rows.length ? timeChart(times, sets, {
        label: "Refused packets by interface", unit: "count", gaps: answer.gaps, bucketMs: bucketMs(answer.bucket),
        zoom: (first, last) => state.set(timeOf(times, answer, first, last))})
        : note("No refused packet was told in this time.")];
    });
    answerInto(who, "top", {...parameters, by: ["srcaddr", "interface"], sum: "packets", count: 50}, (answer) => (answer.rows.length
      ? [h("p", {}, `${number(answer.rows.length)} of ${number(answer.groups)} by source and interface.`),
         table(Object.keys(answer.rows[0]).map((name) => ({name, ...formatOf(name)})), answer.rows, {caption: "Who is refused"})] : null));
  };
  show().then((logs) => {
    if (me.role !== "look" && logs?.length !== 0) showRefused();
    else replace(refused, note(me.role === "look" ? "Who is refused is for the role ask." : "No flow log tells of refused traffic."));
  });
  return [h("h1", {}, "Flow logs"), list, me.role === "steer" ? createForm(show) : null, h("h2", {}, "Refused, by interface"), rangeForm("-1h"), refused, who];
}
