import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EngineError } from "../base/errors.ts";
import { launchError, startErrorExitCode } from "./start-errors.ts";

const json = (msg: string) => JSON.stringify({ msg, level: "error", time: "2026-11-21T04:49:21Z" });

/** What the runtimes wrote, what Docker shows after its prefix, and the exit code. */
const cases: [args: string, output: string, shown: string, code: number][] = [
  [
    "x",
    json("executable file `x` not found in $PATH: No such file or directory"),
    'exec: "x": executable file not found in $PATH',
    127,
  ],
  [
    "/x",
    json("executable file `/x` not found in $PATH: No such file or directory"),
    'exec: "/x": stat /x: no such file or directory',
    127,
  ],
  ["/x", json("open executable: Permission denied"), 'exec: "/x": permission denied', 126],
  ["/etc", json("open executable: Operation not permitted"), 'exec: "/etc": permission denied', 126],
  ["/a/b", json("open executable: Not a directory"), 'exec: "/a/b": stat /a/b: not a directory', 126],
  ["", json("open executable: Operation not permitted"), 'exec: "": executable file not found in $PATH', 127],
  [
    "/x",
    "2026-11-21T04:49:21.1Z: exec container process `/x`: Exec format error\n",
    'exec: "/x": exec format error',
    126,
  ],
  [
    "x",
    json('runc run failed: unable to start container process: exec: "x": executable file not found in $PATH'),
    'exec: "x": executable file not found in $PATH',
    127,
  ],
  [
    "/x",
    json('exec failed: unable to start container process: exec: "/x": permission denied'),
    'exec: "/x": permission denied',
    126,
  ],
  [
    "x",
    json("mount `proc` to `proc`: Device or resource busy"),
    "mount `proc` to `proc`: Device or resource busy",
    128,
  ],
];

describe("a refused start", () => {
  for (const [command, output, shown, code] of cases) {
    it(`${output.slice(0, 100).trim()} becomes ${shown}`, () => {
      const failure = new EngineError("internal", "failed", { cause: { exitCode: 1, output } });
      const process = { args: [command], cwd: "/" };
      const error = launchError(failure, { action: "start", process, runtime: "crun", limit: 120_000 });
      const prefix =
        "failed to create task for container: failed to create shim task: OCI runtime create failed: crun create failed: unable to start container process: ";
      assert.equal(error.message, `${prefix}${shown}: unknown`);
      assert.equal(error.kind, "invalid");
      assert.equal(startErrorExitCode(error), code);
    });
  }

  it("of an exec says so", () => {
    const failure = new EngineError("internal", "failed", {
      cause: { exitCode: 1, output: json("executable file `x` not found") },
    });
    const error = launchError(failure, {
      action: "exec",
      process: { args: ["x"], cwd: "/" },
      runtime: "crun",
      limit: 120_000,
    });
    assert.match(
      error.message,
      /^OCI runtime exec failed: exec failed: .*executable file not found in \$PATH: unknown$/,
    );
  });

  it("for our own reasons stays as it is", () => {
    const process = { args: ["x"], cwd: "/" };
    assert.equal(
      launchError(new Error("no room"), { action: "start", process, runtime: "crun", limit: 120_000 }).kind,
      "internal",
    );
  });
});
