// A name and a password.
import {logIn} from "./api.js";
import {field, h, note, replace} from "./dom.js";

export function login(done) {
  const name = h("input", {name: "name", autocomplete: "username", required: true});
  const password = h("input", {name: "password", type: "password", autocomplete: "current-password", required: true});
  const told = h("div", {});
  return [h("h1", {}, "Log in"), h("form", {onsubmit: async (event) => {
    event.preventDefault();
    try {
      done(await logIn(name.value, password.value));
    } catch (error) {
      replace(told, note(error.message, "bad"));
      password.value = "";
      password.focus();
    }
  }}, h("div", {class: "row"}, field("Name", name), field("Password", password), h("button", {type: "submit", class: "main"}, "Log in"))), told];
}
