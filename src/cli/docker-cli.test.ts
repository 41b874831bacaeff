/** gantry and the real docker CLI against the same daemon: the same words must give the same output, and ask for the same. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type Asked, type FakeDaemon, startFakeDaemon } from "../testing/fake-daemon.ts";
import { ANSWERS } from "../testing/fake-objects.ts";

const hasDocker = spawnSync("docker", ["--version"]).status === 0;
const GANTRY = join(import.meta.dirname, "..", "..", "bin", "gantry");

const SAME_OUTPUT = [
  "ps",
  "ps -a --no-trunc",
  "ps -s",
  "ps -q",
  "ps --format {{.Names}}_{{.Size}}",
  "ps --format {{.Nope}}",
  "images",
  "images --digests",
  "images -q",
  "volume ls",
  "volume ls -q",
  "volume ls --format json",
  "network ls",
  "network ls --format json",
  "network ls -q --no-trunc",
  "history busybox",
  "history --no-trunc --human=false busybox",
  "history --format json busybox",
  "diff web",
  "top web",
  "port web 80",
  "port web 81",
  "container prune -f",
  "image prune -af",
  "volume prune -af",
  "network prune -f",
  "events --since 1 --until 2",
  "system df",
  "system df -v",
  "system df --format json",
  "system df -v --format {{range.Images}}{{.Repository}}:{{.UniqueSize}},{{end}}",
  "info --format {{.Driver}}",
  "version --format {{.Server.APIVersion}}",
  "inspect web",
  "inspect -f {{.Nope}} web",
  "inspect nothing",
  "container inspect nothing",
  "stats --no-stream web",
  "stats --no-stream --format json web",
  "rmi x",
  "rename web",
  "create",
  "ps one",
  "ps --nope",
  "create --memory x busybox",
  "create --mount x busybox",
  "create --ulimit a busybox",
  "create -p 80:x busybox",
  "create --restart always:x busybox",
  "create --rm --restart always busybox",
  "create --env-file /no/such/file busybox",
  "create --network host --network-alias x busybox",
  "create --link a:b:c busybox",
  "create --gpus count=x busybox",
  "create --security-opt x busybox",
  "create -p 1:2:3:4 busybox",
  "import /no/such/file",
  "load -i /no/such/file",
  "pull A",
  "push busybox:",
  "tag busybox A",
  "commit web A",
  "start nothing other",
  "rename nothing other",
  "inspect -f {{.State}}{{.Mounts}}{{.HostConfig.PortBindings}} web",
  "inspect -f {{.State.Health}}{{.Config.StopSignal}}{{.ID}} web",
  "inspect -f {{.State.Nope}} web",
  "inspect -f json web",
];

const SAME_BODY = [
  "create busybox",
  "create -it --name x -e A=1 -w /x -u 1 -v /a:/b -v kept:/c -v /anon --tmpfs /t:size=1m busybox sh -c true",
  "create --mount type=bind,src=/a,dst=/m,readonly --mount type=tmpfs,dst=/s,tmpfs-size=2m,tmpfs-mode=700 busybox",
  "create -p 8080:80 -p 127.0.0.1::81/udp -p 9000-9002:9000-9002 --expose 99 -P busybox",
  "create --restart on-failure:3 -l a=b --cpus 1.5 -m 64m --memory-swap 128m --pids-limit 50 --ulimit nofile=1:2 busybox",
  "create --device /dev/null:/dev/x:r --add-host db:1.2.3.4 --dns 9.9.9.9 --init --stop-signal INT --stop-timeout 3 busybox",
  "create --cap-add ALL --cap-drop NET_ADMIN --privileged --read-only --hostname h --domainname d --network none busybox",
  "create --pid host --ipc host --uts host --shm-size 1m --log-driver json-file --log-opt max-size=1m busybox",
  "create --network name=foo,alias=x,ip=1.2.3.4 --health-cmd x --health-interval 3s busybox",
  "create --security-opt no-new-privileges --security-opt systempaths=unconfined --group-add 5 --gpus all busybox",
];

interface Result {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly asked: readonly Asked[];
}

describe("gantry beside docker", { skip: hasDocker ? false : "no docker CLI on this machine" }, () => {
  let daemon: FakeDaemon;
  before(async () => {
    daemon = await startFakeDaemon(ANSWERS);
  });
  after(() => daemon[Symbol.asyncDispose]());

  function run(program: string, line: string): Promise<Result> {
    daemon.asked.length = 0;
    const env = { PATH: process.env.PATH, HOME: daemon.folder, DOCKER_HOST: daemon.host, DOCKER_CLI_HINTS: "false" };
    const child = spawn(program, line.split(" "), { env, stdio: ["ignore", "pipe", "pipe"] });
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
    const text = (chunks: Buffer[]) => Buffer.concat(chunks).toString().replaceAll("docker", "gantry");
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code) => resolve({ code, out: text(out), err: text(err), asked: [...daemon.asked] }));
    });
  }

  for (const line of SAME_OUTPUT)
    test(`${line}: the same output and exit code`, async () => {
      const [expected, actual] = [await run("docker", line), await run(GANTRY, line)];
      assert.deepEqual({ ...actual, asked: [] }, { ...expected, asked: [] });
    });

  for (const line of SAME_BODY)
    test(`${line}: the same request`, async () => {
      const [expected, actual] = [await run("docker", line), await run(GANTRY, line)];
      assert.deepEqual(createBody(actual), createBody(expected));
    });
});

function createBody({ asked }: Result): unknown {
  const { url, body } = asked.find((one) => one.url.startsWith("/containers/create")) as Asked;
  const request = JSON.parse(body) as { HostConfig: Record<string, unknown> & { Binds?: string[] | null } };
  // docker takes them from a map, in no order.
  request.HostConfig.Binds?.sort();
  // What docker sends in place of nothing.
  if (request.HostConfig.MemorySwappiness === -1) delete request.HostConfig.MemorySwappiness;
  delete request.HostConfig.ConsoleSize;
  return { url, body: withoutZeros(request) };
}

/** Absent, null, empty and zero mean the same to the daemon. */
function withoutZeros(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutZeros);
  if (typeof value !== "object" || value === null) return value;
  const members = Object.entries(value).map(([key, one]) => [key, withoutZeros(one)] as const);
  return Object.fromEntries(members.filter(([, one]) => !isZero(one)));
}

function isZero(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return value === null || value === "" || value === false || value === 0;
}
