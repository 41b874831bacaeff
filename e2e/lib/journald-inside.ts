/** Runs where /run is private: a daemon, a container that logs to the journal, and what the journal has of it. */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { startDaemon } from "../../src/testing/daemon.ts";
import { Cli } from "./cli.ts";

await using daemon = await startDaemon();
const cli = new Cli("gantry", daemon);
const log = ["--log-driver", "journald", "--log-opt", "labels=tier", "--log-opt", "tag={{.ImageName}}/{{.Name}}"];
const script = "echo out; echo err >&2";
await cli.ok("run", "--name", "journaled", "--label", "tier=front", ...log, "busybox", "sh", "-c", script);
const id = await cli.ok("inspect", "-f", "{{.Id}}", "journaled");
const inJournal = () => {
  const found = spawnSync("journalctl", ["-o", "json", "-D", "/run/log/journal", "CONTAINER_NAME=journaled"], {
    encoding: "utf8",
  });
  return found.stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as unknown);
};
while (inJournal().length < 2) await sleep(50);
const { out, err } = await cli.run("logs", "journaled");
process.stdout.write(`${JSON.stringify({ entries: inJournal(), id, readBack: `${out}\n${err}\n` })}\n`);
