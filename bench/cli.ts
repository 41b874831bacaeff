/** The CLI's own time, against an empty `node -e 0`; and `gantry run` against the API's. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { startDaemon } from "../src/testing/daemon.ts";
import { median, printFigures, timeEach } from "./lib/table.ts";

const gantry = join(import.meta.dirname, "..", "bin", "gantry");

async function main(): Promise<void> {
  await using daemon = await startDaemon();
  const env = { PATH: process.env.PATH ?? "", HOME: daemon.folder, DOCKER_HOST: daemon.host };
  const time =
    (file: string, ...args: string[]) =>
    async () => {
      const { status, stderr } = spawnSync(file, args, { env, stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
      if (status !== 0) throw new Error(`${file} ${args.join(" ")}: ${stderr}`);
    };
  const taken = new Map<string, number[]>();
  const runs: readonly [string, () => Promise<void>][] = [
    ["node", time(process.execPath, "-e", "0")],
    ["ps", time(gantry, "ps")],
    ["version", time(gantry, "version")],
    ["run", time(gantry, "run", "--rm", "busybox", "true")],
  ];
  await timeEach(25, async (i) => {
    for (const [name, run] of runs) {
      const [ms = 0] = await timeEach(1, run, 0);
      if (i >= 0) taken.set(name, [...(taken.get(name) ?? []), ms]);
    }
  });
  const of = (name: string) => median(taken.get(name) ?? []);
  const api = median(
    await timeEach(25, async () => {
      const { Id } = await daemon.call<{ Id: string }>("POST", "/containers/create", {
        Image: "busybox",
        Cmd: ["true"],
        HostConfig: { AutoRemove: true },
      });
      const removed = daemon.call("POST", `/containers/${Id}/wait?condition=removed`);
      await daemon.call("POST", `/containers/${Id}/start`);
      await removed;
    }),
  );
  const node = { what: "node -e 0", value: of("node") };
  printFigures([
    { what: "gantry ps", value: of("ps"), unit: "ms", floor: node, most: 2 },
    { what: "gantry version", value: of("version"), unit: "ms", floor: node, most: 2 },
    { what: "gantry run --rm, over the API's time", value: of("run") - api, unit: "ms", floor: node, most: 2 },
  ]);
}

await main();
