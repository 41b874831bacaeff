/** What a step of a programmed build mounts. */
import type { SecretSource, SshSource } from "../builder.ts";
import type { Folder, ImageFiles } from "./sources.ts";
import type { Stage } from "./stage.ts";

export type StepMount =
  | {
      readonly type: "cache";
      readonly target: string;
      readonly id: string | undefined;
      readonly sharing: "shared" | "private" | "locked";
    }
  | {
      readonly type: "bind";
      readonly target: string;
      readonly from: Stage | Folder | ImageFiles;
      readonly source: string;
      readonly writable: boolean;
    }
  | { readonly type: "tmpfs"; readonly target: string; readonly size: number | undefined }
  | {
      readonly type: "secret";
      readonly target: string | undefined;
      readonly env: string | undefined;
      readonly secret: SecretSource;
    }
  | { readonly type: "ssh"; readonly agent: SshSource };

/** A folder that lasts from build to build. Steps that give the same `id` (by default the target) share it. */
export function cache(
  target: string,
  { id, sharing = "shared" }: { readonly id?: string; readonly sharing?: "shared" | "private" | "locked" } = {},
): StepMount {
  return Object.freeze({ type: "cache", target, id, sharing });
}

/** Other files, for the time of the step. With `writable` what is written is thrown away. */
export function bind(
  from: Stage | Folder | ImageFiles,
  target: string,
  { source = "/", writable = false }: { readonly source?: string; readonly writable?: boolean } = {},
): StepMount {
  return Object.freeze({ type: "bind", target, from, source, writable });
}

/** Memory; `size` in bytes. */
export function tmpfs(target: string, { size }: { readonly size?: number } = {}): StepMount {
  return Object.freeze({ type: "tmpfs", target, size });
}

/** In a file, in a variable, or both; in no layer and no cache key. `value` may be a function, called when a step needs it. */
export function secret(
  value: string | Uint8Array | (() => Promise<Uint8Array>),
  where: { readonly target?: string; readonly env?: string },
): StepMount {
  const read = typeof value === "function" ? value : async () => Buffer.from(value as string);
  return Object.freeze({ type: "secret", target: where.target, env: where.env, secret: { read } });
}

/** An SSH agent, as SSH_AUTH_SOCK; `connect` opens a connection to it. */
export function agent(connect: SshSource["connect"]): StepMount {
  return Object.freeze({ type: "ssh", agent: { connect } });
}
