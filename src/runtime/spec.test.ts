import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ContainerConfig, HostConfig } from "../api/types/container.ts";
import type { Host } from "../kernel/host.ts";
import { adaptSpec } from "./adapt-spec.ts";
import { encodeSpec } from "./encode.ts";
import { buildExecProcess } from "./process.ts";
import { BPF_ANNOTATION } from "./seccomp-bpf.ts";
import { buildSpec, type SpecInput } from "./spec.ts";

const HOST: Host = {
  cpus: 2,
  memory: 1 << 30,
  kernelVersion: "6.1.0",
  machine: "x86_64",
  architecture: "x64",
  operatingSystem: "Linux",
  operatingSystemVersion: "",
  capabilities: ((1n << 41n) - 1n) & ~(1n << 24n),
  seccomp: true,
  appArmor: false,
  appArmorProfiles: new Set(),
  selinux: false,
  ipv4Forwarding: true,
  bootId: "boot",
  oomScoreAdj: 0,
  hardLimits: { NOFILE: 20_000 },
};

const SUPPORTED = {
  swapLimit: true,
  memorySwappiness: true,
  oomKillDisable: true,
  blkioWeight: true,
  blkioThrottle: true,
};

function build(
  hostConfig: HostConfig = {},
  config: ContainerConfig = { Cmd: ["true"] },
  more: Partial<SpecInput> = {},
) {
  const warnings: string[] = [];
  const spec = buildSpec({
    config,
    hostConfig,
    hostname: "box",
    rootfs: "rootfs",
    user: { uid: 0, gid: 0, additionalGids: [], home: "/root" },
    mounts: [],
    namespaces: { network: "new", pid: "new", ipc: "new", uts: "new", cgroup: "host" },
    ownNetwork: true,
    shm: { size: 64 << 20 },
    cgroup: "/gantry/x",
    resourceSupport: SUPPORTED,
    defaults: {
      ulimits: {},
      noNewPrivileges: false,
      seccompProfile: undefined,
      init: false,
      initPath: "/host/gantry-init",
    },
    host: HOST,
    warn: (message) => warnings.push(message),
    ...more,
  });
  const mount = (target: string) => spec.mounts.find(({ destination }) => destination === target);
  return { spec, warnings, mount };
}

describe("the process", () => {
  it("is entrypoint and command, with Docker's environment under the image's and the user's", () => {
    const { spec } = build(
      {},
      { Entrypoint: ["sh", "-c"], Cmd: ["x"], Env: ["PATH=/p", "A=1", "A=2", "HOSTNAME"], Tty: true },
    );
    assert.deepEqual(spec.process.args, ["sh", "-c", "x"]);
    assert.deepEqual(spec.process.env, ["PATH=/p", "TERM=xterm", "A=2"]);
    assert.equal(spec.process.terminal, true);
    assert.equal(spec.process.cwd, "/");
  });

  it("runs under the init that was asked for, if the pid namespace is its own", () => {
    const { spec, mount } = build({ Init: true });
    assert.deepEqual(spec.process.args, ["/sbin/docker-init", "--", "true"]);
    assert.deepEqual(mount("/sbin/docker-init"), {
      destination: "/sbin/docker-init",
      type: "bind",
      source: "/host/gantry-init",
      options: ["rbind", "ro", "rprivate"],
    });
    const namespaces = { network: "new", pid: "host", ipc: "new", uts: "new", cgroup: "host" } as const;
    assert.deepEqual(build({ Init: true }, undefined, { namespaces }).spec.process.args, ["true"]);
  });

  it("gets limits no higher than ours, with a word about it, and unlimited ones exactly", () => {
    const { spec, warnings } = build({
      Ulimits: [
        { Name: "nofile", Soft: 1024, Hard: 100_000 },
        { Name: "core", Soft: -1, Hard: -1 },
      ],
    });
    assert.deepEqual(spec.process.rlimits?.[0], { type: "RLIMIT_NOFILE", soft: 1024, hard: 20_000 });
    assert.match(warnings[0] ?? "", /nofile was lowered to 20000/);
    assert.match(encodeSpec(spec), /"type":"RLIMIT_CORE","hard":18446744073709551615,"soft":18446744073709551615/);
  });

  it("never asks for a lower OOM score than may be given", () => {
    assert.equal(build({ OomScoreAdj: 500 }).spec.process.oomScoreAdj, 500);
    const { spec, warnings } = build({ OomScoreAdj: -500 });
    assert.equal(spec.process.oomScoreAdj, undefined);
    assert.equal(warnings.length, 1);
  });

  it("has no new privileges on request or by the daemon's default", () => {
    const defaults = {
      ulimits: {},
      noNewPrivileges: true,
      seccompProfile: undefined,
      init: false,
      initPath: undefined,
    };
    assert.equal(build({ SecurityOpt: ["no-new-privileges"] }).spec.process.noNewPrivileges, true);
    assert.equal(build({}, undefined, { defaults }).spec.process.noNewPrivileges, true);
    assert.equal(
      build({ SecurityOpt: ["no-new-privileges=false"] }, undefined, { defaults }).spec.process.noNewPrivileges,
      undefined,
    );
  });

  it("gets an AppArmor profile only where the kernel has AppArmor", () => {
    const host = { ...HOST, appArmor: true, appArmorProfiles: new Set(["docker-default"]) };
    const profile = (hostConfig: HostConfig, on: Host = host) =>
      build(hostConfig, undefined, { host: on }).spec.process.apparmorProfile;
    assert.equal(profile({}), "docker-default");
    assert.equal(profile({ SecurityOpt: ["apparmor=mine"] }), "mine");
    assert.equal(profile({ SecurityOpt: ["apparmor=unconfined"] }), undefined);
    assert.equal(profile({ Privileged: true }), undefined);
    assert.equal(profile({ SecurityOpt: ["apparmor=mine"] }, HOST), undefined);
  });
});

describe("the mounts", () => {
  it("are Docker's, /sys and the groups to be read only", () => {
    const { spec, mount } = build();
    assert.deepEqual(
      spec.mounts.map(({ destination }) => destination),
      ["/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue", "/dev/shm"],
    );
    assert.ok(mount("/sys")?.options?.includes("ro"));
    assert.ok(mount("/dev/shm")?.options?.includes("size=67108864"));
  });

  it("are replaced by the user's, and all of /dev by a mount of /dev", () => {
    const bind = (source: string, target: string) => ({ type: "bind" as const, source, target });
    const { spec } = build({}, undefined, {
      mounts: [bind("/x", "/data/deep"), bind("/dev", "/dev"), bind("/y", "/data")],
    });
    assert.deepEqual(
      spec.mounts.map(({ destination }) => destination),
      ["/proc", "/sys", "/sys/fs/cgroup", "/dev", "/data", "/data/deep"],
    );
  });

  it("carry what was asked: read-only, propagation, no submounts", () => {
    const mounts = [
      { type: "bind" as const, source: "/a", target: "/a", readOnly: true, propagation: "rslave" },
      { type: "bind" as const, source: "/b", target: "/b", nonRecursive: true },
    ];
    const { spec, mount } = build({}, undefined, { mounts });
    assert.deepEqual(mount("/a")?.options, ["rbind", "ro", "rslave"]);
    assert.deepEqual(mount("/b")?.options, ["bind", "rprivate"]);
    assert.equal(spec.linux.rootfsPropagation, "rslave");
  });

  it("include tmpfs of both forms, closed by default", () => {
    const { mount } = build({
      Tmpfs: { "/run": "", "/tmp": "exec,size=64k" },
      Mounts: [{ Type: "tmpfs", Target: "/t", TmpfsOptions: { SizeBytes: 1024, Mode: 0o1770 } }],
    });
    assert.deepEqual(mount("/run")?.options, ["noexec", "nosuid", "nodev"]);
    assert.deepEqual(mount("/tmp")?.options, ["nosuid", "nodev", "exec", "size=64k"]);
    assert.deepEqual(mount("/t")?.options, ["noexec", "nosuid", "nodev", "mode=1770", "size=1024"]);
    assert.throws(() => build({ Tmpfs: { "/t": "nonsense" } }), {
      kind: "invalid",
      message: 'invalid tmpfs option "nonsense"',
    });
  });

  it("have no /dev/shm without IPC, and a shared one by its path", () => {
    assert.equal(build({}, undefined, { shm: "none" }).mount("/dev/shm"), undefined);
    assert.equal(build({}, undefined, { shm: { path: "/h/shm" } }).mount("/dev/shm")?.source, "/h/shm");
  });
});

describe("the resources", () => {
  it("leave out what the machine cannot limit", () => {
    const all = { Memory: 64 << 20, MemorySwappiness: 10, OomKillDisable: true, BlkioWeight: 500 };
    const none = Object.fromEntries(Object.keys(SUPPORTED).map((name) => [name, false])) as typeof SUPPORTED;
    const full = build(all).spec.linux.resources;
    assert.deepEqual(full?.memory, { limit: 64 << 20, swap: 128 << 20, swappiness: 10, disableOOMKiller: true });
    assert.deepEqual(full?.blockIO, { weight: 500 });
    const bare = build(all, undefined, { resourceSupport: none }).spec.linux.resources;
    assert.deepEqual(bare?.memory, { limit: 64 << 20 });
    assert.equal(bare?.blockIO, undefined);
  });

  it("turn cpus into a quota, memory into memory and as much swap", () => {
    const { resources } = build({ NanoCpus: 1.5e9, Memory: 64 << 20, PidsLimit: 7, CpusetCpus: "0" }).spec.linux;
    assert.deepEqual(resources?.cpu, { period: 100_000, quota: 150_000, cpus: "0" });
    assert.deepEqual(resources?.memory, { limit: 64 << 20, swap: 128 << 20 });
    assert.deepEqual(resources?.pids, { limit: 7 });
  });

  it("are nothing but the refusal of devices by default", () => {
    assert.deepEqual(build().spec.linux.resources, { devices: [{ allow: false, access: "rwm" }] });
  });

  it("allow a device of the host and rules", () => {
    const { linux } = build({
      Devices: [{ PathOnHost: "/dev/null", PathInContainer: "/dev/nothing", CgroupPermissions: "r" }],
      DeviceCgroupRules: ["c 42:* rwm"],
    }).spec;
    assert.deepEqual(linux.devices, [
      { path: "/dev/nothing", type: "c", major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 },
    ]);
    assert.deepEqual(linux.resources?.devices?.slice(1), [
      { allow: true, type: "c", major: 1, minor: 3, access: "r" },
      { allow: true, type: "c", access: "rwm", major: 42 },
    ]);
  });

  it("refuse a device that is none with Docker's text, and GPUs", () => {
    assert.throws(() => build({ Devices: [{ PathOnHost: "/dev/none" }] }), {
      message: 'error gathering device information while adding custom device "/dev/none": no such file or directory',
    });
    assert.throws(() => build({ Devices: [{ PathOnHost: "/etc/passwd" }] }), { message: /not a device node/ });
    assert.throws(() => build({ DeviceRequests: [{ Capabilities: [["gpu"]] }] }), {
      message: 'could not select device driver "" with capabilities: [[gpu]]',
    });
  });
});

describe("the system controls", () => {
  it("may be set in namespaces of the container's own only", () => {
    const { sysctl } = build({ Sysctls: { "net.core.somaxconn": "99", "kernel.shmmax": "5" } }).spec.linux;
    assert.equal(sysctl?.["net.core.somaxconn"], "99");
    assert.equal(sysctl?.["net.ipv4.ip_unprivileged_port_start"], "0");
    const namespaces = { network: "host", pid: "new", ipc: "host", uts: "new", cgroup: "host" } as const;
    const onHost = (name: string) => build({ Sysctls: { [name]: "1" } }, undefined, { namespaces, ownNetwork: false });
    assert.equal(build({}, undefined, { namespaces, ownNetwork: false }).spec.linux.sysctl, undefined);
    assert.throws(() => onHost("net.core.somaxconn"), { message: /not allowed in host network namespace/ });
    assert.throws(() => onHost("kernel.shmmax"), { message: /not allowed in the hosts ipc namespace/ });
    assert.throws(() => build({ Sysctls: { "kernel.panic": "1" } }), {
      message: 'sysctl "kernel.panic" is not in a separate kernel namespace',
    });
  });
});

describe("a privileged container", () => {
  const { spec, mount } = build({ Privileged: true });

  it("has every capability that there is, every device, and nothing hidden", () => {
    assert.equal(spec.process.capabilities?.bounding.length, 40);
    assert.deepEqual(spec.linux.resources?.devices, [{ allow: true, access: "rwm" }]);
    assert.ok((spec.linux.devices ?? []).every(({ path }) => path.startsWith("/dev/")));
    assert.equal(spec.linux.seccomp, undefined);
    assert.equal(spec.linux.maskedPaths, undefined);
    assert.ok(mount("/sys")?.options?.includes("rw"));
  });
});

describe("the seccomp filter", () => {
  it("comes as profile and as program, of which a runtime gets one", () => {
    const { spec } = build();
    assert.ok(spec.annotations?.[BPF_ANNOTATION]);
    assert.ok((spec.linux.seccomp?.syscalls?.length ?? 0) > 1);
    const program = adaptSpec(spec, { takesBpf: true });
    assert.deepEqual(program.linux.seccomp, { defaultAction: "SCMP_ACT_ERRNO" });
    const profile = adaptSpec(spec, { takesBpf: false });
    assert.equal(profile.annotations?.[BPF_ANNOTATION], undefined);
    assert.deepEqual(profile.linux.seccomp, spec.linux.seccomp);
  });

  it("is the user's own as a profile only, or none", () => {
    const own = build({ SecurityOpt: ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'] }).spec;
    assert.equal(own.annotations, undefined);
    assert.equal(own.linux.seccomp?.defaultAction, "SCMP_ACT_ALLOW");
    assert.equal(build({ SecurityOpt: ["seccomp=unconfined"] }).spec.linux.seccomp, undefined);
  });
});

describe("a security option", () => {
  it("that is unknown is refused with Docker's text", () => {
    assert.throws(() => build({ SecurityOpt: ["nonsense"] }), { message: 'invalid --security-opt 1: "nonsense"' });
    assert.throws(() => build({ SecurityOpt: ["a=b"] }), { message: 'invalid --security-opt 2: "a=b"' });
    assert.throws(() => build({ SecurityOpt: ["no-new-privileges=2"] }), { message: /--security-opt 2/ });
  });

  it("opens the system paths", () => {
    assert.equal(build({ SecurityOpt: ["systempaths=unconfined"] }).spec.linux.maskedPaths, undefined);
    assert.deepEqual(build({ MaskedPaths: [], ReadonlyPaths: [] }).spec.linux.maskedPaths, []);
  });
});

describe("an exec's process", () => {
  const container = build({}, { Cmd: ["sleep"], Env: ["A=1"], Tty: true, WorkingDir: "/w" }).spec.process;
  const more = { args: ["id"], tty: false, privileged: false, availableCapabilities: ["CAP_SYS_ADMIN"] };

  it("is the container's with another command, and a terminal only if it has one", () => {
    const process = buildExecProcess({ ...more, container, env: ["B=2"] });
    assert.deepEqual(process.args, ["id"]);
    assert.deepEqual(process.env.slice(-2), ["A=1", "B=2"]);
    assert.ok(!process.env.includes("TERM=xterm"));
    assert.equal(process.terminal, undefined);
    assert.equal(process.cwd, "/w");
    assert.ok(buildExecProcess({ ...more, container, tty: true }).env.includes("TERM=xterm"));
  });

  it("has a home in the root folder when its user is in no passwd file, as the container's process has", () => {
    const user = { uid: 5, gid: 6, additionalGids: [], home: "/" };
    const stranger = build({}, undefined, { user }).spec.process;
    assert.equal(stranger.env.at(-1), "HOME=/");
    const root = { uid: 0, gid: 0, additionalGids: [], home: "/root" };
    assert.ok(!buildExecProcess({ ...more, container: stranger, user: root }).env.includes("HOME=/"));
    assert.equal(buildExecProcess({ ...more, container, user }).env.at(-1), "HOME=/");
  });

  it("may have another user, folder, and all capabilities", () => {
    const user = { uid: 5, gid: 6, additionalGids: [7], home: "/" };
    const process = buildExecProcess({ ...more, container, user, cwd: "/c", privileged: true });
    assert.deepEqual(process.user, { uid: 5, gid: 6, additionalGids: [7] });
    assert.equal(process.cwd, "/c");
    assert.deepEqual(process.capabilities?.bounding, ["CAP_SYS_ADMIN"]);
  });
});
