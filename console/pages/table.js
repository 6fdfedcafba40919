// A table of any number of rows: only those that are seen are elements. Titles sort; by which stands in the address.
import {h, replace} from "./dom.js";
import * as state from "./state.js";

const ROW = 30;  // pixels, as console.css has them
const SPARE = 12;

/** columns: [{name, title, text(value, row), number, element(value, row)}]; rows: objects, or arrays by the columns' places. */
export function table(columns, rows, {caption, sortable = true} = {}) {
  let order = rows;
  let sorted = null;
  const key = `${(caption ?? "table").toLowerCase().replaceAll(/\W+/g, "-")}:`;  // order=KEY:up:COLUMN, or down
  const value = (row, at) => (Array.isArray(row) ? row[at] : row[columns[at].name]);
  const body = h("tbody");
  const titles = columns.map((column, at) => h("th", {
    scope: "col", class: column.number ? "number" : undefined, "aria-sort": sortable ? "none" : undefined},
    sortable ? h("button", {type: "button", onclick: () => choose(at)}, column.title ?? column.name) : column.title ?? column.name));
  const inner = h("table", {"aria-rowcount": rows.length + 1}, caption ? h("caption", {class: "hidden"}, caption) : null,
                  h("thead", {}, h("tr", {"aria-rowindex": 1}, titles)), body);
  const view = h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": caption ?? "Table"}, inner);

  function cell(row, at) {
    const column = columns[at];
    const raw = value(row, at);
    const shown = column.element ? column.element(raw, row) : column.text ? column.text(raw, row) : raw ?? "–";
    return h("td", {class: [column.number && "number", column.wrap && "wrap"].filter(Boolean).join(" ") || undefined}, shown);
  }
  function spacer(count) {
    const filler = h("td", {colspan: columns.length});
    filler.style.height = `${count * ROW}px`;
    return h("tr", {class: "spacer", "aria-hidden": "true"}, filler);
  }
  let drawn = "";
  function draw(force = false) {
    const height = view.clientHeight || 600;
    const all = order.length <= 200;
    const first = all ? 0 : Math.max(0, Math.floor(view.scrollTop / ROW) - SPARE);
    const behind = all ? order.length : Math.min(order.length, Math.ceil((view.scrollTop + height) / ROW) + SPARE);
    if (!force && drawn === `${first}-${behind}`) return;
    drawn = `${first}-${behind}`;
    replace(body, first > 0 ? spacer(first) : null,
            order.slice(first, behind).map((row, i) => h("tr", {"aria-rowindex": first + i + 2}, columns.map((_, at) => cell(row, at)))),
            behind < order.length ? spacer(order.length - behind) : null);
  }
  function choose(at) {
    const down = sorted?.at === at ? !sorted.down : Boolean(columns[at].number);
    sort(at, down);
    state.note({order: [...state.all("order").filter((one) => !one.startsWith(key)), `${key}${down ? "down" : "up"}:${columns[at].name}`]});
  }
  function sort(at, down) {
    sorted = {at, down};
    titles.forEach((title, i) => title.setAttribute("aria-sort", i !== at ? "none" : down ? "descending" : "ascending"));
    const sign = down ? -1 : 1;
    order = [...rows].sort((a, b) => {
      const x = value(a, at);
      const y = value(b, at);
      if (x === y) return 0;
      if (x === null || x === undefined) return 1;
      if (y === null || y === undefined) return -1;
      return typeof x === "number" && typeof y === "number" ? sign * (x - y)
        : sign * String(x).localeCompare(String(y), "en", {numeric: true});
    });
    draw(true);
  }
  view.addEventListener("scroll", () => window.requestAnimationFrame(() => draw()), {passive: true});
  new ResizeObserver(() => draw()).observe(view);
  const [, way, name] = state.all("order").find((one) => one.startsWith(key))?.match(/^[^:]*:(up|down):(.*)$/s) ?? [];
  const at = sortable && way ? columns.findIndex((column) => column.name === name) : -1;
  if (at >= 0) sort(at, way === "down");
  else draw(true);
  return view;
}

/** As CSV (RFC 4180), for a download. */
export function csvOf(names, rows) {
  const quoted = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [names, ...rows.map((row) => names.map((name) => row[name]))].map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
}

/** Lines of CSV as lists of texts. */
export function readCsv(text) {
  // As natsessionctl takes it: what parts the titles.
  const title = text.slice(0, text.indexOf("\n") + 1 || text.length);
  const comma = [",", ";", "\t"].reduce((best, one) => (title.split(one).length > title.split(best).length ? one : best));
  const lines = [];
  let line = [];
  let value = "";
  let inside = false;
  for (let i = 0; i < text.length; ++i) {
    const c = text[i];
    if (inside) {
      if (c !== '"') value += c;
      else if (text[i + 1] === '"') value += text[++i];
      else inside = false;
    } else if (c === '"') inside = true;
    else if (c === comma || c === "\n") {
      line.push(value.replace(/\r$/, ""));
      value = "";
      if (c === "\n") {
        lines.push(line);
        line = [];
      }
    } else value += c;
  }
  if (value || line.length) lines.push([...line, value]);
  return lines;
}

export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], {type}));
  const link = h("a", {href: url, download: name});
  document.body.append(link);
  link.click();
  link.remove();
  window.setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
