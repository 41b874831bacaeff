import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { type RequestOptions, request as secureRequest } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { unmountBelow } from "../testing/unmount.ts";
import { optionsTable } from "./help.ts";

const LAUNCHER = join(import.meta.dirname, "main.ts");
const skip = process.getuid?.() === 0 ? false : "needs root";

interface Daemon {
  readonly child: ChildProcess;
  readonly folder: string;
  readonly socket: string;
  readonly exited: Promise<number | null>;
  log(): string;
  /** Rejects when the daemon ends without it. */
  until(text: string): Promise<void>;
}

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "gantryd-"));
  t.after(async () => {
    for (const { child, exited } of daemonsOf.get(folder) ?? []) {
      child.kill("SIGTERM");
      await exited;
    }
    unmountBelow(folder);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Those that must have ended before their folder goes. */
const daemonsOf = new Map<string, Pick<Daemon, "child" | "exited">[]>();

function launch(
  t: TestContext,
  flags: readonly string[],
  { folder = folderOf(t), env = {} }: { folder?: string; env?: Record<string, string> } = {},
): Daemon {
  const socket = join(folder, "api.sock");
  const roots = ["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec"), "--bridge", "none"];
  const child = spawn(process.execPath, [LAUNCHER, ...roots, "-H", `unix://${socket}`, ...flags], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { PATH: process.env.PATH ?? "", ...env },
  });
  let log = "";
  let wake = () => {};
  child.stderr?.on("data", (chunk: Buffer) => {
    log += String(chunk);
    wake();
  });
  const exited = new Promise<number | null>((resolve) =>
    child.once("close", (code) => {
      resolve(code);
      wake();
    }),
  );
  daemonsOf.set(folder, [...(daemonsOf.get(folder) ?? []), { child, exited }]);
  return {
    child,
    folder,
    socket,
    exited,
    log: () => log,
    async until(text) {
      while (!log.includes(text)) {
        if (child.exitCode !== null) throw new Error(`gantryd ended:\n${log}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

function get(socketPath: string, path: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, agent: false }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => {
        text += String(chunk);
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on("error", reject)
      .end();
  });
}

function missing(program: string): string | false {
  return spawnSync(program, ["version"]).error === undefined ? false : `needs ${program}`;
}

/** An authority, and certificates by it for a server at 127.0.0.1 and for a client. */
function makeCertificates(folder: string): void {
  const openssl = (...args: string[]) =>
    assert.equal(spawnSync("openssl", args, { cwd: folder }).status, 0, args.join(" "));
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2");
  for (const name of ["server", "client"]) {
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    writeFileSync(join(folder, "extensions"), "subjectAltName=IP:127.0.0.1");
    openssl(
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      "-CA",
      "ca.pem",
      "-CAkey",
      "ca.key",
      "-CAcreateserial",
      "-days",
      "2",
      "-extfile",
      "extensions",
      "-out",
      `${name}.pem`,
    );
  }
}

function pingTls(port: number, options: RequestOptions): Promise<string> {
  return new Promise((resolve, reject) => {
    secureRequest({ host: "127.0.0.1", port, path: "/_ping", agent: false, ...options }, (response) => {
      response.on("data", (chunk: Buffer) => resolve(String(chunk)));
      response.on("error", reject);
    })
      .on("error", reject)
      .end();
  });
}

test("it starts, answers, says so in Docker's words, and stops cleanly", { skip }, async (t) => {
  const daemon = launch(t, []);
  await daemon.until("API listen on");
  assert.match(daemon.log(), /level=info msg="Daemon has completed initialization"/);
  assert.match(daemon.log(), new RegExp(`msg="API listen on ${daemon.socket}"`));
  assert.equal(statSync(daemon.socket).mode & 0o777, 0o660);
  const pidfile = join(daemon.folder, "exec", "gantry.pid");
  assert.equal(readFileSync(pidfile, "utf8"), String(daemon.child.pid));
  assert.equal((await get(daemon.socket, "/_ping")).text, "OK");
  assert.equal((await get(daemon.socket, "/v1.51/info")).status, 200);
  daemon.child.kill("SIGTERM");
  assert.equal(await daemon.exited, 0);
  assert.match(daemon.log(), /Processing signal 'terminated'[\s\S]*Daemon shutdown complete/);
  assert.equal(existsSync(pidfile), false);
  assert.equal(existsSync(daemon.socket), false);
});

test("a second daemon with the same pidfile or data root is refused, one with its own runs", { skip }, async (t) => {
  const first = launch(t, []);
  await first.until("API listen on");
  const same = launch(t, [], { folder: first.folder });
  assert.equal(await same.exited, 1);
  assert.match(same.log(), new RegExp(`process with PID ${first.child.pid} is still running`));
  const sameRoot = launch(
    t,
    ["--pidfile", join(first.folder, "other.pid"), "--exec-root", join(first.folder, "exec2")],
    { folder: first.folder },
  );
  assert.equal(await sameRoot.exited, 1);
  assert.match(sameRoot.log(), /the data root .* is in use by another engine/);
  const other = launch(t, []);
  await other.until("API listen on");
  assert.equal((await get(first.socket, "/_ping")).text, "OK");
});

test("a stale socket and a stale pidfile of a killed daemon are replaced", { skip }, async (t) => {
  const first = launch(t, []);
  await first.until("API listen on");
  first.child.kill("SIGKILL");
  await first.exited;
  const second = launch(t, [], { folder: first.folder });
  await second.until("API listen on");
  assert.equal((await get(second.socket, "/_ping")).text, "OK");
});

test("a socket that somebody answers on is not taken", { skip }, async (t) => {
  const folder = folderOf(t);
  const other = createServer().listen(join(folder, "api.sock"));
  t.after(() => other.close());
  const daemon = launch(t, [], { folder });
  assert.equal(await daemon.exited, 1);
  assert.match(daemon.log(), /api\.sock: address already in use/);
});

test("SIGHUP reloads the file and says what changed; a wrong file changes nothing", { skip }, async (t) => {
  const folder = folderOf(t);
  const file = join(folder, "daemon.json");
  writeFileSync(file, JSON.stringify({ labels: ["a=1"] }));
  const daemon = launch(t, ["--config-file", file], { folder });
  await daemon.until("API listen on");
  writeFileSync(file, "{");
  daemon.child.kill("SIGHUP");
  await daemon.until("unexpected end of JSON input");
  writeFileSync(file, JSON.stringify({ labels: ["b=2"], debug: true, mtu: 1234 }));
  daemon.child.kill("SIGHUP");
  await daemon.until("take effect at the next start");
  assert.match(daemon.log(), /msg="Reloaded configuration" changed=debug,labels/);
  assert.match(daemon.log(), /options=mtu/);
  const info = JSON.parse((await get(daemon.socket, "/info")).text) as { Labels: string[]; Debug: boolean };
  assert.deepEqual([info.Labels, info.Debug], [["b=2"], true]);
  let told = "";
  while (!told.includes('"Action":"reload"'))
    told = (
      await get(
        daemon.socket,
        `/events?since=1&until=${Date.now() / 1000}&filters=${encodeURIComponent('{"type":["daemon"]}')}`,
      )
    ).text;
  const { Actor } = JSON.parse(told.split("\n")[0] ?? "{}") as { Actor: { Attributes: Record<string, string> } };
  assert.deepEqual([Actor.Attributes.debug, Actor.Attributes.labels], ["true", '["b=2"]']);
});

test("SIGHUP takes up runtimes and the default among them; one that isn't there changes nothing", {
  skip,
}, async (t) => {
  const folder = folderOf(t);
  const [file, runtime] = [join(folder, "daemon.json"), join(folder, "my-runtime")];
  writeFileSync(file, "{}");
  writeFileSync(runtime, '#!/bin/sh\nexec runc "$@"\n', { mode: 0o755 });
  const daemon = launch(t, ["--config-file", file], { folder });
  await daemon.until("API listen on");
  const runtimes = async () => {
    const info = JSON.parse((await get(daemon.socket, "/info")).text) as { Runtimes: object; DefaultRuntime: string };
    return [Object.keys(info.Runtimes).includes("mine"), info.DefaultRuntime === "mine"];
  };
  assert.deepEqual(await runtimes(), [false, false]);
  writeFileSync(file, JSON.stringify({ runtimes: { mine: { path: runtime } }, "default-runtime": "mine" }));
  daemon.child.kill("SIGHUP");
  await daemon.until("Runtimes taken up");
  assert.deepEqual(await runtimes(), [true, true]);
  writeFileSync(file, JSON.stringify({ runtimes: { mine: { path: runtime } }, "default-runtime": "nope" }));
  daemon.child.kill("SIGHUP");
  await daemon.until("unknown or invalid runtime name: nope");
  assert.deepEqual(await runtimes(), [true, true]);
});

test("SIGUSR1 writes diagnostics without the environment", { skip }, async (t) => {
  const daemon = launch(t, [], { env: { SECRET_OF_THE_TEST: "hush" } });
  await daemon.until("API listen on");
  daemon.child.kill("SIGUSR1");
  await daemon.until("diagnostics written");
  const folder = join(daemon.folder, "exec");
  const [name = ""] = readdirSync(folder).filter((entry) => entry.startsWith("diagnostics-"));
  assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
  assert.doesNotMatch(readFileSync(join(folder, name), "utf8"), /hush/);
});

test("TCP listens beside the unix socket and is warned about", { skip }, async (t) => {
  const daemon = launch(t, ["-H", "tcp://127.0.0.1:0"]);
  await daemon.until("API listen on 127.0.0.1:");
  const port = /API listen on 127\.0\.0\.1:(\d+)/.exec(daemon.log())?.[1];
  assert.match(daemon.log(), /without --tlsverify is insecure/);
  assert.equal(await (await fetch(`http://127.0.0.1:${port}/_ping`)).text(), "OK");
});

test("TLS lets in who has a certificate of the authority, and nobody else", {
  skip: skip || missing("openssl"),
}, async (t) => {
  const folder = folderOf(t);
  const at = (name: string) => join(folder, name);
  makeCertificates(folder);
  const files = ["--tlscacert", at("ca.pem"), "--tlscert", at("server.pem"), "--tlskey", at("server.key")];
  const daemon = launch(t, ["--tlsverify", ...files, "-H", "tcp://127.0.0.1:0"], { folder });
  await daemon.until("API listen on 127.0.0.1:");
  const port = Number(/API listen on 127\.0\.0\.1:(\d+)/.exec(daemon.log())?.[1]);
  const trusted = {
    ca: readFileSync(at("ca.pem")),
    cert: readFileSync(at("client.pem")),
    key: readFileSync(at("client.key")),
  };
  assert.equal(await pingTls(port, trusted), "OK");
  await assert.rejects(pingTls(port, { ca: trusted.ca }));
  assert.equal((await get(daemon.socket, "/_ping")).text, "OK");
});

test("a socket that the service manager opened is served", { skip }, async (t) => {
  const folder = folderOf(t);
  const activated = createServer().listen(join(folder, "given.sock"));
  await once(activated, "listening");
  const { fd } = (activated as unknown as { _handle: { fd: number } })._handle;
  const flags = [
    "--data-root",
    join(folder, "data"),
    "--exec-root",
    join(folder, "exec"),
    "--bridge",
    "none",
    "-H",
    "fd://",
  ];
  const child = spawn(
    "/bin/sh",
    ["-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"', process.execPath, LAUNCHER, ...flags],
    {
      stdio: ["ignore", "ignore", "pipe", fd],
    },
  );
  daemonsOf.set(folder, [{ child, exited: once(child, "close").then(() => child.exitCode) }]);
  let log = "";
  for await (const chunk of child.stderr as AsyncIterable<Buffer>) {
    log += String(chunk);
    if (log.includes("API listen on fd://3")) break;
  }
  activated.close();
  assert.match(log, /API listen on fd:\/\/3/);
});

test("mistakes end it at once: flags, file, group, TLS files", { skip }, async (t) => {
  for (const [flags, said] of [
    [["--nope"], "unknown flag: --nope\nSee 'gantryd --help'."],
    [["--config-file", "/nowhere"], "open /nowhere: no such file or directory"],
    [["--group", "nobody-has-this"], "group nobody-has-this not found"],
    [["--tls", "--tlscert", "/nowhere"], "could not read TLS file /nowhere"],
  ] as const) {
    const daemon = launch(t, flags);
    assert.equal(await daemon.exited, 1);
    assert.ok(daemon.log().includes(said), daemon.log());
    assert.equal(existsSync(daemon.socket), false);
  }
});

test("--validate checks and ends", async (t) => {
  const good = launch(t, ["--validate"]);
  assert.equal(await good.exited, 0);
  assert.equal(good.log(), "configuration OK\n");
});

test("docs/daemon.md has the table of options as it is", () => {
  const document = readFileSync(join(import.meta.dirname, "../../docs/daemon.md"), "utf8");
  assert.ok(document.includes(optionsTable()), "regenerate the table from optionsTable()");
});
