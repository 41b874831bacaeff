/** Builds and registries, Gantry's own and Debian's: pushing what was built, caches that travel. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createReadStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { startDebianRegistry } from "../src/testing/debian-registry.ts";
import { startRegistry } from "../src/testing/registry.ts";
import { Cli, missing } from "./lib/cli.ts";

const DOCKERFILE = `FROM busybox AS one
RUN echo one > /one
FROM busybox AS two
RUN echo two > /two
FROM busybox
COPY --from=one /one /one
COPY --from=two /two /two
RUN cat /one /two > /three
CMD ["cat", "/three"]
`;

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const noDebian =
  spawnSync("docker-registry", ["--version"]).status === 0 ? false : "no docker-registry on this machine";

const REGISTRIES = [
  { name: "Gantry's registry", start: startRegistry, skip: false },
  { name: "Debian's registry", start: startDebianRegistry, skip: noDebian },
] as const;

for (const { name, start, skip } of REGISTRIES)
  describe(`builds with ${name}`, { skip }, () => {
    let registry: AsyncDisposable & { readonly host: string };
    let daemon: TestDaemon;
    let gantry: Cli;
    let folder: string;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), "gantry-built-"));
      writeFileSync(join(folder, "Dockerfile"), DOCKERFILE);
      registry = await start();
      daemon = await startDaemon();
      gantry = new Cli("gantry", daemon);
    });
    after(async () => {
      await daemon[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    });

    async function manifest(tag: string): Promise<Response> {
      return await fetch(`http://${registry.host}/v2/app/manifests/${tag}`, { headers: { Accept: MANIFEST } });
    }

    /** A machine that has nothing of the build; resolves with how many RUN steps come from the cache, by the CLI's output. */
    async function built(cli: Cli, ...flags: string[]): Promise<string[]> {
      await gantry.ok("image", "prune", "-af");
      await daemon.call("POST", "/images/load", createReadStream(daemon.archive));
      await gantry.ok("builder", "prune", "-af");
      const { code, out, err } = await cli.run("build", ...flags, folder);
      assert.equal(code, 0, err);
      return cli.name === "docker"
        ? cachedLines(out, /^Step \d+\/\d+ : (RUN.*)\n(?:\w+: .*\n)* ---> Using/gm)
        : plain(err);
    }

    test("a push by --push, by type=image and by type=registry; the metadata tell what the registry has", async () => {
      const metadata = join(folder, "..", `${registry.host.replace(/\W/g, "-")}.json`);
      const image = `${registry.host}/app`;
      const ways = {
        a: ["--push", "-t", `${image}:a`],
        b: ["-o", `type=image,name=${image}:b,push=true`],
        c: ["-o", `type=registry,name=${image}:c`],
        d: ["-o", "type=registry", "-t", `${image}:d`],
      };
      try {
        for (const [tag, flags] of Object.entries(ways)) {
          await gantry.ok("build", ...flags, "--metadata-file", metadata, folder);
          const answer = await manifest(tag);
          assert.equal(answer.status, 200, tag);
          const told = JSON.parse(readFileSync(metadata, "utf8")) as Record<string, unknown>;
          assert.equal(told["containerimage.digest"], answer.headers.get("Docker-Content-Digest"));
          const { size } = told["containerimage.descriptor"] as { size: number };
          assert.equal(size, (await answer.arrayBuffer()).byteLength);
        }
      } finally {
        rmSync(metadata, { force: true });
      }
      await gantry.ok("build", "-o", `type=image,name=${image}:e,push=false`, folder);
      assert.equal((await manifest("e")).status, 404);
      const nameless = await gantry.run("build", "--push", folder);
      assert.match(nameless.err, /tag is needed when pushing to registry/);
    });

    test("a cache in a registry, in an image and in a folder brings back the steps it has", async () => {
      const image = `${registry.host}/app`;
      const all = ["RUN cat /one /two > /three", "RUN echo one > /one", "RUN echo two > /two"];
      const last = all.slice(0, 1);
      const local = join(folder, "..", `${registry.host.replace(/\W/g, "-")}-cache`);
      const caches = [
        { to: `type=registry,ref=${image}:cache,mode=max`, from: `type=registry,ref=${image}:cache`, has: all },
        { to: `type=registry,ref=${image}:min`, from: `${image}:min`, has: last },
        { to: `type=local,dest=${local},mode=max`, from: `type=local,src=${local}`, has: all },
        { to: "type=inline", from: `type=registry,ref=${image}:inline`, has: last },
      ];
      try {
        for (const { to } of caches) {
          const push = to === "type=inline" ? ["--push", "-t", `${image}:inline`] : [];
          await gantry.ok("build", ...push, "--cache-to", to, folder);
        }
        const tried = name === "Gantry's registry" ? caches : caches.slice(0, 1);
        for (const { from, has } of tried) assert.deepEqual(await built(gantry, "--cache-from", from), has, from);
        assert.deepEqual(await built(gantry), []);
        if (missing("docker")) return;
        const docker = new Cli("docker", daemon);
        assert.deepEqual(await built(docker, "--cache-from", `${image}:inline`), last);
      } finally {
        rmSync(local, { recursive: true, force: true });
      }
    });
  });

/** The RUN steps of plain progress that were cached. */
function plain(err: string): string[] {
  const cached = new Set([...err.matchAll(/^#(\d+) CACHED$/gm)].map(([, number]) => number));
  const steps = [...err.matchAll(/^#(\d+) \[.*?\] (RUN.*)$/gm)].filter(([, number]) => cached.has(number));
  return [...new Set(steps.map(([, , text = ""]) => text))].sort();
}

const cachedLines = (out: string, pattern: RegExp): string[] =>
  [...out.matchAll(pattern)].map(([, text = ""]) => text).sort();
