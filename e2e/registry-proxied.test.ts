/** A registry with users and tokens of its own behind a proxy that speaks TLS, as an administrator would set it up. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { makeAuthority, makeCertificate } from "../src/testing/certificates.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";
import { type RegistryProcess, startRegistryProcess } from "./lib/registry-process.ts";

/** ann, secret. */
const HTPASSWD = "ann:$2y$04$p4LoeaVBHdJ0GoCFUEAaiOLCIITBRxjSVFI43QFbAbGcH76kFf0cy\n";
const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "gantry-proxied-"));
const at = (...parts: string[]) => join(folder, ...parts);

let registry: RegistryProcess;
let daemon: TestDaemon;
let host: string;
/** What the proxy was asked for. */
const seen: string[] = [];
const proxy = createServer(
  (() => {
    makeAuthority(folder, "authority");
    makeCertificate(folder, "proxy", "authority");
    return { cert: readFileSync(at("proxy.pem")), key: readFileSync(at("proxy.key")) };
  })(),
  (asked, answer) => {
    const { method, url } = asked;
    seen.push(`${method} ${url}`);
    // As nginx: the host is the upstream's own, unless the configuration says otherwise.
    const headers = { ...asked.headers, host: registry.host, "x-forwarded-proto": "https", "x-forwarded-host": host };
    const onward = request(`http://${registry.host}${url}`, { method, headers }, (given) => {
      answer.writeHead(given.statusCode ?? 502, given.headers);
      given.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    asked.pipe(onward);
  },
);

before(async () => {
  writeFileSync(at("users"), HTPASSWD);
  mkdirSync(at("certs"));
  copyFileSync(at("authority.pem"), at("certs", "ca.crt"));
  registry = await startRegistryProcess("--root", at("root"), "--htpasswd", at("users"), "--anonymous-pull");
  await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
  daemon = await startDaemon();
});
after(async () => {
  proxy.closeAllConnections();
  proxy.close();
  for (const one of [daemon, registry]) await one?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

for (const name of ["docker", "gantry"] satisfies CliName[])
  describe(name, { skip: missing(name) }, () => {
    const cli = () => new Cli(name, daemon);
    const image = () => `${host}/${name}/box:1`;
    before(() => rmSync(join(daemon.folder, ".docker"), { recursive: true, force: true }));

    test("login, push and pull ask the proxy for tokens, by TLS", async () => {
      await cli().ok("tag", "busybox", image());
      assert.match((await cli().run("push", image())).err, /unauthorized|authentication required|denied/);
      const wrong = await cli().feed("wrong\n", "login", "-u", "ann", "--password-stdin", host);
      assert.match(wrong.err, /unauthorized/);
      const { out } = await cli().feed("secret\n", "login", "-u", "ann", "--password-stdin", host);
      assert.equal(out, "Login Succeeded");
      assert.match(await cli().ok("push", image()), /1: digest: sha256:/);
      assert.ok(seen.some((line) => line.startsWith("GET /token?") || line === "POST /token"));
    });

    test("whoever is not logged in may pull, and not push", async () => {
      await cli().ok("logout", host);
      await cli().ok("rmi", "-f", image());
      assert.match(await cli().ok("pull", image()), /Downloaded newer image|up to date/);
      assert.match((await cli().run("push", image())).err, /unauthorized|authentication required|denied/);
      await cli().ok("rmi", image());
    });
  });

test("skopeo, with a password, with a wrong one and with none", async () => {
  const skopeo = async (...args: string[]) => (await run("skopeo", ["--insecure-policy", ...args])).stdout;
  const trust = (side: string) => [`--${side}-cert-dir`, at("certs")];
  const push = (...flags: string[]) =>
    skopeo("copy", "-q", ...trust("dest"), ...flags, `docker-archive:${daemon.archive}`, `docker://${host}/s/box:1`);
  await assert.rejects(push("--dest-no-creds"), /unauthorized|authentication required|denied/i);
  await assert.rejects(push("--dest-creds", "ann:wrong"), /unauthorized|invalid username/i);
  await push("--dest-creds", "ann:secret");
  await skopeo("copy", "-q", ...trust("src"), "--src-no-creds", `docker://${host}/s/box:1`, `dir:${at("pulled")}`);
});
