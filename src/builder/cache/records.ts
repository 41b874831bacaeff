import type { BuildCache } from "../../api/types/image.ts";
import { EngineError } from "../../base/errors.ts";

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

type Test = (record: CacheRecord, value: string) => boolean;

/** As `docker builder prune --filter`. */
const TESTS: Readonly<Record<string, Test>> = {
  id: ({ ID }, value) => ID.startsWith(value),
  parent: ({ Parents }, value) => Parents.some((parent) => parent.startsWith(value)),
  parents: ({ Parents }, value) => Parents.some((parent) => parent.startsWith(value)),
  type: ({ Type }, value) => Type === value,
  description: ({ Description }, value) => Description.includes(value),
  inuse: ({ InUse }, value) => InUse === isTrue(value),
  shared: ({ Shared }, value) => Shared === isTrue(value),
  private: ({ Shared }, value) => !Shared === isTrue(value),
  until: ({ usedAt }, value) => usedAt < timeOf(value),
  "unused-for": ({ usedAt }, value) => usedAt < timeOf(value),
};

/** All names must hold, and one of the values of each. "invalid" for a name that is none. */
export function recordFilter(filters: CacheFilters): (record: CacheRecord) => boolean {
  const tests = Object.entries(filters).map(([name, values]) => {
    const test = Object.hasOwn(TESTS, name) ? TESTS[name] : undefined;
    if (test === undefined) throw new EngineError("invalid", `invalid filter '${name}'`);
    return { test, values };
  });
  return (record) =>
    tests.every(({ test, values }) => values.length === 0 || values.some((value) => test(record, value)));
}

function isTrue(value: string): boolean {
  return value === "" || value === "1" || value.toLowerCase() === "true";
}

/** Milliseconds since the epoch, from seconds or a date: the API has turned durations into times. */
function timeOf(text: string): number {
  const seconds = Number(text);
  const time = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text);
  if (Number.isNaN(time)) throw new EngineError("invalid", `invalid value for "until": ${JSON.stringify(text)}`);
  return time;
}

/** Without what only we need to know. */
export function shown({ ID, Parents, Type, Description, InUse, Shared, Size, ...rest }: CacheRecord): BuildCache {
  const { CreatedAt, LastUsedAt, UsageCount } = rest;
  return { ID, Parents, Type, Description, InUse, Shared, Size, CreatedAt, LastUsedAt, UsageCount };
}
