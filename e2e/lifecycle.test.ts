/** What is possible with a container in each of its states, and in which words the rest is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ownDaemon } from "./lib/own-daemon.ts";

type State = "created" | "running" | "paused" | "restarting" | "exited";
type Answer = number | readonly [status: number, message: string];

const STATES: readonly State[] = ["created", "running", "paused", "restarting", "exited"];
const NOT_RUNNING: Answer = [409, "container ID is not running"];
const RESTARTING: Answer = [409, "Container ID is restarting, wait until the container is running"];
const NOT_PAUSED: Answer = [409, "Container ID is not paused"];
const stopFirst = (state: string, first = ""): Answer => [
  409,
  `cannot remove container "/subject": container is ${state}: ${first}stop the container before removing or force remove`,
];

/** Per operation the answers in the order of STATES; one for all when they are the same. */
const OPERATIONS: readonly (readonly [request: string, body: unknown, answers: readonly Answer[] | Answer])[] = [
  ["POST /start", undefined, [204, 304, [409, "cannot start a paused container, try unpause instead"], 304, 204]],
  ["POST /stop?t=0", undefined, [304, 204, 204, 204, 304]],
  ["POST /stop?signal=BOGUS", undefined, [400, "invalid signal: BOGUS"]],
  ["POST /restart?t=0", undefined, 204],
  [
    "POST /kill",
    undefined,
    [
      [409, "cannot kill container: subject: container ID is not running"],
      204,
      204,
      204,
      [409, "cannot kill container: subject: container ID is not running"],
    ],
  ],
  ["POST /kill?signal=BOGUS", undefined, [400, "invalid signal: BOGUS"]],
  ["POST /kill?signal=65", undefined, [400, "invalid signal: 65"]],
  ["POST /pause", undefined, [NOT_RUNNING, 204, [409, "Container ID is already paused"], RESTARTING, NOT_RUNNING]],
  ["POST /unpause", undefined, [NOT_PAUSED, NOT_PAUSED, 204, NOT_PAUSED, NOT_PAUSED]],
  ["POST /rename?name=other", undefined, 204],
  ["POST /rename?name=subject", undefined, [400, "Renaming a container with the same name as its current name"]],
  ["POST /rename?name=", undefined, [400, "Neither old nor new names may be empty"]],
  ["POST /update", { RestartPolicy: { Name: "no" } }, 200],
  [
    "DELETE ",
    undefined,
    [204, stopFirst("running"), stopFirst("paused", "unpause and then "), stopFirst("restarting"), 204],
  ],
  ["DELETE ?force=1", undefined, 204],
  ["DELETE ?link=1", undefined, [409, "Conflict, cannot remove the default link name of the container"]],
  [
    "POST /attach",
    undefined,
    [
      200,
      200,
      [409, "container ID is paused, unpause the container before attach"],
      [409, "container ID is restarting, wait until the container is running"],
      200,
    ],
  ],
  [
    "POST /exec",
    { Cmd: ["true"] },
    [NOT_RUNNING, 201, [409, "Container ID is paused, unpause the container before exec"], RESTARTING, NOT_RUNNING],
  ],
  ["GET /top", undefined, [NOT_RUNNING, 200, 200, RESTARTING, NOT_RUNNING]],
  ["GET /stats?stream=0&one-shot=1", undefined, 200],
  ["GET /logs?stdout=1", undefined, 200],
  ["GET /logs", undefined, [400, "Bad parameters: you must choose at least one stream"]],
  ["GET /changes", undefined, 200],
  ["POST /resize?h=1&w=1", undefined, [NOT_RUNNING, 200, 200, RESTARTING, NOT_RUNNING]],
  ["POST /wait?condition=bogus", undefined, [400, 'invalid condition: "bogus"']],
  ["GET /archive?path=/etc/passwd", undefined, 200],
  ["GET /archive?path=/none", undefined, [404, "Could not find the file /none in container subject"]],
  ["PUT /archive?path=/etc/passwd", undefined, [400, "extraction point is not a directory"]],
];

const daemon = ownDaemon();

for (const [index, state] of STATES.entries())
  test(`a container that is ${state} does what it can and refuses the rest as Docker does`, async () => {
    let id: string | undefined;
    for (const [operation, body, answers] of OPERATIONS) {
      const answer = isList(answers) ? answers[index] : answers;
      const [status, message] = typeof answer === "number" ? [answer, undefined] : (answer ?? [0, ""]);
      id ??= await make(state);
      await settled(id, state);
      const [method = "", path = ""] = operation.split(" ");
      const response = await daemon.open(method, `/containers/${id}${path}`, body);
      const text = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
      assert.equal(response.statusCode, status, `${state}: ${operation}: ${text}`);
      if (message !== undefined) assert.equal(JSON.parse(text).message.replaceAll(id, "ID"), message, operation);
      // What was refused, or only looked, left it as it was.
      if (status >= 300 || method === "GET") continue;
      await daemon.call("DELETE", `/containers/${id}?force=1`).catch(() => {});
      id = undefined;
    }
    if (id !== undefined) await daemon.call("DELETE", `/containers/${id}?force=1`);
  });

function isList(answers: readonly Answer[] | Answer): answers is readonly Answer[] {
  return Array.isArray(answers) && answers.length === STATES.length;
}

async function make(state: State): Promise<string> {
  const failing = state === "restarting";
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create?name=subject", {
    Image: "busybox",
    Cmd: failing ? ["false"] : ["sleep", "100"],
    HostConfig: { NetworkMode: "none", ...(failing ? { RestartPolicy: { Name: "always" } } : {}) },
  });
  if (state !== "created") await daemon.call("POST", `/containers/${Id}/start`);
  if (state === "paused") await daemon.call("POST", `/containers/${Id}/pause`);
  if (state === "exited") await daemon.call("POST", `/containers/${Id}/kill`);
  return Id;
}

/** A restarting one waits, from its fourth restart on, for longer than a request takes. */
async function settled(id: string, state: State): Promise<void> {
  while (state === "restarting") {
    const { RestartCount, State } = await daemon.call<{ RestartCount: number; State: { Status: string } }>(
      "GET",
      `/containers/${id}/json`,
    );
    if (RestartCount >= 4 && State.Status === "restarting") return;
    await sleep(20);
  }
}

test("every signal arrives, by name and by number", async () => {
  const trapped = ["HUP", "INT", "QUIT", "USR1", "USR2", "PIPE", "ALRM", "TERM", "CONT", "WINCH"];
  const script = `for s in ${trapped.join(" ")}; do trap "echo got $s" $s; done; echo ready; while :; do sleep 0.05; done`;
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["sh", "-c", script],
    Tty: true,
    HostConfig: { NetworkMode: "none" },
  });
  await daemon.call("POST", `/containers/${Id}/start`);
  const log = () => daemon.call<string>("GET", `/containers/${Id}/logs?stdout=1`);
  const seen = async (text: string) => {
    while (!(await log()).includes(text)) await sleep(20);
  };
  await seen("ready");
  const { constants } = await import("node:os");
  for (const name of trapped) {
    const number = constants.signals[`SIG${name}` as keyof typeof constants.signals];
    for (const [index, spelling] of [`SIG${name}`, name.toLowerCase(), String(number)].entries()) {
      await daemon.call("POST", `/containers/${Id}/kill?signal=${spelling}`);
      while ((await log()).split(`got ${name}\r\n`).length - 1 <= index) await sleep(10);
    }
  }
  await daemon.call("POST", `/containers/${Id}/kill?signal=SIGRTMIN%2B3`);
  await daemon.call("POST", `/containers/${Id}/kill?signal=9`);
  const { State } = await daemon.call<{ State: { ExitCode: number } }>("GET", `/containers/${Id}/json`);
  assert.ok([137, 128 + 37].includes(State.ExitCode));
  await daemon.call("DELETE", `/containers/${Id}`);
});

test("a signal that is no wish for the end leaves the restart policy in force", async () => {
  const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
    Image: "busybox",
    Cmd: ["sh", "-c", "trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done"],
    HostConfig: { NetworkMode: "none", RestartPolicy: { Name: "always" } },
  });
  const inspect = () =>
    daemon.call<{ RestartCount: number; State: { Status: string } }>("GET", `/containers/${Id}/json`);
  await daemon.call("POST", `/containers/${Id}/start`);
  while (!(await daemon.call<string>("GET", `/containers/${Id}/logs?stdout=1`)).includes("ready")) await sleep(20);
  await daemon.call("POST", `/containers/${Id}/kill?signal=USR1`);
  while ((await inspect()).RestartCount === 0) await sleep(20);
  while ((await inspect()).State.Status !== "running") await sleep(20);
  await daemon.call("POST", `/containers/${Id}/kill?signal=KILL`);
  assert.equal((await inspect()).State.Status, "exited");
  await daemon.call("DELETE", `/containers/${Id}`);
});
