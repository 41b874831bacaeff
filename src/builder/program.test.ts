/** Images made by programs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { build as buildText, makeContext } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";
import { BuildError } from "./errors.ts";
import { bind, build, folder, from, image, scratch, secret, tmpfs } from "./program/index.ts";

test("a program and the Dockerfile that says the same share steps and give the same image", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, { a: "a" });
  const text = `FROM busybox
WORKDIR /w
ENV A=1 B="two words"
COPY a .
RUN echo "$A" > out
USER 7
EXPOSE 80/tcp
VOLUME /v
LABEL x=y
STOPSIGNAL SIGINT
ENTRYPOINT ["sh"]
CMD ["-c", "true"]
`;
  const written = await buildText(engine, text, { context: { root } });
  const stage = from("busybox")
    .workdir("/w")
    .env({ A: "1", B: "two words" })
    .copy(folder(root), "a", ".")
    .run('echo "$A" > out')
    .user("7")
    .expose("80/tcp")
    .volume("/v")
    .label({ x: "y" })
    .stopSignal("SIGINT")
    .entrypoint("sh")
    .cmd("-c", "true");
  const cached: boolean[] = [];
  const programmed = await build(engine, stage, {
    onProgress: (event) => {
      if (event.type === "vertex" && event.vertex.completedAt !== undefined && event.vertex.step !== undefined)
        if (!event.vertex.step.text.startsWith("FROM")) cached.push(event.vertex.cached === true);
    },
  });
  assert.deepEqual(new Set(cached), new Set([true]));
  assert.equal(programmed.images[0]?.id, written.images[0]?.id);
});

test("texts mean themselves, whatever is in them", async (t) => {
  const { engine } = await startEngine(t);
  const odd = `$HOME "it's" \\ \${X:-y} 'q' #\nsecond line\t*`;
  const stage = from("busybox")
    .env({ ODD: odd })
    .file("/odd $name", odd)
    .workdir("/a $b")
    .run(["sh", "-c", '[ "$ODD" = "$(cat "/odd \\$name")" ] && pwd']);
  const output: string[] = [];
  const { images } = await build(engine, stage, {
    onProgress: (event) => {
      if (event.type === "log") output.push(event.data.toString());
    },
  });
  assert.equal(output[0], "/a $b\n");
  assert.ok(images[0]?.config.config?.Env?.includes(`ODD=${odd}`));
});

test("stages are shared, others left alone; mounts and sources are what they say", async (t) => {
  const { engine } = await startEngine(t);
  const made = from("busybox").run("echo made > /made").named("made");
  from("busybox").run("false");
  const a = from(made).run("cat /made > /a");
  const b = from("busybox").run("cat /x/made > /b; [ $S = secret ]; df /t | tail -1 | grep -q tmpfs", {
    mounts: [bind(made, "/x"), secret("secret", { env: "S" }), tmpfs("/t")],
    network: "none",
  });
  const stage = scratch().copy(a, "/a", "/").copy(b, "/b", "/").copy(image("busybox"), "/bin/busybox", "/bin/");
  const seen: string[] = [];
  const { images } = await build(engine, stage, {
    onProgress: (event) => {
      if (event.type === "vertex" && event.vertex.completedAt !== undefined) seen.push(event.vertex.step?.text ?? "");
    },
  });
  assert.equal(seen.filter((text) => text.includes("echo made")).length, 1);
  assert.equal(images[0]?.layers.length, 3);
});

test("a step's failure shows the program's lines", async (t) => {
  const { engine } = await startEngine(t);
  const error: unknown = await build(engine, from("busybox").env({ A: "b" }).run("exit 4")).catch((reason) => reason);
  assert.ok(error instanceof BuildError);
  assert.equal(error.step.exitCode, 4);
  assert.match(
    error.step.excerpt,
    /^program:3\n-+\n {3}1 \| {5}FROM busybox\n {3}2 \| {5}ENV A=b\n {3}3 \| >>> RUN exit 4/,
  );
});
