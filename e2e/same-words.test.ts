/** The same line typed with docker and with gantry, at two daemons alike: the same output, the same complaint, the same exit code. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing, type Result } from "./lib/cli.ts";

/** In this order: later lines find what earlier ones made. */
const LINES = `
run -d --name one --label a=b busybox sleep 1000
run -d --name one busybox true
run --name bad/name busybox true
create --name two busybox sh -c |echo hi; exit 3|
start two
start -a two
wait two
start one
stop two
start nope one
stop nope
rm one
pause two
pause one
pause one
start one
restart two -t 0
exec one true
attach one
rm one
kill one
unpause one
attach two
kill two
kill -s NOPE one
kill --signal 99 one
rename one two
rename one b@d
rename one one
wait nope
inspect nope
inspect --type nope one nope
inspect -f {{.Name}} one nope
inspect -f {{.Nope}} one
inspect -f {{.State.Status}} nope
logs nope
logs one --tail x
top nope
top two
top one -o comm,args
top one -o nope
stats --no-stream nope
port nope
diff nope
update one
update -m 64m one
update --restart no-such one
update --cpuset-cpus 99 one
exec one sh -c |exit 9|
exec one nope
exec nope -it true
exec -it nope true
exec -it one true
exec -w /nope one true
exec -u nope one id
exec one
run
run --rm -d -a stdout busybox true
run --rm --restart always busybox true
run --restart on-failure:-1 busybox true
run --restart on-failure:x busybox true
run --rm --device /dev/null:/dev/x:q busybox true
run --rm --security-opt no-new-privileges:maybe busybox true
run --rm --security-opt nope busybox true
run --rm --memory 1m busybox true
run --rm --cpus 100 busybox true
run --rm --ulimit nofile=5:3 busybox true
run --rm --ipc container:nope busybox true
run --rm --pid container:nope busybox true
run --rm --network container:nope busybox true
run --rm --userns private busybox true
run --rm --storage-opt size=1g busybox true
run --rm --log-driver nope busybox true
run --rm --read-only busybox touch /x
run --rm -v rel/ative:/x busybox true
run --rm --mount type=nope,target=/x busybox true
cp nope:/x .
cp one:/nope .
cp /etc/hostname nope:/x
cp /etc/hostname one:/nope/
cp - one:/nope
cp one:/etc two:/
cp /etc /tmp
ps -f nope=1
ps -f status=nope
ps -a --format |{{.Names}} {{.State}}|
events --since bad
events --since 1h --until 2h
events --until 0s --filter type=nope
events --since 1h --until 0s --filter container=one --format |{{.Action}} {{json .Actor.Attributes}}|
container prune
container prune -f --filter nope=1
system prune
system prune -a --volumes
system prune --filter label=a --filter label=b
system prune -f --volumes --filter until=1h
system info --format |{{json .Plugins}} {{.Swarm.LocalNodeState}} {{.ServerErrors}}|
system df --format |{{.Type}} {{.TotalCount}} {{.Active}}|
context inspect nope
context rm nope
context rm -f nope
plugin ls
plugin rm nope
node ls
service ls
stack ls
secret ls
config ls
swarm join-token worker
swarm unlock-key
start --checkpoint c1 two
rm -f one two nope
`;

const words = (line: string) =>
  line.split("|").flatMap((part, at) => (at % 2 === 1 ? [part] : part.split(" ").filter(Boolean)));

/** What may differ: names of the program, of objects and of places. */
function common({ code, out, err }: Result, folder: string): Result {
  const plain = (text: string) =>
    text
      .replaceAll(folder, "HOME")
      .replaceAll(/\bgantry\b/g, "docker")
      .replaceAll(/\b[0-9a-f]{64}\b/g, "ID")
      .replaceAll(/[ \t]+/g, " ")
      // The docker CLI tells of a failed start with --rm twice, and what becomes of an archive that nobody wants.
      .replace(/^time="[^"]*" level=error msg="(Error waiting for container: |Can't (add|close) ).*\n/gm, "")
      .replaceAll(/"execDuration":"\d+"/g, "")
      .replace(/: open HOME\/\.docker\/contexts\S+ no such file or directory/, "");
  return { code, out: plain(out), err: plain(err) };
}

/** Where docker's words speak of itself alone. */
const OWN: ReadonlySet<string> = new Set([
  "inspect --type nope one nope",
  "swarm unlock-key",
  "start --checkpoint c1 two",
]);

describe("docker and gantry", { skip: missing("docker") }, () => {
  let daemons: readonly TestDaemon[] = [];
  before(async () => {
    daemons = await Promise.all([startDaemon(), startDaemon()]);
  });
  after(() => Promise.all(daemons.map((daemon) => daemon[Symbol.asyncDispose]())));

  for (const line of LINES.trim().split("\n"))
    test(line, async () => {
      const results = await Promise.all(
        daemons.map(async (daemon, at) => {
          const result = await new Cli(at === 0 ? "docker" : "gantry", daemon).run(...words(line));
          return common(result, daemon.folder);
        }),
      );
      const [docker, gantry] = results;
      if (OWN.has(line)) assert.equal(gantry?.code, docker?.code, gantry?.err ?? "");
      else assert.deepEqual(gantry, docker);
    });
});
