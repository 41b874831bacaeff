/** Debian root file systems for tests, made of its packages. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const SUITE = "bookworm";

/** Why none can be made here, or false. CI must. */
export function missingDebian(): string | false {
  if (process.env.CI === "true" || existsSync(archivePath("python"))) return false;
  return spawnSync("mmdebstrap", ["--version"]).status === 0 ? false : "no mmdebstrap on this machine";
}

const archivePath = (name: string): string => join(homedir(), ".cache", "gantry-test", `debian-${SUITE}-${name}.tar`);

/** A tar with these packages and what they need; made once (some minutes), then kept in the user's cache. */
export function debianArchive(name: string, packages: readonly string[]): string {
  const path = archivePath(name);
  if (existsSync(path)) return path;
  mkdirSync(join(path, ".."), { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const args = ["--variant=minbase", `--include=${packages.join(",")}`, "--format=tar", SUITE, unfinished];
  const { status, stderr } = spawnSync("mmdebstrap", args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (status !== 0) {
    rmSync(unfinished, { force: true });
    throw new Error(`mmdebstrap: ${stderr.slice(-2000)}`);
  }
  renameSync(unfinished, path);
  return path;
}
