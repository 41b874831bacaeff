/** Which view the address names, and what is shown when there is none to show. */
import { hasUsers, LoginNeeded, logIn, logOut, Refused, userName } from "./api.js";
import { h } from "./dom.js";
import { showManifest } from "./manifest.js";
import { showRepositories } from "./repositories.js";
import { showRepository } from "./repository.js";

const main = document.getElementById("main");
/** Of the last change of view: what comes later for an earlier one is not shown. */
let turn = 0;

async function show() {
  const mine = ++turn;
  const path = pathOf(location.hash);
  const [, name = "", separator, reference] = /^([^:@]*)(?:([:@])(.+))?$/.exec(path) ?? [];
  document.title = path === "" ? "Registry" : `${path} · Registry`;
  document.getElementById("home").textContent = location.host;
  main.setAttribute("aria-busy", "true");
  const view = await viewOf(name, separator && reference).catch(problem);
  if (mine !== turn) return;
  main.replaceChildren(...[view].flat());
  main.removeAttribute("aria-busy");
  void showUser();
}

/** What is no proper escape stands for itself: no name has any. */
function pathOf(hash) {
  const text = hash.replace(/^#\/?/, "");
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function viewOf(name, reference) {
  if (name === "") return showRepositories();
  return reference === undefined ? showRepository(name) : showManifest(name, reference);
}

function problem(error) {
  if (error instanceof LoginNeeded) return loginForm();
  const what = error instanceof Refused && error.status === 404 ? "Not here" : "That did not work";
  return [h("h1", {}, what), h("p", { class: "alarm", id: "problem" }, error.message)];
}

function loginForm() {
  const wrong = userName() !== undefined;
  const user = h("input", { name: "user", autocomplete: "username", required: true });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const submit = (event) => {
    event.preventDefault();
    logIn(user.value, password.value);
    void show();
  };
  return [
    h("h1", {}, "Log in"),
    wrong && h("p", { class: "alarm", id: "problem" }, `The registry does not let ${userName()} see this with that password.`),
    h(
      "form",
      { class: "login", onsubmit: submit },
      h("label", {}, "Name", user),
      h("label", {}, "Password", password),
      h("button", {}, "Log in"),
    ),
  ].filter(Boolean);
}

/** Logging in is offered where there are users, since what anyone sees may be less. */
async function showUser() {
  const user = userName();
  const leave = () => {
    logOut();
    void show();
  };
  const enter = () => main.replaceChildren(...loginForm());
  const button = (text, onclick) => h("button", { type: "button", onclick }, text);
  const parts = user !== undefined ? [`${user} `, button("Log out", leave)] : (await hasUsers()) ? [button("Log in", enter)] : [];
  document.getElementById("who").replaceChildren(...parts);
}

addEventListener("hashchange", show);
void show();
