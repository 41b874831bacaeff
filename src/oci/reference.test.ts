import assert from "node:assert/strict";
import { test } from "node:test";
import {
  familiarName,
  familiarRepository,
  idPrefix,
  normalisedName,
  parseImageName,
  parseReference,
  parseTagTarget,
  withDefaultTag,
} from "./reference.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;

const NAMES: readonly (readonly [text: string, normalised: string, familiar: string])[] = [
  ["busybox", "docker.io/library/busybox", "busybox"],
  ["busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"],
  ["library/busybox", "docker.io/library/busybox", "busybox"],
  ["docker.io/busybox", "docker.io/library/busybox", "busybox"],
  ["index.docker.io/busybox", "docker.io/library/busybox", "busybox"],
  ["docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x"],
  ["user/app", "docker.io/user/app", "user/app"],
  ["library/a/b", "docker.io/library/a/b", "library/a/b"],
  ["localhost/app", "localhost/app", "localhost/app"],
  ["localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"],
  ["example.com/a/b/c:T_a.g-1", "example.com/a/b/c:T_a.g-1", "example.com/a/b/c:T_a.g-1"],
  ["[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"],
  ["UPPER/app", "UPPER/app", "UPPER/app"],
  ["a.b/c__d.e-f--g", "a.b/c__d.e-f--g", "a.b/c__d.e-f--g"],
  [`busybox@${DIGEST}`, `docker.io/library/busybox@${DIGEST}`, `busybox@${DIGEST}`],
  [`busybox:1@${DIGEST}`, `docker.io/library/busybox:1@${DIGEST}`, `busybox:1@${DIGEST}`],
  ["sha256:abc", "docker.io/library/sha256:abc", "sha256:abc"],
];

for (const [text, normalised, familiar] of NAMES)
  test(`the name ${text} is ${normalised}, shown as ${familiar}`, () => {
    const reference = parseReference(text);
    assert.equal(normalisedName(reference), normalised);
    assert.equal(familiarName(reference), familiar);
    assert.deepEqual(parseReference(normalised), reference);
  });

const REFUSED: readonly (readonly [text: string, message: string])[] = [
  ["", "invalid reference format"],
  ["Foo", "invalid reference format: repository name (library/Foo) must be lowercase"],
  ["user/Foo:tag", "invalid reference format: repository name (user/Foo) must be lowercase"],
  ["foo:", "invalid reference format"],
  [":foo", "invalid reference format"],
  ["foo::bar", "invalid reference format"],
  ["foo//bar", "invalid reference format"],
  ["-foo", "invalid reference format"],
  ["foo-", "invalid reference format"],
  ["foo___bar", "invalid reference format"],
  ["foo..bar", "invalid reference format"],
  ["../foo", "invalid reference format"],
  ["foo bar", "invalid reference format"],
  ["foo\n", "invalid reference format"],
  ["foo:.tag", "invalid reference format"],
  [`foo:${"t".repeat(129)}`, "invalid reference format"],
  ["foo@sha256:abc", "invalid reference format"],
  [`foo@sha256:${"a".repeat(40)}`, "invalid checksum digest length"],
  [`foo@md5:${"a".repeat(32)}`, "unsupported digest algorithm"],
  ["a".repeat(64), `invalid repository name (${"a".repeat(64)}), cannot specify 64-byte hexadecimal strings`],
  [`x/${"a".repeat(254)}`, "repository name must not be more than 255 characters"],
];

for (const [text, message] of REFUSED)
  test(`the name ${JSON.stringify(text.slice(0, 40))} is refused: ${message.slice(0, 60)}`, () => {
    assert.throws(() => parseReference(text), { kind: "invalid", message });
  });

test("a missing tag means latest, unless there is a digest", () => {
  assert.equal(familiarName(withDefaultTag(parseReference("a"))), "a:latest");
  assert.equal(familiarName(withDefaultTag(parseReference(`a@${DIGEST}`))), `a@${DIGEST}`);
  assert.equal(familiarRepository(parseReference("docker.io/library/a:1")), "a");
});

test("a tag's target takes its tag from the argument before its name, and no digest", () => {
  assert.equal(parseTagTarget("a:1", "").tag, "1");
  assert.equal(parseTagTarget("a:1", "2").tag, "2");
  assert.equal(parseTagTarget("a", "").tag, "latest");
  assert.throws(() => parseTagTarget(`a@${DIGEST}`, ""), {
    message: "refusing to create a tag with a digest reference",
  });
  assert.throws(() => parseTagTarget("sha256", "abc"), {
    message: "refusing to create an ambiguous tag using digest algorithm as name",
  });
  assert.throws(() => parseTagTarget("a", "no good"), { kind: "invalid" });
});

test("64 hex digits and digests are ids; shorter ones are names that may be prefixes", () => {
  assert.deepEqual(parseImageName("a".repeat(64)), { kind: "id", id: DIGEST });
  assert.deepEqual(parseImageName(DIGEST), { kind: "id", id: DIGEST });
  assert.equal(parseImageName("aaaa").kind, "name");
  assert.equal(idPrefix("aaaa"), "aaaa");
  assert.equal(idPrefix("sha256:aaaa"), "aaaa");
  assert.equal(idPrefix("xyz"), undefined);
});
