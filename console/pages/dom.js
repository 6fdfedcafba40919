// Elements, made of data: no text of the log ever becomes markup.

/** h("a", {href: "/x", class: "b", onclick: f}, "text", child, [more]) */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  append(element, children);
  return element;
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function replace(element, ...children) {
  element.replaceChildren();
  append(element, children);
}

/** Says it to those who do not see the page. */
export function announce(text) {
  document.getElementById("announce").textContent = text;
}

let labels = 0;
/** A labelled field. */
export function field(text, input, attributes = {}) {
  if (!input.id) input.id = `field-${++labels}`;
  return h("label", {...attributes, for: input.id}, text, input);
}

export function select(options, chosen, attributes = {}) {
  return h("select", attributes, options.map((option) => {
    const [value, text] = Array.isArray(option) ? option : [option, option];
    return h("option", {value, selected: value === chosen}, text);
  }));
}

export function note(text, kind = "") {
  return h("p", {class: `note ${kind}`, role: kind === "bad" ? "alert" : undefined}, text);
}
