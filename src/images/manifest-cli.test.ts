/** `manifest` with docker's client and with gantry's, against Debian's registry: the same words, files and digests. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createReadStream, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../testing/daemon.ts";
import { type DebianRegistry, startDebianRegistry } from "../testing/debian-registry.ts";
import { dockerFiles, makeImage, makeTar } from "../testing/image-archives.ts";

const GANTRY = join(import.meta.dirname, "..", "..", "bin", "gantry");
const missing = ["docker", "docker-registry"].find((tool) => spawnSync(tool, ["--version"]).error !== undefined);
const skip = process.getuid?.() !== 0 ? "needs root" : missing === undefined ? false : `no ${missing} here`;

describe("manifest lists", { skip }, () => {
  let daemon: TestDaemon;
  let registry: DebianRegistry;

  before(async () => {
    [daemon, registry] = await Promise.all([startDaemon({ image: false }), startDebianRegistry()]);
    const archive = join(daemon.folder, "images.tar");
    const [one, two] = [
      await makeImage({ layers: ["base", "one"], compress: "gzip" }),
      await makeImage({ layers: ["base", "two"], compress: "gzip", file: { os: "linux", architecture: "s390x" } }),
    ];
    const names = ["one:1", "two:1"].map((name) => `${registry.host}/team/${name}`);
    writeFileSync(
      archive,
      await makeTar(
        dockerFiles([
          [one, names[0] ?? ""],
          [two, names[1] ?? ""],
        ]),
      ),
    );
    await daemon.call("POST", "/images/load", createReadStream(archive));
    for (const name of names) await ask(GANTRY, "a", "push", "-q", name);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
  });

  /** Standard output and error, and the exit code. Not synchronous: the registry's log must be read meanwhile. */
  async function ask(program: string, home: string, ...args: readonly string[]): Promise<string> {
    const HOME = join(daemon.folder, home);
    mkdirSync(HOME, { recursive: true });
    const env = { PATH: process.env.PATH, HOME, DOCKER_HOST: daemon.host, DOCKER_CLI_HINTS: "false" };
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
    return `${out}${err}${code}`;
  }

  const both = async (...args: readonly string[]) => {
    const [docker, gantry] = [await ask("docker", "docker", ...args), await ask(GANTRY, "gantry", ...args)];
    assert.equal(gantry, docker, args.join(" "));
    return gantry;
  };

  test("are created, annotated, shown, pushed and forgotten as docker does", async () => {
    const [one, two, list] = ["one:1", "two:1", "list:1"].map((name) => `${registry.host}/team/${name}`) as [
      string,
      string,
      string,
    ];
    assert.match(await both("manifest", "create", "--insecure", list, one, two), /^Created manifest list/);
    await both("manifest", "create", "--insecure", list, one);
    await both("manifest", "inspect", list);
    await both("manifest", "inspect", "-v", list);
    await both("manifest", "inspect", list, two);
    await both("manifest", "inspect", list, `${registry.host}/team/three:1`);
    await both("manifest", "inspect", "--insecure", one);
    await both("manifest", "inspect", "--insecure", "-v", one);
    await both("manifest", "annotate", list, `${registry.host}/team/three:1`, "--arch", "arm");
    await both(
      "manifest",
      "annotate",
      list,
      two,
      "--arch",
      "arm",
      "--variant",
      "v7",
      "--os-version",
      "5",
      "--os-features",
      "a,b",
    );
    const drafts = (home: string) => {
      const folder = join(daemon.folder, home, ".docker/manifests");
      return readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), "utf8")])
        .sort();
    };
    assert.deepEqual(drafts("gantry"), drafts("docker"));
    assert.match(await both("manifest", "push", "--insecure", "--purge", list), /\nsha256:[0-9a-f]{64}\n0$/);
    await both("manifest", "push", "--insecure", list);
    await both("manifest", "inspect", "--insecure", list);
    await both("manifest", "inspect", "--insecure", "-v", list);
    await both("manifest", "create", "--insecure", `${registry.host}/team/other:1`, list);
    await both("manifest", "create", "--insecure", `${registry.host}/team/other:1`, `${registry.host}/team/nothing:1`);
    await both("manifest", "rm", list);
  });

  test("are pulled with the platforms that they say", async () => {
    const [one, two, list] = ["one:1", "two:1", "pulled:1"].map((name) => `${registry.host}/team/${name}`) as [
      string,
      string,
      string,
    ];
    await ask(GANTRY, "gantry", "manifest", "create", list, one, two);
    assert.match(await ask(GANTRY, "gantry", "manifest", "push", list), /0$/);
    assert.match(await ask("docker", "docker", "pull", "--platform", "linux/s390x", list), /0$/);
    assert.match(
      await ask("docker", "docker", "image", "inspect", "--platform", "linux/s390x", "-f", "{{.Architecture}}", list),
      /^s390x/,
    );
  });

  test("of another registry's images are refused, and nothing is pushed", async () => {
    const list = "other.example/team/list:1";
    await ask(GANTRY, "gantry", "manifest", "create", list, `${registry.host}/team/one:1`);
    assert.match(
      await ask(GANTRY, "gantry", "manifest", "push", list),
      /cannot use source images from a different registry than the target image/,
    );
    assert.equal(await ask(GANTRY, "gantry", "manifest", "rm", list), "0");
    assert.match(
      await ask(GANTRY, "gantry", "manifest", "annotate", "--arch", "nope", list, "x"),
      /manifest for image x does not exist in /,
    );
  });
});
