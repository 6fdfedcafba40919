// What the page shows is its address: a path and parameters, which can be passed on.

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

export function go(address) {
  window.history.pushState(null, "", address);
  changed();
}

/** Changes parameters of this page and shows it anew. */
export function set(parameters) {
  const query = new URLSearchParams(window.location.search);
  put(query, parameters);
  go(`${window.location.pathname}?${query}`);
}
