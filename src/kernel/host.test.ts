import assert from "node:assert/strict";
import { it } from "node:test";
import { parseLimits, parseOsRelease, readHost } from "./host.ts";

it("reads os-release with and without quotes", () => {
  const values = parseOsRelease(`# comment\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID=12\nX='a\\'b'\n`);
  assert.equal(values.PRETTY_NAME, "Debian GNU/Linux 12 (bookworm)");
  assert.equal(values.VERSION_ID, "12");
});

it("reads hard limits, unlimited as Infinity", () => {
  const limits = parseLimits(
    "Limit                     Soft Limit           Hard Limit           Units\n" +
      "Max open files            1024                 20000                files\n" +
      "Max cpu time              unlimited            unlimited            seconds\n",
  );
  assert.equal(limits.NOFILE, 20000);
  assert.equal(limits.CPU, Number.POSITIVE_INFINITY);
});

it("knows this machine", () => {
  const host = readHost();
  assert.ok(host.cpus > 0);
  assert.ok(host.memory > 0);
  assert.ok(host.capabilities > 0n);
  assert.ok((host.hardLimits.NOFILE ?? 0) > 0);
  assert.match(host.kernelVersion, /^\d+\.\d+/);
});
