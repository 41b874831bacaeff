/** One repository: its tags. */
import { getPage } from "./api.js";
import { h, platform, shortDigest, size, table, time } from "./dom.js";

export async function showRepository(name) {
  const tags = [];
  let next = `/v2/${name}/_gantry/tags/list?n=100`;
  const list = h("div", { id: "tags" });
  const more = h("button", { type: "button", onclick: () => load() }, "More");

  async function load() {
    const page = await getPage(next);
    tags.push(...page.document.tags);
    next = page.next;
    more.hidden = next === undefined;
    list.replaceChildren(tags.length === 0 ? h("p", { class: "quiet" }, "No tags.") : draw());
  }

  const draw = () =>
    table(
      [
        ["Tag", ({ tag }) => h("a", { href: `#/${name}:${tag}` }, tag)],
        ["Digest", ({ digest }) => shortDigest(digest)],
        ["For", (row) => row.platforms.map(platform).join(", ") || row.artifactType],
        ["Size", (row) => size(row.size), "number"],
        ["Pushed", ({ pushed }) => time(pushed), "time"],
      ],
      tags,
    );

  await load();
  // Without a tag docker asks for this one.
  const tag = tags.some((one) => one.tag === "latest") ? "" : `:${tags[0]?.tag ?? ""}`;
  const pull = tags.length > 0 && h("p", {}, h("code", {}, `docker pull ${location.host}/${name}${tag}`));
  return [h("h1", {}, name), pull, list, more].filter(Boolean);
}
