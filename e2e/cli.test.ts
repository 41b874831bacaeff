/**
 * What a user types, with the real docker CLI and with gantry, against a real daemon: each line of it is tried with both,
 * and both must give the same.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { collect } from "./lib/cli.ts";
import { withEachCli } from "./lib/own-daemon.ts";

withEachCli((cli, daemon) => {
  const { name } = cli;
  const lines = (text: string) => text.split("\n").filter(Boolean);
  const run = (...args: string[]) => cli.ok("run", "--rm", ...args);

  test("version, info and system df name the engine and what it keeps", async () => {
    assert.match(await cli.ok("version"), /Server:[\s\S]*1\.51/);
    assert.equal(await cli.ok("version", "--format", "{{.Server.APIVersion}}"), "1.51");
    assert.match(await cli.ok("info"), /Storage Driver: overlay2[\s\S]*Default Runtime: (crun|runc)/);
    assert.match(await cli.ok("system", "df"), /^TYPE\s+TOTAL\s+ACTIVE\s+SIZE\s+RECLAIMABLE\nImages\s+1/);
  });

  test("run gives output, error output and exit codes as Docker does", async () => {
    assert.deepEqual(await cli.run("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"), {
      code: 7,
      out: "out",
      err: "err",
    });
    assert.equal((await cli.run("run", "--rm", "busybox", "sh", "-c", "sh -c 'kill -TERM $$'; exit $?")).code, 143);
    const notFound = await cli.run("run", "--rm", "busybox", "no-such-program");
    assert.equal(notFound.code, 127);
    assert.match(notFound.err, /executable file not found in \$PATH/);
    const notExecutable = await cli.run("run", "--rm", "busybox", "/etc/passwd");
    assert.equal(notExecutable.code, 126);
    assert.match(notExecutable.err, /permission denied/);
    assert.equal((await cli.run("run", "--no-such-flag", "busybox")).code, 125);
    const noImage = await cli.run("run", "--rm", "--pull", "never", "nothing:here", "true");
    assert.equal(noImage.code, 125);
    assert.match(noImage.err, /No such image: nothing:here/);
    assert.equal(await cli.ok("ps", "-aq"), "");
  });

  test("standard input reaches the container and its end is the end", async () => {
    assert.deepEqual(await cli.feed("a\nb\n", "run", "--rm", "-i", "busybox", "wc", "-l"), {
      code: 0,
      out: "2",
      err: "",
    });
    const megabyte = Buffer.alloc(1 << 20, "x");
    assert.equal((await cli.feed(megabyte, "run", "--rm", "-i", "busybox", "cat")).out.length, 1 << 20);
  });

  test("environment, folder, user, host name and labels arrive", async () => {
    const file = join(daemon.folder, "env");
    writeFileSync(file, "# comment\nFROM_FILE=yes\n");
    const flags = [
      "-e",
      "A=b c",
      "--env-file",
      file,
      "-w",
      "/some/where",
      "-u",
      "1000:1001",
      "--hostname",
      "box",
      "--domainname",
      "lan",
    ];
    const script = 'echo "$A $FROM_FILE"; pwd; id -u; id -g; hostname; cat /proc/sys/kernel/domainname';
    assert.equal(await run(...flags, "busybox", "sh", "-c", script), "b c yes\n/some/where\n1000\n1001\nbox\nlan");
    await cli.ok("create", "--name", "labelled", "-l", "tier=front", "--label", "x", "busybox", "true");
    assert.equal(await cli.ok("inspect", "-f", '{{index .Config.Labels "tier"}}', "labelled"), "front");
    assert.equal(await cli.ok("ps", "-a", "--filter", "label=tier=front", "--format", "{{.Names}}"), "labelled");
    await cli.ok("rm", "labelled");
    assert.match(
      (await cli.run("run", "--rm", "-u", "nobody-here", "busybox", "true")).err,
      /unable to find user nobody-here/,
    );
  });

  test("binds, volumes, tmpfs and mounts", async () => {
    const folder = join(daemon.folder, "shared");
    mkdirSync(folder);
    writeFileSync(join(folder, "in"), "from the host");
    assert.equal(
      await run("-v", `${folder}:/data`, "busybox", "sh", "-c", "cat /data/in; echo back > /data/out"),
      "from the host",
    );
    assert.equal(readFileSync(join(folder, "out"), "utf8"), "back\n");
    assert.notEqual((await cli.run("run", "--rm", "-v", `${folder}:/data:ro`, "busybox", "touch", "/data/no")).code, 0);
    await run("-v", "kept:/v", "busybox", "sh", "-c", "echo 1 > /v/file");
    assert.equal(await run("--mount", "type=volume,src=kept,dst=/w,readonly", "busybox", "cat", "/w/file"), "1");
    assert.match(
      await run("--tmpfs", "/scratch:size=1m,mode=700", "busybox", "sh", "-c", "mount | grep scratch"),
      /tmpfs on \/scratch.*size=1024k/,
    );
    assert.match(
      await run("--mount", "type=tmpfs,dst=/scratch,tmpfs-size=2m", "busybox", "df", "-k", "/scratch"),
      /2048/,
    );
    assert.match(
      (await cli.run("run", "--rm", "--mount", "type=bind,src=/no/such,dst=/x", "busybox", "true")).err,
      /bind source path does not exist: \/no\/such/,
    );
    await run("-v", `${folder}/made:/x`, "busybox", "true");
    assert.ok(existsSync(join(folder, "made")));
    assert.match(await cli.ok("volume", "ls", "-q"), /^kept$/m);
    await cli.ok("volume", "rm", "kept");
  });

  test("limits are the kernel's", async () => {
    const flags = [
      "--memory",
      "64m",
      "--cpus",
      "0.5",
      "--pids-limit",
      "50",
      "--ulimit",
      "nofile=100:200",
      "--sysctl",
      "net.ipv4.ip_forward=1",
    ];
    const script =
      "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null || cut -d' ' -f1 /sys/fs/cgroup/cpu.max; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; ulimit -n; ulimit -Hn; cat /proc/sys/net/ipv4/ip_forward";
    assert.equal(await run(...flags, "busybox", "sh", "-c", script), "67108864\n50000\n50\n100\n200\n1");
    const oom = await cli.run(
      "run",
      "--name",
      "hungry",
      "--memory",
      "16m",
      "--memory-swap",
      "16m",
      "busybox",
      "sh",
      "-c",
      "tail /dev/zero",
    );
    assert.equal(oom.code, 137);
    assert.equal(await cli.ok("inspect", "-f", "{{.State.OOMKilled}}", "hungry"), "true");
    await cli.ok("rm", "hungry");
  });

  test("capabilities, privileges, read-only roots and devices", async () => {
    const caps = (...flags: string[]) =>
      run(...flags, "busybox", "sh", "-c", "grep CapEff /proc/self/status | cut -f2");
    assert.equal(await caps(), "00000000a80425fb");
    assert.equal(await caps("--cap-drop", "ALL"), "0000000000000000");
    assert.equal(await caps("--cap-drop", "ALL", "--cap-add", "NET_ADMIN"), "0000000000001000");
    assert.notEqual(await caps("--privileged"), "00000000a80425fb");
    assert.match((await cli.run("run", "--rm", "--read-only", "busybox", "touch", "/x")).err, /Read-only file system/);
    assert.match(await run("--device", "/dev/null:/dev/other:r", "busybox", "ls", "-l", "/dev/other"), /1,\s+3/);
    assert.equal(
      await run(
        "--security-opt",
        "no-new-privileges",
        "busybox",
        "sh",
        "-c",
        "grep NoNewPrivs /proc/self/status | cut -f2",
      ),
      "1",
    );
    assert.equal(await run("busybox", "sh", "-c", "grep Seccomp: /proc/self/status | cut -f2"), "2");
    assert.equal(
      await run(
        "--security-opt",
        "seccomp=unconfined",
        "busybox",
        "sh",
        "-c",
        "grep Seccomp: /proc/self/status | cut -f2",
      ),
      "0",
    );
    assert.equal(await run("--init", "busybox", "sh", "-c", "cat /proc/1/comm"), "docker-init");
  });

  test("networks: none, host, bridge, another container's", async () => {
    assert.equal(await run("--network", "none", "busybox", "ls", "/sys/class/net"), "lo");
    assert.equal(
      await run("--network", "host", "busybox", "readlink", "/proc/self/ns/net"),
      (await import("node:fs")).readlinkSync("/proc/self/ns/net"),
    );
    await cli.ok(
      "run",
      "-d",
      "--name",
      "server",
      "busybox",
      "sh",
      "-c",
      "mkdir /w; echo hi > /w/index.html; exec httpd -f -p 80 -h /w",
    );
    const address = await cli.ok("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "server");
    assert.equal(await run("busybox", "wget", "-qO-", `http://${address}/`), "hi");
    assert.equal(await run("--network", "container:server", "busybox", "wget", "-qO-", "http://127.0.0.1/"), "hi");
    assert.match(
      await run("--add-host", "db:10.1.2.3", "--dns", "9.9.9.9", "busybox", "cat", "/etc/hosts", "/etc/resolv.conf"),
      /10\.1\.2\.3\s+db[\s\S]*nameserver 9\.9\.9\.9/,
    );
    await cli.ok("rm", "-f", "server");
  });

  test("published ports answer from the host, and a taken one is refused", async () => {
    const serve = "mkdir /w; echo published > /w/index.html; exec httpd -f -p 80 -h /w";
    await cli.ok("run", "-d", "--name", "web", "-p", "127.0.0.1::80", "busybox", "sh", "-c", serve);
    const [, port = ""] = /:(\d+)$/m.exec(await cli.ok("port", "web", "80")) ?? [];
    assert.equal(await page(`http://127.0.0.1:${port}/`), "published");
    const taken = await cli.run("run", "--rm", "-p", `127.0.0.1:${port}:80`, "busybox", "true");
    assert.equal(taken.code, 125);
    assert.match(taken.err, /port is already allocated/);
    await cli.ok("rm", "-f", "web");
    // busybox has no UDP server; the machine's own Node, seen through a bind, has.
    const echo =
      'const s = require("dgram").createSocket("udp4"); s.on("message", (m, r) => s.send(m, r.port, r.address)); s.bind(7)';
    const chroot = ["chroot", "/machine", process.execPath, "-e", echo];
    await cli.ok("run", "-d", "--name", "echo", "-v", "/:/machine:ro", "-p", "127.0.0.1::7/udp", "busybox", ...chroot);
    const [, udp = ""] = /:(\d+)$/m.exec(await cli.ok("port", "echo", "7/udp")) ?? [];
    assert.equal(await datagram(Number(udp), "ping"), "ping");
    await cli.ok("rm", "-f", "echo");
  });

  test("a container's life: create, start, pause, stop, restart, rename, wait, kill, rm", async () => {
    const id = await cli.ok(
      "create",
      "--name",
      "life",
      "busybox",
      "sh",
      "-c",
      "trap 'exit 5' TERM; while :; do sleep 0.1; done",
    );
    const state = () => cli.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "life");
    assert.equal(await state(), "created 0");
    assert.equal(await cli.ok("start", "life"), "life");
    assert.equal(await state(), "running 0");
    await cli.ok("pause", "life");
    assert.match(await cli.ok("ps", "--format", "{{.Status}}"), /\(Paused\)/);
    assert.match((await cli.run("exec", "life", "true")).err, /is paused/);
    await cli.ok("unpause", "life");
    await cli.ok("stop", "-t", "5", "life");
    assert.equal(await state(), "exited 5");
    await cli.ok("restart", "-t", "5", "life");
    assert.match(
      (await cli.run("rm", "life")).err,
      /container is running: stop the container before removing or force remove/,
    );
    const waiting = cli.ok("wait", "life");
    await sleep(300);
    await cli.ok("kill", "-s", "KILL", "life");
    assert.equal(await waiting, "137");
    await cli.ok("rename", "life", "afterlife");
    const conflict = await cli.run("create", "--name", "afterlife", "busybox");
    assert.match(
      conflict.err,
      new RegExp(`Conflict. The container name "/afterlife" is already in use by container "${id}"`),
    );
    assert.equal(await cli.ok("rm", "afterlife"), "afterlife");
    assert.match((await cli.run("start", "life")).err, /No such container: life/);
  });

  test("restart policies bring a container back, and a cidfile says which", async () => {
    const cidfile = join(daemon.folder, `cid-${name}`);
    await cli.ok(
      "run",
      "-d",
      "--cidfile",
      cidfile,
      "--name",
      "again",
      "--restart",
      "on-failure:2",
      "busybox",
      "sh",
      "-c",
      "exit 4",
    );
    await until(
      async () => (await cli.ok("inspect", "-f", "{{.State.Status}} {{.RestartCount}}", "again")) === "exited 2",
    );
    assert.equal(await cli.ok("inspect", "-f", "{{.Id}}", "again"), readFileSync(cidfile, "utf8"));
    await cli.ok("rm", "again");
  });

  test("logs: both streams apart, tail, times, follow to the end", async () => {
    await cli.ok(
      "run",
      "-d",
      "--name",
      "talk",
      "busybox",
      "sh",
      "-c",
      "for i in 1 2 3 4 5; do echo out$i; echo err$i >&2; sleep 0.1; done",
    );
    const followed = await cli.run("logs", "-f", "talk");
    assert.deepEqual(
      [lines(followed.out), lines(followed.err)],
      [
        ["out1", "out2", "out3", "out4", "out5"],
        ["err1", "err2", "err3", "err4", "err5"],
      ],
    );
    const tail = await cli.run("logs", "--tail", "2", "talk");
    assert.equal(lines(tail.out).length + lines(tail.err).length, 2);
    assert.match(
      lines((await cli.run("logs", "-t", "talk")).out)[0] ?? "",
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z out1$/,
    );
    assert.equal((await cli.run("logs", "--since", "1h", "talk")).out.length, followed.out.length);
    assert.equal((await cli.run("logs", "--until", "1h", "talk")).out, "");
    await cli.ok("rm", "talk");
  });

  test("attach, start -a -i, and exec join a container", async () => {
    assert.deepEqual(await cli.feed("one\ntwo\n", "run", "-i", "--name", "cat", "busybox", "cat"), {
      code: 0,
      out: "one\ntwo",
      err: "",
    });
    assert.deepEqual(await cli.feed("three\n", "start", "-a", "-i", "cat"), { code: 0, out: "three", err: "" });
    await cli.ok("rm", "cat");
    await cli.ok("run", "-d", "--name", "target", "-e", "BASE=1", "busybox", "sleep", "300");
    const script = 'echo "$BASE$MORE"; pwd; id -u; exit 9';
    assert.deepEqual(await cli.run("exec", "-e", "MORE=2", "-w", "/tmp", "-u", "5", "target", "sh", "-c", script), {
      code: 9,
      out: "12\n/tmp\n5",
      err: "",
    });
    assert.deepEqual(await cli.feed("input", "exec", "-i", "target", "cat"), { code: 0, out: "input", err: "" });
    assert.equal((await cli.run("exec", "target", "no-such")).code, 127);
    await cli.ok("exec", "-d", "target", "touch", "/tmp/detached");
    await until(async () => (await cli.run("exec", "target", "test", "-e", "/tmp/detached")).code === 0);
    assert.match(
      await cli.ok("exec", "--privileged", "target", "grep", "CapEff", "/proc/self/status"),
      /CapEff:\s+0000/,
    );
    assert.match(await cli.ok("top", "target"), /PID[\s\S]*sleep 300/);
    const watcher = collect(cli.spawn(["attach", "--no-stdin", "target"]));
    await sleep(500);
    await cli.ok("kill", "target");
    assert.equal((await watcher).code, 137);
    await cli.ok("rm", "target");
  });

  test("ps filters, sizes and quiet lists", async () => {
    await cli.ok("run", "-d", "--name", "up", "busybox", "sleep", "300");
    await cli.run("run", "--name", "down", "busybox", "sh", "-c", "head -c 100000 /dev/zero > /big; exit 3");
    const names = async (...filters: string[]) =>
      lines(await cli.ok("ps", "-a", "--format", "{{.Names}}", ...filters.flatMap((f) => ["--filter", f]))).toSorted();
    assert.deepEqual(await names("status=running"), ["up"]);
    assert.deepEqual(await names("exited=3"), ["down"]);
    assert.deepEqual(await names("name=u"), ["up"]);
    assert.deepEqual(await names("ancestor=busybox"), ["down", "up"]);
    assert.deepEqual(await names("since=up"), ["down"]);
    assert.deepEqual(await names("before=down", "status=running"), ["up"]);
    assert.match(
      await cli.ok("ps", "-as", "--filter", "name=down", "--format", "{{.Size}}"),
      /^(10\d|98|99)(\.\d)?kB \(virtual /,
    );
    assert.match(
      await cli.ok("ps", "-a", "--filter", "name=down"),
      /^CONTAINER ID\s+IMAGE\s+COMMAND\s+CREATED\s+STATUS\s+PORTS\s+NAMES\n[0-9a-f]{12}\s+busybox\s+.*Exited \(3\)/,
    );
    assert.match((await cli.run("ps", "--filter", "nonsense=1")).err, /invalid filter 'nonsense'/);
    await cli.ok("rm", "-f", "up", "down");
  });

  test("images: tag, list, inspect, history, remove, save and load", async () => {
    await cli.ok("tag", "busybox", "example.com:5000/team/app:v1");
    assert.match(
      await cli.ok("images", "example.com:5000/team/app"),
      /example\.com:5000\/team\/app\s+v1\s+[0-9a-f]{12}/,
    );
    const id = await cli.ok("image", "inspect", "-f", "{{.Id}}", "busybox");
    assert.equal(await cli.ok("inspect", "--type", "image", "-f", "{{.Id}}", id.slice(7, 19)), id);
    assert.match(await cli.ok("history", "busybox"), /^IMAGE\s+CREATED\s+CREATED BY\s+SIZE\s+COMMENT\n/);
    assert.equal(await cli.ok("rmi", "example.com:5000/team/app:v1"), "Untagged: example.com:5000/team/app:v1");
    const archive = join(daemon.folder, `saved-${name}.tar`);
    await cli.ok("save", "-o", archive, "busybox");
    await cli.ok("create", "--name", "user", "busybox", "true");
    assert.match(
      (await cli.run("rmi", "busybox")).err,
      /conflict: unable to remove repository reference "busybox" \(must force\) - container [0-9a-f]{12} is using its referenced image/,
    );
    await cli.ok("rm", "user");
    assert.match(await cli.ok("rmi", "busybox"), /Untagged: busybox:latest\nDeleted: sha256:/);
    assert.equal(await cli.ok("images", "-q"), "");
    assert.equal(await cli.ok("load", "-i", archive), "Loaded image: busybox:latest");
    assert.equal(await cli.ok("image", "inspect", "-f", "{{.Id}}", "busybox"), id);
    assert.match((await cli.run("load", "-i", join(daemon.folder, "env"))).err, /./);
    assert.match((await cli.run("rmi", "nothing")).err, /No such image: nothing/);
  });

  test("export and import make an image of one layer, with changes", async () => {
    await cli.run("run", "--name", "source", "busybox", "sh", "-c", "echo kept > /file");
    const tar = join(daemon.folder, `export-${name}.tar`);
    await cli.ok("export", "-o", tar, "source");
    const id = await cli.ok(
      "import",
      "--change",
      'CMD ["cat", "/file"]',
      "--change",
      "ENV A=1",
      "--message",
      "flat",
      tar,
      "flat:1",
    );
    assert.match(id, /^sha256:[0-9a-f]{64}$/);
    assert.equal(await run("flat:1"), "kept");
    assert.match(await cli.ok("diff", "source"), /^A \/file$/m);
    await cli.ok("commit", "-m", "snap", "source", "snap:1");
    assert.equal(await run("snap:1", "cat", "/file"), "kept");
    await cli.ok("rm", "source");
    await cli.ok("rmi", "flat:1", "snap:1");
    await cli.ok("image", "prune", "-f");
  });

  test("events tell what happened, as JSON too", async () => {
    const since = String(Math.floor(Date.now() / 1000) - 1);
    await run("--name", "noisy", "busybox", "true");
    // `--until 0s` is the second that has begun.
    await sleep(1100);
    const told = await cli.ok(
      "events",
      "--since",
      since,
      "--until",
      "0s",
      "--filter",
      "container=noisy",
      "--format",
      "{{.Action}}",
    );
    const expected = ["create", "attach", "start", "die", "destroy"];
    assert.deepEqual(
      lines(told).filter((action) => expected.includes(action)),
      expected,
    );
    const json = lines(
      await cli.ok(
        "events",
        "--since",
        since,
        "--until",
        "0s",
        "--filter",
        "event=die",
        "--filter",
        "container=noisy",
        "--format",
        "json",
      ),
    );
    assert.equal(JSON.parse(json[0] ?? "{}").Actor.Attributes.exitCode, "0");
  });

  test("cp takes files out and puts them in", async () => {
    await cli.ok("create", "--name", "files", "busybox", "cat", "/in/note");
    const folder = join(daemon.folder, `cp-${name}`);
    mkdirSync(join(folder, "in"), { recursive: true });
    writeFileSync(join(folder, "in", "note"), "carried");
    await cli.ok("cp", join(folder, "in"), "files:/");
    assert.equal(await cli.ok("start", "-a", "files"), "carried");
    await cli.ok("cp", "files:/in/note", join(folder, "back"));
    assert.equal(readFileSync(join(folder, "back"), "utf8"), "carried");
    assert.match(
      (await cli.run("cp", "files:/nothing", folder)).err,
      /Could not find the file \/nothing in container files/,
    );
    await cli.ok("rm", "files");
  });

  test("pid, ipc and uts modes share or separate", async () => {
    await cli.ok("run", "-d", "--name", "first", "--ipc", "shareable", "busybox", "sleep", "300");
    assert.match(await run("--pid", "container:first", "busybox", "ps"), /sleep 300/);
    const space = (kind: string) => cli.ok("exec", "first", "readlink", `/proc/1/ns/${kind}`);
    assert.equal(await run("--ipc", "container:first", "busybox", "readlink", "/proc/self/ns/ipc"), await space("ipc"));
    assert.notEqual(await run("busybox", "readlink", "/proc/self/ns/uts"), await space("uts"));
    assert.equal(await run("--uts", "host", "busybox", "hostname"), (await import("node:os")).hostname());
    await cli.ok("rm", "-f", "first");
  });

  test("prunes remove what is not used and say how much", async () => {
    await cli.ok("create", "--name", "old", "busybox");
    assert.match(
      await cli.ok("container", "prune", "-f"),
      /Deleted Containers:\n[0-9a-f]{64}[\s\S]*Total reclaimed space: /,
    );
    await cli.ok("volume", "create", "unused");
    assert.match(await cli.ok("volume", "prune", "-af"), /unused/);
    assert.match(await cli.ok("system", "prune", "-f"), /Total reclaimed space: /);
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 100; i++) {
    if (await condition()) return;
    await sleep(100);
  }
  assert.fail("the condition did not come true within ten seconds");
}

async function page(url: string): Promise<string> {
  let text = "";
  await until(async () => {
    try {
      text = (await (await fetch(url)).text()).trim();
      return true;
    } catch {
      return false;
    }
  });
  return text;
}

/** Sends a datagram to a port of 127.0.0.1 until one comes back. */
async function datagram(port: number, text: string): Promise<string> {
  const { createSocket } = await import("node:dgram");
  const socket = createSocket("udp4");
  let answer: string | undefined;
  socket.on("message", (message) => (answer = message.toString()));
  try {
    await until(async () => {
      socket.send(text, port, "127.0.0.1");
      return answer !== undefined;
    });
    return answer ?? "";
  } finally {
    socket.close();
  }
}
