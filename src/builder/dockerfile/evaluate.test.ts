import assert from "node:assert/strict";
import { test } from "node:test";
import type { ImageRunConfig } from "../../oci/types.ts";
import { DEFAULT_PATH } from "./environment.ts";
import type { DockerfileError } from "./errors.ts";
import { evaluate } from "./evaluate.ts";
import { parseDockerfile } from "./parse.ts";
import type { BaseState, BuildOptions, Evaluation, StageScope, Step } from "./plan.ts";
import { planBuild } from "./plan-build.ts";
import { beginStage } from "./scope.ts";

interface Setup extends BuildOptions {
  readonly base?: ImageRunConfig;
}

/** All steps of the target, stages it is based on before it. */
function run(
  text: string,
  { base = {}, ...options }: Setup = {},
): { steps: Step[]; scope: StageScope; last: Evaluation } {
  const plan = planBuild(parseDockerfile(text), options);
  let state: BaseState = { config: base };
  const evaluations: Evaluation[] = [];
  let scope: StageScope | undefined;
  for (const index of plan.order) {
    const stage = plan.stages[index];
    assert.ok(stage);
    const start = beginStage(plan, stage, stage.base.kind === "stage" ? state : { config: base });
    scope = start.scope;
    for (const instruction of [...start.triggers, ...stage.instructions]) {
      const evaluation: Evaluation = evaluate(scope, instruction);
      evaluations.push(evaluation);
      scope = evaluation.scope;
    }
    state = scope;
  }
  const last = evaluations.at(-1);
  assert.ok(scope && last);
  return { steps: evaluations.map(({ step }) => step), scope, last };
}

/** The step of the last line. */
function step<Kind extends Step["kind"]>(kind: Kind, text: string, setup?: Setup): Extract<Step, { kind: Kind }> {
  const last = run(`FROM a\n${text}`, setup).steps.at(-1);
  assert.equal(last?.kind, kind);
  return last as Extract<Step, { kind: Kind }>;
}

const transfer = (text: string, setup?: Setup) => {
  const last = run(`FROM a AS s\nFROM b\n${text}`, setup).steps.at(-1);
  assert.ok(last?.kind === "COPY" || last?.kind === "ADD");
  return last;
};

function refused(text: string, [line, column, message]: [number, number, string], setup?: Setup) {
  assert.throws(
    () => run(text, setup),
    (error: DockerfileError) => {
      assert.deepEqual([error.kind, error.line, error.column, error.message], ["invalid", line, column, message]);
      return true;
    },
  );
}

test("the values within an instruction are those from before it", () => {
  const { scope } = run("FROM a\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc");
  assert.deepEqual(scope.config.Env, [`PATH=${DEFAULT_PATH}`, "abc=bye", "def=hello", "ghi=bye"]);
});

test("the base's variables count, and ENV changes them in their place", () => {
  const { scope } = run("FROM a\nENV PATH=/x:$PATH B=2", { base: { Env: ["PATH=/bin", "A=1"] } });
  assert.deepEqual(scope.config.Env, ["PATH=/x:/bin", "A=1", "B=2"]);
});

test("an ARG: build argument, default, global value; declared but not set is empty", () => {
  const { steps } = run("ARG G=global\nARG H=global\nFROM a\nARG G H=own I=$H J K", {
    buildArgs: { I: "given", X: "1" },
  });
  const [arg] = steps;
  assert.ok(arg?.kind === "ARG");
  assert.deepEqual(
    arg.args.map(({ name, value }) => [name, value]),
    [
      ["G", "global"],
      ["H", "own"],
      ["I", "given"],
      ["J", undefined],
      ["K", undefined],
    ],
  );
});

test("a variable is known from its ARG on", () => {
  const { steps } = run("FROM a\nUSER ${u:-some}\nARG u\nUSER $u", { buildArgs: { u: "what" } });
  assert.deepEqual(
    steps.map((each) => each.kind === "USER" && each.user),
    ["some", false, "what"],
  );
});

test("ENV goes before ARG, in RUN as in words", () => {
  const setup = { buildArgs: { V: "arg" } };
  const { env, buildArgs } = step("RUN", "ARG V W=w\nENV V=env\nRUN x", setup);
  assert.deepEqual([env.slice(1), buildArgs], [["V=env", "W=w"], ["W=w"]]);
  assert.deepEqual(step("USER", "ENV V=env\nARG V\nUSER $V", setup).user, "env");
});

test("stages based on a stage have its ARGs and ENVs, others do not", () => {
  const text = "FROM a AS one\nARG A=1\nENV B=2\nFROM one\nUSER $A$B";
  assert.deepEqual(run(text).scope.config.User, "12");
  assert.deepEqual(run(text.replace("FROM one", "FROM a")).scope.config.User, "");
});

test("proxies reach RUN without an ARG, but are no part of what it is", () => {
  const setup = { buildArgs: { HTTP_PROXY: "p", no_proxy: "n", OTHER: "o" } };
  const { env, buildArgs, proxyEnv } = step("RUN", "ARG no_proxy\nRUN x", setup);
  assert.deepEqual([env.slice(1), buildArgs, proxyEnv], [["no_proxy=n"], ["no_proxy=n"], ["HTTP_PROXY=p"]]);
});

test("the shell form is run by the stage's shell, the exec form by nobody", () => {
  assert.deepEqual(step("RUN", "RUN echo $X").args, ["/bin/sh", "-c", "echo $X"]);
  assert.deepEqual(step("RUN", 'RUN ["echo", "$X"]').args, ["echo", "$X"]);
  assert.deepEqual(step("CMD", 'SHELL ["/bin/bash", "-ec"]\nCMD x y').args, ["/bin/bash", "-ec", "x y"]);
  assert.deepEqual(step("ENTRYPOINT", "ENTRYPOINT x", { base: { Shell: ["/s"] } }).args, ["/s", "x"]);
});

test("an ENTRYPOINT drops the base's CMD, not the stage's", () => {
  const base = { Cmd: ["base"] };
  assert.equal(run('FROM a\nENTRYPOINT ["e"]', { base }).scope.config.Cmd, undefined);
  assert.deepEqual(run('FROM a\nCMD ["c"]\nENTRYPOINT ["e"]', { base }).scope.config.Cmd, ["c"]);
  assert.equal(run("FROM a\nENTRYPOINT []", { base: { Entrypoint: ["e"] } }).scope.config.Entrypoint, undefined);
});

test("heredocs of RUN: alone, as a script, or as the shell's own", () => {
  assert.deepEqual(step("RUN", "RUN <<-E\n\ta $X\nE").args, ["/bin/sh", "-c", "a $X\n"]);
  const script = step("RUN", "RUN <<E\n#!/usr/bin/env python\nprint(1)\nE");
  assert.deepEqual(script.args, ["/bin/sh", "-c", "/dev/pipes/E"]);
  assert.deepEqual(script.script, { path: "/dev/pipes/E", content: "#!/usr/bin/env python\nprint(1)\n", mode: 0o755 });
  assert.deepEqual(step("RUN", "RUN cat <<A 3<<-B\n1\nA\n\t2\n\tB").args, [
    "/bin/sh",
    "-c",
    "cat <<A 3<<-B\n1\nA\n\t2\nB",
  ]);
});

test("mounts have the reference's defaults, and take variables", () => {
  const flags = [
    "--mount=target=.,source=x/..",
    "--mount=type=cache,target=c$N,uid=$N,mode=0700,sharing=locked",
    "--mount=type=tmpfs,dst=/t,size=1m",
    "--mount=type=secret,id=k",
    "--mount=type=secret,id=k,env=K",
    "--mount=type=ssh",
    "--mount=type=ssh,id=b,required",
  ];
  const { mounts } = step("RUN", `WORKDIR /w\nARG N=5\nRUN ${flags.join(" ")} x`);
  assert.deepEqual(mounts, [
    { type: "bind", target: "/w", from: undefined, source: "/", writable: false },
    {
      type: "cache",
      target: "/w/c5",
      id: "c5",
      from: undefined,
      source: "/",
      writable: true,
      sharing: "locked",
      mode: 0o700,
      uid: 5,
      gid: 0,
    },
    { type: "tmpfs", target: "/t", size: 1024 * 1024 },
    { type: "secret", id: "k", target: "/run/secrets/k", env: undefined, required: false, mode: 0o400, uid: 0, gid: 0 },
    { type: "secret", id: "k", target: undefined, env: "K", required: false, mode: 0o400, uid: 0, gid: 0 },
    { type: "ssh", id: "default", target: "/run/buildkit/ssh_agent.0", required: false, mode: 0o600, uid: 0, gid: 0 },
    { type: "ssh", id: "b", target: "/run/buildkit/ssh_agent.1", required: true, mode: 0o600, uid: 0, gid: 0 },
  ]);
});

test("sources stay inside what they are copied from; a slash makes the destination a folder", () => {
  const copy = transfer("WORKDIR /w\nCOPY --from=s ../../a/ ./b/*.txt / d/");
  assert.deepEqual(
    copy.sources.map((source) => source.kind === "path" && source.path),
    ["a", "b/*.txt", "."],
  );
  assert.deepEqual([copy.from, copy.destination], [{ kind: "stage", index: 0 }, "/w/d/"]);
  assert.deepEqual(
    ["x", ".", "./", "/x/.", "", "/"].map((to) => transfer(`WORKDIR /w\nCOPY ["a", "${to}"]`).destination),
    ["/w/x", "/w/", "/w/", "/x/", "/w/", "/"],
  );
});

test("--parents keeps the folders after the pivot", () => {
  const { sources } = transfer("COPY --parents x/./y/*.c ./z /d/");
  assert.deepEqual(
    sources.map((source) => source.kind === "path" && [source.path, source.pivot]),
    [
      ["x/y/*.c", "x"],
      ["z", "."],
    ],
  );
});

test("variables in all of COPY's words; heredocs expand unless quoted", () => {
  const copy = transfer(
    "ARG A=a M=755\nCOPY --chown=$A:$A --chmod=$M --exclude=$A.md $A <<E <<'F' /$A/\n$A \"q\" \\$A\nE\n$A\nF",
  );
  assert.deepEqual([copy.chown, copy.chmod, copy.excludes, copy.destination], ["a:a", "755", ["a.md"], "/a/"]);
  assert.deepEqual(
    copy.sources.map((source) => (source.kind === "inline" ? source.content : source.text)),
    ["a", 'a "q" $A\n', "$A\n"],
  );
});

test("ADD knows URLs and Git from paths", () => {
  const sources = (text: string) => transfer(`ADD ${text} /d/`).sources.map(({ kind }) => kind);
  assert.deepEqual(
    sources("https://h/x.tgz git@h:a/b.git https://h/r.git#v1:docs ssh://git@h/r git://h/r x.git ./a@b:c"),
    ["url", "git", "git", "git", "git", "path", "path"],
  );
  const [git] = transfer("ADD --keep-git-dir https://h/r.git#v1:/docs/ /d").sources;
  assert.deepEqual(git?.kind === "git" && git.git, { remote: "https://h/r.git", ref: "v1", subdir: "docs" });
});

test("EXPOSE takes words from variables, ranges and protocols", () => {
  const { ports, texts } = step("EXPOSE", 'ENV P="443 80"\nEXPOSE $P 53/UDP 8000-8001 127.0.0.1:90:90 80');
  assert.deepEqual(ports, ["443/tcp", "80/tcp", "53/udp", "8000/tcp", "8001/tcp", "90/tcp"]);
  assert.deepEqual(texts, ["127.0.0.1:90:90", "443", "53/UDP", "80", "80", "8000-8001"]);
});

test("WORKDIR goes on from the one before", () => {
  assert.equal(run("FROM a\nWORKDIR /a\nWORKDIR b\nWORKDIR ../c/").scope.config.WorkingDir, "/a/c");
  assert.equal(run("FROM a\nENV D=/p\nWORKDIR $D/$E").scope.config.WorkingDir, "/p");
});

test("the other instructions change the configuration", () => {
  const { scope } = run(
    'FROM a\nLABEL a=1 "b c"=$X\nVOLUME /v $Y\nSTOPSIGNAL SIGINT\nHEALTHCHECK --retries=2 CMD x\nONBUILD RUN y\nMAINTAINER Me',
    { base: { Labels: { a: "0", z: "9" }, Env: ["PATH=/", "X=x", "Y=/y"] } },
  );
  assert.deepEqual(scope.config, {
    Env: ["PATH=/", "X=x", "Y=/y"],
    Labels: { a: "1", z: "9", "b c": "x" },
    Volumes: { "/v": {}, "/y": {} },
    StopSignal: "SIGINT",
    Healthcheck: { Test: ["CMD-SHELL", "x"], Retries: 2 },
    OnBuild: ["RUN y"],
  });
  assert.equal(scope.author, "Me");
});

test("triggers of the base come first, are at the FROM, and are not inherited", () => {
  const base = { OnBuild: ["COPY --from=tool /x /y", "RUN <<E\nmake\nE"] };
  const plan = planBuild(parseDockerfile("FROM t AS tool\n\nFROM base\nUSER x"));
  const [, stage] = plan.stages;
  assert.ok(stage);
  const { scope, triggers, needs } = beginStage(plan, stage, { config: base });
  assert.deepEqual([triggers.map(({ kind }) => kind), needs, scope.config.OnBuild], [["COPY", "RUN"], [0], undefined]);
  assert.deepEqual(triggers[1]?.range, stage.from.range);
  assert.deepEqual(evaluate(scope, triggers[1] ?? assert.fail()).step.kind, "RUN");
});

test("triggers that are none are refused at the FROM", () => {
  const base = (trigger: string) => ({ base: { OnBuild: [trigger] } });
  refused(
    "\nFROM b\nUSER x",
    [2, 1, 'ONBUILD trigger "FRM x": unknown instruction: FRM (did you mean FROM?)'],
    base("FRM x"),
  );
  refused(
    "FROM b\nUSER x",
    [1, 1, 'ONBUILD trigger "FROM x": FROM isn\'t allowed as an ONBUILD trigger'],
    base("FROM x"),
  );
  refused(
    "FROM b\nUSER x",
    [1, 1, 'ONBUILD trigger "ONBUILD RUN x": Chaining ONBUILD via `ONBUILD ONBUILD` isn\'t allowed'],
    base("ONBUILD RUN x"),
  );
  refused(
    "FROM b\nUSER x",
    [1, 1, 'cannot copy from stage "stage-0", it needs to be defined before current stage "stage-0"'],
    base("COPY --from=0 a b"),
  );
  refused(
    "FROM b\nUSER x",
    [1, 1, 'ONBUILD trigger "RUN a\\nRUN b": onbuild trigger should be a single expression'],
    base("RUN a\nRUN b"),
  );
});

test("what only shows with values is refused with its place", () => {
  refused("FROM a\nARG X\nUSER a ${X:?who}", [3, 6, 'failed to process "a ${X:?who}": X: who']);
  refused("FROM a\nSTOPSIGNAL SIGFOO", [2, 12, "invalid signal: SIGFOO"]);
  refused("FROM a\nEXPOSE 80 99999", [2, 11, "invalid containerPort: 99999"]);
  refused("FROM a\nEXPOSE 80/icmp", [2, 8, "invalid proto: icmp"]);
  refused("FROM a\nARG M=9\nCOPY --chmod=$M a b", [
    3,
    14,
    "invalid chmod parameter: '9'. it should be octal string and between 0 and 07777",
  ]);
  refused("FROM a\nCOPY https://x/y z", [2, 6, "source can't be a URL for COPY"]);
  refused("FROM a\nCOPY git@h:x/y.git z", [2, 6, "source can't be a git ref for COPY"]);
  refused("FROM a\nADD --checksum=sha256:x a b", [2, 16, "checksum requires HTTP(S) or Git sources"]);
  refused("FROM a\nRUN --mount=type=cache,target=/ x", [2, 13, 'invalid mount target "/"']);
  refused("FROM a\nARG T=bnd\nRUN --mount=type=$T,target=/x y", [
    3,
    13,
    'unsupported mount type "bnd" (did you mean bind?)',
  ]);
});

test("unset variables are told unless they were declared or have a default", () => {
  assert.deepEqual(run("FROM a\nARG D\nUSER $A${B:-x}$D").last.unset, ["A"]);
  assert.deepEqual(run("FROM a\nRUN echo $A").last.unset, []);
});
