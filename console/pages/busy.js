// A place on the page for an answer: while it is made, how far it is, and a way to end it; then the answer, or what is
// wrong and the way out.
import {ApiError, ask} from "./api.js";
import {announce, h, note, replace} from "./dom.js";
import {number, time} from "./format.js";
import * as state from "./state.js";

/** Every question of a page that is left is ended. */
const open = new Set();
export function endAll() {
  for (const controller of open) controller.abort();
  open.clear();
}

// What a page that was opened from elsewhere would ask by itself.
let onHeld = () => {};
export function whenHeld(handler) {
  onHeld = handler;
}

const FOCUSABLE = "a, button, input, select, .scroll";
/** The keyboard's place, and how far a table is scrolled, stay where an answer comes in place of one like it. */
function inPlaceOf(place, made) {
  const scrolled = [...place.querySelectorAll(".scroll")].map((one) => [one.scrollTop, one.scrollLeft]);
  const focused = [...place.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement);
  replace(place, made);
  place.querySelectorAll(".scroll").forEach((one, at) => ([one.scrollTop, one.scrollLeft] = scrolled[at] ?? [0, 0]));
  if (focused >= 0) place.querySelectorAll(FOCUSABLE)[focused]?.focus({preventScroll: true});
}

/** `ofAnybody`: it names no host, and is asked wherever the page was opened from; `again`: it comes anew by itself. `show(answer)` makes the elements of the answer. Resolves when they are there. */
export async function answerInto(place, name, parameters, show, options = {}) {
  if (!options.ofAnybody && !state.isOwn()) {
    onHeld();
    return null;
  }
  place.controller?.abort();
  const controller = new AbortController();
  place.controller = controller;
  open.add(controller);
  const bar = h("progress", {max: 1, "aria-label": "Progress of the question"});
  const told = h("span", {}, "…");
  const waiting = h("div", {class: "busy"}, bar, told, h("button", {type: "button", onclick: () => controller.abort()}, "Cancel"));
  const late = window.setTimeout(() => place.controller === controller && replace(place, waiting), options.again ? 5000 : 300);
  try {
    const answer = await ask(name, parameters, {
      ...options, signal: controller.signal,
      progress: ({progress, records, seconds}) => {
        if (progress > 0) bar.value = progress;
        told.textContent = `${Math.round(progress * 100)} %, ${number(records)} records read, ${seconds.toFixed(0)} s`;
      }});
    window.clearTimeout(late);
    const made = await show(answer, controller.signal);
    if (place.controller === controller) inPlaceOf(place, made);
    if (!options.again) announce("The answer is there.");
    return answer;
  } catch (error) {
    window.clearTimeout(late);
    if (place.controller !== controller) return null;
    if (error.name === "AbortError") replace(place, note("It was cancelled."));
    else if (error.kind === "login") window.dispatchEvent(new Event("natsession-login"));
    else if (error.kind === "reason") replace(place, note("A reason is asked for: write it into the field Reason at the top of the page. It stands in the audit log.", "bad"));
    else if (error instanceof ApiError) replace(place, note(error.message, "bad"));
    else {
      replace(place, note(`The answer could not be shown: ${error.message}`, "bad"));
      throw error;
    }
    return null;
  } finally {
    open.delete(controller);
  }
}

/** What an answer must say beside the answer. */
export function reservations(answer) {
  const out = [];
  if (answer.cancelled) out.push(note("It was ended before its end: there may be more.", "bad"));
  if (answer.missing) out.push(note(`It is not known whether this is all: ${answer.missing}.`));
  if (answer.gaps?.length) {
    const count = answer.gap_count ?? answer.gaps.length;
    out.push(note(`${number(count)} ${count === 1 ? "gap" : "gaps"} in this time, where sessions may be missing: ` +
      answer.gaps.slice(0, 3).map((gap) => `${gap.from ? time(gap.from) : "the beginning"} to ${time(gap.until)} (${gap.reason})`).join("; ") +
      (count > 3 ? "; and others" : "") + (count > answer.gaps.length ? `. Only ${number(answer.gaps.length)} are told and shaded: ask about less time for the others` : "")));
  } else if (answer.gap_count) {
    out.push(note(`${number(answer.gap_count)} gaps in this time, where sessions may be missing: too many to be told one by one.`));
  }
  if (answer.damage?.length) out.push(note(`Damage in the ledger: ${answer.damage[0].why}`, "bad"));
  return out;
}
