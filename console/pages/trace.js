// Who was behind an address and a port at a time, one or a list; and the answer as a page to print.
import {answerInto, reservations} from "./busy.js";
import {reason, timeZone} from "./api.js";
import {field, h, note} from "./dom.js";
import {bytes, endpoint, number, protocol, time} from "./format.js";
import {holders} from "./identity.js";
import * as state from "./state.js";
import {download, readCsv, table} from "./table.js";

function facts(list) {
  return h("dl", {class: "facts"}, list.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function candidate(one, rank) {
  const {record, total} = one;
  return h("article", {class: "candidate"}, h("h3", {}, `${rank}. `, h("span", {class: "mono"}, endpoint(one.pri_ip, one.pri_port))),
    facts([["Through", h("span", {class: "mono"}, endpoint(one.nat_ip, one.nat_port))],
      ["To", h("span", {class: "mono"}, endpoint(one.pub_ip, one.pub_port))], ["Protocol", protocol(one.protocol)],
      ["Began", one.session_start ? time(one.session_start) : `first seen ${time(one.first_seen)}`],
      ["Ended", one.ended ? time(one.last_seen) : one.open_now ? "it is open now" : `last seen ${time(one.last_seen)}`],
      ["Sent / received", `${bytes(total.bytes_from_vpc)} / ${bytes(total.bytes_from_pub)}${total.whole ? "" : ", as far as is known"}`],
      record ? ["In the window that was asked", `${bytes(record.bytes_from_vpc)} / ${bytes(record.bytes_from_pub)}`] : null,
      one.subscriber ? ["Subscriber", holders(one.subscriber)] : null,
      one.vpc_id ? ["VPC", one.vpc_id] : null, ["Instance", one.instance], one.netns ? ["Network namespace", one.netns] : null,
      ["What speaks for it", one.reasons.length ? one.reasons.join("; ") : "–"],
      one.peer_differs ? ["Against it", "it talked to another peer than the one that was asked about"] : null]),
    h("p", {class: "no-print"}, h("a", {class: "button", href: state.link("/traffic", {where: [`pri_ip=${one.pri_ip}`],
      since: one.first_seen, until: one.last_seen})}, "Its traffic")));
}

// A zone that the box knows, the browser may not.
function localTime(at) {
  try {
    return `${at.toLocaleString("sv-SE", {timeZone: timeZone()})} ${timeZone()}`;
  } catch {
    return `${at.toISOString()}`;
  }
}

function gapsText(answer) {
  if (!answer.gap_count) return "none is told";
  const told = answer.gaps.map((gap) => `${gap.from ? time(gap.from) : "the beginning"} to ${time(gap.until)}, ${gap.reason}`);
  if (answer.gap_count > told.length) told.push(`${number(answer.gap_count - told.length)}${told.length ? " more" : ", too many to be told one by one"}`);
  return told.join("; ");
}

/** `me` tells who asked. */
function report(answer, me) {
  const {question, summary} = answer;
  const asked = new Date();
  return [
    h("div", {class: `note ${answer.verdict === "found" ? "good" : ""}`}, h("p", {}, h("strong", {}, summary.who ?? answer.verdict)),
      summary.subscriber ? h("p", {}, "Subscriber: ", h("strong", {}, summary.subscriber)) : null,
      summary.when ? h("p", {}, summary.when) : null, h("p", {}, "Certainty: ", summary.sure, "."),
      summary.why?.length ? h("p", {}, "For it: ", summary.why.join("; "), ".") : null,
      summary.against?.length ? h("p", {}, "Against it: ", summary.against.join("; "), ".") : null),
    h("p", {class: "row no-print"}, h("button", {type: "button", onclick: () => window.print()}, "Print the answer"),
      h("button", {type: "button", onclick: () => download("trace.json", "application/json", JSON.stringify(answer, null, 1))}, "JSON")),
    h("h2", {}, answer.candidates.length === 1 ? "The session" : `${number(answer.candidates.length)} sessions`),
    answer.candidates.map((one, at) => candidate(one, at + 1)),
    answer.more ? note(`${number(answer.more)} more are not shown.`) : null,
    reservations(answer),
    h("h2", {}, "This answer"),
    facts([["Question", `Who was behind ${question.nat_ip}${question.nat_port ? `, port ${question.nat_port}` : ""}?`],
      ["Time", `${time(question.from)} to ${time(question.until)}, clocks may differ by ${question.slack}`],
      question.pub_ip ? ["Peer", endpoint(question.pub_ip, question.pub_port ?? "any")] : null,
      ["The log reaches", answer.ledger ? `from ${time(answer.ledger.from)} to ${time(answer.ledger.until)}` : "–"],
      ["Gaps in this time", gapsText(answer)],
      ["Asked by", `${me.user}${reason.get() ? `, for: ${reason.get()}` : ""}`],
      ["When", `${localTime(asked)}`], ["Console", `natsession-console ${me.version}`],
      ["Box", state.get("box") || me.boxes[0].name]]),
  ];
}

async function textOf(file) {
  const data = new Uint8Array(await file.arrayBuffer());
  const wide = data[0] === 0xff && data[1] === 0xfe ? "utf-16le" : data[0] === 0xfe && data[1] === 0xff ? "utf-16be" : "utf-8";
  return new TextDecoder(wide).decode(data);
}

function listPart() {
  const file = h("input", {type: "file", accept: ".csv,text/csv,text/plain", name: "file"});
  const given = state.fragment("list");
  const text = h("textarea", {name: "list", value: given, spellcheck: "false", placeholder: "nat,time\n203.0.113.7:40123,2026-11-21 14:57:03"});
  const place = h("div", {});
  const submit = async (event) => {
    event.preventDefault();
    const body = file.files.length ? await textOf(file.files[0]) : text.value;
    if (!body.trim()) return;
    const fits = state.setFragment("list", body);
    await askAll(body, fits ? null : note("The list is too long to stand in this page's address: pass it on as a file."));
  };
  const askAll = async (body, beside) => {
    await answerInto(place, "trace", {format: "csv"}, (answer) => {
      const [titles, ...lines] = readCsv(answer);
      return [beside, h("p", {class: "row"}, `${number(lines.length)} lines. `,
        h("button", {type: "button", onclick: () => download("answers.csv", "text/csv", answer)}, "Download CSV")),
        table((titles ?? []).map((name) => ({name})), lines, {caption: "Answers"})];
    }, {method: "POST", body, type: "text/csv", form: "text"});
  };
  if (given) askAll(given, null);
  return h("details", {open: given !== "" || state.get("list") === "yes", class: "no-print"}, h("summary", {}, "A list of questions, in CSV"),
    h("form", {onsubmit: submit}, h("p", {}, "Columns by their titles: nat (or nat_ip, nat_port), time, and if wanted protocol, pub_ip, pub_port. " +
      "Others are given back as they are."), h("div", {class: "row"}, field("A file", file)), field("or here", text),
      h("p", {}, h("button", {type: "submit", class: "main"}, "Ask all"))), place);
}

export function trace(me) {
  const names = ["address", "at", "since", "until", "protocol", "pub", "slack"];
  const inputs = Object.fromEntries(names.map((name) => [name, h("input", {name, value: state.get(name), size: name === "address" ? 28 : 22,
    spellcheck: "false", required: name === "address",
    placeholder: {address: "203.0.113.7:40123", at: "2026-11-21 14:57, yesterday 14:57 …", pub: "198.51.100.157:443", protocol: "tcp", slack: "5s",
                  since: "instead of a moment", until: "now"}[name]})]));
  const place = h("div", {});
  const submit = (event) => {
    event.preventDefault();
    state.set(Object.fromEntries(names.map((name) => [name, inputs[name].value.trim()])));
  };
  if (state.get("address")) {
    const parameters = Object.fromEntries(names.map((name) => [name, state.get(name)]));
    if (!parameters.at && !parameters.since) parameters.at = "now";
    answerInto(place, "trace", parameters, (answer) => report(answer, me));
  }
  return [h("h1", {}, "Trace"), h("p", {class: "no-print"}, "Who was behind an address and a port at a time?"),
    h("form", {onsubmit: submit}, h("div", {class: "row"}, field("Address and port", inputs.address), field("When", inputs.at),
      h("button", {type: "submit", class: "main"}, "Ask")),
      h("details", {open: names.slice(2).some((name) => state.get(name))}, h("summary", {}, "More of it"), h("div", {class: "row"},
        field("From", inputs.since), field("To", inputs.until), field("Protocol", inputs.protocol), field("Peer", inputs.pub), field("Slack of clocks", inputs.slack)))),
    place, listPart()];
}
