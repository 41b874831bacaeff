import assert from "node:assert/strict";
import { test } from "node:test";
import { makeWorld, skip, type World } from "./networks.fixture.ts";
import { type Counts, countsOf, killMaker, makeMany, removeMany } from "./scale.fixture.ts";

/** The full count, 200, is in bench/network-scale.ts. */
const COUNT = 40;

/** The kernel removes links and namespaces by and by. */
async function settled(world: World, wanted: Counts): Promise<Counts> {
  for (let tries = 0; ; tries++) {
    const counts = await countsOf(world);
    if (tries === 200 || JSON.stringify(counts) === JSON.stringify(wanted)) return counts;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("many networks with a container each leave nothing when they are gone, nor after a kill", { skip }, async () => {
  await using world = await makeWorld();
  await world.networks.restore(new Set());
  await world.networks.dispose();
  const before = await countsOf(world);
  await world.next();
  const ids = await makeMany(world.networks, COUNT);
  const during = await countsOf(world);
  assert.equal(during.rows.networks, (before.rows.networks ?? 0) + COUNT);
  assert.equal(during.rows.sandboxes, COUNT);
  assert.ok(during.devices >= 2 * COUNT && during.namespaces >= COUNT && during.members >= 5 * COUNT);
  await Promise.all(ids.map((id) => world.networks.close(id)));
  await removeMany(world.networks);
  await world.networks.dispose();
  assert.deepEqual(await settled(world, before), before);

  await killMaker(world, COUNT);
  const left = await countsOf(world);
  assert.equal(left.rows.sandboxes, COUNT);
  assert.ok(left.namespaces >= COUNT);
  await world.next();
  await world.networks.restore(new Set());
  await removeMany(world.networks);
  await world.networks.dispose();
  assert.deepEqual(await settled(world, before), before);
});
