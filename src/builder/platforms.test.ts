/** Images for other platforms than this machine's. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { canRunArchitecture } from "../kernel/binfmt.ts";
import { HOST_PLATFORM } from "../oci/platform.ts";
import { build, makeContext } from "../testing/build-harness.ts";
import { startEngine } from "../testing/engine-harness.ts";

const FOREIGN = { os: "linux", architecture: HOST_PLATFORM.architecture === "s390x" ? "riscv64" : "s390x" };

test("one image for each platform, under one index, with what each was told", async (t) => {
  const { engine } = await startEngine(t);
  const root = makeContext(t, { f: "f" });
  const dockerfile = `FROM --platform=$BUILDPLATFORM busybox AS made
ARG TARGETARCH
RUN echo "for $TARGETARCH" | tee /made
FROM scratch
COPY --from=made /made /made
COPY f /f
`;
  const platforms = [HOST_PLATFORM, FOREIGN];
  const run = await build(engine, dockerfile, { context: { root }, platforms, tags: ["both"] });
  assert.deepEqual(
    run.output.split("\n").filter(Boolean).sort(),
    [`for ${FOREIGN.architecture}`, `for ${HOST_PLATFORM.architecture}`].sort(),
  );
  assert.deepEqual(
    run.images.map(({ config }) => config.architecture),
    [HOST_PLATFORM.architecture, FOREIGN.architecture],
  );
  const target = engine.images.target("both");
  assert.match(target.descriptor.mediaType, /index/);
  assert.equal(target.parts.filter(({ available }) => available).length, 2);
  assert.equal(engine.images.get("both").config.architecture, HOST_PLATFORM.architecture);
  assert.equal(engine.images.get("both", FOREIGN).config.architecture, FOREIGN.architecture);
});

test("a command of another architecture needs an emulator", {
  skip: canRunArchitecture(FOREIGN.architecture, HOST_PLATFORM.architecture),
}, async (t) => {
  const { engine } = await startEngine(t);
  const dockerfile = "FROM scratch\nRUN true\n";
  await assert.rejects(build(engine, dockerfile, { platforms: [FOREIGN] }), {
    kind: "invalid",
    message: new RegExp(`RUN steps for linux/${FOREIGN.architecture} cannot run on this machine`),
    hint: /binfmt_misc/,
  });
});
