/** `gantry registry serve` as a process: TLS, users, tokens, real clients, the end. */
import assert from "node:assert/strict";
import { execFile, execFileSync, spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { makeBusyboxArchive } from "../scripts/base-image.ts";
import { digestOf } from "../src/base/digest.ts";
import { makeAuthority, makeCertificate as makeCertificateBy } from "../src/testing/certificates.ts";
import { freePort } from "../src/testing/free-port.ts";
import { GANTRY, type RegistryProcess, startRegistryProcess } from "./lib/registry-process.ts";

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), "gantry-registry-serve-"));
const at = (...parts: string[]) => join(folder, ...parts);

before(() => makeBusyboxArchive(at("busybox.tar")));
after(async () => {
  for (const serving of started) await serving[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

const started: RegistryProcess[] = [];
async function startServing(...flags: string[]): Promise<RegistryProcess> {
  const serving = await startRegistryProcess(...flags);
  started.push(serving);
  return serving;
}

/** A certificate for 127.0.0.1; clients find the authority in `certs`. */
function makeCertificate(serial: string): void {
  const subject = ["-subj", `/CN=gantry ${serial}`, "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", at("tls.key"), "-out", at("tls.crt")];
  const args = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-days",
    "2",
    ...files,
    ...subject,
  ];
  execFileSync("openssl", args, { stdio: "ignore" });
  mkdirSync(at("certs"), { recursive: true });
  writeFileSync(at("certs", "ca.crt"), readFileSync(at("tls.crt")));
}

const skopeo = async (...args: string[]) => (await run("skopeo", ["--insecure-policy", ...args])).stdout;

describe("with TLS and users", () => {
  let serving: RegistryProcess;
  before(async () => {
    makeCertificate("first");
    for (const user of ["alice", "bob"]) {
      const child = spawn(GANTRY, ["registry", "htpasswd", "--password-stdin", "--cost", "4", "-f", at("users"), user]);
      child.stdin.end(`${user}'s\n`);
      await new Promise((resolve) => child.once("exit", resolve));
    }
    const rules = [
      { repositories: "**", users: ["anonymous"], actions: ["pull"] },
      { repositories: "alice/**", users: ["alice"], actions: ["pull", "push", "delete"] },
    ];
    writeFileSync(at("registry.json"), JSON.stringify({ auth: { htpasswd: at("users"), rules } }));
    const tls = ["--tls-cert", at("tls.crt"), "--tls-key", at("tls.key")];
    serving = await startServing("--root", at("root"), "--config", at("registry.json"), ...tls);
  });
  after(() => serving.end());

  const image = (name: string) => `docker://${serving.host}/${name}`;
  const push = (name: string, ...flags: string[]) =>
    skopeo("copy", "-q", "--dest-cert-dir", at("certs"), ...flags, `docker-archive:${at("busybox.tar")}`, image(name));

  test("the file of users has one line for each", () => {
    assert.equal(readFileSync(at("users"), "utf8").trim().split("\n").length, 2);
  });

  test("who may push pushes, and anyone pulls", async () => {
    await push("alice/app:1", "--dest-creds", "alice:alice's");
    const out = await skopeo("inspect", "--no-creds", "--cert-dir", at("certs"), image("alice/app:1"));
    assert.equal(JSON.parse(out).Name, `${serving.host}/alice/app`);
  });

  test("anyone, others, and wrong passwords do not push", async () => {
    await assert.rejects(push("alice/app:2", "--dest-no-creds"), /unauthorized|authentication required/i);
    await assert.rejects(push("alice/app:2", "--dest-creds", "bob:bob's"), /denied/i);
    await assert.rejects(push("alice/app:2", "--dest-creds", "alice:wrong"), /unauthorized|invalid username/i);
  });

  test("podman logs in, pushes, and is told of wrong passwords", async () => {
    const places = ["--root", at("p"), "--runroot", at("r"), "--storage-driver", "vfs"];
    const podman = (...args: string[]) => run("podman", [...places, ...args]);
    const trust = ["--cert-dir", at("certs"), "--authfile", at("auth.json")];
    await podman("login", ...trust, "-u", "alice", "-p", "alice's", serving.host);
    await assert.rejects(
      podman("login", ...trust, "-u", "alice", "-p", "wrong", serving.host),
      /invalid username|unauthorized/i,
    );
    const { stdout } = await podman("load", "-q", "-i", at("busybox.tar"));
    await podman("push", "-q", ...trust, stdout.trim().replace(/^Loaded image: /, ""), image("alice/podman:1"));
    assert.match(await skopeo("list-tags", "--no-creds", "--cert-dir", at("certs"), image("alice/podman")), /"1"/);
  });

  test("SIGHUP takes up a new certificate", async () => {
    const before = await subjectSeen(serving.host);
    makeCertificate("second");
    serving.child.kill("SIGHUP");
    while (!serving.log().includes("certificates read again")) await new Promise((resolve) => setTimeout(resolve, 20));
    assert.match(before, /gantry first/);
    assert.match(await subjectSeen(serving.host), /gantry second/);
  });
});

test("where clients are asked for certificates, those of the authority get in, and nobody else", async () => {
  const place = (...parts: string[]) => at("mutual", ...parts);
  for (const name of ["server", "friend", "stranger"]) mkdirSync(place(name), { recursive: true });
  for (const authority of ["known", "unknown"]) makeAuthority(place(), authority);
  for (const [name, authority] of [
    ["server", "known"],
    ["friend", "known"],
    ["stranger", "unknown"],
  ] as const) {
    makeCertificateBy(place(), `${name}-pair`, authority);
    copyFileSync(place("known.pem"), place(name, "ca.crt"));
    if (name === "server") continue;
    copyFileSync(place(`${name}-pair.pem`), place(name, "client.cert"));
    copyFileSync(place(`${name}-pair.key`), place(name, "client.key"));
  }
  const tls = {
    certificate: place("server-pair.pem"),
    key: place("server-pair.key"),
    "client-cas": place("known.pem"),
  };
  writeFileSync(place("registry.json"), JSON.stringify({ tls }));
  const serving = await startServing("--root", place("root"), "--config", place("registry.json"));
  const push = (certificates: string) => {
    const target = `docker://${serving.host}/mutual/box:1`;
    return skopeo("copy", "-q", "--dest-cert-dir", place(certificates), `docker-archive:${at("busybox.tar")}`, target);
  };
  for (const who of ["server", "stranger"]) await assert.rejects(push(who), /certificate|connection|EOF|reset/i, who);
  await push("friend");
  await serving.end();
});

function subjectSeen(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(
      `https://${host}/v2/`,
      { ca: readFileSync(at("tls.crt")), rejectUnauthorized: false },
      (answer) => {
        const { subject } = (answer.socket as import("node:tls").TLSSocket).getPeerCertificate();
        answer.resume();
        resolve(String(subject.CN));
      },
    );
    asked.once("error", reject).end();
  });
}

describe("the process", () => {
  test("ends with 0 on SIGTERM and leaves its root to the next", async () => {
    const first = await startServing("--root", at("life"));
    await assert.rejects(startServing("--root", at("life")), /is written by another process[\s\S]*--read-only/);
    const reader = await startServing("--root", at("life"), "--read-only");
    assert.equal(await reader.end(), 0);
    assert.equal(await first.end(), 0);
    assert.doesNotMatch(first.log(), /Warning/);
    const second = await startServing("--root", at("life"));
    assert.equal(await second.end("SIGINT"), 0);
  });

  test("SIGHUP takes up changed settings, and leaves everything as it was when they are wrong", async () => {
    const write = (settings: object) => writeFileSync(at("changing.json"), JSON.stringify(settings));
    const listen = `127.0.0.1:${await freePort()}`;
    write({ quotas: [{ repositories: "**", bytes: "1kB" }] });
    const serving = await startServing("--root", at("changing"), "--config", at("changing.json"), "--listen", listen);
    const push = async () => {
      const url = `http://${listen}/v2/app/blobs/uploads/?digest=${digestOf("x".repeat(5000))}`;
      const post = () => fetch(url, { method: "POST", body: "x".repeat(5000) });
      // A connection of before the reload is closed.
      return (await post().catch(post)).status;
    };
    const reload = async (said: RegExp) => {
      const before = serving.log().length;
      serving.child.kill("SIGHUP");
      while (!said.test(serving.log().slice(before))) await new Promise((resolve) => setTimeout(resolve, 20));
    };
    assert.equal(await push(), 403);
    write({ quotas: [{ repositories: "**", bytes: "1TB", nonsense: 1 }] });
    await reload(/the settings stay as they were.*nonsense/);
    assert.equal(await push(), 403);
    write({ quotas: [{ repositories: "**", bytes: "1MB" }] });
    await reload(/read again/);
    assert.equal(await push(), 201);
    assert.equal(await serving.end(), 0);
  });

  for (const [who, serve] of [
    ["a registry that serves", true],
    ["itself when none serves", false],
  ] as const)
    test(`gantry registry gc collects by ${who}`, async () => {
      const root = at(`gc-${serve}`);
      const first = await startServing("--root", root);
      const body = "nobody needs this";
      const digest = digestOf(body);
      const pushed = await fetch(`http://${first.host}/v2/a/blobs/uploads/?digest=${digest}`, { method: "POST", body });
      assert.equal(pushed.status, 201);
      if (!serve) await first.end();
      const gc = async (...flags: string[]) => (await run(GANTRY, ["registry", "gc", "--root", root, ...flags])).stdout;
      assert.match(await gc(), /^Removed 0 tags, 0 manifests, 0 blobs/);
      assert.match(
        await gc("--grace", "0s", "--dry-run"),
        /^Would remove 0 tags, 0 manifests, 1 blobs and 0 [\s\S]*space: 17B/,
      );
      assert.match(await gc("--grace", "0s"), /^Removed 0 tags, 0 manifests, 1 blobs/);
      assert.match(await gc("--grace", "0s"), /^Removed 0 tags, 0 manifests, 0 blobs/);
      await first.end();
    });

  test("says what is wrong with its settings, and ends", async () => {
    writeFileSync(at("wrong.json"), '{"auth": {"htpasswd": "/nowhere"}}');
    await assert.rejects(startServing("--root", at("x"), "--config", at("wrong.json")), /cannot read \/nowhere/);
    await assert.rejects(startServing("--root", at("x"), "--listen", "nonsense"), /--listen: an address is expected/);
    await assert.rejects(startServing("--root", at("x"), "--tls-cert", "a"), /belong together/);
  });
});
