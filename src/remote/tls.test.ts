/** A registry that is not on loopback, as far as the client can see: trust, client certificates, proxies. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { makeAuthority, makeCertificate } from "../testing/certificates.ts";
import { makeImage } from "../testing/image-archives.ts";
import { startProxy, type TestProxy } from "../testing/proxy.ts";
import { ScriptedRegistry } from "../testing/scripted-registry.ts";
import { openRemote, REMOTE_DEFAULTS } from "./open.ts";
import type { RemoteSettings } from "./remote.ts";

const skip = spawnSync("openssl", ["version"]).status !== 0 && process.env.CI !== "true" && "no openssl here";
const HOST = "registry.test";
const folder = mkdtempSync(join(tmpdir(), "gantry-tls-"));
const certs = join(folder, "certs.d");
const at = (name: string) => join(folder, name);
const opened: AsyncDisposable[] = [];
let [open, mutual, plain]: (TestProxy | undefined)[] = [];

before(async () => {
  if (skip) return;
  makeAuthority(folder, "ca");
  for (const name of ["server", "client"]) makeCertificate(folder, name, "ca");
  const tls = { cert: readFileSync(at("server.pem")), key: readFileSync(at("server.key")) };
  const strict = { ...tls, ca: readFileSync(at("ca.pem")), requestCert: true, rejectUnauthorized: true };
  const image = await makeImage();
  const proxies: TestProxy[] = [];
  for (const options of [tls, strict, undefined]) {
    const registry = await ScriptedRegistry.start(options);
    registry.addImage("app", "1", image);
    const proxy = await startProxy(registry.port);
    opened.push(registry, proxy);
    proxies.push(proxy);
  }
  [open, mutual, plain] = proxies;
});
after(async () => {
  for (const one of opened) await one[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => rmSync(certs, { recursive: true, force: true }));

/** Through the proxy, which leads the host's name to loopback. */
async function ask(proxy: TestProxy | undefined, given: Partial<RemoteSettings> = {}, host = HOST): Promise<string> {
  const url = proxy?.url;
  const remote = openRemote({
    settings: { ...REMOTE_DEFAULTS, httpProxy: url, httpsProxy: url, certificateFolders: [certs], ...given },
  });
  try {
    const repository = remote.repository({ domain: host, path: "app" }, { access: "pull" });
    return (await repository.manifest({ tag: "1" })).descriptor.digest;
  } finally {
    await remote.close();
  }
}

function trust(...names: readonly (readonly [from: string, to: string])[]): void {
  mkdirSync(join(certs, HOST), { recursive: true });
  for (const [from, to] of names) copyFileSync(at(from), join(certs, HOST, to));
}

test("a certificate of nobody's authority is refused, with what to do", { skip }, async () => {
  const error = await ask(open).catch((caught: unknown) => caught);
  assert.match(String(error), /cannot reach registry\.test: its certificate is not trusted/);
  assert.match((error as { hint: string }).hint, /certs\.d\/registry\.test\/ca\.crt.*insecure-registries/);
});

test("certs.d has the registry's own authority, and a change there counts at once", { skip }, async () => {
  await assert.rejects(ask(open));
  trust(["ca.pem", "ca.crt"]);
  assert.match(await ask(open), /^sha256:/);
  assert.deepEqual([...new Set(open?.seen)], [`CONNECT ${HOST}:443`]);
});

test("a client certificate is shown where certs.d has one; half of a pair is an error", { skip }, async () => {
  trust(["ca.pem", "ca.crt"]);
  await assert.rejects(ask(mutual), { kind: "unavailable" });
  trust(["client.pem", "client.cert"]);
  await assert.rejects(ask(mutual), { kind: "invalid", message: /missing key .*client\.key for client certificate/ });
  trust(["client.key", "client.key"]);
  assert.match(await ask(mutual), /^sha256:/);
  rmSync(join(certs, HOST, "client.cert"));
  await assert.rejects(ask(mutual), { kind: "invalid", message: /missing client certificate .*client\.cert for key/ });
});

test("an insecure registry may have any certificate, or none and no TLS", { skip }, async () => {
  for (const insecureRegistries of [[HOST], [`${HOST}:443`, HOST]])
    assert.match(await ask(open, { insecureRegistries }), /^sha256:/);
  assert.match(await ask(plain, { insecureRegistries: [HOST] }), /^sha256:/);
  assert.ok(plain?.seen.includes(`GET http://${HOST}/v2/app/manifests/1`), plain?.seen.join() ?? "");
  const rules = [{ prefix: HOST, insecure: true }];
  assert.match(await ask(open, { rules }), /^sha256:/);
  const error = await ask(plain).catch((caught: unknown) => caught);
  assert.match(String(error), /server gave HTTP response to HTTPS client/);
});

test("no-proxy leads around the proxy", { skip }, async () => {
  const seen = open?.seen.length;
  await assert.rejects(ask(open, { noProxy: ".test" }), {
    kind: "unavailable",
    message: /no such host|cannot be looked up/,
  });
  assert.equal(open?.seen.length, seen);
});
