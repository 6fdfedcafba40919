// How the logger is, and whether the log is whole.
import {ask} from "./api.js";
import {answerInto, reservations} from "./busy.js";
import {timeChart} from "./charts.js";
import {field, h, note, replace, select} from "./dom.js";
import {bytes, number, share, span, time} from "./format.js";
import * as state from "./state.js";
import {table} from "./table.js";
import {TOO_MANY, bucketMs, pivot, timeOf} from "./series.js";

function card(title, value, small, kind) {
  return h("div", {class: "card"}, h("dt", {}, title), h("dd", {class: kind}, value, small ? h("small", {}, small) : null));
}
const sum = (list, of) => list.reduce((total, one) => total + (of(one) ?? 0), 0);

// Delivery Type and Destination of a sink's name, such as "http://collector:8080/".
function destination(name) {
  const scheme = name.includes(":") ? name.slice(0, name.indexOf(":")) : name;
  return {type: scheme, where: name};
}

function sinks(status, me, again) {
  const steer = me.role === "steer";
  const rows = status.sinks.map((sink) => ({...sink, ...destination(sink.name)}));
  return h("section", {}, h("h2", {}, "Delivery"), rows.length ? table([
    {name: "where", title: "Destination Information"}, {name: "type", title: "Delivery Type"},
    {name: "state", title: "Delivery Status", element: (text, row) => h("span", {
      class: !row.enabled ? "" : text === "Success" ? "good" : text === "Failed" ? "bad" : "warning"}, row.enabled ? text : "Disabled")},
    {name: "message", title: "Last failure", wrap: true,
     text: (text, row) => (row.code || text ? `${row.code ? `${row.code}: ` : ""}${text}${row.last_failure_at ? ` (${time(row.last_failure_at)})` : ""}` : "–")},
    {name: "delivered", title: "Delivered", number: true, text: number}, {name: "waiting", title: "Waiting", number: true, text: number},
    {name: "oldest_waiting_seconds", title: "Oldest waiting", number: true, text: span}, {name: "dropped", title: "Missed", number: true, text: number},
    {name: "dead_lettered", title: "Dead letters", number: true, text: number},
    ...(steer ? [{name: "name", title: "Steer", element: (name, row) => h("button", {type: "button",
      onclick: () => steerDialog(row.enabled, name, again)}, row.enabled ? "Disable" : "Enable")}] : []),
  ], rows, {caption: "Sinks"}) : note("No destination is configured: the log is in the ledger alone."));
}

function sources({identity, now}) {
  if (!identity) return null;
  const age = (one) => (one.followed_until ? (Date.parse(now) - Date.parse(one.followed_until)) / 1000 : null);
  return h("section", {}, h("h2", {}, "Identity"), table([{name: "source", title: "Source"},
    {name: "followed_until", title: "Followed", element: (value, row) => h("span", {class: age(row) === null ? "warning" : age(row) > 15 ? "bad" : "good"},
      age(row) === null ? "not yet" : age(row) > 15 ? `until ${time(value)}` : "yes")},
    {name: "open", title: "Open", number: true, text: number}, {name: "begun", title: "Begun", number: true, text: number},
    {name: "ended", title: "Ended", number: true, text: number}, {name: "refused", title: "Refused", number: true, text: number},
    {name: "losses", title: "Losses", number: true, text: number}, {name: "problem", title: "Last problem", wrap: true, text: (value) => value || "–"}],
    identity.sources, {caption: "Sources of identity"}),
    identity.failure ? note(`The log of assignments cannot be written: ${identity.failure}`, "bad") : null);
}

/** Asks for a reason, then enables or disables. */
function steerDialog(enabled, sink, again) {
  const word = enabled ? "disable" : "enable";
  const input = h("input", {name: "why", required: true, size: 40});
  const told = h("div", {});
  const dialog = h("dialog", {"aria-label": `${word} ${sink || "logging"}`}, h("form", {
    method: "dialog",
    onsubmit: async (event) => {
      event.preventDefault();
      try {
        await ask(word, {sink, reason: input.value}, {method: "POST"});
        dialog.close();
        again();
      } catch (error) {
        replace(told, note(error.message, "bad"));
      }
    }},
    h("p", {}, `${word[0].toUpperCase()}${word.slice(1)} ${sink || "all logging"}?`,
      enabled && !sink ? " Sessions of the time without logging are missing from the log, which will say so." : ""),
    field("Reason, for the audit log", input), told,
    h("p", {class: "row"}, h("button", {type: "submit", class: "main"}, word[0].toUpperCase() + word.slice(1)),
      h("button", {type: "button", onclick: () => dialog.close()}, "Leave it"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  input.focus();
}

// Sessions that ended a second since the status before, of this page.
let before = null;
function sinceLast(status) {
  const ended = sum(status.collectors, (one) => one.events.destroy);
  const seconds = before && before.started === status.started ? (Date.parse(status.now) - before.now) / 1000 : 0;
  const whole = (Date.parse(status.now) - Date.parse(status.started)) / 1000;
  const rate = seconds > 1 ? (ended - before.ended) / seconds : whole > 0 ? ended / whole : null;
  const told = seconds > 1 ? `that ended, over ${span(seconds)}` : `that ended, since ${time(status.started)}`;
  before = {started: status.started, now: Date.parse(status.now), ended};
  return card("Sessions a second", rate === null ? "–" : number(Math.round(rate * 10) / 10), told);
}

function cards(status, me, again) {
  const {collectors, ledger} = status;
  const known = collectors.filter((one) => one.live_sessions !== null);
  const lost = sum(collectors, (one) => one.events_lost);
  // Of all of them, or of none.
  const proved = collectors.length > 0 && collectors.every((one) => one.covered_from && one.covered_until);
  const by = (list) => [...list].sort((a, b) => Date.parse(a) - Date.parse(b));
  const from = proved ? by(collectors.map((one) => one.covered_from)).at(-1) : null;
  const covered = proved ? by(collectors.map((one) => one.covered_until))[0] : null;
  const fill = collectors.filter((one) => one.table_entries !== null && one.table_limit > 0)
    .sort((a, b) => b.table_entries / b.table_limit - a.table_entries / a.table_limit)[0];
  return h("section", {}, h("dl", {class: "cards"},
    card("Session Log Status", status.logging_enabled ? "Enabled" : "Disabled",
         `natsessiond ${status.version}, since ${time(status.started)}`, status.logging_enabled ? "good" : "bad"),
    card("Events a second", number(Math.round(sum(collectors, (one) => one.events_per_second))), "of the kernel, over ten seconds; a session has two or more"),
    sinceLast(status),
    card("Records a second", number(Math.round(sum(collectors, (one) => one.records_per_second)))),
    card("Live sessions", known.length ? number(sum(known, (one) => one.live_sessions)) : "not known yet",
         known.length && known.length < collectors.length ? `of ${known.length} of ${collectors.length} namespaces: of the others it is not known` : null),
    fill ? card("Conntrack table", share(fill.table_entries / fill.table_limit), `${number(fill.table_entries)} of ${number(fill.table_limit)} flows`,
                fill.table_entries > 0.8 * fill.table_limit ? "bad" : undefined) : null,
    card("Events lost", number(lost), "told in the log as gaps", lost ? "bad" : "good"),
    card("Events delayed", number(sum(collectors, (one) => one.events_delayed)), "came again, none is missing"),
    card("Gaps", number(sum(collectors, (one) => one.gaps)), "since the start", sum(collectors, (one) => one.gaps) ? "warning" : "good"),
    card("Proved until", covered ? time(covered) : "not proved",
         covered ? `what ended since ${time(from)} is recorded, but for gaps` : "a collector proves nothing yet", covered ? undefined : "warning"),
    ledger ? card("Ledger", bytes(ledger.bytes), `${number(ledger.records)} records, at most ${bytes(ledger.limit_bytes)}`,
                  ledger.failure ? "bad" : undefined) : card("Ledger", "none"),
    ledger ? card("Oldest record", time(ledger.oldest), `kept for ${span(ledger.retention_seconds)}`) : null),
    ledger?.failure ? note(`The ledger cannot be written: ${ledger.failure}`, "bad") : null,
    ledger?.upkeep_failure ? note(`Sealing and retention: ${ledger.upkeep_failure}`, "bad") : null,
    ledger?.damaged_frames ? note(`${number(ledger.damaged_frames)} damaged frames were met in the ledger: natsessionctl verify tells which.`, "bad") : null,
    me.role === "steer" ? h("p", {}, h("button", {type: "button", onclick: () => steerDialog(status.logging_enabled, "", again)},
      status.logging_enabled ? "Disable logging" : "Enable logging")) : null);
}

const HELD = [["-24h", "the last day"], ["-7d", "the last week"]];

export function overview(me) {
  const status = h("div", {});
  const chart = h("div", {});
  const show = () => answerInto(status, "status", {}, (answer) => [cards(answer, me, show), sinks(answer, me, show), sources(answer)], {ofAnybody: true});
  const since = state.get("since", "-24h");
  show();
  answerInto(chart, "timeline", {since, sum: "sessions"}, (answer) => {
    const {times, sets, tooMany} = pivot(answer, "", "sessions");
    if (tooMany) return note(TOO_MANY, "bad");
    return [reservations(answer), answer.rows.length ? timeChart(times, sets, {
      label: `Sessions by ${answer.bucket}`, unit: "count", gaps: answer.gaps, bucketMs: bucketMs(answer.bucket),
      zoom: (first, last) => state.go(state.link("/traffic", {...timeOf(times, answer, first, last), sum: "sessions"}))})
      : note("No session is recorded of this time.")];
  }, {ofAnybody: true});
  return [h("h1", {}, "Overview"), status, h("h2", {}, "Sessions"),
          h("form", {class: "row", onsubmit: (event) => event.preventDefault()},
            field("Of", select(HELD, since, {onchange: (event) => state.set({since: event.target.value})}))), chart];
}
