// Sessions that are open now.
import {answerInto} from "./busy.js";
import {field, h, note, select} from "./dom.js";
import {bytes, endpoint, number, protocol, span, time} from "./format.js";
import * as state from "./state.js";
import {table} from "./table.js";

const EVERY = 2000;
const SORTS = [["", "as they come"], ["age", "the oldest first"], ["bytes_from_vpc", "most sent"], ["bytes_from_pub", "most received"],
  ["pri", "private end"], ["nat", "translated end"], ["pub", "peer"]];
let timer;

export function endFollowing() {
  window.clearTimeout(timer);
  timer = undefined;
}

export function sessions() {
  const names = ["pri", "nat", "pub", "protocol", "limit"];
  const inputs = Object.fromEntries(names.map((name) => [name, h("input", {name, value: state.get(name), size: name === "limit" ? 8 : 18, spellcheck: "false",
    placeholder: {pri: "10.0.0.0/8", nat: "203.0.113.7:40123", pub: ":443", protocol: "tcp", limit: "1000"}[name]})]));
  const place = h("div", {});
  const parameters = {...Object.fromEntries(names.map((name) => [name, state.get(name)])), sort: state.get("sort")};
  const show = (again = false) => answerInto(place, "sessions", parameters, (answer) => [
    h("p", {}, `${number(answer.sessions.length)} ${answer.sessions.length === 1 ? "session" : "sessions"}${answer.more ? `, and there are more${state.get("sort") ? ": others may come before these" : ""}` : ""}, at ${time(answer.now)}.`),
    answer.sessions.length ? table([
      {name: "protocol", title: "Protocol", text: protocol},
      {name: "pri_ip", title: "Private end", text: (value, row) => endpoint(value, row.pri_port)},
      ...(answer.sessions.some((one) => one.subscriber) ? [{name: "subscriber", title: "Subscriber",
        text: (value, row) => (value ? `${value}${row.subscriber_verdict === "certain" ? "" : " (perhaps)"}` : "–")}] : []),
      {name: "nat_ip", title: "Translated end", text: (value, row) => endpoint(value, row.nat_port)},
      {name: "pub_ip", title: "Peer", text: (value, row) => endpoint(value, row.pub_port)},
      {name: "tcp_state", title: "State"}, {name: "age_seconds", title: "Age", number: true, text: span},
      {name: "bytes_from_vpc", title: "Sent", number: true, text: bytes}, {name: "bytes_from_pub", title: "Received", number: true, text: bytes},
      {name: "pkts_from_vpc", title: "Packets sent", number: true, text: number}, {name: "pkts_from_pub", title: "Packets received", number: true, text: number},
      {name: "netns", title: "Namespace"}], answer.sessions, {caption: "Live sessions"}) : note("No session is open that meets the conditions.")], {again});
  show();
  endFollowing();
  if (state.get("follow") === "yes") {
    // The next one when this one is there: a full table takes longer than that.
    const follow = async () => {
      if (!document.hidden) await show(true);
      if (timer !== undefined) timer = window.setTimeout(follow, EVERY);
    };
    timer = window.setTimeout(follow, EVERY);
  }
  return [h("h1", {}, "Live sessions"),
    h("form", {class: "row", onsubmit: (event) => {
      event.preventDefault();
      state.set(Object.fromEntries(names.map((name) => [name, inputs[name].value.trim()])));
    }}, field("Private end", inputs.pri), field("Translated end", inputs.nat), field("Peer", inputs.pub), field("Protocol", inputs.protocol),
      field("At most", inputs.limit), field("Order", select(SORTS, state.get("sort"), {onchange: (event) => state.set({sort: event.target.value})})),
      h("button", {type: "submit", class: "main"}, "Show"),
      field("Follow", h("input", {type: "checkbox", checked: state.get("follow") === "yes",
        onchange: (event) => state.set({follow: event.target.checked ? "yes" : ""})}), {class: "line"})), place];
}
