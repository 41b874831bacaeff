/** An image's life in the words of the docker CLI: each line typed with both clients, against one real daemon. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../testing/daemon.ts";

const GANTRY = join(import.meta.dirname, "..", "..", "bin", "gantry");
const hasDocker = spawnSync("docker", ["--version"]).error === undefined;
const skip = process.getuid?.() !== 0 ? "needs root" : hasDocker ? false : "no docker CLI on this machine";

/** "@" is the client. What a line makes it takes away; `$digest` is one that nothing has. */
const LINES: readonly string[] = [
  `@ run -d --name cc busybox sleep 99; @ commit -a 'A <a@b>' -m msg -c 'ENV X=1' -c 'LABEL a=b' -c 'EXPOSE 80' -c 'USER 5' -c 'WORKDIR /x' -c 'VOLUME /v'
   -c 'ONBUILD RUN x' -c 'ENTRYPOINT ["a"]' -c 'HEALTHCHECK CMD true' -c 'STOPSIGNAL INT' cc made:1; @ rm -f cc
   @ image inspect -f '{{json .Config}} {{.Author}} {{.Comment}} {{.Parent}} {{.Os}}' made:1; @ history --format '{{.CreatedBy}} {{.Size}} {{.Comment}}' made:1; @ rmi made:1`,
  `sleep 1.1; S=$(date +%s); @ create --name cc busybox sleep 99; @ start cc; @ commit cc pp:1; @ commit --pause=false cc pp:2; @ commit cc; @ pause cc; @ commit cc pp:3
   @ inspect -f '{{.State.Status}}' cc; @ events --since $S --until $(($(date +%s)+1)) -f event=pause -f event=unpause -f event=commit -f event=tag --format '{{.Action}} {{json .Actor.Attributes}}'
   @ rm -f cc; @ rmi pp:1 pp:2 pp:3; @ image prune -f`,
  `@ create --name cc busybox; for c in 'RUN x' 'NOPE x' ENV 'EXPOSE nope'; do @ commit -c "$c" cc x:1; done; @ commit cc X:1; @ commit cc x@sha256:aa; @ commit cc x@$digest; @ commit cc x:1 y; @ rm cc`,
  "@ commit nope x:1; @ commit",
  "@ save nope; @ save; @ save busybox nope -o x.tar; ls x.tar; @ save -o /nope/x busybox; @ save -o . busybox; @ save BUSYBOX; @ save busybox@$digest",
  `@ tag busybox b2:1; @ save -o s.tar busybox b2:1; tar tf s.tar | sort; tar xOf s.tar manifest.json index.json; @ save busybox b2:1 | cmp - s.tar
   @ rmi b2:1; @ load -i s.tar; @ load -q -i s.tar; @ load < s.tar; @ rmi b2:1`,
  "@ save --platform linux/riscv64 busybox -o p.tar; @ save --platform nope busybox; @ load --platform linux/riscv64 -i s.tar; @ load --platform nope -i s.tar; @ load -i nope.tar",
  "echo x | @ load; @ load < /dev/null; head -c 5000 s.tar | @ load",
  `@ create --name ee busybox; @ export ee -o e.tar; tar tf e.tar | sort | head; @ export ee | cmp - e.tar; @ export nope; @ export; @ export -o /nope/x ee; @ export -o . ee; @ rm ee
   @ import e.tar imp:1; cat e.tar | @ import -c 'CMD x' -m hello - imp:2; @ history --format '{{.CreatedBy}} {{.Size}} {{.Comment}}' imp:2
   @ image inspect -f '{{json .Config}}|{{.Comment}}|{{.Author}}|{{.Os}}' imp:2; @ import -c 'RUN x' e.tar; @ import --platform bad/x/y/z e.tar; @ import e.tar X; @ import e.tar x@$digest
   @ import nope.tar; @ import http://127.0.0.1:1/x.tar; echo nope | @ import -; @ import; @ rmi imp:1 imp:2`,
  "@ image inspect nope; @ image inspect; @ image inspect busybox nope; @ image inspect --platform linux/riscv64 busybox; @ image inspect --platform nope busybox",
  "@ history nope; @ history; @ history busybox; @ history -q --no-trunc busybox; @ history -H=false busybox; @ history --format '{{json .}}' busybox; @ history --platform nope busybox",
  "@ tag nope x; @ tag busybox X; @ tag busybox x@$digest; @ rmi; @ rmi nope; @ rmi -f nope; @ rmi nope nope2; @ tag busybox y:1; @ rmi y:1 nope; @ rmi --platform nope busybox",
  `sleep 1.1; S=$(date +%s); @ tag busybox z:1; @ rmi z:1; @ tag busybox z:2; @ rmi --no-prune z:2; @ save -o t.tar busybox; @ load -qi t.tar
   @ events --since $S --until $(($(date +%s)+1)) -f type=image --format '{{.Action}} {{json .Actor.Attributes}}'`,
  `@ create --name uu busybox; @ rmi busybox; @ rmi $(@ images -q busybox); @ image prune -af; @ rmi -f busybox; @ images -a; @ rm uu; @ load -qi t.tar`,
  `@ run -d --name uu busybox sleep 99; @ tag busybox bb:2; @ rmi -f $(@ images -q busybox | head -1); @ rmi busybox bb:2; @ rm -f uu; @ load -qi t.tar`,
  "for f in nope=x until=nope dangling=maybe dangling=false; do @ image prune -f --filter $f; done; @ image prune -af --filter dangling=true; @ image prune -f --filter until=1h --filter label=a --filter label!=b",
  "echo n | @ image prune; echo n | @ image prune -a; echo y | @ image prune; echo n | @ system prune; echo n | @ system prune -a --volumes --filter until=1h",
  // Without a second name: docker writes those of one image in any order.
  "@ rmi bb:2 > /dev/null 2>&1; @ images nope; @ images 'busybox:*'; for f in nope=1 since=busybox before=nope 'reference=bus*' dangling=nope 'reference=[' until=1h; do @ images -f $f; done; @ images -f label",
  "@ system df --format json; @ system df -v",
  "@ manifest create; @ manifest annotate x; @ manifest push; @ manifest push nope; @ manifest rm; @ manifest rm nope; @ manifest inspect; @ manifest create --nope a b",
  "@ manifest create A b; @ manifest create a B; @ manifest annotate A b; @ manifest annotate a B; @ manifest annotate a b; @ manifest push A; @ manifest rm A; @ manifest inspect A; @ manifest inspect a B; @ manifest inspect a b",
];

describe("an image's life", { skip }, () => {
  let daemon: TestDaemon;
  before(async () => {
    daemon = await startDaemon();
  });
  after(() => daemon[Symbol.asyncDispose]());

  function typed(client: string, line: string): string {
    const script = `digest=sha256:$(printf 'a%.0s' $(seq 64))\n${line.replaceAll(/\n\s+(?=-)/g, " ").replaceAll(/@(?= )/g, client)}\necho [$?]`;
    const env = { PATH: process.env.PATH, HOME: daemon.folder, DOCKER_HOST: daemon.host, DOCKER_CLI_HINTS: "false" };
    const { stdout, stderr } = spawnSync("bash", ["-c", script], { env, cwd: daemon.folder, encoding: "utf8" });
    return [stdout, stderr].map(plain).join("\n--- errors\n");
  }

  for (const line of LINES)
    test(line.slice(0, 100), () => {
      const expected = typed("docker", line);
      assert.equal(typed(GANTRY, line), expected);
    });
});

/** Without what is another one each time. */
function plain(text: string): string {
  return text
    .replaceAll(GANTRY, "client")
    .replaceAll(/\b(?:docker|gantry)(?=[ :'])/g, "client")
    .replaceAll(/[0-9a-f]{64}/g, "<64>")
    .replaceAll(/\b[0-9a-f]{12}\b/g, "<12>")
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)/g, "<time>")
    .replaceAll(/(?:Less than a|\d+) seconds? ago/g, "<now>");
}
