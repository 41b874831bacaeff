import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { thermalPaths } from "./protected-paths.ts";

test("the heat of each processor that tells it is hidden", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "gantry-cpus-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const path of ["cpu0/thermal_throttle", "cpu1", "cpu10/thermal_throttle", "cpufreq/thermal_throttle"])
    mkdirSync(join(folder, path), { recursive: true });
  assert.deepEqual(thermalPaths(folder).toSorted(), [
    join(folder, "cpu0/thermal_throttle"),
    join(folder, "cpu10/thermal_throttle"),
  ]);
  assert.deepEqual(thermalPaths(join(folder, "nowhere")), []);
});
