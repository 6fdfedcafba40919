// Whose an address was at a time, and which addresses a subscriber had.
import {answerInto, reservations} from "./busy.js";
import {field, h, note} from "./dom.js";
import {number, time} from "./format.js";
import * as state from "./state.js";
import {table} from "./table.js";

/** From when to when, as far as it was seen. */
export function span(holder) {
  const from = holder.from_earliest && holder.from_earliest !== holder.from
    ? `${time(holder.from)} (perhaps since ${Date.parse(holder.from_earliest) > 0 ? time(holder.from_earliest) : "long before"})` : time(holder.from);
  if (!holder.until) return `${from}, and it is still so`;
  return `${from} to ${time(holder.until)}${holder.until_latest !== holder.until ? ` (at the latest ${time(holder.until_latest)})` : ""}`;
}

/** Who it is, and what speaks for it: an answer of "identity who", or what a trace has of it. */
export function holders(answer) {
  if (!answer.holders?.length) return answer.verdict === "nobody" ? "nobody: all sources were followed then" : `${answer.verdict}${answer.why_not ? `: ${answer.why_not}` : ""}`;
  return answer.holders.map((one) => h("p", {}, h("strong", {}, one.subscriber), one.host ? `, ${one.host}` : "", one.mac && one.mac !== one.subscriber ? `, ${one.mac}` : "",
    ` – ${one.certain ? "certain" : "possible"}: ${one.why}. ${one.kind[0].toUpperCase()}${one.kind.slice(1)} of ${one.source}: ${span(one)}.`));
}

function who(answer) {
  return [h("div", {class: `note ${answer.verdict === "certain" ? "good" : ""}`}, h("p", {}, "Certainty: ", answer.verdict, "."), holders(answer)),
    answer.deleted_on_request ? note("Something of this time may have been deleted on request.") : null,
    answer.damage?.length ? note(`Damage in the log of assignments: ${answer.damage[0]}`, "bad") : null,
    h("h2", {}, "Sources"), table([{name: "source", title: "Source"}, {name: "followed", title: "Followed then", text: (value) => (value ? "throughout" : "not in all of this time")},
      {name: "until", title: "Last before", text: (value, row) => (row.followed_before ? time(row.followed_before) : "–")},
      {name: "again", title: "Again from", text: (value, row) => (row.followed_again ? time(row.followed_again) : "–")}], answer.sources, {caption: "Sources"})];
}

const LISTED = ["subscriber", "prefix", "mac", "host", "since", "until"];

function assignments(answer) {
  return [reservations(answer), answer.rows.length ? table([
    {name: "subscriber", title: "Subscriber"}, {name: "prefix", title: "Address"}, {name: "kind", title: "Kind"}, {name: "from", title: "From", text: (value) => time(value)},
    {name: "until", title: "Until", text: (value) => (value ? time(value) : "still so")}, {name: "mac", title: "MAC"}, {name: "host", title: "Host"},
    {name: "netns", title: "Namespace"}, {name: "source", title: "Source"}], answer.rows, {caption: "Assignments"})
    : note("No assignment meets the conditions."), h("p", {}, `${number(answer.rows.length)} assignments.`)];
}

export function identity() {
  const inputs = Object.fromEntries(["address", "at", "slack", ...LISTED].map((name) => [name, h("input", {name, value: state.get(name), size: 22, spellcheck: "false",
    placeholder: {address: "10.0.0.5", at: "2026-11-21 14:57, yesterday 14:57 …", slack: "5s", prefix: "10.0.0.0/24", since: "-30d", until: "now", mac: "02:00:5e:00:53:01"}[name]})]));
  const place = h("div", {});
  const set = (names, others) => (event) => {
    event.preventDefault();
    state.set({...Object.fromEntries(others.map((name) => [name, ""])), ...Object.fromEntries(names.map((name) => [name, inputs[name].value.trim()]))});
  };
  const asked = ["address", "at", "slack"];
  if (state.get("address")) {
    answerInto(place, "identity", Object.fromEntries(asked.map((name) => [name, state.get(name)])), who);  // without a time: now, as far as the log has come
  } else if (LISTED.some((name) => state.get(name))) {
    answerInto(place, "identity/assignments", Object.fromEntries(LISTED.map((name) => [name, state.get(name)])), assignments);
  }
  return [h("h1", {}, "Identity"), h("form", {onsubmit: set(asked, LISTED)}, h("p", {}, "Whose was this address?"), h("div", {class: "row"}, field("Address", inputs.address),
      field("When", inputs.at), field("Slack of clocks", inputs.slack), h("button", {type: "submit", class: "main"}, "Ask"))),
    h("form", {onsubmit: set(LISTED, asked)}, h("p", {}, "What did a subscriber have?"), h("div", {class: "row"}, field("Subscriber", inputs.subscriber),
      field("Within", inputs.prefix), field("MAC", inputs.mac), field("Host", inputs.host), field("From", inputs.since), field("To", inputs.until),
      h("button", {type: "submit", class: "main"}, "List"))), place];
}
