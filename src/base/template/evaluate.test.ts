import assert from "node:assert/strict";
import { test } from "node:test";
import { compileTemplate } from "./evaluate.ts";

const DATA = { State: { Status: "running", Code: 3 }, Labels: { b: "2", a: "1" }, Ports: ["80", "81"], Empty: {} };
const run = (source: string) => compileTemplate(source).run(DATA, { missingKey: "error" });

test("fields, functions, pipes and comparisons", () => {
  assert.equal(
    run('{{.State.Status}} {{index .Labels "a"}} {{len .Ports}} {{.State.Status | upper}}'),
    "running 1 2 RUNNING",
  );
  assert.equal(run("{{if and (eq .State.Code 3) (not .Empty)}}yes{{else}}no{{end}}"), "yes");
  assert.equal(
    run('{{json .Labels}} {{printf "%-4s|%03d" .State.Status .State.Code}}'),
    '{"a":"1","b":"2"} running|003',
  );
});

test("maps are walked in the order of their keys", () => {
  assert.equal(run("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}"), "a=1;b=2;");
  assert.equal(run("{{range $i, $p := .Ports}}{{if $i}},{{end}}{{$p}}{{end}}"), "80,81");
});

test("what is missing or malformed is told where it is", () => {
  assert.throws(() => run("{{.Nope}}"), /template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"/);
  assert.throws(() => run("{{.State"), /unclosed action/);
});
