import assert from "node:assert/strict";
import { test } from "node:test";
import { evaluate } from "./evaluate.ts";
import { goDuration, historyLine } from "./history.ts";
import { parseDockerfile } from "./parse.ts";
import type { StageScope, Step } from "./plan.ts";
import { planBuild } from "./plan-build.ts";
import { beginStage } from "./scope.ts";

/** instruction, classic, buildkit */
const LINES: readonly (readonly [string, string, string])[] = [
  ['CMD ["a", "b c"]', '/bin/sh -c #(nop)  CMD ["a" "b c"]', 'CMD ["a" "b c"]'],
  ["CMD a", '/bin/sh -c #(nop)  CMD ["/bin/sh" "-c" "a"]', 'CMD ["/bin/sh" "-c" "a"]'],
  ["ENTRYPOINT []", "/bin/sh -c #(nop)  ENTRYPOINT []", "ENTRYPOINT []"],
  ["ENV A=1 B='2 3'", "/bin/sh -c #(nop)  ENV A=1 B=2 3", "ENV A=1 B=2 3"],
  ["LABEL a=$V", "/bin/sh -c #(nop)  LABEL a=2", "LABEL a=2"],
  ["ARG W=5 X", "/bin/sh -c #(nop)  ARG W=5 X", "ARG W=6 X"],
  ["EXPOSE 80 443/udp", "/bin/sh -c #(nop)  EXPOSE 443/udp 80", "EXPOSE map[443/udp:{} 80/tcp:{}]"],
  ["WORKDIR x", "/bin/sh -c #(nop) WORKDIR /x", "WORKDIR /x"],
  ["USER $V:g", "/bin/sh -c #(nop)  USER 2:g", "USER 2:g"],
  ['VOLUME ["/a", "/b"]', "/bin/sh -c #(nop)  VOLUME [/a /b]", "VOLUME [/a /b]"],
  ["STOPSIGNAL SIGQUIT", "/bin/sh -c #(nop)  STOPSIGNAL SIGQUIT", "STOPSIGNAL SIGQUIT"],
  ['SHELL ["/bin/bash", "-c"]', "/bin/bash -c #(nop)  SHELL [/bin/bash -c]", "SHELL [/bin/bash -c]"],
  ["MAINTAINER Me", "/bin/sh -c #(nop)  MAINTAINER Me", "MAINTAINER Me"],
  ["ONBUILD RUN x", "/bin/sh -c #(nop)  ONBUILD RUN x", "ONBUILD RUN x"],
  [
    "HEALTHCHECK --interval=5m --timeout=3s --retries=3 CMD curl -f http://x || exit 1",
    '/bin/sh -c #(nop)  HEALTHCHECK &{["CMD-SHELL" "curl -f http://x || exit 1"] "5m0s" "3s" "0s" "0s" \'\\x03\'}',
    'HEALTHCHECK &{["CMD-SHELL" "curl -f http://x || exit 1"] "5m0s" "3s" "0s" "0s" \'\\x03\'}',
  ],
  [
    "HEALTHCHECK NONE",
    '/bin/sh -c #(nop)  HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" \'\\x00\'}',
    'HEALTHCHECK &{["NONE"] "0s" "0s" "0s" "0s" \'\\x00\'}',
  ],
  ["RUN make", "|1 V=2 /bin/sh -c make", "RUN |1 V=2 /bin/sh -c make # buildkit"],
  ['RUN ["make", "all"]', "|1 V=2 make all", "RUN |1 V=2 make all # buildkit"],
  ["COPY a b /c/", "/bin/sh -c #(nop) COPY multi:ab in /c/ ", "COPY a b /c/ # buildkit"],
  [
    "COPY --chown=1 --chmod=755 --link a .",
    "/bin/sh -c #(nop) COPY --chown=1 multi:ab in . ",
    "COPY --chown=1 --chmod=755 a . # buildkit",
  ],
  ["ADD https://x/y /", "/bin/sh -c #(nop) ADD multi:ab in / ", "ADD https://x/y / # buildkit"],
];

function last(instruction: string): { step: Step; scope: StageScope } {
  const plan = planBuild(parseDockerfile(`FROM a\nARG V=2\n${instruction}`), { buildArgs: { W: "6" } });
  let { scope } = beginStage(plan, plan.target);
  let step: Step | undefined;
  for (const each of plan.target.instructions) ({ step, scope } = evaluate(scope, each));
  assert.ok(step);
  return { step, scope };
}

for (const [instruction, classic, buildkit] of LINES)
  test(instruction, () => {
    const { step, scope } = last(instruction);
    assert.equal(historyLine(step, { style: "classic", scope, content: "multi:ab" }), classic);
    assert.equal(historyLine(step, { style: "buildkit", scope }), buildkit);
  });

test("a step without arguments has no bar", () => {
  const plan = planBuild(parseDockerfile("FROM a\nRUN x"));
  const { scope } = beginStage(plan, plan.target);
  const [run] = plan.target.instructions;
  assert.ok(run);
  assert.equal(historyLine(evaluate(scope, run).step, { style: "classic", scope }), "/bin/sh -c x");
});

test("durations as Go writes them", () => {
  const times = [0, 1, 1500, 3e8, 1e9, 1.5e9, 6e10, 9e10, 3.6e12, 5.4e12 + 1e9];
  assert.deepEqual(times.map(goDuration), [
    "0s",
    "1ns",
    "1.5µs",
    "300ms",
    "1s",
    "1.5s",
    "1m0s",
    "1m30s",
    "1h0m0s",
    "1h30m1s",
  ]);
});
