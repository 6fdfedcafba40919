// The time that a page asks about: presets, or any two times as natsessionctl takes them. It stands in the address.
import {field, h} from "./dom.js";
import * as state from "./state.js";

const PRESETS = [["-15m", "15 min"], ["-1h", "1 h"], ["-6h", "6 h"], ["-24h", "24 h"], ["-7d", "7 d"], ["-30d", "30 d"]];

export function range(otherwise = "-1h") {
  return {since: state.get("since", otherwise), until: state.get("until")};
}

export function rangeForm(otherwise = "-1h") {
  const {since, until} = range(otherwise);
  const from = h("input", {value: since, size: 20, name: "since", spellcheck: "false", placeholder: "-1h, yesterday 14:50 …"});
  const to = h("input", {value: until, size: 20, name: "until", spellcheck: "false", placeholder: "now"});
  const submit = (event) => {
    event.preventDefault();
    state.set({since: from.value.trim(), until: to.value.trim()});
  };
  return h("form", {class: "row", onsubmit: submit},
           h("div", {class: "presets", role: "group", "aria-label": "Time"}, PRESETS.map(([value, text]) => h("button", {
             type: "button", "aria-pressed": String(!until && since === value), onclick: () => state.set({since: value, until: ""})}, text))),
           field("From", from), field("Until", to), h("button", {type: "submit", class: "main"}, "Show"));
}

/** Shifts and stretches what is shown: for those who do not drag. */
export function zoomButtons(answer) {
  const from = Date.parse(answer.from);
  const until = Date.parse(answer.until);
  const length = until - from;
  const move = (a, b) => state.set({since: new Date(from + a * length).toISOString(), until: new Date(until + b * length).toISOString()});
  return h("div", {class: "presets", role: "group", "aria-label": "Move the time"},
           h("button", {type: "button", onclick: () => move(-0.5, -0.5), "aria-label": "Earlier"}, "←"),
           h("button", {type: "button", onclick: () => move(0.5, 0.5), "aria-label": "Later"}, "→"),
           h("button", {type: "button", onclick: () => move(0.25, -0.25)}, "Closer"),
           h("button", {type: "button", onclick: () => move(-0.5, 0.5)}, "Wider"));
}
