/** `gantry` on a machine where nobody started a daemon: each test in namespaces of its own, over empty /run, /var/lib and /var/log. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

const gantry = join(import.meta.dirname, "..", "bin", "gantry");

/** Everything that was started ends with the shell, the first process of its namespace. */
function onBareMachine(script: string): { readonly status: number | null; readonly out: string; readonly err: string } {
  const prepare = "for d in /run /var/lib /var/log; do mount -t tmpfs tmpfs $d || exit 99; done; ip link set lo up";
  const { status, stdout, stderr } = spawnSync(
    "unshare",
    ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", `${prepare}\n${script}`],
    { encoding: "utf8", timeout: 60_000, env: { PATH: process.env.PATH, HOME: "/run", GANTRY: gantry } },
  );
  return { status, out: stdout.trim(), err: stderr.trim() };
}

test("The first command starts the daemon, and the next ones find it", () => {
  const { status, out, err } = onBareMachine(
    "$GANTRY ps -q && $GANTRY volume create kept && echo $(cat /run/gantry/gantry.pid) && $GANTRY volume ls -q && echo $(cat /run/gantry/gantry.pid)",
  );
  assert.deepEqual([status, err], [0, ""]);
  const [created, first, listed, second] = out.split("\n");
  assert.deepEqual([created, listed, second], ["kept", "kept", first]);
  assert.match(first ?? "", /^\d+$/);
});

test("Commands that come at once start one daemon", () => {
  const { status, out, err } = onBareMachine(
    'for i in 1 2 3; do $GANTRY volume create v$i >/dev/null & pids="$pids $!"; done; for p in $pids; do wait $p || exit 1; done; $GANTRY volume ls -q; ls /run/gantry/*.pid',
  );
  assert.deepEqual([status, out.split("\n")], [0, ["v1", "v2", "v3", "/run/gantry/gantry.pid"]], err);
});

test("A daemon that cannot start is told with the end of its log and what to do", () => {
  const { status, err } = onBareMachine("PATH=/nowhere $GANTRY ps");
  assert.equal(status, 1);
  assert.match(err, /the daemon could not be started: it ended with exit code 1\n/);
  assert.match(err, /install nftables/);
  assert.match(err, /Its log is \/var\/log\/gantry\/gantryd\.log/);
});

test("A named host is not started for", () => {
  const { status, err } = onBareMachine("DOCKER_HOST=unix:///run/other.sock $GANTRY ps; code=$?; ls /run; exit $code");
  assert.equal(status, 1);
  assert.match(err, /Cannot connect to the Docker daemon at unix:\/\/\/run\/other\.sock/);
});
