// SQL over the log: examples, and an answer as a table, a chart or CSV.
import {answerInto, reservations} from "./busy.js";
import {barChart, timeChart} from "./charts.js";
import {append, field, h, note, select} from "./dom.js";
import {formatOf, number} from "./format.js";
import * as state from "./state.js";
import {csvOf, download, table} from "./table.js";

const EXAMPLES = [
  ["Bytes by minute to one peer", "SELECT date_trunc('minute', __time__) AS minute, sum(bytes_from_vpc) AS bytes\nFROM log\nWHERE pub_ip = '198.51.100.157' AND __time__ >= 'yesterday'\nGROUP BY minute"],
  ["Hosts that sent it the most", "SELECT pri_ip, sum(bytes_from_vpc) AS bytes, count(*) AS records\nFROM log\nWHERE pub_ip = '198.51.100.157' AND __time__ >= 'yesterday'\nGROUP BY pri_ip ORDER BY bytes DESC LIMIT 20"],
  ["Sessions by hour and protocol", "SELECT date_trunc('hour', __time__) AS hour, protocol, count(*) AS ended\nFROM log\nWHERE event = 'end' AND __time__ >= '-24h'\nGROUP BY hour, protocol"],
  ["Hosts with the most peers", "SELECT pri_ip, count(DISTINCT pub_ip) AS peers\nFROM log\nWHERE __time__ >= '-1h'\nGROUP BY pri_ip ORDER BY peers DESC LIMIT 20"],
  ["Gaps of the log", "SELECT start_time, end_time, reason, events_lost FROM log WHERE event = 'gap' AND end_time >= '-7d'"],
  ["Refused traffic by interface (flow logs)", "SELECT interface, srcaddr, count(*) AS entries, sum(packets) AS packets\nFROM flow\nWHERE action = 'REJECT' AND end_time >= '-1h'\nGROUP BY interface, srcaddr ORDER BY packets DESC LIMIT 50"],
  ["The columns of the log", "DESCRIBE log"], ["The columns of flow logs", "DESCRIBE flow"],
];

const isTime = (value) => typeof value === "string" && /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(value);

const MOST_ROWS = 5000, MOST_SERIES = 9;
/** What does not get a colour of its own is drawn all the same. */
function largest(sets) {
  if (sets.length <= MOST_SERIES) return sets;
  const sorted = [...sets].sort((a, b) => b.total - a.total);
  const [first, rest] = [sorted.slice(0, MOST_SERIES - 1), sorted.slice(MOST_SERIES - 1)];
  return [...first, {label: `${number(rest.length)} others`, values: first[0].values.map((_, at) => rest.reduce((sum, set) => sum + set.values[at], 0))}];
}

function chartOf(rows, names) {
  const numbers = names.filter((name) => rows.every((row) => row[name] === null || typeof row[name] === "number"));
  const label = names.find((name) => !numbers.includes(name)) ?? names[0];
  const values = numbers.filter((name) => name !== label);
  if (!values.length) return note("A chart takes a column of numbers.");
  const some = rows.slice(0, MOST_ROWS);
  const short = rows.length > some.length ? note(`The chart has the first ${number(some.length)} of ${number(rows.length)} rows.`) : null;
  const unit = values.every((name) => /bytes/.test(name)) ? "bytes" : "count";
  const title = `${values.join(", ")} by ${label}`;
  if (isTime(rows[0]?.[label])) {
    const iso = (text) => text.replace(" ", "T");
    const times = [...new Set(some.map((row) => row[label]))].sort();
    const other = names.find((name) => name !== label && !numbers.includes(name));
    const places = new Map(times.map((at, place) => [at, place]));
    const sets = new Map();
    for (const row of some) {
      for (const name of other ? values.slice(0, 1) : values) {
        const key = other ? String(row[other] ?? "–") : name;
        if (!sets.has(key)) sets.set(key, {label: key, values: new Array(times.length).fill(0), total: 0});
        const set = sets.get(key);
        set.values[places.get(row[label])] += row[name] ?? 0;
        set.total += row[name] ?? 0;
      }
    }
    const step = times.length > 1 ? Date.parse(iso(times[1])) - Date.parse(iso(times[0])) : 60_000;
    return [short, timeChart(times.map(iso), largest([...sets.values()]), {label: title, unit, bucketMs: step})];
  }
  return [short, barChart(some.map((row) => String(row[label] ?? "–")), values.map((name) => ({label: name, values: some.map((row) => row[name])})), {label: title, unit})];
}

export function sql() {
  const statement = state.get("statement");
  const text = h("textarea", {name: "statement", value: statement, spellcheck: "false", rows: 8, required: true});
  const place = h("div", {});
  const run = () => state.set({statement: text.value.trim()});
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });
  const example = select([["", "choose …"], ...EXAMPLES.map(([title], at) => [String(at), title])], "", {
    onchange: (event) => {
      if (event.target.value === "") return;
      text.value = EXAMPLES[Number(event.target.value)][1];
      text.focus();
    }});
  if (statement) {
    answerInto(place, "sql", {}, (answer) => {
      const names = Object.keys(answer.rows[0] ?? {});
      const chart = h("div", {});
      const view = state.get("view");
      if (view === "chart" && answer.rows.length) append(chart, [chartOf(answer.rows, names)]);
      return [reservations(answer), h("p", {class: "row"}, `${number(answer.rows.length)} rows.`, answer.rows.length ? [
        h("button", {type: "button", onclick: () => state.set({view: view === "chart" ? "" : "chart"})}, view === "chart" ? "Without the chart" : "As a chart"),
        h("button", {type: "button", onclick: () => download("answer.csv", "text/csv", csvOf(names, answer.rows))}, "Download CSV")] : null), chart,
        answer.rows.length ? table(names.map((name) => {
          const format = formatOf(name);
          const digits = answer.rows.slice(0, 50).every((row) => row[name] === null || typeof row[name] === "number");
          return {name, number: digits && !format.plain ? format.number : digits, text: format.plain && digits ? number : format.text};
        }), answer.rows, {caption: "Answer"}) : note("No row.")];
    }, {method: "POST", body: statement, type: "text/plain"});
  }
  return [h("h1", {}, "SQL"), h("form", {onsubmit: (event) => {
    event.preventDefault();
    run();
  }}, h("div", {class: "row"}, field("Examples", example)), field("SELECT over the tables log and flow; Ctrl+Enter asks", text),
    h("p", {}, h("button", {type: "submit", class: "main"}, "Ask"))), place];
}
