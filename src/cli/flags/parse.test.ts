import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HelpRequested, parseFlags } from "./parse.ts";
import type { FlagSpec } from "./spec.ts";

const SPECS: readonly FlagSpec[] = [
  { name: "all", short: "a", type: "bool", help: "" },
  { name: "env", short: "e", type: "list", help: "" },
  { name: "memory", short: "m", type: "bytes", help: "" },
  { name: "proxy", type: "bool", help: "", default: "true" },
  { name: "opt", type: "map", help: "" },
  { name: "subnet", type: "strings", help: "" },
  { name: "cpus", type: "decimal", help: "" },
];
const parse = (line: string, interspersed = true) => parseFlags(SPECS, line.split(" "), { interspersed });

describe("flags", () => {
  test("long and short forms, joined or apart", () => {
    const flags = parse("-ae A=1 --env=B=2 --env C -m64m x");
    assert.equal(flags.bool("all"), true);
    assert.deepEqual(flags.list("env"), ["A=1", "B=2", "C"]);
    assert.equal(flags.number("memory"), 64 << 20);
    assert.deepEqual(flags.positional, ["x"]);
  });

  test("defaults hold until a flag is given", () => {
    assert.equal(parse("x").bool("proxy"), true);
    assert.equal(parse("--proxy=false").bool("proxy"), false);
    assert.equal(parse("x").changed("proxy"), false);
  });

  test("another program's words are its own", () => {
    assert.deepEqual(parse("-a image sh -e", false).positional, ["image", "sh", "-e"]);
    assert.deepEqual(parse("x -- -a").positional, ["x", "-a"]);
  });

  test("maps, comma lists and decimals", () => {
    const flags = parse("--opt a=b --opt c=d --subnet 1,2 --subnet 3 --cpus 1.5");
    assert.deepEqual(flags.map("opt"), { a: "b", c: "d" });
    assert.deepEqual(flags.list("subnet"), ["1", "2", "3"]);
    assert.equal(flags.number("cpus"), 1_500_000_000);
  });

  test("mistakes are told in pflag's words", () => {
    assert.throws(() => parse("--nope"), /^FlagError|unknown flag: --nope/);
    assert.throws(() => parse("-z"), /unknown shorthand flag: 'z' in -z/);
    assert.throws(() => parse("--env"), /flag needs an argument: --env/);
    assert.throws(() => parse("-m x"), /invalid argument "x" for "-m, --memory" flag: invalid size: 'x'/);
    assert.throws(() => parse("--help"), HelpRequested);
  });
});
