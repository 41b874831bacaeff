import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { killProcess, spawn } from "../kernel/spawn.ts";
import { openPlugins } from "../plugins/open.ts";
import { makeWorld, skip, type World } from "./networks.fixture.ts";

interface Body {
  readonly PoolID?: string;
  readonly Address?: string;
  readonly V6?: boolean;
}

/** A plug-in that knows what it gave. */
class Pool implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "gantry-ipam-"));
  /** "pool", and "pool address". */
  readonly given = new Set<string>();
  /** What was given twice, or taken back though it was not given. */
  readonly faults: string[] = [];
  calls = 0;
  /** Told of each call before it is carried out; true: it is not, and not answered. */
  ignores: (call: number) => boolean = () => false;
  #last = 1;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #methods: Readonly<Record<string, (body: Body) => unknown>> = {
    "Plugin.Activate": () => ({ Implements: ["IpamDriver"] }),
    "IpamDriver.GetDefaultAddressSpaces": () => ({ LocalDefaultAddressSpace: "local" }),
    "IpamDriver.GetCapabilities": () => ({}),
    "IpamDriver.RequestPool": ({ V6 }) => {
      const PoolID = V6 ? "six" : "four";
      this.#give(PoolID);
      return { PoolID, Pool: V6 ? "fd00:219:7::/64" : "10.219.7.0/24" };
    },
    "IpamDriver.RequestAddress": ({ PoolID = "", Address = "" }) => {
      const [prefix, length] = PoolID === "six" ? ["fd00:219:7::", 64] : ["10.219.7.", 24];
      const chosen = Address || `${prefix}${20 + this.#last++}`;
      this.#give(`${PoolID} ${chosen}`);
      return { Address: `${chosen}/${length}` };
    },
    "IpamDriver.ReleaseAddress": ({ PoolID = "", Address = "" }) => this.#take(`${PoolID} ${Address}`),
    "IpamDriver.ReleasePool": ({ PoolID = "" }) => this.#take(PoolID),
  };

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(join(this.folder, "pool.sock"), resolve));
  }

  #give(what: string): void {
    if (this.given.has(what)) this.faults.push(`${what} is given twice`);
    this.given.add(what);
  }

  #take(what: string): unknown {
    if (!this.given.delete(what)) this.faults.push(`${what} comes back twice`);
    return {};
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = (await Array.fromAsync(request)).join("") || "{}";
    if (this.ignores(++this.calls)) return void response.destroy();
    response.end(JSON.stringify(this.#methods[request.url?.slice(1) ?? ""]?.(JSON.parse(body)) ?? {}));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Lets another process work on the world's root until the plug-in hears its n-th call, at which it is killed. Whether it came so far. */
async function killAt({ paths }: World, pool: Pool, call: number): Promise<boolean> {
  const script = join(import.meta.dirname, "remote-ipam.fixture.ts");
  const args = [script, paths.dataRoot, paths.execRoot, pool.folder];
  const child = spawn({ file: process.execPath, args, stdio: ["null", "null", 2] });
  let killed = false;
  pool.calls = 0;
  pool.ignores = (number) => {
    if (number === call) killProcess(child.pid, 9);
    killed ||= number === call;
    return killed;
  };
  await child.exited;
  pool.ignores = () => false;
  return killed;
}

test("what an IPAM plug-in gave comes back to it once, whenever the engine is killed", { skip }, async () => {
  await using pool = new Pool();
  await pool.open();
  await using world = await makeWorld({}, { plugins: openPlugins({ sockets: [pool.folder], specs: [] }) });
  await world.networks.dispose();
  let call = 3;
  for (; await killAt(world, pool, call); call += 3) {
    await world.next();
    await world.networks.restore(new Set());
    for (const { Name } of world.networks.list()) if (Name === "leased") await world.networks.remove(Name);
    await world.networks.dispose();
    for (let tries = 0; pool.given.size > 0 && tries < 500; tries++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([[...pool.given], pool.faults], [[], []], `killed at call ${call}`);
  }
  assert.ok(call > 15, `${call} calls`);
});
