// The frame of all pages: who asks, which box, which zone; and the page that the address names.
import {ApiError, logOut, me as askWho, reason, timeZone} from "./api.js";
import {endAll, whenHeld} from "./busy.js";
import {endCharts} from "./charts.js";
import {field, h, note, replace, select} from "./dom.js";
import {flowLogs} from "./flow_logs.js";
import {identity} from "./identity.js";
import {login} from "./login.js";
import {overview} from "./overview.js";
import {ports} from "./ports.js";
import {endFollowing, sessions} from "./sessions.js";
import {sql} from "./sql.js";
import * as state from "./state.js";
import {trace} from "./trace.js";
import {traffic} from "./traffic.js";

const PAGES = [["/overview", "Overview", overview, "look"], ["/traffic", "Traffic", traffic, "ask"], ["/trace", "Trace", trace, "ask"],
  ["/ports", "Ports", ports, "ask"], ["/sessions", "Live sessions", sessions, "ask"], ["/identity", "Identity", identity, "ask"], ["/sql", "SQL", sql, "ask"], ["/flow-logs", "Flow logs", flowLogs, "look"]];
const ROLES = ["look", "ask", "steer"];

const top = document.getElementById("top");
const view = document.getElementById("view");
let who = null;

function mayOpen(role) {
  return ROLES.indexOf(who.role) >= ROLES.indexOf(role);
}

function frame() {
  if (!who?.user) {
    replace(top, h("strong", {}, "natsession"));
    return;
  }
  const zones = [...new Set([Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC", timeZone(), "UTC"])];
  replace(top, h("strong", {}, "natsession"),
    h("nav", {"aria-label": "Pages"}, PAGES.filter(([, , , role]) => mayOpen(role)).map(([to, title]) => h("a", {
      href: state.link(to), "aria-current": state.path() === to ? "page" : undefined}, title))),
    h("div", {class: "who"},
      who.boxes.length > 1 ? field("Box", select(who.boxes.map((box) => box.name), state.get("box") || who.boxes[0].name,
        {onchange: (event) => state.show({box: event.target.value})}), {class: "line"}) : null,
      field("Times in", select(zones, timeZone(), {onchange: (event) => state.show({tz: event.target.value})}), {class: "line"}),
      who.require_reason ? field("Reason", h("input", {name: "reason", size: 14, value: reason.get(),
        onchange: (event) => {
          reason.set(event.target.value.trim());
          show();
        }}), {class: "line"}) : null,
      h("span", {}, `${who.user} (${who.role})`),
      who.logged_in ? h("button", {type: "button", onclick: async () => {
        await logOut();
        leave();
        reason.set("");
        start();
      }}, "Log out") : null));
}

function leave() {
  endAll();
  endCharts();
  endFollowing();
}

function show() {
  leave();
  frame();
  const page = PAGES.find(([to]) => to === state.path()) ?? PAGES[0];
  document.title = `${page[1]} – natsession console`;
  if (!mayOpen(page[3])) {
    replace(view, h("h1", {}, page[1]), note(`This takes the role ${page[3]}; ${who.user} has ${who.role}.`, "bad"));
    return;
  }
  const asking = h("div", {});
  whenHeld(() => replace(asking, h("div", {class: "note"}, h("p", {}, "This page was opened from outside the console: by a link, a bookmark or an address that was " +
    "typed. What it asks is asked in your name, and stands in the audit log. Nothing has been asked yet."),
    h("p", {}, h("button", {type: "button", class: "main", onclick: () => state.take()}, "Ask this")))));
  replace(view, asking, page[2](who));
}

async function start() {
  try {
    who = await askWho();
  } catch (error) {
    frame();
    replace(view, h("h1", {}, "natsession console"), note(error instanceof ApiError ? error.message : "the console does not answer", "bad"));
    return;
  }
  if (who.needs_login) {
    frame();
    replace(view, login((told) => {
      who = told;
      show();
    }));
    return;
  }
  show();
}

// Links within the console do not load the page anew.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href^='/']");
  if (!link || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || link.download) return;
  event.preventDefault();
  state.go(link.getAttribute("href"));
  view.focus();
});
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => who?.user && show());
state.onChange(() => show());
// A browser keeps a page that was left for a while, and its questions with it, in case of going back.
window.addEventListener("pagehide", () => leave());
window.addEventListener("pageshow", (event) => event.persisted && start());
// A login that has ended.
window.addEventListener("natsession-login", () => {
  leave();
  start();
});
start();
