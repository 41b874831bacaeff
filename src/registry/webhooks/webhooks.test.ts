import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, test } from "node:test";
import { startRegistry } from "../../testing/registry.ts";
import type { RegistryEvent } from "./events.ts";

interface Told {
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
  readonly event: RegistryEvent;
}

let listener: Server;
let url: string;
let told: Told[];
/** The status of the next answers; 200 when there is none. */
let statuses: number[];

beforeEach(async () => {
  told = [];
  statuses = [];
  listener = createServer(async (request, response) => {
    const body = await text(request);
    const status = statuses.shift() ?? 200;
    if (status === 200) told.push({ body, headers: request.headers, event: JSON.parse(body).events[0] });
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/hook`;
});
afterEach(() => {
  listener.closeAllConnections();
  listener.close();
});

async function untilTold(count: number): Promise<RegistryEvent[]> {
  while (told.length < count) await new Promise((resolve) => setTimeout(resolve, 10));
  return told.map(({ event }) => event);
}

test("a push and deletions are told in their order, as Docker's registry tells them", async () => {
  await using registry = await startRegistry({ webhooks: [{ url }] });
  const { digest, size, mediaType } = await registry.pushImage("team/app", "v1", "x");
  await registry.fetch("DELETE", "/v2/team/app/manifests/v1");
  await registry.fetch("DELETE", `/v2/team/app/manifests/${digest}`);
  const events = await untilTold(3);
  assert.deepEqual(
    events.map(({ action, target }) => [action, target.tag]),
    [
      ["push", "v1"],
      ["delete", "v1"],
      ["delete", undefined],
    ],
  );
  const { target, request, actor } = events[0] as RegistryEvent;
  const where = `${registry.url}/v2/team/app/manifests/${digest}`;
  assert.deepEqual(target, { repository: "team/app", digest, mediaType, size, length: size, url: where, tag: "v1" });
  assert.equal(request.method, "PUT");
  assert.equal(request.host, registry.host);
  assert.deepEqual(actor, {});
  assert.equal(told[0]?.headers["content-type"], "application/vnd.docker.distribution.events.v2+json");
});

test("only what was asked for is told, with the headers and the signature that were asked for", async () => {
  const webhooks = [
    {
      url,
      events: ["delete"] as const,
      repositories: [/^team\/.*$/],
      headers: { Authorization: "Bearer x" },
      secret: "s",
    },
  ];
  await using registry = await startRegistry({ webhooks });
  for (const name of ["team/app", "other/app"]) {
    await registry.pushImage(name, "v1", "x");
    await registry.fetch("DELETE", `/v2/${name}/manifests/v1`);
  }
  await untilTold(1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  const [{ body, headers, event }, ...more] = told as [Told];
  assert.deepEqual(more, []);
  assert.equal(event.target.repository, "team/app");
  assert.equal(headers.authorization, "Bearer x");
  assert.equal(headers["x-gantry-signature"], `sha256=${createHmac("sha256", "s").update(body).digest("hex")}`);
});

test("what is not taken is told again, and pushes do not wait for it", async () => {
  await using registry = await startRegistry({ webhooks: [{ url, backoff: 5 }] });
  statuses = [500, 301, 404];
  await registry.pushImage("a", "v1", "x");
  await registry.pushImage("a", "v2", "y");
  const events = await untilTold(2);
  assert.deepEqual(
    events.map(({ target }) => target.tag),
    ["v1", "v2"],
  );
});

test("what a registry could not tell before its end, the next one tells", async () => {
  const webhooks = [{ url, backoff: 60_000 }];
  await using first = await startRegistry({ webhooks });
  statuses = [503];
  await first.pushImage("a", "v1", "x");
  while (statuses.length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await first.registry[Symbol.asyncDispose]();
  assert.equal(told.length, 0);
  await using _second = await startRegistry({ root: first.root, webhooks });
  assert.equal((await untilTold(1))[0]?.target.tag, "v1");
});

test("of too many events the oldest are dropped, but not the one that is being told", async () => {
  await using registry = await startRegistry({ webhooks: [{ url, backoff: 30, queue: 3 }] });
  statuses = Array.from({ length: 20 }, () => 500);
  for (let i = 0; i < 8; i++) await registry.pushImage("a", `v${i}`, "x");
  statuses = [];
  const tags = (await untilTold(3)).map(({ target }) => target.tag);
  assert.deepEqual(tags, ["v0", "v6", "v7"]);
});

test("an event that is too old is given up, and the next is told", async () => {
  await using registry = await startRegistry({ webhooks: [{ url, giveUp: 0 }] });
  statuses = [500];
  await registry.pushImage("a", "lost", "x");
  while (statuses.length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await registry.pushImage("a", "kept", "x");
  assert.equal((await untilTold(1))[0]?.target.tag, "kept");
});
