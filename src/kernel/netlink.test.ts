import assert from "node:assert/strict";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { addBridge, addVeth, deleteLink, RouteSocket, setLink } from "./netlink.ts";
import { addAddress, deleteAddress, setDefaultRoute } from "./netlink-addresses.ts";
import { createNetns, removeNetns } from "./netns.ts";
import { run } from "./spawn.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";
const MAC = Uint8Array.of(2, 0x42, 10, 9, 8, 7);

/** Two new namespaces; nothing is done in the machine's own. */
async function inNamespaces(
  work: (one: RouteSocket, two: RouteSocket, paths: readonly [string, string]) => Promise<void> | void,
) {
  const folder = mkdtempSync(join(tmpdir(), "gantry-netlink-"));
  const paths = [join(folder, "one"), join(folder, "two")] as const;
  try {
    for (const path of paths) await createNetns(path);
    const [one, two] = [new RouteSocket(paths[0]), new RouteSocket(paths[1])];
    try {
      await work(one, two, paths);
    } finally {
      one.close();
      two.close();
    }
  } finally {
    for (const path of paths) removeNetns(path);
    rmSync(folder, { recursive: true, force: true });
  }
}

test("links, addresses and routes are made in one message per side, as ip(8) sees them", { skip }, () =>
  inNamespaces(async (one, two, [, path]) => {
    const netnsFd = openSync(path, "r");
    one.run(addBridge({ name: "br", mtu: 1400, mac: MAC }), setLink("br", { alias: "somebody's", up: true }));
    const bridge = one.link("br");
    assert.ok(bridge);
    assert.deepEqual(
      [bridge.kind, bridge.alias, bridge.mtu, bridge.mac, bridge.up],
      ["bridge", "somebody's", 1400, "02:42:0a:09:08:07", true],
    );
    one.run(
      addVeth({ name: "out", mtu: 1400, peer: { name: "in", mac: MAC, netnsFd } }),
      setLink("out", { master: bridge.index, up: true }),
    );
    closeSync(netnsFd);
    assert.equal(one.link("out")?.master, bridge.index);
    assert.equal(one.link("in"), undefined);
    const { index = 0 } = two.link("in") ?? {};
    const [address, gateway] = [Uint8Array.of(10, 9, 8, 7), Uint8Array.of(10, 9, 8, 1)];
    two.run(
      setLink(index, { up: true }),
      addAddress({ link: index, address, prefix: 24 }),
      setDefaultRoute(index, gateway),
    );
    const ip = async (...args: string[]) => (await run("nsenter", [`--net=${path}`, "ip", ...args])).stdout.toString();
    assert.match(await ip("-o", "addr", "show", "in"), /inet 10\.9\.8\.7\/24 /);
    assert.match(await ip("route"), /^default via 10\.9\.8\.1 dev in/);
    assert.ok(two.addresses().some(({ bytes, prefix }) => bytes.equals(address) && prefix === 24));
    assert.ok(two.routes().some(({ family, prefix, link }) => family === 4 && prefix === 0 && link === index));
    two.run(deleteAddress({ link: index, address, prefix: 24 }));
    assert.ok(!two.addresses().some(({ bytes }) => bytes.equals(address)));
    one.run(deleteLink("out"));
    assert.equal(two.link("in"), undefined);
  }),
);

test("a refused request is told by its errno and does not keep the others from being carried out", { skip }, () =>
  inNamespaces((one) => {
    assert.throws(() => one.run(setLink("nothing", { up: true }), setLink("lo", { up: true })), { code: "ENODEV" });
    assert.equal(one.link("lo")?.up, true);
    one.run(deleteLink("nothing"));
    one.run(addBridge({ name: "br", mtu: 1500, mac: MAC }));
    assert.throws(() => one.run(addBridge({ name: "br", mtu: 1500, mac: MAC })), {
      code: "EEXIST",
      message: "add bridge br: EEXIST",
    });
  }),
);

test("what is done aside is answered like the rest, in order, also when the socket is closed meanwhile", { skip }, () =>
  inNamespaces(async (_one, _two, [path]) => {
    const socket = new RouteSocket(path);
    const bridges = ["a", "b", "c"].map((name) => socket.runAside(addBridge({ name, mtu: 1500, mac: MAC })));
    await Promise.all(bridges);
    await assert.rejects(socket.runAside(addBridge({ name: "a", mtu: 1500, mac: MAC })), { code: "EEXIST" });
    assert.deepEqual(
      socket.links().map(({ name }) => name),
      ["lo", "a", "b", "c"],
    );
    const removed = Promise.all(["a", "b"].map((name) => socket.runAside(deleteLink(name))));
    socket.close();
    await removed;
    const again = new RouteSocket(path);
    assert.deepEqual(
      again.links().map(({ name }) => name),
      ["lo", "c"],
    );
    again.close();
  }),
);
