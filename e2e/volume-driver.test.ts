/** The example of a volume driver, found by its socket, driven with both CLIs. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, type CliName, missing } from "./lib/cli.ts";

const DRIVER = join(import.meta.dirname, "..", "examples", "volume-driver", "driver.ts");

for (const name of ["docker", "gantry"] satisfies CliName[]) describe(name, { skip: missing(name) }, () => suite(name));

function suite(name: CliName): void {
  const plugin = `folders-${process.pid}-${name}`;
  /** Not Docker's own: other engines on this machine would list the volumes too. */
  const folder = mkdtempSync(join(tmpdir(), "gantry-plugins-"));
  const socket = join(folder, `${plugin}.sock`);
  let daemon: TestDaemon;
  let cli: Cli;
  let root: string;
  let driver: ChildProcess | undefined;

  const startDriver = async () => {
    driver = spawn(process.execPath, [DRIVER, socket, root], { stdio: ["ignore", "pipe", "inherit"] });
    await once(driver.stdout ?? process.stdin, "data");
  };
  const stopDriver = async () => {
    if (driver === undefined || driver.exitCode !== null || driver.signalCode !== null) return;
    driver.kill();
    await once(driver, "exit");
  };
  before(async () => {
    daemon = await startDaemon({ flags: ["--plugin-dir", folder] });
    cli = new Cli(name, daemon);
    root = join(daemon.folder, "folders");
    await startDriver();
  });
  after(async () => {
    await stopDriver();
    rmSync(folder, { recursive: true, force: true });
    await daemon[Symbol.asyncDispose]();
  });

  test("a volume of the driver is made, mounted, shown and removed", async () => {
    assert.equal(await cli.ok("volume", "create", "-d", plugin, "-o", "mode=700", "kept"), "kept");
    assert.equal(
      await cli.ok("volume", "inspect", "-f", "{{.Driver}} {{.Mountpoint}} {{.Scope}}", "kept"),
      `${plugin} ${join(root, "kept")} local`,
    );
    await cli.ok("run", "--rm", "-v", "kept:/data", "busybox", "sh", "-c", "echo hello > /data/file");
    assert.deepEqual(readdirSync(join(root, "kept")), ["file"]);
    await cli.ok("run", "-d", "--name", "user", "-v", "kept:/data", "busybox", "sleep", "600");
    assert.match(await cli.ok("volume", "inspect", "kept"), /"users": 1/);
    assert.equal((await cli.run("volume", "rm", "kept")).code, 1);
    await daemon.kill("SIGKILL");
    await daemon.start();
    assert.equal(await cli.ok("exec", "user", "cat", "/data/file"), "hello");
    await cli.ok("rm", "-f", "user");
    assert.match(await cli.ok("volume", "inspect", "kept"), /"users": 0/);
    assert.equal(await cli.ok("volume", "rm", "kept"), "kept");
    assert.equal(existsSync(join(root, "kept")), false);
  });

  test("a container makes its volumes with the driver it names, filled from the image", async () => {
    await cli.ok("run", "--rm", "--volume-driver", plugin, "-v", "filled:/bin", "busybox", "true");
    assert.ok(readdirSync(join(root, "filled")).includes("busybox"));
    await cli.ok("volume", "rm", "filled");
  });

  test("volumes that the driver has are listed, shown, used and removed, also when nobody made them here", async () => {
    for (const volume of ["theirs", "old"]) mkdirSync(join(root, volume));
    writeFileSync(join(root, "theirs", "file"), "from elsewhere");
    const listed = async (...words: string[]) =>
      (await cli.ok("volume", "ls", ...words, "--format", "{{.Name}} {{.Driver}} {{.Mountpoint}}")).split("\n");
    const line = (volume: string) => `${volume} ${plugin} ${join(root, volume)}`;
    assert.deepEqual(await listed(), [line("old"), line("theirs")]);
    await cli.ok("volume", "create", "own");
    assert.deepEqual(await listed("--filter", `driver=${plugin}`), [line("old"), line("theirs")]);
    assert.equal(
      await cli.ok("volume", "inspect", "-f", "{{.Driver}} {{.Mountpoint}}", "theirs"),
      line("theirs").slice(7),
    );
    assert.equal(await cli.ok("run", "--rm", "-v", "theirs:/d", "busybox", "cat", "/d/file"), "from elsewhere");
    await cli.ok("volume", "prune", "-af");
    assert.deepEqual(await listed(), [line("old"), line("theirs")]);
    await cli.ok("volume", "rm", "old", "theirs");
    assert.deepEqual(readdirSync(root), []);
  });

  test("a start that was cut short while a volume was made takes nothing away that the driver had", async () => {
    mkdirSync(join(root, "precious"));
    await daemon.kill("SIGKILL");
    const database = new DatabaseSync(join(daemon.dataRoot, "gantry.db"));
    database.exec(
      `INSERT INTO volumes (name, driver, options, labels, created_at, state) VALUES ('precious', '${plugin}', '{}', '{}', '', 'making')`,
    );
    database.close();
    await daemon.start();
    assert.equal(await cli.ok("volume", "ls", "-q"), "precious");
    assert.deepEqual(readdirSync(root), ["precious"]);
    await cli.ok("volume", "rm", "precious");
  });

  test("the driver's own words come through, and no volume is left", async () => {
    const refused = await cli.run("volume", "create", "-d", plugin, "-o", "colour=red", "odd");
    assert.deepEqual([refused.code, /unknown option colour/.test(refused.err)], [1, true], refused.err);
    const unknown = await cli.run("volume", "create", "-d", "nosuch", "odd");
    assert.match(unknown.err, /error looking up volume plugin nosuch: plugin "nosuch" not found/);
    assert.equal(await cli.ok("volume", "ls", "-q"), "");
  });

  test("a driver that is away keeps its volumes, and has them when it is back", async () => {
    await cli.ok("volume", "create", "-d", plugin, "away");
    writeFileSync(join(root, "away", "data"), "precious");
    await stopDriver();
    rmSync(socket, { force: true });
    assert.equal((await cli.run("volume", "rm", "away")).code, 1);
    assert.equal((await cli.run("run", "--rm", "-v", "away:/d", "busybox", "true")).code, 125);
    assert.equal(await cli.ok("volume", "ls", "-q"), "away");
    await startDriver();
    assert.equal(await cli.ok("run", "--rm", "-v", "away:/d", "busybox", "cat", "/d/data"), "precious");
    await cli.ok("volume", "rm", "away");
  });
}
