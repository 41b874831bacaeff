/**
 * Retention: which tags and manifests a repository lets go of by rules of pattern and age.
 *
 * The first rule that means a tag decides about it; one that says neither an age nor a number keeps it. A tag takes along what only it names: its
 * manifest, what that lists, and what refers to any of these.
 */
import type { Digest } from "../../base/digest.ts";
import { closureOf, type ManifestNode, type RepositoryGraph, type TagNode } from "./graph.ts";

export interface RetentionRule {
  readonly repositories: readonly RegExp[];
  /** Tags it is about; with `untagged` none. Default: all. */
  readonly tags?: readonly RegExp[] | undefined;
  /** It is about manifests that nothing names: no tag, no index, no subject. */
  readonly untagged?: boolean | undefined;
  /** Milliseconds since the push. */
  readonly olderThan?: number | undefined;
  /** Milliseconds since it was last pushed or pulled. */
  readonly unusedFor?: number | undefined;
  /** So many of the newest stay. */
  readonly keep?: number | undefined;
}

export interface Removal {
  readonly tags: readonly string[];
  /** Whoever lists comes before what it lists. */
  readonly manifests: readonly Digest[];
}

/** `now`: milliseconds since the epoch. */
export function retire(rules: readonly RetentionRule[], name: string, graph: RepositoryGraph, now: number): Removal {
  const mine = rules.filter(({ repositories }) => repositories.some((pattern) => pattern.test(name)));
  if (mine.length === 0) return { tags: [], manifests: [] };
  const gone = retiredTags(mine, graph.tags, now);
  const kept = new Set(graph.tags.filter((tag) => !gone.has(tag)).map(({ digest }) => digest));
  const roots = new Set(
    [...[...gone].map(({ digest }) => digest), ...retiredUntagged(mine, graph, now)].filter(
      (digest) => !kept.has(digest),
    ),
  );
  const candidates = closureOf(graph, roots);
  const others = [...graph.manifests.keys()].filter((digest) => kept.has(digest) || !candidates.has(digest));
  const reached = closureOf(graph, others);
  return {
    tags: [...gone].map(({ tag }) => tag),
    manifests: [...candidates].filter((digest) => !reached.has(digest)),
  };
}

function retiredTags(rules: readonly RetentionRule[], tags: readonly TagNode[], now: number): Set<TagNode> {
  const about = rules.filter(({ untagged }) => untagged !== true);
  const decided = Map.groupBy(tags, ({ tag }) =>
    about.find(({ tags: patterns }) => patterns === undefined || patterns.some((pattern) => pattern.test(tag))),
  );
  return new Set([...decided].flatMap(([rule, members]) => (rule === undefined ? [] : retired(rule, members, now))));
}

function retiredUntagged(rules: readonly RetentionRule[], { manifests, tags }: RepositoryGraph, now: number): Digest[] {
  const rule = rules.find(({ untagged }) => untagged === true);
  if (rule === undefined) return [];
  const named = new Set([
    ...tags.map(({ digest }) => digest),
    ...[...manifests.values()].flatMap(({ children }) => children),
  ]);
  const isLoose = ({ digest, subject }: ManifestNode) =>
    !named.has(digest) && (subject === undefined || !manifests.has(subject));
  return retired(rule, [...manifests.values()].filter(isLoose), now).map(({ digest }) => digest);
}

type Aged = Pick<ManifestNode, "pushedAt" | "usedAt">;

function retired<T extends Aged>(rule: RetentionRule, members: readonly T[], now: number): T[] {
  const { olderThan, unusedFor, keep } = rule;
  if (olderThan === undefined && unusedFor === undefined && keep === undefined) return [];
  const newestFirst = members.toSorted((a, b) => b.pushedAt - a.pushedAt);
  const isOver = ({ pushedAt, usedAt }: T) =>
    (olderThan === undefined || now - pushedAt > olderThan) && (unusedFor === undefined || now - usedAt > unusedFor);
  return newestFirst.slice(keep ?? 0).filter(isOver);
}
