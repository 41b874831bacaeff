import assert from "node:assert/strict";
import { test } from "node:test";
import { formatPlatform, HOST_PLATFORM, parsePlatform, platformMatches, platformRank } from "./platform.ts";

const TEXTS: readonly (readonly [text: string, parsed: string])[] = [
  ["linux/amd64", "linux/amd64"],
  ["linux/x86_64", "linux/amd64"],
  ["linux/amd64/v1", "linux/amd64"],
  ["linux/amd64/v3", "linux/amd64/v3"],
  ["linux/aarch64", "linux/arm64"],
  ["linux/arm64/v8", "linux/arm64"],
  ["linux/arm64/8", "linux/arm64"],
  ["linux/arm", "linux/arm/v7"],
  ["linux/arm/6", "linux/arm/v6"],
  ["linux/armhf", "linux/arm/v7"],
  ["Linux/ARM64", "linux/arm64"],
  ["s390x", `${HOST_PLATFORM.os}/s390x`],
  ["linux", `linux/${HOST_PLATFORM.architecture}`],
];

for (const [text, parsed] of TEXTS)
  test(`the platform ${text} is ${parsed}`, () => {
    assert.equal(formatPlatform(parsePlatform(text)), parsed);
  });

for (const text of ["", "linux/", "linux/a/b/c", "linux/a b", "plan9000"])
  test(`the platform ${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => parsePlatform(text), { kind: "invalid" });
  });

test("a wish without a variant takes any, one with a variant only that", () => {
  const arm = (variant?: string) => ({ os: "linux", architecture: "arm", ...(variant !== undefined && { variant }) });
  assert.ok(platformMatches(arm(), arm("v6")));
  assert.ok(platformMatches(arm("v7"), arm()));
  assert.ok(!platformMatches(arm("v7"), arm("v6")));
  assert.ok(
    platformMatches({ os: "linux", architecture: "arm64", variant: "v8" }, { os: "linux", architecture: "aarch64" }),
  );
});

test("the host's own platform ranks before older variants, those before what merely runs, and foreign ones not at all", () => {
  const host = { os: "linux", architecture: "amd64" };
  const rank = (architecture: string, variant?: string) =>
    platformRank(host, { os: "linux", architecture, ...(variant !== undefined && { variant }) });
  assert.ok(rank("amd64") > rank("amd64", "v3"));
  assert.ok(rank("amd64", "v3") > rank("386"));
  assert.ok(rank("386") > 0);
  assert.equal(rank("s390x"), 0);
  assert.equal(platformRank(host, { os: "windows", architecture: "amd64" }), 0);
});
