import type { BuildCache } from "../../api/types/image.ts";
import { EngineError } from "../../base/errors.ts";
import { parsePointInTime } from "../../base/points-in-time.ts";

/** Something that the builder keeps, in the API's words, and what its removal gives back. */
export interface CacheRecord extends BuildCache {
  readonly ID: string;
  readonly Parents: string[];
  readonly Type: string;
  readonly Description: string;
  readonly InUse: boolean;
  readonly Shared: boolean;
  /** Bytes that only the builder keeps: 0 for what an image has too. */
  readonly own: number;
  /** Milliseconds since the epoch. */
  readonly usedAt: number;
  /** False: in use by something that runs. */
  remove(): Promise<boolean>;
}

export type CacheFilters = Readonly<Record<string, readonly string[]>>;

type Test = (record: CacheRecord) => boolean;

/** As `docker builder prune --filter`. */
const TESTS: Readonly<Record<string, (value: string) => Test>> = {
  id: (value) => hasId(value),
  parent: (value) => hasParent(value),
  parents: (value) => hasParent(value),
  type: (value) => (record) => record.Type === value,
  description: (value) => (record) => record.Description.includes(value),
  inuse: (value) => is(({ InUse }) => InUse, value),
  shared: (value) => is(({ Shared }) => Shared, value),
  private: (value) => is(({ Shared }) => !Shared, value),
  until: (value) => isOlder(value),
  "unused-for": (value) => isOlder(value),
};

function hasId(start: string): Test {
  return ({ ID }) => ID.startsWith(start);
}

function hasParent(start: string): Test {
  return ({ Parents }) => Parents.some((parent) => parent.startsWith(start));
}

function is(test: Test, value: string): Test {
  const wanted = value === "" || value === "1" || value.toLowerCase() === "true";
  return (record) => test(record) === wanted;
}

function isOlder(value: string): Test {
  const time = parsePointInTime(value, Date.now());
  return ({ usedAt }) => usedAt < time;
}

/** All names must hold, and one of the values of each. "invalid" for a name or a time that is none. */
export function recordFilter(filters: CacheFilters): (record: CacheRecord) => boolean {
  const tests = Object.entries(filters).map(([name, values]) => {
    const test = Object.hasOwn(TESTS, name) ? TESTS[name] : undefined;
    if (test === undefined) throw new EngineError("invalid", `invalid filter '${name}'`);
    return values.map(test);
  });
  return (record) => tests.every((anyOf) => anyOf.length === 0 || anyOf.some((test) => test(record)));
}

/** Without what only we need to know. */
export function shown({ ID, Parents, Type, Description, InUse, Shared, Size, ...rest }: CacheRecord): BuildCache {
  const { CreatedAt, LastUsedAt, UsageCount } = rest;
  return { ID, Parents, Type, Description, InUse, Shared, Size, CreatedAt, LastUsedAt, UsageCount };
}
