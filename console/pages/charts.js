// Charts by Chart.js, in the page's colours, each with what it shows in words beside it.
import {h} from "./dom.js";
import {bytes, clock, number, time} from "./format.js";

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
export function series(at) {
  return colour(`series-${Math.min(at, 8)}`);
}

const living = new Set();
export function endCharts() {
  for (const chart of living) chart.destroy();
  living.clear();
}

function scales(unit, stacked) {
  const text = colour("faint");
  const grid = {color: colour("line")};
  return {
    x: {stacked, ticks: {color: text, maxRotation: 0, autoSkip: true, maxTicksLimit: 12}, grid: {display: false}},
    y: {stacked, beginAtZero: true, grid, ticks: {color: text, callback: (value) => (unit === "bytes" ? bytes(value) : number(value))}},
  };
}

function make(canvas, config) {
  const chart = new window.Chart(canvas, config);
  living.add(chart);
  return chart;
}

/** Bars over time, stacked. times: RFC 3339 of each bar; sets: [{label, values, line}]; gaps: [{from, until}].
 *  `zoom(first, last)` is called with the places of bars that were chosen, by dragging or a click. */
export function timeChart(times, sets, {label, unit, gaps = [], bucketMs, zoom} = {}) {
  const canvas = h("canvas", {role: "img", "aria-label": label});
  const box = h("div", {class: "chart"}, canvas);
  const starts = times.map((one) => Date.parse(one));
  let chosen = null;  // [first, last] while it is dragged
  const place = (chart, at) => {  // of a time, in pixels
    const {left, width} = chart.chartArea;
    return left + (at - starts[0]) / (bucketMs * times.length) * width;
  };
  const shade = {
    id: "shade",
    // Over the bars: what they lack begins where they are.
    afterDatasetsDraw(chart) {
      const {top, bottom, left, right} = chart.chartArea;
      const {ctx} = chart;
      ctx.save();
      ctx.fillStyle = colour("gap");
      for (const gap of gaps) {
        const from = gap.from ? Math.max(left, place(chart, Date.parse(gap.from))) : left;
        const until = Math.min(right, Math.max(place(chart, Date.parse(gap.until)), from + 2));
        if (until > from) ctx.fillRect(from, top, until - from, bottom - top);
      }
      if (chosen) {
        const width = (right - left) / times.length;
        const [first, last] = [Math.min(...chosen), Math.max(...chosen)];
        ctx.fillStyle = colour("select");
        ctx.fillRect(left + first * width, top, (last - first + 1) * width, bottom - top);
      }
      ctx.restore();
    },
  };
  const day = new Set(times.map((one) => one.slice(0, 10))).size > 1;
  const labels = times.map((one) => (day ? `${one.slice(5, 10)} ${clock(one)}` : bucketMs < 60_000 ? one.slice(11, 19) : clock(one)));
  const drawn = () => make(canvas, {
    type: "bar",
    data: {labels, datasets: sets.map((set, at) => ({
      type: set.line ? "line" : "bar", label: set.label, data: set.values, stack: set.line ? `line${at}` : "all",
      backgroundColor: set.line ? "transparent" : series(at), borderColor: set.line ? colour("text") : series(at),
      borderDash: set.line ? [5, 4] : undefined, borderWidth: set.line ? 1.5 : 0, pointRadius: 0, barPercentage: 1, categoryPercentage: 0.94,
      order: set.line ? 0 : 1}))},
    options: {
      animation: false, maintainAspectRatio: false, interaction: {mode: "index", intersect: false}, scales: scales(unit, true),
      plugins: {
        legend: {display: sets.length > 1, labels: {color: colour("text"), boxWidth: 14}},
        tooltip: {callbacks: {
          title: ([item]) => (item ? time(times[item.dataIndex]) : ""),
          label: (item) => `${item.dataset.label}: ${unit === "bytes" ? bytes(item.raw) : number(item.raw)}`}},
      },
    },
    plugins: [shade],
  });
  queueMicrotask(() => {
    if (!times.length) return;
    const chart = drawn();
    if (!zoom) return;
    const barAt = (event) => {
      const {left, width} = chart.chartArea;
      const x = event.clientX - canvas.getBoundingClientRect().left - left;
      return Math.max(0, Math.min(times.length - 1, Math.floor(x / width * times.length)));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      chosen = [barAt(event), barAt(event)];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!chosen) return;
      chosen[1] = barAt(event);
      chart.draw();
    });
    canvas.addEventListener("pointerup", () => {
      if (!chosen) return;
      const [first, last] = [Math.min(...chosen), Math.max(...chosen)];
      chosen = null;
      zoom(first, last);
    });
    canvas.addEventListener("pointercancel", () => {
      chosen = null;
      chart.draw();
    });
  });
  return box;
}

/** Bars by names. */
export function barChart(labels, values, {label, unit} = {}) {
  const canvas = h("canvas", {role: "img", "aria-label": label});
  queueMicrotask(() => make(canvas, {
    type: "bar",
    data: {labels, datasets: values.map((set, at) => ({label: set.label, data: set.values, backgroundColor: series(at)}))},
    options: {animation: false, maintainAspectRatio: false, scales: scales(unit, false),
              plugins: {legend: {display: values.length > 1, labels: {color: colour("text"), boxWidth: 14}}}},
  }));
  return h("div", {class: "chart"}, canvas);
}
