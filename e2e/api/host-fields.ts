/** Every other field of HostConfig. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readlinkSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { HostConfig } from "../../src/api/types/container.ts";
import { kept, missing, type Row, shown, tried } from "./rows.ts";
import type { Try } from "./try.ts";

/** A script in a container with this field shows it. */
function field<K extends keyof HostConfig>(name: K, value: HostConfig[K], script: string, pattern: RegExp): Row {
  return shown(name, { HostConfig: { [name]: value } }, script, pattern);
}

/** The container's namespace of a kind is the host's, or another container's. */
function namespaceOf(at: Try, id: string, kind: string): Promise<string> {
  return at.exec(id, "readlink", `/proc/self/ns/${kind}`);
}

function sharing(name: keyof HostConfig, kind: string, separate = ""): Row {
  return tried(name, async (at) => {
    const host = `${readlinkSync(`/proc/self/ns/${kind}`)}\n`;
    const own = await at.start({ HostConfig: { [name]: separate } });
    assert.notEqual(await namespaceOf(at, own, kind), host);
    const shared = await at.start({ HostConfig: { [name]: "host" } });
    assert.equal(await namespaceOf(at, shared, kind), host);
  });
}

const BRIDGE = { NetworkMode: "bridge" };

export const HOST_FIELDS: readonly Row[] = [
  tried("Binds", async (at) => {
    const folder = join(at.daemon.folder, "bound");
    mkdirSync(folder);
    const { code } = await at.run(
      { HostConfig: { Binds: [`${folder}:/b`, "named:/n:ro"] } },
      "touch /b/made; ! touch /n/made",
    );
    assert.equal(code, 0);
    assert.ok(existsSync(join(folder, "made")));
    rmSync(folder, { recursive: true });
  }),
  kept("ContainerIDFile", "HostConfig", "/tmp/cid"),
  tried("LogConfig", async (at) => {
    const LogConfig = { Type: "local", Config: { "max-size": "1m" } };
    const id = await at.start({ HostConfig: { LogConfig } }, "echo kept");
    await at.post(id, "wait");
    assert.equal(await at.log(id), "kept\n");
    assert.deepEqual((await at.inspect(id)).HostConfig.LogConfig, LogConfig);
    await assert.rejects(at.create({ HostConfig: { LogConfig: { Type: "smoke" } } }), /no log driver named 'smoke'/);
  }),
  field("NetworkMode", "none", "ls /sys/class/net", /^lo\n$/),
  tried("PortBindings", async (at) => {
    const HostConfig = { ...BRIDGE, PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] } };
    const id = await at.start({ HostConfig }, "echo published | nc -l -p 80");
    const [binding] = (await at.inspect(id)).NetworkSettings.Ports["80/tcp"] ?? [];
    let text = "";
    await at.until(async () => {
      text = await read(Number(binding?.HostPort));
      return text !== "";
    });
    assert.equal(text, "published\n");
  }),
  tried("RestartPolicy", async (at) => {
    const HostConfig = { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } };
    const id = await at.start({ HostConfig }, "exit 1");
    await at.until(async () => (await at.inspect(id)).State.Status === "exited");
    assert.equal((await at.inspect(id)).RestartCount, 2);
  }),
  tried("AutoRemove", async (at) => {
    const id = await at.create({ Cmd: ["true"], HostConfig: { AutoRemove: true } });
    const removed = at.post(id, "wait?condition=removed");
    await at.post(id, "start");
    await removed;
    await assert.rejects(at.inspect(id), /404/);
  }),
  tried("VolumeDriver", async (at) => {
    const HostConfig = { VolumeDriver: "no-such-driver", Binds: ["fresh:/v"] };
    await assert.rejects(at.create({ HostConfig }), /no-such-driver/);
  }),
  tried("VolumesFrom", async (at) => {
    await at.run({ HostConfig: { Binds: ["shared:/v"] } }, "echo shared > /v/file");
    const id = await at.create({ HostConfig: { Binds: ["shared:/v"] } });
    const { text } = await at.run({ HostConfig: { VolumesFrom: [`${id}:ro`] } }, "cat /v/file; touch /v/no");
    assert.match(text, /shared\n[\s\S]*Read-only file system/);
  }),
  tried("Mounts", async (at) => {
    const Mounts: NonNullable<HostConfig["Mounts"]> = [
      { Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1 << 20 } },
      { Type: "volume", Source: "mounted", Target: "/v" },
      { Type: "bind", Source: "/etc", Target: "/b", ReadOnly: true },
    ];
    const { text } = await at.run(
      { HostConfig: { Mounts } },
      "grep -E ' /(t|v|b) ' /proc/mounts | cut -d' ' -f2 | sort",
    );
    assert.equal(text, "/b\n/t\n/v\n");
  }),
  shown("ConsoleSize", { Tty: true, HostConfig: { ConsoleSize: [31, 101] } }, "stty size", /^31 101\r\n$/),
  tried(
    "Annotations",
    async (at) => {
      const id = await at.start({ HostConfig: { Annotations: { "example.com/note": "x" } } });
      const list = await at.daemon.call<{ Id: string; HostConfig: HostConfig }[]>("GET", "/containers/json");
      assert.deepEqual(list.find(({ Id }) => Id === id)?.HostConfig.Annotations, { "example.com/note": "x" });
    },
    "given to the OCI runtime; `gantry.health-on-failure` is the engine's own",
  ),
  field("CapAdd", ["NET_ADMIN"], "grep CapEff /proc/self/status", /00000000a80435fb\n$/),
  field("CapDrop", ["ALL"], "grep CapEff /proc/self/status", /\t0{16}\n$/),
  sharing("CgroupnsMode", "cgroup", "private"),
  shown("Dns", { HostConfig: { ...BRIDGE, Dns: ["9.9.9.9"] } }, "cat /etc/resolv.conf", /^nameserver 9\.9\.9\.9$/m),
  shown(
    "DnsOptions",
    { HostConfig: { ...BRIDGE, DnsOptions: ["ndots:3"] } },
    "cat /etc/resolv.conf",
    /^options ndots:3$/m,
  ),
  shown("DnsSearch", { HostConfig: { ...BRIDGE, DnsSearch: ["lan"] } }, "cat /etc/resolv.conf", /^search lan$/m),
  field("ExtraHosts", ["there:10.1.2.3"], "cat /etc/hosts", /^10\.1\.2\.3\s+there$/m),
  field("GroupAdd", ["4242"], "id -G", /\b4242\b/),
  sharing("IpcMode", "ipc"),
  missing("Cgroup", "nothing, with Docker too: joining another container's cgroup was never done"),
  tried("Links", async (at) => {
    const target = await at.start({ HostConfig: BRIDGE }, "sleep 1000");
    const { text } = await at.run(
      { HostConfig: { ...BRIDGE, Links: [`${target}:db`] } },
      "cat /etc/hosts; echo $DB_NAME",
    );
    assert.match(text, new RegExp(`^[0-9.]+\tdb ${target.slice(0, 12)} [\\s\\S]*/db\n$`, "m"));
  }),
  tried(
    "OomScoreAdj",
    async (at) => {
      const { text } = await at.run({ HostConfig: { OomScoreAdj: 600 } }, "cat /proc/self/oom_score_adj");
      assert.equal(text, "600\n");
    },
    "below the engine's own score it takes CAP_SYS_RESOURCE",
  ),
  sharing("PidMode", "pid"),
  field("Privileged", true, "grep CapEff /proc/self/status; ls /dev/kmsg", /\/dev\/kmsg\n$/),
  tried("PublishAllPorts", async (at) => {
    const id = await at.start({ ExposedPorts: { "80/tcp": {} }, HostConfig: { ...BRIDGE, PublishAllPorts: true } });
    assert.match((await at.inspect(id)).NetworkSettings.Ports["80/tcp"]?.[0]?.HostPort ?? "", /^\d+$/);
  }),
  field("ReadonlyRootfs", true, "touch /file", /Read-only file system/),
  field(
    "SecurityOpt",
    ["no-new-privileges", "seccomp=unconfined"],
    "grep -E 'NoNewPrivs|Seccomp:' /proc/self/status",
    /\t1\n.*\t0\n$/,
  ),
  missing("StorageOpt", "refused: the storage drivers have no quotas yet"),
  field("Tmpfs", { "/scratch": "size=1m" }, "grep ' /scratch ' /proc/mounts", /^tmpfs .*size=1024k/),
  sharing("UTSMode", "uts"),
  missing("UsernsMode", "`host` alone: there are no user namespaces yet"),
  field("ShmSize", 1 << 20, "grep ' /dev/shm ' /proc/mounts", /size=1024k/),
  field("Sysctls", { "net.ipv4.ip_forward": "1" }, "cat /proc/sys/net/ipv4/ip_forward", /^1\n$/),
  tried("Runtime", async (at) => {
    const { Runtimes } = await at.daemon.call<{ Runtimes: Record<string, unknown> }>("GET", "/info");
    for (const Runtime of Object.keys(Runtimes))
      assert.equal((await at.run({ HostConfig: { Runtime } }, "true")).code, 0);
    await assert.rejects(at.create({ HostConfig: { Runtime: "none" } }), /unknown or invalid runtime name: none/);
  }),
  missing("Isolation", "Windows alone has others than `default`"),
  field("MaskedPaths", ["/proc/uptime"], "wc -c < /proc/uptime; wc -c < /proc/timer_list", /^0\n(?!0\n)/),
  field("ReadonlyPaths", ["/tmp"], "touch /tmp/file", /Read-only file system/),
];

/** What a port of 127.0.0.1 says; "" when nobody is there yet. */
function read(port: number): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1");
    socket.on("data", (bytes) => (text += String(bytes)));
    socket.once("error", () => resolve(""));
    socket.once("close", () => resolve(text));
  });
}
