/** Devices by name (CDI) and GPUs, with both CLIs. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing } from "./lib/cli.ts";

const SPECIFICATION = `
cdiVersion: 0.6.0
kind: vendor.example/device
containerEdits:
  env: [SHARED=yes]
devices:
  - name: one
    containerEdits:
      env: [DEVICE=one]
      deviceNodes: [{path: /dev/named, hostPath: /dev/zero, permissions: r}]
      mounts: [{hostPath: FOLDER, containerPath: /opt/vendor, options: [ro, bind]}]
      additionalGids: [4242]
`;

describe("devices by name", { skip: process.getuid?.() === 0 ? false : "needs root" }, () => {
  let daemon: TestDaemon;
  const folder = mkdtempSync(join(tmpdir(), "gantry-cdi-"));
  before(async () => {
    daemon = await startDaemon({ flags: ["--cdi-spec-dir", folder] });
  });
  after(async () => {
    await daemon?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  for (const name of ["docker", "gantry"] as const)
    describe(name, { skip: missing(name) }, () => {
      test("a device brings its node, its variables, its files and its group", async () => {
        const cli = new Cli(name, daemon);
        writeFileSync(join(folder, "vendor.yaml"), SPECIFICATION.replace("FOLDER", folder));
        const script =
          "echo $SHARED $DEVICE; head -c 2 /dev/named | wc -c; ls /opt/vendor; touch /opt/vendor/x 2>&1 | grep -o Read-only; id -G";
        const { out } = await cli.run(
          "run",
          "--rm",
          "--device",
          "vendor.example/device=one",
          "busybox",
          "sh",
          "-c",
          script,
        );
        assert.deepEqual(out.split("\n"), ["yes one", "2", "vendor.yaml", "Read-only", "0 10 4242"]);
        assert.match(
          await cli.ok("info", "-f", "{{.DiscoveredDevices}} {{.CDISpecDirs}}"),
          /vendor\.example\/device=one.*gantry-cdi/,
        );
      });

      test("a name that nobody knows, and GPUs without their toolkit, are refused with what to do", async () => {
        const cli = new Cli(name, daemon);
        for (const [flags, pattern] of [
          [
            ["--device", "vendor.example/device=two"],
            /CDI device injection failed: unresolvable CDI devices vendor\.example\/device=two/,
          ],
          [["--gpus", "all"], /could not select device driver "" with capabilities: \[\[gpu\]\][\s\S]*nvidia-ctk/],
        ] as const) {
          const { code, err } = await cli.run("run", "--rm", ...flags, "busybox", "true");
          assert.equal(code, 125);
          assert.match(err, pattern);
        }
        assert.equal(await cli.ok("ps", "-aq"), "");
      });

      test("a GPU whose maker's tool wrote a specification is given by --gpus", async () => {
        const cli = new Cli(name, daemon);
        const file = join(folder, "nvidia.yaml");
        writeFileSync(
          file,
          SPECIFICATION.replace("FOLDER", folder)
            .replace("vendor.example/device", "nvidia.com/gpu")
            .replace("name: one", 'name: "0"'),
        );
        try {
          assert.equal(await cli.ok("run", "--rm", "--gpus", "1", "busybox", "sh", "-c", "echo $DEVICE"), "one");
          assert.equal(await cli.ok("run", "--rm", "--gpus", "device=0", "busybox", "sh", "-c", "echo $DEVICE"), "one");
        } finally {
          rmSync(file);
        }
      });
    });
});
