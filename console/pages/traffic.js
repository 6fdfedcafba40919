// Traffic over time, who made it, and against whom: from a surge to a name.
import {ask, timeZone} from "./api.js";
import {answerInto, reservations} from "./busy.js";
import {timeChart} from "./charts.js";
import {field, h, note, select} from "./dom.js";
import {bytes, formatOf, number} from "./format.js";
import {filterForm, filters, filterValue} from "./filters.js";
import {range, rangeForm, zoomButtons} from "./range.js";
import {TOO_MANY, bucketMs, pivot, timeOf} from "./series.js";
import * as state from "./state.js";
import {table} from "./table.js";

const GROUPS = [["", "nothing"], ["pri_ip", "host (pri_ip)"], ["pub_ip", "peer (pub_ip)"], ["nat_ip", "NAT address (nat_ip)"], ["protocol", "protocol"],
  ["pub_port", "peer's port"], ["pri_port", "host's port"], ["nat_port", "NAT port"], ["vpc_id", "VPC"], ["instance", "instance"], ["netns", "network namespace"],
  ["subscriber", "subscriber"], ["zone", "zone"], ["mark", "mark"], ["tcp_state", "TCP state"], ["event", "event"], ["reason", "reason"], ["orig_dst_ip", "first destination (orig_dst_ip)"],
  ["orig_dst_port", "first destination's port"], ["session_id", "session"],
  ...["seq", "log_status", "start_time", "end_time", "session_start", "bytes_from_vpc", "bytes_from_pub", "pkts_from_vpc", "pkts_from_pub", "events_lost"].map((one) => [one, one])];
const SUMS = ["bytes_from_vpc", "bytes_from_pub", "pkts_from_vpc", "pkts_from_pub", "bytes", "pkts", "sessions", "records"];
const COMPARED = [["", "nothing"], ["1", "the day before"], ["7", "the week before"]];
const DAY = 86_400_000;

/** The two statements of the clouds' guide, of what is shown. */
export function statements(answer, conditions) {
  const zone = (text) => `'${text}'`;
  const where = [`__time__ >= ${zone(answer.from)}`, `__time__ <= ${zone(answer.until)}`, ...conditions];
  const tail = (columns) => `FROM log\nWHERE ${where.join("\n  AND ")}\nGROUP BY ${columns}`;
  return [
    ["By minute", `SELECT sum(bytes_from_vpc) AS total_bytes, date_trunc('minute', __time__) AS ts_min\n${tail("ts_min")}`],
    ["By minute and host", `SELECT pri_ip, sum(bytes_from_vpc) AS total_bytes, date_trunc('minute', __time__) AS ts_min\n${tail("ts_min, pri_ip")}`],
  ];
}

const ADDRESSES = new Set(["pri_ip", "pub_ip", "nat_ip", "orig_dst_ip"]);
function sqlCondition(text) {
  const [, name, sign, value] = /^(\w+)(!=|<=|>=|=|<|>)(.*)$/.exec(text) ?? [];
  if (!name) return null;
  if (ADDRESSES.has(name) && value.includes("/")) return `in_prefix(${name}, '${value.replaceAll("'", "''")}')`;
  return `${name} ${sign} ${/^\d+$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`}`;
}

function topTable(by, sum, parameters) {
  const place = h("div", {});
  answerInto(place, "top", {...parameters, by, sum, count: 20}, (answer) => [reservations(answer), answer.rows.length ? [
    h("p", {}, `${number(answer.rows.length)} of ${number(answer.groups)}; all together ${/bytes/.test(sum) ? bytes(answer.total) : number(answer.total)}.`),
    table(Object.keys(answer.rows[0]).map((name) => {
      const format = formatOf(name);
      return {name, text: format.text, number: format.number,
              element: name === by ? (value) => (value === null ? "–" : filterValue(by, format.text(value), value)) : undefined};
    }), answer.rows, {caption: `Top by ${by}`})] : note("No record that meets the conditions was found.")]);
  return h("section", {}, h("h2", {}, `Top by ${by}`), place);
}

export function traffic() {
  const by = state.get("by");
  const sum = state.get("sum", "bytes_from_vpc");
  const compare = state.get("compare");
  const parameters = {...range("-1h"), where: filters()};
  const chart = h("div", {});
  const chosen = (name) => ({onchange: (event) => state.set({[name]: event.target.value})});
  const unit = /bytes/.test(sum) ? "bytes" : "count";
  answerInto(chart, "timeline", {...parameters, by, sum, bucket: state.get("bucket")}, async (answer, signal) => {
    const {times, sets, tooMany} = pivot(answer, by, sum);
    if (tooMany) return [note(TOO_MANY, "bad"), zoomButtons(answer)];
    const step = bucketMs(answer.bucket);
    let other = [];
    if (compare) {
      const shift = (text) => new Date(Date.parse(text) - Number(compare) * DAY).toISOString();
      const before = await ask("timeline", {...parameters, since: shift(answer.from), until: shift(answer.until), sum, bucket: answer.bucket}, {signal});
      other = reservations(before);
      const old = pivot(before, "", sum);
      // Where only one of the two has rows, their bars may begin a part of one apart.
      const place = (one) => Math.round((Date.parse(one) - Number(compare) * DAY - Date.parse(old.times[0])) / step);
      if (old.sets.length) sets.push({label: COMPARED.find(([value]) => value === compare)[1], line: true,
                                      values: times.map((one) => old.sets[0].values[place(one)] ?? null)});
    }
    const conditions = filters().map(sqlCondition);
    const sql = conditions.every(Boolean) ? statements(answer, conditions) : [];  // else it would ask about more than is shown
    const rows = answer.rows.map((row) => ({...row}));
    return [
      reservations(answer), other.length ? [h("p", {}, "And of the time that it is compared with:"), other] : null, zoomButtons(answer),
      sets.length ? timeChart(times, sets, {
        label: `${sum} by ${answer.bucket}${by ? ` and ${by}` : ""}, ${answer.from} to ${answer.until}`, unit, gaps: answer.gaps, bucketMs: step,
        zoom: (first, last) => state.set({...timeOf(times, answer, first, last), bucket: ""})})
        : note("Nothing was recorded in this time that meets the conditions."),
      h("p", {}, `Bars of ${answer.bucket}, times in ${timeZone()}. Drag over the chart to look closer, click a bar for it alone. Gaps are shaded. `,
        sql.map(([title, statement]) => [h("a", {class: "button", href: state.link("/sql", {statement})}, `SQL: ${title}`), " "])),
      h("details", {}, h("summary", {}, "The chart as a table"), table(Object.keys(rows[0] ?? {time: 0}).map((name) => ({name, ...formatOf(name)})), rows,
        {caption: "The chart as a table"})),
    ];
  });
  return [h("h1", {}, "Traffic"), rangeForm("-1h"),
    h("form", {class: "row", onsubmit: (event) => event.preventDefault()}, field("Grouped by", select(GROUPS, by, chosen("by"))),
      field("Sum", select(SUMS, sum, chosen("sum"))), field("Compared with", select(COMPARED, compare, chosen("compare"))),
      field("Bars of", select([["", "what fits"], "10s", "1m", "5m", "10m", "1h", "6h", "1d"], state.get("bucket"), chosen("bucket")))),
    filterForm(), chart,
    h("div", {class: "columns"}, topTable("pri_ip", sum, parameters), topTable("pub_ip", sum, parameters),
      by && by !== "pri_ip" && by !== "pub_ip" ? topTable(by, sum, parameters) : null)];
}
