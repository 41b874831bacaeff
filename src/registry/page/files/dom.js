/** Elements from data. Text is only ever text: whatever a manifest says, it is shown and never run. */

/** `attributes`: properties of the element, `class` and `data-` names; `children`: elements, texts, or nothing. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class" || name.startsWith("data-") || name.startsWith("aria-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children.flat(9).filter((child) => child !== undefined && child !== null && child !== false));
  return element;
}

/** `columns`: [heading, cell of a row, class of the cells]. */
export function table(columns, rows) {
  const head = columns.map(([heading, , type]) => h("th", { scope: "col", class: type ?? "" }, heading));
  const body = rows.map((row) => h("tr", {}, columns.map(([, cell, type]) => h("td", { class: type ?? "" }, cell(row)))));
  return h("div", { class: "scroll" }, h("table", {}, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

/** Pairs; those without a value are left out. */
export function facts(pairs) {
  const rows = pairs.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== false);
  const lines = rows.map(([name, value]) => h("tr", {}, h("th", { scope: "row" }, name), h("td", { class: "wide" }, value)));
  return h("div", { class: "scroll" }, h("table", {}, h("tbody", {}, lines)));
}

/** What came from somewhere else and should be a list, or an object, is taken for one only if it is. */
export const listOf = (value) => (Array.isArray(value) ? value : []);
export const entriesOf = (value) => (typeof value === "object" && value !== null ? Object.entries(value) : []);

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** As docker writes sizes. */
export function size(bytes) {
  if (!Number.isFinite(bytes)) return "";
  let [value, unit] = [bytes, 0];
  for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1000;
  return `${unit === 0 ? value : value.toPrecision(3)} ${UNITS[unit]}`;
}

export function time(text) {
  const date = new Date(text ?? Number.NaN);
  if (Number.isNaN(date.getTime())) return undefined;
  return h("time", { dateTime: date.toISOString(), title: date.toISOString() }, date.toLocaleString());
}

export function shortDigest(digest) {
  const [algorithm, hex = ""] = String(digest).split(":");
  return h("span", { class: "digest", title: digest }, `${algorithm}:${hex.slice(0, 12)}`);
}

export function platform(value) {
  const { os, architecture, variant } = value ?? {};
  return [os, architecture, variant].filter(Boolean).join("/");
}
