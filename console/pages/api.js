// The API under /api/v1. A question that takes a while tells how far it is, and ends when nobody waits any more.
import * as state from "./state.js";

export class ApiError extends Error {
  constructor(status, kind, message) {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

export function timeZone() {
  return state.get("tz") || Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}

const REASON = "natsession-reason";
export const reason = {
  get: () => window.sessionStorage.getItem(REASON) ?? "",
  set: (text) => window.sessionStorage.setItem(REASON, text),
};

function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function address(name, parameters = {}) {
  const query = new URLSearchParams();
  const everywhere = {box: state.get("box"), tz: timeZone(), reason: reason.get()};
  for (const [key, value] of Object.entries({...everywhere, ...parameters})) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== null && one !== undefined) query.append(key, one);
    }
  }
  return `/api/v1/${name}?${query}`;
}

async function answerOf(response, form) {
  if (response.ok) return form === "text" ? response.text() : response.json();
  let told = {};
  try {
    told = await response.json();
  } catch {
    // An error that is not the API's own.
  }
  throw new ApiError(response.status, told.kind ?? "failed", told.error ?? `${response.status} ${response.statusText}`);
}

// A page asks several things at once; a user may have so many questions.
const AT_ONCE = 3;
let running = 0;
const queue = [];
async function turn(signal) {
  while (running >= AT_ONCE) await new Promise((resolve) => queue.push(resolve));
  if (signal?.aborted) {
    queue.shift()?.();
    throw new DOMException("cancelled", "AbortError");
  }
  ++running;
}
function over() {
  --running;
  queue.shift()?.();
}

/** Asks; `progress` is called with {progress, records, seconds} while it takes. */
export async function ask(name, parameters = {}, {method = "GET", body, type, form = "json", signal, progress} = {}) {
  await turn(signal);
  const question = randomId();
  let watch;
  if (progress) {
    watch = window.setInterval(async () => {
      try {
        const list = await (await fetch("/api/v1/questions", {signal})).json();
        const own = list.questions?.find((one) => one.id === question);
        if (own) progress(own);
      } catch {
        // The question itself says what is wrong.
      }
    }, 700);
  }
  try {
    const headers = type ? {"Content-Type": type} : {};
    const response = await fetch(address(name, {...parameters, question}), {method, body, headers, signal});
    return await answerOf(response, form);
  } catch (error) {
    if (error instanceof TypeError) throw new ApiError(0, "gone", "the console does not answer, or broke the answer off");
    throw error;
  } finally {
    over();
    window.clearInterval(watch);
  }
}

export async function me() {
  return answerOf(await fetch("/api/v1/me"));
}

export async function logIn(name, password) {
  return answerOf(await fetch("/api/v1/login", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({name, password})}));
}

export async function logOut() {
  await fetch("/api/v1/logout", {method: "POST"});
}
