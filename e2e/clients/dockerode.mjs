// The main operations by dockerode, as programs use it. Plain JavaScript: dockerode is not among the project's packages.
// Usage: node dockerode.mjs FOLDER-OF-DOCKERODE SOCKET. Prints one JSON object of what it saw.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";

const [folder, socketPath] = process.argv.slice(2);
const Docker = createRequire(`${folder}/`)("dockerode");
const tar = createRequire(`${folder}/node_modules/tar-fs/`)("tar-stream");
const docker = new Docker({ socketPath });
const seen = {};

/** Both streams of a framed one, as text. */
function collect(stream, { modem } = docker) {
  const [out, err] = [new PassThrough(), new PassThrough()];
  const text = { out: "", err: "" };
  out.on("data", (bytes) => (text.out += bytes));
  err.on("data", (bytes) => (text.err += bytes));
  modem.demuxStream(stream, out, err);
  return text;
}
const ended = (stream) => new Promise((resolve) => stream.once("end", resolve).once("close", resolve));
async function bytesOf(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// The engine.
assert.equal(String(await docker.ping()), "OK");
seen.version = (await docker.version()).ApiVersion;
seen.driver = (await docker.info()).Driver;
const events = await docker.getEvents({ filters: JSON.stringify({ type: ["container"] }) });
const told = [];
events.on("data", (line) => told.push(...String(line).trim().split("\n").map((text) => JSON.parse(text).Action)));

// A run in one call.
const output = new PassThrough();
let shown = "";
output.on("data", (bytes) => (shown += bytes));
const [{ StatusCode }, ran] = await docker.run("busybox", ["sh", "-c", "echo $GREETING; exit 3"], output, {
  Env: ["GREETING=hello"],
  Tty: true,
});
seen.run = [StatusCode, shown.trim()];
await ran.remove();

// A container's life.
const container = await docker.createContainer({
  name: "lived",
  Image: "busybox",
  Cmd: ["sh", "-c", "echo out; echo err >&2; while read x; do echo got $x; done; sleep 100"],
  OpenStdin: true,
  AttachStdin: true,
  Labels: { by: "dockerode" },
  HostConfig: { Binds: ["kept:/kept"], NetworkMode: "bridge", PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1" }] } },
  ExposedPorts: { "80/tcp": {} },
});
const attached = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
const live = collect(attached);
await container.start();
attached.write("one\n");
while (!live.out.includes("got one")) await sleep(10);
seen.attached = live.err;
const { State, NetworkSettings, Config } = await container.inspect();
seen.inspect = [State.Running, Config.Labels.by, NetworkSettings.Ports["80/tcp"]?.[0]?.HostIp];
seen.listed = (await docker.listContainers({ filters: { label: ["by=dockerode"] } })).map(({ Names }) => Names[0]);
const logs = await container.logs({ stdout: true, stderr: true, tail: 2 });
seen.logs = logs.toString("latin1").includes("got one");
const followed = await container.logs({ stdout: true, stderr: true, follow: true });
const following = collect(followed);
attached.write("two\n");
while (!following.out.includes("got two")) await sleep(10);

// Execs.
const exec = await container.exec({ Cmd: ["sh", "-c", "cat; echo done >&2; exit 5"], AttachStdin: true, AttachStdout: true, AttachStderr: true });
const execStream = await exec.start({ hijack: true, stdin: true });
const executed = collect(execStream);
execStream.end("through\n");
await ended(execStream);
seen.exec = [executed.out, executed.err, (await exec.inspect()).ExitCode];

// Looking in.
seen.top = (await container.top()).Titles.includes("PID");
seen.stats = (await container.stats({ stream: false })).pids_stats.current >= 1;
await container.pause();
seen.paused = (await container.inspect()).State.Status;
await container.unpause();
await container.update({ CpuShares: 512, RestartPolicy: { Name: "on-failure", MaximumRetryCount: 2 } });
await container.rename({ name: "renamed" });
seen.renamed = (await docker.getContainer("renamed").inspect()).HostConfig.RestartPolicy;

// Files.
const pack = tar.pack();
pack.entry({ name: "carried" }, "in a tar");
pack.finalize();
await container.putArchive(pack, { path: "/kept" });
const extract = tar.extract();
const files = {};
extract.on("entry", async (header, stream, next) => {
  files[header.name] = String(await bytesOf(stream));
  next();
});
(await container.getArchive({ path: "/kept/carried" })).pipe(extract);
await new Promise((resolve) => extract.once("finish", resolve));
seen.files = files;
seen.changes = (await container.changes()).some(({ Path }) => Path === "/kept");
seen.exported = (await bytesOf(await container.export())).length > 100_000;

// The end, told to who waits.
const waiting = container.wait({ condition: "next-exit" });
await container.kill({ signal: "SIGKILL" });
seen.waited = (await waiting).StatusCode;
await assert.rejects(container.kill(), ({ statusCode }) => statusCode === 409);
await container.start();
await container.restart({ t: 0 });
await container.stop({ t: 0 });
await assert.rejects(container.stop(), ({ statusCode }) => statusCode === 304);

// Images.
const { Id } = await container.commit({ repo: "snapped", tag: "1", comment: "by dockerode" });
const image = docker.getImage("snapped:1");
seen.committed = [Id === (await image.inspect()).Id, (await image.history())[0].Comment];
await image.tag({ repo: "again", tag: "2" });
seen.tags = (await docker.listImages({ filters: { reference: ["again"] } })).map(({ RepoTags }) => RepoTags.sort());
const saved = await bytesOf(await docker.getImage("again:2").get());
await docker.getImage("again:2").remove();
await bytesOf(await docker.loadImage(PassThrough.from(saved)));
seen.loaded = (await docker.getImage("again:2").inspect()).Id === Id;
await container.remove({ v: true });
await assert.rejects(container.inspect(), ({ statusCode }) => statusCode === 404);
for (const name of ["snapped:1", "again:2"]) await docker.getImage(name).remove();

// Networks and volumes.
const network = await docker.createNetwork({ Name: "net", Driver: "bridge", Labels: { by: "dockerode" } });
const other = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "100"] });
await other.start();
await network.connect({ Container: other.id, EndpointConfig: { Aliases: ["friend"] } });
seen.connected = Object.keys((await network.inspect()).Containers)[0] === other.id;
await network.disconnect({ Container: other.id });
await other.remove({ force: true });
await network.remove();
await docker.createVolume({ Name: "made", Labels: { by: "dockerode" } });
seen.volumes = (await docker.listVolumes({ filters: { label: ["by=dockerode"] } })).Volumes.map(({ Name }) => Name);
await docker.getVolume("made").remove();
seen.pruned = Array.isArray((await docker.pruneVolumes()).VolumesDeleted ?? []);
events.destroy();
const kinds = new Set(told.map((action) => action.split(":")[0]));
seen.told = ["create", "attach", "start", "exec_start", "pause", "die", "destroy"].filter((action) => !kinds.has(action));
process.stdout.write(JSON.stringify(seen));
