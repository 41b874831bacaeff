import { type Host, mayRaiseLimits } from "../kernel/host.ts";
import type { Rlimit } from "./spec-types.ts";

export interface Ulimit {
  readonly soft: number;
  readonly hard: number;
}

export interface RlimitRequest {
  /** HostConfig.Ulimits. -1: unlimited. */
  readonly ulimits: readonly {
    readonly Name?: string | undefined;
    readonly Soft?: number | undefined;
    readonly Hard?: number | undefined;
  }[];
  /** The daemon's, for names that the container does not set. */
  readonly defaults: Readonly<Record<string, Ulimit>>;
  readonly host: Host;
  readonly warn: (message: string) => void;
}

/**
 * A process may not set a hard limit above its own without CAP_SYS_RESOURCE, so what is asked for above ours is lowered to
 * ours, with a warning, rather than refused.
 */
export function specRlimits({ ulimits, defaults, host, warn }: RlimitRequest): Rlimit[] {
  const wanted = new Map(Object.entries(defaults).map(([name, limit]) => [name.toUpperCase(), limit]));
  for (const { Name = "", Soft = 0, Hard = 0 } of ulimits) wanted.set(Name.toUpperCase(), { soft: Soft, hard: Hard });

  return [...wanted].map(([name, { soft, hard }]) => {
    const ceiling = mayRaiseLimits(host)
      ? Number.POSITIVE_INFINITY
      : (host.hardLimits[name] ?? Number.POSITIVE_INFINITY);
    if (unlimited(hard) > ceiling) {
      warn(`ulimit ${name.toLowerCase()} was lowered to ${ceiling}, this engine's own hard limit`);
    }
    return {
      type: `RLIMIT_${name}`,
      hard: encode(Math.min(unlimited(hard), ceiling)),
      soft: encode(Math.min(unlimited(soft), ceiling)),
    };
  });
}

function unlimited(value: number): number {
  return value < 0 ? Number.POSITIVE_INFINITY : value;
}

/**
 * RLIM_INFINITY is 2^64-1, which JSON.stringify cannot write exactly; `encodeSpec` puts it in.
 */
function encode(value: number): number {
  return value === Number.POSITIVE_INFINITY ? UNLIMITED : value;
}

/** Stands for 2^64-1 in a Spec: the nearest double. See `encodeSpec`. */
export const UNLIMITED = 2 ** 64;
