// The rows of a timeline as series.
import {protocol} from "./format.js";

/** "10m" in milliseconds. */
export function bucketMs(text) {
  const [, count, unit] = /^(\d+)(ms|s|m|h|d)$/.exec(text) ?? [null, "60", "s"];
  return Number(count) * {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000}[unit];
}

const MOST_BARS = 5000;
export const TOO_MANY = `More than ${MOST_BARS} bars cannot be drawn: choose longer ones, or less time.`;

/** tooMany: nothing can be drawn. times: of every bar, also of those without a row; sets: [{label, values}], the largest first. */
export function pivot(answer, by, what) {
  const step = bucketMs(answer.bucket);
  const offset = /(Z|[+-]\d\d:\d\d)$/.exec(answer.from)?.[0] ?? "Z";
  const names = new Map(answer.rows.map((row) => [Date.parse(row.time), row.time]));
  const first = answer.rows.length ? Date.parse(answer.rows[0].time) : Date.parse(answer.from);
  const begin = first - Math.floor(Math.max(0, first - Date.parse(answer.from)) / step) * step;
  const end = Date.parse(answer.until);
  if ((end - begin) / step > MOST_BARS) return {times: [], sets: [], tooMany: true};
  const times = [];
  for (let at = begin; at < end; at += step) times.push(names.get(at) ?? inZone(at, offset));
  const places = new Map(times.map((one, at) => [Date.parse(one), at]));
  const sets = new Map();
  for (const row of answer.rows) {
    const key = by ? row[by] ?? "others" : what;
    if (!sets.has(key)) sets.set(key, {label: by === "protocol" ? protocol(key) : String(key), key, values: new Array(times.length).fill(0)});
    const place = places.get(Date.parse(row.time));
    if (place !== undefined) sets.get(key).values[place] = row[what] ?? 0;
  }
  return {times, sets: [...sets.values()]};
}

/** The time of the bars from one place to another, as a page's address has it. */
export function timeOf(times, answer, first, last) {
  return {since: times[first], until: new Date(Date.parse(times[last]) + bucketMs(answer.bucket)).toISOString()};
}

function inZone(at, offset) {
  const sign = offset.startsWith("-") ? -1 : 1;
  const minutes = offset === "Z" ? 0 : sign * (Number(offset.slice(1, 3)) * 60 + Number(offset.slice(4, 6)));
  return new Date(at + minutes * 60_000).toISOString().replace("Z", offset);
}
