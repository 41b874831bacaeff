/** Docker's volume commands, with both CLIs: the same words, the same exit codes, and no data that goes without being told to. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { withEachCli } from "./lib/own-daemon.ts";

const ID = /^[0-9a-f]{64}$/;

withEachCli((cli, daemon) => {
  const names = async (...words: string[]) =>
    (await cli.ok("volume", "ls", "-q", ...words)).split("\n").filter(Boolean);
  const refused = async (...words: string[]) => {
    const { code, err } = await cli.run(...words);
    assert.notEqual(code, 0, `${words.join(" ")} went through`);
    return err;
  };

  test("volumes are made, listed by every filter and format, and shown", async () => {
    assert.equal(await cli.ok("volume", "create", "--label", "of=test", "--label", "bare", "plain"), "plain");
    const ram = ["-d", "local", "-o", "type=tmpfs", "--opt", "device=tmpfs", "-o", "o=size=1m,uid=7"];
    assert.equal(await cli.ok("volume", "create", ...ram, "ram"), "ram");
    assert.equal(await cli.ok("volume", "create", "plain"), "plain");
    const anonymous = await cli.ok("volume", "create");
    assert.match(anonymous, ID);
    assert.deepEqual(await names("-f", "label=of=test"), ["plain"]);
    assert.deepEqual(await names("-f", "label=bare", "-f", "driver=local", "-f", "name=pla"), ["plain"]);
    assert.deepEqual(await names("-f", "driver=other"), []);
    assert.deepEqual(await names("-f", "dangling=true", "-f", "name=ra"), ["ram"]);
    assert.match(await refused("volume", "ls", "-f", "dangling=maybe"), /invalid filter 'dangling=\[maybe\]'/);
    assert.match(await refused("volume", "ls", "-f", "colour=red"), /invalid filter 'colour'/);
    assert.match(await cli.ok("volume", "ls"), /^DRIVER +VOLUME NAME\nlocal +[0-9a-f]{64}\nlocal +plain\nlocal +ram$/);
    const line = await cli.ok("volume", "ls", "-f", "name=plain", "--format", '{{.Name}} {{.Scope}} {{.Label "of"}}');
    assert.equal(line, "plain local test");
    const json = JSON.parse(await cli.ok("volume", "ls", "-f", "name=ram", "--format", "json"));
    assert.deepEqual([json.Name, json.Driver, json.Availability], ["ram", "local", "N/A"]);
    const [shown] = JSON.parse(await cli.ok("volume", "inspect", "ram"));
    assert.deepEqual(
      [shown.Name, shown.Options, shown.Labels, shown.Scope],
      ["ram", { type: "tmpfs", device: "tmpfs", o: "size=1m,uid=7" }, null, "local"],
    );
    assert.match(await refused("volume", "inspect", "plain", "none"), /get none: no such volume/);
    await cli.ok("volume", "rm", anonymous, "ram");
  });

  test("what cannot be made is refused in Docker's words", async () => {
    assert.match(
      await refused("volume", "create", "a/b"),
      /"a\/b" includes invalid characters for a local volume name/,
    );
    assert.match(await refused("volume", "create", "a"), /volume name is too short/);
    assert.match(await refused("volume", "create", "-o", "colour=red", "odd"), /invalid option: "colour"/);
    assert.match(await refused("volume", "create", "-o", "type=nfs", "odd"), /missing device in volume options/);
    const other = ["-o", "type=tmpfs", "-o", "device=tmpfs"];
    assert.match(await refused("volume", "create", ...other, "plain"), /exists with different options/);
    assert.match(
      await refused("volume", "create", "--name", "one", "two"),
      /conflicting options: cannot specify a volume-name/,
    );
    assert.match(
      await refused("volume", "update", "--availability", "drain", "plain"),
      /can only update cluster volumes/i,
    );
    assert.match(await refused("volume", "update", "none"), /no such volume/);
    assert.deepEqual(await names(), ["plain"]);
  });

  test("a volume in use stays, whoever asks", async () => {
    const id = await cli.ok("run", "-d", "--name", "user", "-v", "plain:/data", "busybox", "sleep", "600");
    assert.match(await refused("volume", "rm", "plain"), new RegExp(`remove plain: volume is in use - \\[${id}\\]`));
    assert.match(await refused("volume", "rm", "-f", "plain"), /volume is in use/);
    await cli.ok("stop", "-t", "0", "user");
    assert.match(await refused("volume", "rm", "plain"), /volume is in use/);
    assert.deepEqual(await names("-f", "dangling=false"), ["plain"]);
    await cli.ok("rm", "user");
    assert.equal(await cli.ok("volume", "rm", "-f", "nowhere"), "nowhere");
    assert.match(await refused("volume", "rm", "nowhere"), /get nowhere: no such volume/);
  });

  test("anonymous volumes go with --rm and rm -v; named ones stay", async () => {
    await cli.ok("run", "--rm", "-v", "/anonymous", "-v", "plain:/data", "busybox", "true");
    await cli.ok("create", "--name", "one", "-v", "/anonymous", "-v", "plain:/data", "busybox");
    await cli.ok("rm", "-v", "one");
    assert.deepEqual(await names(), ["plain"]);
    await cli.ok("create", "--name", "two", "-v", "/anonymous", "busybox");
    await cli.ok("rm", "two");
    assert.equal((await names()).length, 2);
    await cli.ok("create", "--name", "three", "--mount", "type=volume,target=/anonymous", "busybox");
    await cli.ok("container", "prune", "-f");
    assert.equal((await names()).length, 3);
  });

  test("no prune takes a named volume unless it is told to, and none takes what is in use", async () => {
    const data = join(daemon.dataRoot, "volumes/plain/_data");
    writeFileSync(join(data, "precious"), "");
    const [device] = [join(daemon.folder, "elsewhere")];
    await cli.ok("run", "--rm", "-v", `${device}:/d`, "busybox", "touch", "/d/kept");
    await cli.ok("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${device}`, "far");
    await cli.ok("create", "--name", "user", "-v", "used:/u", "-v", "/anonymous", "busybox");
    await cli.ok("system", "prune", "-f");
    // What the stopped container used is free now, and only the anonymous ones of all go.
    const told = await cli.ok("volume", "prune", "-f");
    assert.match(told, /^Deleted Volumes:\n(?:[0-9a-f]{64}\n){3}\nTotal reclaimed space: /);
    assert.deepEqual(await names(), ["far", "plain", "used"]);
    await cli.ok("system", "prune", "-af", "--volumes");
    assert.deepEqual(await names(), ["far", "plain", "used"]);
    await daemon.kill("SIGTERM");
    await daemon.start();
    await cli.ok("load", "-qi", daemon.archive);
    await cli.ok("create", "--name", "user", "-v", "used:/u", "busybox");
    await cli.ok("volume", "create", "--label", "keep", "labelled");
    const all = await cli.ok("volume", "prune", "-af", "--filter", "label!=keep");
    assert.match(all, /^Deleted Volumes:\nplain\n\n/);
    assert.deepEqual([await names(), existsSync(data)], [["far", "labelled", "used"], false]);
    await cli.ok("rm", "-fv", "user");
    await cli.ok("volume", "rm", "far", "labelled", "used");
    assert.deepEqual(readdirSync(device), ["kept"]);
  });
});
