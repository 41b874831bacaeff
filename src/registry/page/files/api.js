/** The registry's own API, with the login that this page was given. Nothing of it is kept when the page is closed. */

let login;
const tokens = new Map();

/** Thrown when there is no way in without (another) name and password. */
export class LoginNeeded extends Error {}

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export function logIn(user, password) {
  tokens.clear();
  login = { user, header: `Basic ${toBase64(`${user}:${password}`)}` };
}

export function logOut() {
  tokens.clear();
  login = undefined;
}

export function userName() {
  return login?.user;
}

/** Whether the registry knows users at all. */
export async function hasUsers() {
  return (await ask("/v2/")).status === 401;
}

/** A page of a list: its document, and the path of the next. */
export async function getPage(path) {
  const answer = await get(path);
  const next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
  return { document: await answer.json(), next };
}

/** A manifest as it is, with the type and digest that the registry says. */
export async function getManifest(name, reference) {
  const answer = await get(`/v2/${name}/manifests/${reference}`);
  const text = await answer.text();
  const { headers } = answer;
  const type = headers.get("content-type");
  return { text, document: JSON.parse(text), type, digest: headers.get("docker-content-digest"), warning: headers.get("warning") };
}

export async function getJson(path) {
  return (await get(path)).json();
}

async function get(path) {
  const scope = scopeOf(path);
  const first = await ask(path, tokens.get(scope) ?? login?.header);
  const answer = first.status === 401 ? await again(path, scope, first) : first;
  if (answer.ok) return answer;
  if (answer.status === 401) throw new LoginNeeded();
  const { errors } = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, errors?.[0]?.message ?? `the registry answered ${answer.status}`);
}

/** Answers a challenge, once. */
async function again(path, scope, refused) {
  const challenge = refused.headers.get("www-authenticate") ?? "";
  const realm = /realm="(https?:[^"]+)"/.exec(challenge)?.[1];
  if (realm === undefined) return refused;
  const url = new URL(realm);
  for (const key of ["service", "scope"]) {
    const value = new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1];
    if (value !== undefined) url.searchParams.append(key, value);
  }
  const answer = await ask(url, login?.header);
  if (!answer.ok) return answer;
  const { token, access_token } = await answer.json();
  tokens.set(scope, `Bearer ${token ?? access_token}`);
  return await ask(path, tokens.get(scope));
}

/** The header keeps browsers from asking for a password themselves. */
function ask(path, authorization) {
  const headers = { "X-Requested-With": "page", ...(authorization !== undefined && { Authorization: authorization }) };
  return fetch(path, { headers, credentials: "omit", cache: "no-store" });
}

/** What a token is good for: one repository, or the list of all. */
function scopeOf(path) {
  return /^\/v2\/(.+)\/(?:manifests|blobs|tags|referrers|_gantry)\//.exec(path)?.[1] ?? "";
}

function toBase64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
