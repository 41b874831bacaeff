import { createReadStream } from "node:fs";
import { createEngine } from "gantry";

const [archive = "busybox.tar", root = "/var/lib/gantry-example"] = process.argv.slice(2);

// One engine per data root. Leaving the block lets go of it; running containers would go on.
await using engine = await createEngine({ dataRoot: root, execRoot: `${root}/run` });

await engine.images.load(createReadStream(archive), { onProgress: ({ stream }) => process.stdout.write(stream ?? "") });

const { Id } = await engine.containers.create("example", {
  Image: "busybox",
  Cmd: ["sh", "-c", "echo hello from $(hostname); exit 3"],
  Hostname: "inside",
  HostConfig: { NetworkMode: "none", Memory: 64 << 20 },
});
try {
  // Ask for the exit before the start: a short process may be over before the next line.
  const { result } = await engine.containers.wait(Id, "next-exit");
  await engine.containers.start(Id);
  const { StatusCode } = await result;

  const { chunks } = await engine.containers.logs(Id, {
    stdout: true,
    stderr: true,
    timestamps: false,
    follow: false,
    details: false,
  });
  // Without a terminal each chunk holds frames: an 8-byte header (stream, length) and the bytes.
  for await (const chunk of chunks) process.stdout.write(chunk.subarray(8));
  console.log(`exit code ${StatusCode}`);
} finally {
  await engine.containers.remove(Id, { force: true, volumes: true, link: false });
}
