import assert from "node:assert/strict";
import { test } from "node:test";
import { applyChanges } from "./changes.ts";

const CASES: readonly (readonly [changes: string[], expected: Record<string, unknown>])[] = [
  [['CMD ["a", "b"]'], { Cmd: ["a", "b"] }],
  [["cmd echo hi  there"], { Cmd: ["/bin/sh", "-c", "echo hi  there"] }],
  [["CMD [not json"], { Cmd: ["/bin/sh", "-c", "[not json"] }],
  [['SHELL ["/bin/ash", "-ec"]', "CMD x"], { Shell: ["/bin/ash", "-ec"], Cmd: ["/bin/ash", "-ec", "x"] }],
  [['ENTRYPOINT ["/e"]'], { Entrypoint: ["/e"] }],
  [["CMD x", 'ENTRYPOINT ["/e"]'], { Entrypoint: ["/e"], Cmd: ["/bin/sh", "-c", "x"] }],
  [["ENV A=1 B='two words' C=\"$D\""], { Env: ["P=/bin", "A=1", "B=two words", "C="] }],
  [["ENV A the rest of it"], { Env: ["P=/bin", "A=the rest of it"] }],
  [["ENV P=$P:/usr/bin"], { Env: ["P=/bin:/usr/bin"] }],
  [["ENV A=1", "ENV A=2 B=$A"], { Env: ["P=/bin", "A=2", "B=1"] }],
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the instruction's own variables
  [["ENV A=${X:-dflt} B=${P:+set} C=\\$P D='$P'"], { Env: ["P=/bin", "A=dflt", "B=set", "C=$P", "D=$P"] }],
  [
    ["EXPOSE 80 53/udp 8000-8001/TCP"],
    { ExposedPorts: { "80/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {} } },
  ],
  [['LABEL a=1 "b c"="d e"'], { Labels: { a: "1", "b c": "d e" } }],
  [["USER www:data"], { User: "www:data" }],
  [['VOLUME ["/a b", "/c"]'], { Volumes: { "/a b": {}, "/c": {} } }],
  [["VOLUME /a /b"], { Volumes: { "/a": {}, "/b": {} } }],
  [["WORKDIR /a", "WORKDIR b/../c"], { WorkingDir: "/a/c" }],
  [["WORKDIR x"], { WorkingDir: "/x" }],
  [["STOPSIGNAL SIGQUIT"], { StopSignal: "SIGQUIT" }],
  [["HEALTHCHECK NONE"], { Healthcheck: { Test: ["NONE"] } }],
  [
    ["HEALTHCHECK --interval=5s --retries=3 CMD curl -f x"],
    { Healthcheck: { Test: ["CMD-SHELL", "curl -f x"], Interval: 5e9, Retries: 3 } },
  ],
  [['HEALTHCHECK --start-period=1m30s CMD ["a"]'], { Healthcheck: { Test: ["CMD", "a"], StartPeriod: 9e10 } }],
  [["ONBUILD RUN make"], { OnBuild: ["RUN make"] }],
  [["CMD a\nUSER b"], { Cmd: ["/bin/sh", "-c", "a"], User: "b" }],
];

const BASE = { Env: ["P=/bin"] };

for (const [changes, expected] of CASES)
  test(`${changes.join("; ").replace("\n", "⏎")}`, () => {
    assert.deepEqual(applyChanges(BASE, changes), { ...BASE, ...expected });
  });

test("an ENTRYPOINT drops the command from before", () => {
  assert.deepEqual(applyChanges({ Cmd: ["old"] }, ["ENTRYPOINT x"]), { Entrypoint: ["/bin/sh", "-c", "x"] });
});

const REFUSED: readonly (readonly [change: string, message: RegExp])[] = [
  ["RUN x", /^RUN is not a valid change command$/],
  ["constructor x", /^CONSTRUCTOR is not a valid change command$/],
  ["CMD", /requires at least one argument/],
  ["ENV A", /must have two arguments/],
  ["ENV A=1 B", /can't find = in "B"/],
  ["ENV =1", /can not be blank/],
  ["EXPOSE x", /invalid containerPort: x/],
  ["EXPOSE 70000", /invalid containerPort/],
  ["EXPOSE 20-10", /invalid containerPort/],
  ["USER a b", /exactly one argument/],
  ["ONBUILD ONBUILD RUN x", /Chaining ONBUILD/],
  ["ONBUILD FROM x", /isn't allowed as an ONBUILD trigger/],
  ["HEALTHCHECK x", /Unknown type/],
  ["HEALTHCHECK --interval=x CMD a", /invalid value for --interval/],
  ["HEALTHCHECK --what=x CMD a", /unknown flag: --what/],
  ["HEALTHCHECK CMD", /Missing command/],
  ["SHELL bash", /JSON form/],
];

for (const [change, message] of REFUSED)
  test(`${change} is refused`, () => {
    assert.throws(() => applyChanges(BASE, [change]), { kind: "invalid", message });
  });
