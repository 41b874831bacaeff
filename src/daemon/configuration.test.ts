import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { configure } from "./configuration.ts";
import { parseFlags } from "./flags.ts";
import { parseHost } from "./hosts.ts";
import { LineLogger } from "./logger.ts";
import { OPTIONS } from "./options.ts";
import { changedKeys, reloadable } from "./reload.ts";
import { engineSettings } from "./settings.ts";

const parse = (...argv: string[]) => Object.fromEntries(parseFlags(argv, "gantryd"));

function file(t: TestContext, content: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), "gantry-config-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "daemon.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

test("flags are read in every spelling of pflag", () => {
  assert.deepEqual(
    parse("-D", "-H", "unix:///a", "-Hunix:///b", "-H=unix:///c", "--host", "unix:///d", "--host=unix:///e"),
    {
      debug: true,
      hosts: ["unix:///a", "unix:///b", "unix:///c", "unix:///d", "unix:///e"],
    },
  );
  assert.deepEqual(parse("-Dlwarn", "--icc=false", "--mtu", "1400", "--log-opt", "a=b=c", "--log-opt=d=e"), {
    debug: true,
    "log-level": "warn",
    icc: false,
    mtu: 1400,
    "log-opts": { a: "b=c", d: "e" },
  });
  assert.deepEqual(
    parse(
      "--default-ulimit",
      "nofile=5:6",
      "--default-ulimit",
      "core=-1",
      "--add-runtime",
      "x=/y",
      "--default-shm-size=64MiB",
      "--default-address-pool",
      "base=10.0.0.0/8,size=24",
    ),
    {
      "default-ulimits": { nofile: { soft: 5, hard: 6 }, core: { soft: -1, hard: -1 } },
      runtimes: { x: { path: "/y" } },
      "default-shm-size": 64 * 1024 * 1024,
      "default-address-pools": [{ base: "10.0.0.0/8", size: 24 }],
    },
  );
});

test("a wrong command line is refused with pflag's words", () => {
  for (const [argv, message] of [
    [["--nope"], "unknown flag: --nope"],
    [["-x"], "unknown shorthand flag: 'x' in -x"],
    [["-Dx"], "unknown shorthand flag: 'x' in -Dx"],
    [["--mtu"], "flag needs an argument: --mtu"],
    [["-H"], "flag needs an argument: 'H' in -H"],
    [["--mtu=x"], 'invalid argument "x" for "--mtu" flag: strconv.ParseInt: parsing "x": invalid syntax'],
    [["-D=x"], 'invalid argument "x" for "-D, --debug" flag: strconv.ParseBool: parsing "x": invalid syntax'],
    [["--=x"], "bad flag syntax: --=x"],
    [["daemon"], '"gantryd" accepts no arguments.'],
  ] as const)
    assert.throws(() => parseFlags(argv, "gantryd"), { kind: "invalid", message });
});

test("the file gives what flags do not, and both together are a conflict", (t) => {
  const path = file(t, { hosts: ["tcp://1.2.3.4"], mtu: 1300, runtimes: { a: { path: "/a" } } });
  const configuration = configure(["--config-file", path, "--add-runtime", "b=/b", "-D"], "gantryd");
  assert.deepEqual(configuration.hosts, ["tcp://1.2.3.4"]);
  assert.deepEqual(Object.keys(configuration.runtimes), ["a", "b"]);
  assert.equal(configuration.logLevel, "debug");
  assert.throws(() => configure(["--config-file", path, "-H", "unix:///x"], "gantryd"), {
    message: `unable to configure the Docker daemon with file ${path}: the following directives are specified both as a flag and in the configuration file: hosts: (from flag: [unix:///x], from file: [tcp://1.2.3.4])`,
  });
});

test("a wrong file is refused with dockerd's words", (t) => {
  for (const [content, why] of [
    ["{", "unexpected end of JSON input"],
    ['{"debug": yes}', "invalid character 'y' looking for beginning of value"],
    [
      { nope: 1, debug: true, neither: 2 },
      "the following directives don't match any configuration option: nope, neither",
    ],
    [{ debug: "yes" }, "json: cannot unmarshal string into Go struct field Config.debug of type bool"],
    [{ dns: [1] }, "json: cannot unmarshal number 1 into Go struct field Config.dns of type string"],
    [[], "json: cannot unmarshal the document into Go value of type config.Config"],
  ] as const) {
    const path = file(t, content);
    assert.throws(() => configure(["--config-file", path], "gantryd"), {
      message: `unable to configure the Docker daemon with file ${path}: ${why}`,
    });
  }
  assert.throws(() => configure(["--config-file", "/nowhere/d.json"], "gantryd"), {
    message:
      "unable to configure the Docker daemon with file /nowhere/d.json: open /nowhere/d.json: no such file or directory",
  });
});

test("a key that was written otherwise is told by the name that was meant", (t) => {
  for (const [written, hint] of [
    ["insecure-registry", 'Did you mean "insecure-registries" instead of "insecure-registry"?'],
    ["log_driver", 'Did you mean "log-driver" instead of "log_driver"?'],
    ["storage-drvier", 'Did you mean "storage-driver" instead of "storage-drvier"?'],
    ["lables", 'Did you mean "labels" instead of "lables"?'],
    ["graph-of-things", 'Take "graph-of-things" out; docs/daemon.md has every key.'],
  ] as const)
    assert.throws(() => configure(["--config-file", file(t, { [written]: "x" })], "gantryd"), { hint });
});

test("what builds may keep is read from builder.gc", (t) => {
  const limit = (builder: unknown) =>
    engineSettings(configure(["--config-file", file(t, { builder })], "gantryd")).buildCacheLimit;
  assert.equal(limit({ gc: { defaultKeepStorage: "10GB" } }), 10e9);
  assert.equal(limit({ gc: { enabled: true, reservedSpace: 4096 } }), 4096);
  assert.equal(limit({ gc: { enabled: false } }), Number.MAX_SAFE_INTEGER);
  assert.equal(limit({}), undefined);
  assert.throws(() => limit({ gc: { defaultKeepStorage: "lots" } }), /invalid size: "lots"/);
  assert.throws(() => limit({ gc: [] }), /builder\.gc: expected an object/);
});

test("every key and every flag of the table is accepted", (t) => {
  const samples: Record<string, { json: unknown; flag: string }> = {
    bool: { json: true, flag: "true" },
    int: { json: 1, flag: "1" },
    string: { json: "", flag: "" },
    bytes: { json: "64M", flag: "64M" },
    list: { json: [], flag: "k=v" },
    lists: { json: "", flag: "1.2.3.4" },
    map: { json: {}, flag: "a=b" },
    mapmap: { json: {}, flag: "a=b=c" },
    ulimits: { json: { nofile: { Name: "nofile", Hard: 2, Soft: 1 } }, flag: "nofile=1:2" },
    runtimes: { json: { x: { path: "/x", runtimeArgs: ["-d"] } }, flag: "x=/x" },
    pools: { json: [{ base: "172.30.0.0/16", size: 24 }], flag: "base=172.30.0.0/16,size=24" },
    json: { json: {}, flag: "" },
  };
  const keys = OPTIONS.filter(({ flagOnly, key }) => !flagOnly && key !== "rootless").map(({ key, kind }) => [
    key,
    samples[kind]?.json,
  ]);
  const path = file(t, Object.fromEntries(keys));
  assert.ok(configure(["--config-file", path], "gantryd").idle.length > 10);
  const flags = OPTIONS.flatMap(({ flag, kind }) => (flag === undefined ? [] : [`--${flag}=${samples[kind]?.flag}`]));
  assert.equal(Object.keys(parse(...flags)).length, flags.length);
});

test("values that contradict are refused", () => {
  for (const [argv, message] of [
    [["--log-level", "loud"], /invalid logging level: loud/],
    [["--label", "x"], /bad attribute format: x/],
    [["-b", "x", "--bip", "10.0.0.1/8"], /mutually exclusive/],
    [["--icc=false", "--iptables=false"], /ICC=false uses iptables/],
    [["--mtu=-1"], /invalid mtu: -1/],
    [["--default-ipc-mode", "host"], /IPC mode "host" is not supported/],
    [["--userns-remap", "default"], /^userns-remap: user namespaces are not supported yet$/],
    [["--rootless"], /^rootless: running without root is not supported yet$/],
    [["--exec-opt", "native.cgroupdriver=systemd"], /^exec-opts: native\.cgroupdriver=systemd is not supported/],
    [["--exec-opt", "native.umask=normal"], /^exec-opts: unknown option "native\.umask"/],
    [["--storage-opt", "overlay2.size=10G"], /^storage-opts: overlay2\.size: the storage drivers have no quotas$/],
    [["--storage-opt", "dm.thinpooldev=x"], /^storage-opts: unknown option dm\.thinpooldev$/],
  ] as const)
    assert.throws(() => configure(["--config-file", "/dev/null", ...argv], "gantryd"), { kind: "invalid", message });
});

test("what has no effect is told, with why", () => {
  const idle = (...argv: string[]) => configure(["--config-file", "/dev/null", ...argv], "gantryd").idle;
  assert.deepEqual(idle("--containerd", "/run/c.sock", "--feature", "buildkit=true", "--feature", "cdi=true"), [
    "containerd: there is no containerd; the engine keeps content and runs containers itself.",
    "features.buildkit: there is no such feature.",
  ]);
  assert.deepEqual(idle("--exec-opt", "native.cgroupdriver=cgroupfs", "--raw-logs", "--selinux-enabled=false"), []);
  const folders = (...argv: string[]) =>
    engineSettings(configure(["--config-file", "/dev/null", "--cdi-spec-dir", "/x", ...argv], "gantryd")).cdiFolders;
  assert.deepEqual([folders(), folders("--feature", "cdi=false")], [["/x"], []]);
});

test("the configuration becomes the engine's settings", () => {
  const settings = engineSettings(
    configure(
      [
        "--config-file",
        "/dev/null",
        "-s",
        "overlay2",
        "--iptables=false",
        "--dns",
        "9.9.9.9",
        "--mtu=0",
        "--fixed-cidr",
        "10.1.0.0/16",
        "--seccomp-profile",
        "builtin",
      ],
      "gantryd",
    ),
  );
  assert.equal(settings.storageDriver, "overlay");
  assert.deepEqual(settings.dns, ["9.9.9.9"]);
  assert.equal("seccompProfile" in settings, false);
  assert.equal(settings.network?.ipMasq, false);
  assert.equal(settings.network?.iptables, false);
  assert.equal(settings.network?.fixedCidr, "10.1.0.0/16");
  assert.equal("mtu" in (settings.network ?? {}), false);
  assert.throws(() => engineSettings(configure(["-s", "zfs", "--config-file", "/dev/null"], "gantryd")), {
    message: "driver not supported: zfs",
  });
});

test("the name decides where things are", () => {
  const at = (name: string) => configure(["--config-file", "/dev/null"], name);
  assert.deepEqual(at("dockerd").hosts, ["unix:///var/run/docker.sock"]);
  assert.equal(at("dockerd").persona.pidfile, "/var/run/docker.pid");
  assert.deepEqual(at("gantryd").hosts, ["unix:///run/gantry/gantry.sock"]);
});

test("hosts are read in every form", () => {
  const host = (text: string, tls = false) => parseHost(text, { tls, defaultPath: "/default.sock" });
  assert.deepEqual(host("unix:///a/b.sock"), { kind: "unix", path: "/a/b.sock" });
  assert.deepEqual(host("unix://"), { kind: "unix", path: "/default.sock" });
  assert.deepEqual(host("tcp://0.0.0.0"), { kind: "tcp", address: "0.0.0.0", port: 2375 });
  assert.deepEqual(host("tcp://", true), { kind: "tcp", address: "localhost", port: 2376 });
  assert.deepEqual(host("tcp://[::1]:80"), { kind: "tcp", address: "::1", port: 80 });
  assert.deepEqual(host("10.0.0.1:99"), { kind: "tcp", address: "10.0.0.1", port: 99 });
  assert.deepEqual(host("fd://"), { kind: "fd", fd: undefined });
  assert.deepEqual(host("fd://4"), { kind: "fd", fd: 4 });
  for (const bad of ["", "/a/b", "unix://a", "tcp://a:b", "tcp://a:70000", "http://a", "fd://x"])
    assert.throws(() => host(bad), { kind: "invalid" }, bad);
});

test("a reload takes what can change and leaves the rest for the next start", (t) => {
  const path = file(t, { labels: ["a=1"], mtu: 1400 });
  const before = configure(["--config-file", path], "gantryd");
  writeFileSync(path, JSON.stringify({ labels: ["b=2"], mtu: 1300, debug: true }));
  const read = configure(["--config-file", path], "gantryd");
  const after = reloadable(before, read);
  assert.deepEqual(after.list("labels"), ["b=2"]);
  assert.equal(after.number("mtu"), 1400);
  assert.equal(after.logLevel, "debug");
  assert.deepEqual(changedKeys(before, after, read), { taken: ["debug", "labels"], ignored: ["mtu"] });
});

test("the log is logfmt, or JSON", () => {
  const lines: string[] = [];
  const text = new LineLogger({ level: "info", json: false, write: (line) => lines.push(line) });
  text.log("debug", "unseen");
  text.log("warn", 'a "b"\nc', { path: "/x", words: "y z", number: 3 });
  const json = new LineLogger({ level: "info", json: true, write: (line) => lines.push(line) });
  json.log("info", "m", { k: 1 });
  assert.match(lines[0] ?? "", /^time="[^"]+Z" level=warning msg="a \\"b\\"\\nc" path=\/x words="y z" number=3\n$/);
  assert.deepEqual(
    { ...(JSON.parse(lines[1] ?? "") as object), time: "" },
    { k: 1, level: "info", msg: "m", time: "" },
  );
  assert.equal(lines.length, 2);
});
