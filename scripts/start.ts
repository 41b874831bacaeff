/**
 * `npm start`: Gantry's main job, shown: the engine comes up, an image is made from what the machine has, a container of it
 * serves a page on a published port. Can be run again at any time; it touches only its own container, "hello".
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeBusyboxArchive } from "./base-image.ts";

const gantry = join(import.meta.dirname, "..", "bin", "gantry");
const PAGE = "Hello from a container.";

async function main(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error("Gantry's daemon needs root; run: sudo npm start");
  const version = run("version", "--format", "{{.Server.Version}}");
  say(`the engine is up: gantryd ${version}`);

  const folder = mkdtempSync(join(tmpdir(), "gantry-start-"));
  try {
    const archive = join(folder, "busybox.tar");
    await makeBusyboxArchive(archive);
    say(run("load", "--input", archive));
  } finally {
    rmSync(folder, { recursive: true });
  }

  const port = await freePort();
  spawnSync(gantry, ["rm", "--force", "hello"], { stdio: "ignore" });
  const serve = `mkdir /www && echo '${PAGE}' > /www/index.html && exec httpd -f -h /www`;
  const id = run(
    "run",
    "--detach",
    "--name",
    "hello",
    "--publish",
    `127.0.0.1:${port}:80`,
    "busybox",
    "sh",
    "-c",
    serve,
  );
  say(`container hello runs: ${id.slice(0, 12)}`);

  const url = `http://127.0.0.1:${port}/`;
  const page = await fetchSoon(url);
  if (page !== PAGE) throw new Error(`${url} answered ${JSON.stringify(page)}`);
  say(`${url} answers: ${page}`);

  console.log(`
What to type next:
  bin/gantry ps                               what runs
  bin/gantry run --rm -it busybox sh          a shell in a container of your own
  bin/gantry logs hello; bin/gantry rm -f hello
  export DOCKER_HOST=unix:///run/gantry/gantry.sock    and use the docker CLI, Compose, your tests as ever`);
}

function run(...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(gantry, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`gantry ${args.join(" ")} ended with ${status ?? error?.message}\n${stderr}`);
  return stdout.trim();
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

/** The server inside needs a moment to listen. */
async function fetchSoon(url: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await (await fetch(url)).text()).trim();
    } catch (error) {
      if (attempt === 50) throw new Error(`${url} does not answer`, { cause: error });
      await sleep(100);
    }
  }
}

function say(text: string): void {
  console.log(`✔ ${text}`);
}

try {
  await main();
} catch (error) {
  console.error(`gantry: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
