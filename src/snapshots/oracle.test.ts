/** A real system's files, packed by GNU tar: what we unpack is, entry by entry, what GNU tar unpacks. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { makeNode, setTimes } from "../kernel/nodes.ts";
import { setXattr } from "../kernel/xattrs.ts";
import { describeTree, layerOf, makeTestRoot } from "./snapshots.fixture.ts";

const skip = hasProgram("tar") ? false : "tar is not installed";

for (const format of ["pax", "gnu"]) {
  test(`a tree packed as ${format} is unpacked as GNU tar unpacks it`, { skip }, async () => {
    await using root = await makeTestRoot("overlay");
    const source = join(root.path, "source");
    makeOddTree(source);
    execFileSync("cp", ["-a", "/etc", join(source, "etc")]);
    const flags = format === "pax" ? ["--xattrs", "--xattrs-include=*"] : [];
    execFileSync(
      "tar",
      ["-cSf", join(root.path, "a.tar"), `--format=${format}`, "--numeric-owner", ...flags, "-C", source, "."],
      { stdio: "ignore" },
    );
    const theirs = join(root.path, "theirs");
    mkdirSync(theirs);
    execFileSync("tar", ["-xpSf", join(root.path, "a.tar"), "--numeric-owner", ...flags, "-C", theirs]);
    const [layer] = await root.snapshots.unpack([
      layerOf(root.path, readFileSync(join(root.path, "a.tar")), undefined, true),
    ]);
    await root.snapshots.withLayer(layer?.chainId ?? "", async (ours) => {
      const lines = describeTree(ours);
      assert.ok(lines.length > 100);
      assert.deepEqual(lines, describeTree(theirs));
      assert.ok(lstatSync(join(ours, "sparse")).blocks < 1000);
    });
  });
}

/** One of everything that a root file system can hold. */
function makeOddTree(root: string): void {
  const at = (path: string) => join(root, path);
  mkdirSync(at("sticky/deep"), { recursive: true });
  chmodSync(at("sticky"), 0o1777);
  writeFileSync(at("setuid"), "x");
  chownSync(at("setuid"), 1000, 3_000_000);
  chmodSync(at("setuid"), 0o6755);
  linkSync(at("setuid"), at("sticky/hard"));
  symlinkSync("/absolute/target", at("link"));
  makeNode(at("device"), 0o020666, 1, 3);
  makeNode(at("disk"), 0o060660, 259, 300_000);
  makeNode(at("fifo"), 0o010600, 0, 0);
  writeFileSync(at("capable"), "y");
  setXattr(at("capable"), "security.capability", Buffer.from("0100000200200000000000000000000000000000", "hex"));
  writeFileSync(at("attributes"), "z");
  setXattr(at("attributes"), "user.binary", Buffer.from([0, 0x80, 0x3d, 0x0a]));
  writeFileSync(at(`${"n".repeat(120)}ü`), "long");
  const sparse = openSync(at("sparse"), "w");
  for (let i = 0; i < 30; i++) writeSync(sparse, "data", i * 1_000_000);
  ftruncateSync(sparse, 40_000_000);
  closeSync(sparse);
  setTimes(at("sticky/deep"), 1n, 123_456_789_987_654_321n);
  setTimes(at("link"), 1n, 1_000_000_001n);
  setTimes(at("sticky"), 1n, 5_000_000_007n);
}

function hasProgram(name: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
