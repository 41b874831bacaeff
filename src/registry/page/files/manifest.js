/** One manifest: what it is made of, its configuration, its history, and what refers to it. */
import { getJson, getManifest, getPage } from "./api.js";
import { entriesOf, facts, h, listOf, platform, shortDigest, size, table, time } from "./dom.js";

/** Bytes of a configuration that is worth reading here. */
const CONFIG_LIMIT = 8_000_000;

export async function showManifest(name, reference) {
  const manifest = await getManifest(name, reference);
  const { document: json, digest, type, text, warning } = manifest;
  const isDigest = reference.includes(":");
  const parts = Array.isArray(json.manifests) ? indexView(name, json) : await imageView(name, json);
  return [
    h("h1", {}, h("a", { href: `#/${name}` }, name), `${isDigest ? "@" : ":"}${reference}`),
    warning && h("p", { class: "alarm" }, warning.replace(/^299 - "(.*)"$/, "$1")),
    h("p", {}, h("code", {}, `docker pull ${location.host}/${name}${isDigest ? "@" : ":"}${reference}`)),
    facts([
      ["Digest", h("span", { class: "digest", id: "digest" }, digest)],
      ["Type", json.artifactType ?? type],
      ["Size", totalSize(json)],
      ["About", json.subject && h("a", { href: `#/${name}@${json.subject.digest}` }, shortDigest(json.subject.digest))],
      ...Object.entries(json.annotations ?? {}),
    ]),
    ...parts,
    await referrers(name, digest),
    h("details", {}, h("summary", {}, "Manifest as it is stored"), h("pre", {}, text)),
  ].filter(Boolean);
}

function totalSize({ config, layers }) {
  if (!Array.isArray(layers)) return undefined;
  return size(layers.reduce((sum, layer) => sum + layer.size, config?.size ?? 0));
}

function indexView(name, { manifests }) {
  const columns = [
    ["For", (row) => platform(row.platform) || row.artifactType || row.annotations?.["vnd.docker.reference.type"] || "unknown"],
    ["Digest", ({ digest }) => h("a", { href: `#/${name}@${digest}` }, shortDigest(digest))],
    ["Type", ({ mediaType }) => mediaType],
    ["Size", (row) => size(row.size), "number"],
  ];
  return [h("h2", {}, "Manifests"), h("div", { id: "manifests" }, table(columns, manifests))];
}

async function imageView(name, { config, layers = [] }) {
  const details = await readConfig(name, config);
  const history = listOf(details?.history).filter((step) => typeof step === "object" && step !== null);
  const steps = joinHistory(history, layers);
  const columns = [
    ["Layer", ({ layer }) => layer && shortDigest(layer.digest)],
    ["Size", ({ layer }) => layer && size(layer.size), "number"],
    ["Made by", ({ step }) => h("code", {}, step?.created_by ?? step?.comment ?? ""), "wide"],
    ["Created", ({ step }) => time(step?.created), "time"],
  ];
  return [
    details?.rootfs && [h("h2", {}, "Configuration"), h("div", { id: "config" }, configFacts(details))],
    h("h2", {}, history.length > 0 ? "Layers and history" : "Layers"),
    h("div", { id: "layers" }, table(columns, steps)),
  ].flat().filter(Boolean);
}

/** Undefined for artifacts, whose configuration is anything. */
async function readConfig(name, config) {
  if (!/(?:image\.config|container\.image)\.v1\+json$/.test(config?.mediaType ?? "") || config.size > CONFIG_LIMIT) return undefined;
  return await getJson(`/v2/${name}/blobs/${config.digest}`).catch(() => undefined);
}

function configFacts({ config, created, author, ...rest }) {
  const settings = config ?? {};
  const words = (list) => listOf(list).map((word) => (/^[\w./:=@-]+$/.test(word) ? word : JSON.stringify(word))).join(" ");
  const lines = (texts) => texts.length > 0 && h("div", {}, texts.map((text) => h("div", {}, text)));
  const names = (value) => entriesOf(value).map(([name]) => name).join(", ");
  return facts([
    ["Platform", platform(rest)],
    ["Created", time(created)],
    ["Author", author],
    ["Entrypoint", words(settings.Entrypoint)],
    ["Command", words(settings.Cmd)],
    ["User", settings.User],
    ["Folder", settings.WorkingDir],
    ["Ports", names(settings.ExposedPorts)],
    ["Volumes", names(settings.Volumes)],
    ["Environment", lines(listOf(settings.Env).map(String))],
    ["Labels", lines(entriesOf(settings.Labels).map(([key, value]) => `${key}=${value}`))],
  ]);
}

/** Each step with the layer it made; layers that no step tells of come last. */
function joinHistory(history, layers) {
  const waiting = [...layers];
  const steps = history.map((step) => ({ step, layer: step.empty_layer ? undefined : waiting.shift() }));
  return [...steps, ...waiting.map((layer) => ({ layer }))];
}

async function referrers(name, digest) {
  const { document: index } = await getPage(`/v2/${name}/referrers/${digest}`).catch(() => ({ document: { manifests: [] } }));
  if (index.manifests.length === 0) return undefined;
  const columns = [
    ["Type", (row) => row.artifactType ?? row.mediaType],
    ["Digest", (row) => h("a", { href: `#/${name}@${row.digest}` }, shortDigest(row.digest))],
    ["Size", (row) => size(row.size), "number"],
  ];
  return h("section", { id: "referrers" }, h("h2", {}, "What refers to it"), table(columns, index.manifests));
}
