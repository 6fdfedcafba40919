// Conditions of a question: field=value each, set by clicking at a value or by writing them.
import {field, h} from "./dom.js";
import * as state from "./state.js";

export function filters() {
  return state.all("where");
}

export function addFilter(name, value) {
  const text = `${name}=${value}`;
  if (!filters().includes(text)) state.set({where: [...filters(), text]});
}

/** A value that becomes a condition when it is clicked. */
export function filterValue(name, shown, value = shown) {
  return h("button", {type: "button", class: "value", title: `Only ${name}=${value}`, onclick: () => addFilter(name, value)}, shown);
}

export function filterForm() {
  const input = h("input", {size: 26, placeholder: "pub_ip=198.51.100.0/24", spellcheck: "false", name: "filter"});
  const submit = (event) => {
    event.preventDefault();
    if (input.value.trim()) state.set({where: [...filters(), input.value.trim()]});
  };
  return h("form", {class: "row", onsubmit: submit}, field("Only where", input), h("button", {type: "submit"}, "Add"),
           filters().map((one) => h("span", {class: "chip"}, h("span", {class: "mono"}, one), h("button", {
             type: "button", "aria-label": `Remove ${one}`,
             onclick: () => state.set({where: filters().filter((other) => other !== one)})}, "×"))));
}
