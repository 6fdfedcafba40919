// How far the SNAT ports are used up, and when they run out.
import {answerInto, reservations} from "./busy.js";
import {barChart} from "./charts.js";
import {h, note} from "./dom.js";
import {endpoint, number, share, span, time} from "./format.js";
import {filterForm, filters, filterValue} from "./filters.js";
import {range, rangeForm} from "./range.js";
import {table} from "./table.js";

const COLUMNS = [
  {name: "now", title: "In use", number: true, text: number}, {name: "now_share", title: "of the range", number: true, text: share},
  {name: "peak", title: "Peak", number: true, text: number}, {name: "peak_share", title: "of the range", number: true, text: share},
  {name: "peak_at", title: "Peak at", text: (value) => time(value)},
  {name: "trend_per_hour", title: "More an hour", number: true, text: (value) => (value === null ? "–" : value.toFixed(1))},
  {name: "full_at", title: "Runs out", text: (value) => (value ? time(value) : "not by this trend")},
];

export function ports() {
  const place = h("div", {});
  answerInto(place, "ports", {...range("-24h"), where: filters()}, (answer) => {
    const own = answer.rows.filter((row) => row.pub_ip === null);
    const peers = answer.rows.filter((row) => row.pub_ip !== null);
    if (!own.length) return [reservations(answer), note("By what is recorded, no port was in use in this time that meets the conditions.")];
    const busiest = [...own].sort((a, b) => b.peak - a.peak).slice(0, 16);
    const soon = own.filter((row) => row.full_at).sort((a, b) => (a.full_at < b.full_at ? -1 : 1))[0];
    return [reservations(answer),
      soon ? note(`By the trend of ${span((Date.parse(answer.until) - Date.parse(answer.from)) / 1000)}, ${soon.nat_ip} has no ${soon.protocol} port left at ${time(soon.full_at)}.`) : null,
      h("p", {}, `${number(answer.range)} ports for each address and protocol; ${time(answer.from)} to ${time(answer.until)}.`),
      barChart(busiest.map((row) => `${row.nat_ip} ${row.protocol}`), [{label: "Peak", values: busiest.map((row) => row.peak)},
        {label: "In use", values: busiest.map((row) => row.now)}], {label: "Ports in use by address and protocol", unit: "count"}),
      h("h2", {}, "By address and protocol"),
      table([{name: "nat_ip", title: "NAT address", element: (value) => filterValue("nat_ip", value)}, {name: "protocol", title: "Protocol"}, ...COLUMNS], own,
        {caption: "By address and protocol"}),
      peers.length ? [h("h2", {}, "Busiest destinations"), table([{name: "nat_ip", title: "NAT address"}, {name: "protocol", title: "Protocol"},
        {name: "pub_ip", title: "Destination", element: (value, row) => filterValue("pub_ip", endpoint(row.pub_ip, row.pub_port), row.pub_ip)},
        ...COLUMNS], peers, {caption: "Busiest destinations"})] : null];
  });
  return [h("h1", {}, "Ports"), rangeForm("-24h"), filterForm(), place];
}
