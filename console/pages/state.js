// What the page shows is its address: a path and parameters, which can be passed on. A list of questions stands behind
// the #, which no server gets; one that is too long for an address does not.

let changed = () => {};

export function onChange(handler) {
  changed = handler;
  window.addEventListener("popstate", () => handler());
}

export function path() {
  return window.location.pathname === "/" ? "/overview" : window.location.pathname;
}

export function get(name, otherwise = "") {
  return new URLSearchParams(window.location.search).get(name) ?? otherwise;
}

export function all(name) {
  return new URLSearchParams(window.location.search).getAll(name);
}

/** What goes along from page to page. */
const KEPT = ["box", "tz"];

export function link(to, parameters = {}) {
  const query = new URLSearchParams();
  for (const name of KEPT) if (get(name)) query.set(name, get(name));
  put(query, parameters);
  const text = query.toString();
  return text ? `${to}?${text}` : to;
}

function put(query, parameters) {
  for (const [name, value] of Object.entries(parameters)) {
    query.delete(name);
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== "" && one !== null && one !== undefined && one !== false) query.append(name, one);
    }
  }
}

// What this page, or another one of the console, has made. Of all else, a link elsewhere, a bookmark or an address that
// was typed, it cannot be told who wants it asked: a mail program's links look like typed ones.
const MADE = {made: true};
const opened = document.referrer !== "" && new URL(document.referrer).origin === window.location.origin;

export function isOwn() {
  return opened || window.history.state?.made === true;
}
/** The reader has seen it and wants it asked. */
export function take() {
  window.history.replaceState(MADE, "");
  changed();
}

export function go(address) {
  window.history.pushState(MADE, "", address);
  changed();
}

export const LONGEST_FRAGMENT = 8000;  // characters; programs that pass addresses on cut longer ones
/** Texts behind the #, none of which a server gets. False: it is too long to be there. */
export function setFragment(name, text) {
  const fragment = text ? `#${new URLSearchParams({[name]: text})}` : "";
  const fits = fragment.length <= LONGEST_FRAGMENT;
  const address = `${window.location.pathname}${window.location.search}`;
  window.history.pushState(MADE, "", fits ? address + fragment : address);
  return fits;
}
export function fragment(name) {
  return new URLSearchParams(window.location.hash.slice(1)).get(name) ?? "";
}

function withThese(parameters) {
  const query = new URLSearchParams(window.location.search);
  put(query, parameters);
  const text = query.toString();
  return `${window.location.pathname}${text ? `?${text}` : ""}`;
}

/** Changes parameters of this page and shows it anew. */
export function set(parameters) {
  go(withThese(parameters));
}

/** The same of what is asked elsewhere or shown otherwise: that does not take what a page from outside asks. */
export function show(parameters) {
  window.history.pushState(window.history.state, "", withThese(parameters) + window.location.hash);
  changed();
}

/** Changes parameters of the address alone: the page shows it already. */
export function note(parameters) {
  window.history.replaceState(window.history.state, "", withThese(parameters) + window.location.hash);
}
