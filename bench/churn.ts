/**
 * An hour's churn of a busy host, as fast as it goes: `node bench/churn.ts [rounds]`. A round creates a container, follows its log, starts it,
 * runs a command in it, looks at it and its statistics, waits and removes it; 1,800 are one every two seconds for an hour.
 */
import type { IncomingMessage } from "node:http";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { type Held, look, slope } from "./lib/held.ts";

const [rounds = 1800] = process.argv.slice(2).map(Number);
const PARTS = 10;
const AT_ONCE = 4;

await using daemon = await startDaemon();
await churn(daemon, 20);
console.log("warm", await look(daemon));
const held: Held[] = [];
for (let part = 1; part <= PARTS; part++) {
  await churn(daemon, rounds / PARTS);
  const now = await look(daemon);
  held.push(now);
  console.log(`${(rounds / PARTS) * part} rounds`, now);
}
for (const key of ["heap", "memory", "descriptors"] as const)
  console.log(
    `${key}: ${((slope(held.map((one) => one[key])) * PARTS * 1000) / rounds).toFixed(1)} more for a thousand rounds`,
  );

async function churn(on: TestDaemon, count: number): Promise<void> {
  let left = count;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (left-- > 0) await round(on);
    }),
  );
}

async function round(on: TestDaemon): Promise<void> {
  const Cmd = ["sh", "-c", "echo a line; while [ ! -e /go ]; do usleep 5000; done; echo another"];
  const { Id } = await on.call<{ Id: string }>("POST", "/containers/create", { Image: "busybox", Cmd });
  await on.call("POST", `/containers/${Id}/start`);
  const log = drain(await on.open("GET", `/containers/${Id}/logs?stdout=1&follow=1`));
  await on.call("GET", `/containers/${Id}/json`);
  await on.call("GET", `/containers/${Id}/stats?stream=0&one-shot=1`);
  const exec = await on.call<{ Id: string }>("POST", `/containers/${Id}/exec`, {
    Cmd: ["touch", "/go"],
    AttachStdout: true,
  });
  await drain(await on.open("POST", `/exec/${exec.Id}/start`, { Detach: false }));
  await on.call("POST", `/containers/${Id}/wait`);
  if ((await log) === 0) throw new Error("the follower read nothing");
  await on.call("DELETE", `/containers/${Id}?v=1`);
}

async function drain(response: IncomingMessage): Promise<number> {
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) length += chunk.length;
  return length;
}
