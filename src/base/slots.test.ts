import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Slots } from "./slots.ts";

test("no more run at once than there are slots, in the order in which they came", async () => {
  const slots = new Slots(() => 2);
  const [order, ends] = [[] as number[], [] as (() => void)[]];
  const all = [0, 1, 2, 3].map((task) =>
    slots.run(() => {
      order.push(task);
      return new Promise<void>((resolve) => ends.push(resolve));
    }),
  );
  await turn();
  assert.deepEqual(order, [0, 1]);
  ends[1]?.();
  await turn();
  assert.deepEqual(order, [0, 1, 2]);
  ends[0]?.();
  ends[2]?.();
  await turn();
  ends[3]?.();
  await Promise.all(all);
  assert.deepEqual(order, [0, 1, 2, 3]);
});

test("who gives up while waiting takes no slot, and a failed task gives its back", async () => {
  const slots = new Slots(() => 1);
  const { promise, resolve } = Promise.withResolvers<void>();
  const first = slots.run(() => promise);
  const gone = new AbortController();
  const waiting = slots.run(() => assert.fail("it was given up"), gone.signal);
  gone.abort();
  await assert.rejects(waiting, { kind: "cancelled" });
  resolve();
  await first;
  await assert.rejects(
    slots.run(() => Promise.reject(new Error("no"))),
    /no/,
  );
  assert.equal(await slots.run(() => Promise.resolve("yes")), "yes");
});
