import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { digestOf } from "../../base/digest.ts";
import { closureOf, type ManifestNode, type RepositoryGraph } from "./graph.ts";
import { type RetentionRule, retire } from "./retention.ts";

const DAY = 24 * 3600_000;
const NOW = 1000 * DAY;
const ALL = [/^.*$/];
const id = (text: string) => digestOf(text);

interface Drawn {
  readonly [manifest: string]: {
    readonly age?: number;
    readonly unused?: number;
    readonly lists?: string;
    readonly about?: string;
  };
}

/** Ages and times without use in days. */
function graphOf(manifests: Drawn, tags: Readonly<Record<string, string>>): RepositoryGraph {
  const pushedAt = (name: string) => NOW - (manifests[name]?.age ?? 0) * DAY;
  const usedAt = (name: string) => NOW - (manifests[name]?.unused ?? manifests[name]?.age ?? 0) * DAY;
  const nodes = Object.entries(manifests).map(([name, { lists = "", about }]): [string, ManifestNode] => [
    id(name),
    {
      digest: id(name),
      pushedAt: pushedAt(name),
      usedAt: usedAt(name),
      blobs: [],
      children: lists.split(" ").filter(Boolean).map(id),
      subject: about === undefined ? undefined : id(about),
    },
  ]);
  const tagged = Object.entries(tags).map(([tag, name]) => ({
    tag,
    digest: id(name),
    pushedAt: pushedAt(name),
    usedAt: usedAt(name),
  }));
  return { manifests: new Map(nodes), tags: tagged };
}

const outcome = (rules: readonly RetentionRule[], graph: RepositoryGraph, names: Drawn) => {
  const { tags, manifests } = retire(rules, "app", graph, NOW);
  return { tags: tags.toSorted(), manifests: Object.keys(names).filter((name) => manifests.includes(id(name))) };
};

const check =
  (rules: readonly RetentionRule[], manifests: Drawn, tags: Record<string, string>, expected: object) => () =>
    assert.deepEqual(outcome(rules, graphOf(manifests, tags), manifests), expected);

describe("tags", () => {
  const old = { repositories: ALL, tags: [/^pr-.*$/], olderThan: 7 * DAY };
  const three: Drawn = { a: { age: 1 }, b: { age: 8 }, c: { age: 9 } };
  test(
    "older than a rule says go with their manifests",
    check([old], three, { "pr-1": "a", "pr-2": "b", v1: "c" }, { tags: ["pr-2"], manifests: ["b"] }),
  );
  test(
    "of the newest that a rule keeps stay, however old",
    check(
      [{ ...old, keep: 1 }],
      { b: { age: 8 }, c: { age: 9 } },
      { "pr-2": "b", "pr-3": "c" },
      { tags: ["pr-3"], manifests: ["c"] },
    ),
  );
  test(
    "beyond a number go, however young",
    check([{ repositories: ALL, keep: 2 }], three, { x: "a", y: "b", z: "c" }, { tags: ["z"], manifests: ["c"] }),
  );
  test(
    "that nobody pulled for long go, however old the others",
    check(
      [{ repositories: ALL, unusedFor: 7 * DAY }],
      { a: { age: 90, unused: 1 }, b: { age: 90, unused: 8 } },
      { x: "a", y: "b" },
      { tags: ["y"], manifests: ["b"] },
    ),
  );
  test(
    "that an earlier rule keeps stay",
    check(
      [{ repositories: ALL, tags: [/^pr-2$/] }, old],
      three,
      { "pr-2": "b", "pr-3": "c" },
      { tags: ["pr-3"], manifests: ["c"] },
    ),
  );
  test(
    "of other repositories stay",
    check([{ ...old, repositories: [/^other$/] }], three, { "pr-2": "b" }, { tags: [], manifests: [] }),
  );
  test(
    "leave their manifest to another tag",
    check([old], three, { "pr-2": "b", v1: "b" }, { tags: ["pr-2"], manifests: [] }),
  );
  test(
    "leave their manifest to an index",
    check([old], { ...three, i: { lists: "b" } }, { "pr-2": "b", v1: "i" }, { tags: ["pr-2"], manifests: [] }),
  );
  test(
    "take along what only their index lists, and what refers to it",
    check(
      [old],
      { i: { age: 9, lists: "x y" }, x: {}, y: {}, j: { lists: "y" }, s: { about: "x" }, t: { about: "y" } },
      { "pr-1": "i", v1: "j" },
      { tags: ["pr-1"], manifests: ["i", "x", "s"] },
    ),
  );
});

describe("manifests without a tag", () => {
  const loose = { repositories: ALL, untagged: true, olderThan: 7 * DAY };
  test("go when they are old", check([loose], { a: { age: 8 }, b: { age: 1 } }, {}, { tags: [], manifests: ["a"] }));
  test(
    "stay while an index lists them",
    check([loose], { a: { age: 8 }, i: { age: 8, lists: "a" } }, { v1: "i" }, { tags: [], manifests: [] }),
  );
  test(
    "stay while their subject is there, and go when it is not",
    check(
      [loose],
      { a: { age: 8 }, s: { age: 8, about: "a" }, t: { age: 8, about: "gone" } },
      { v1: "a" },
      { tags: [], manifests: ["t"] },
    ),
  );
  test(
    "stay without a rule for them",
    check([{ repositories: ALL, olderThan: 0 }], { a: { age: 8 } }, {}, { tags: [], manifests: [] }),
  );
});

test("whatever the rules, what remains is complete: no tag without its manifest, no index without what it lists", () => {
  const names = ["a", "b", "c", "d", "e", "f"];
  const name = fc.constantFrom(...names);
  const node = fc.record({
    age: fc.nat(20),
    lists: fc.array(name, { maxLength: 3 }).map((all) => all.join(" ")),
    about: fc.option(name, { nil: undefined }),
  });
  const rule = fc.record({
    repositories: fc.constant(ALL),
    tags: fc.option(fc.constantFrom([/^x.*$/], [/^y.*$/]), { nil: undefined }),
    untagged: fc.boolean(),
    olderThan: fc.option(
      fc.nat(20).map((days) => days * DAY),
      { nil: undefined },
    ),
    keep: fc.option(fc.nat(3), { nil: undefined }),
  });
  const drawn = fc
    .tuple(...names.map(() => node))
    .map((nodes) => Object.fromEntries(names.map((key, at) => [key, nodes[at] ?? {}])));
  const tags = fc.dictionary(fc.constantFrom("x1", "x2", "y1", "y2", "z"), name);
  fc.assert(
    fc.property(drawn, tags, fc.array(rule, { maxLength: 3 }), (manifests, tagged, rules) => {
      const graph = graphOf(manifests as Drawn, tagged);
      const removal = retire(rules, "app", graph, NOW);
      const left = new Map([...graph.manifests].filter(([digest]) => !removal.manifests.includes(digest)));
      for (const { tag, digest } of graph.tags) assert.ok(removal.tags.includes(tag) || left.has(digest));
      for (const { children } of left.values()) for (const child of children) assert.ok(left.has(child));
      const named = new Set([
        ...graph.tags.map(({ digest }) => digest),
        ...[...left.values()].flatMap(({ children }) => children),
      ]);
      for (const { digest, subject = "" } of left.values())
        assert.ok(named.has(digest) || !removal.manifests.includes(subject), "what only refers goes with its subject");
      const closure = closureOf(graph, removal.manifests);
      for (const digest of removal.manifests) assert.ok(closure.has(digest));
    }),
    { numRuns: 500 },
  );
});
