/** All repositories that one may pull from. */
import { getPage } from "./api.js";
import { h } from "./dom.js";

export async function showRepositories() {
  const names = [];
  let next = "/v2/_catalog?n=200";
  const list = h("ul", { class: "list", id: "repositories" });
  const more = h("button", { type: "button", onclick: () => load() }, "More");
  const filter = h("input", { type: "search", placeholder: "Filter", oninput: () => draw() });
  filter.setAttribute("aria-label", "Filter repositories");

  async function load() {
    const page = await getPage(next);
    names.push(...page.document.repositories);
    next = page.next;
    more.hidden = next === undefined;
    draw();
  }

  function draw() {
    const shown = names.filter((name) => name.includes(filter.value.trim()));
    const rows = shown.map((name) => h("li", {}, h("a", { href: `#/${name}` }, name)));
    list.replaceChildren(...(rows.length > 0 ? rows : [h("li", { class: "quiet" }, "Nothing here.")]));
  }

  await load();
  return [h("h1", {}, "Repositories"), filter, list, more];
}
