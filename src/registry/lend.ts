/** Blobs that another store on this machine lends: they become a repository's without moving a byte. */
import { stat } from "node:fs/promises";
import type { Socket } from "node:net";
import { type Digest, isDigest } from "../base/digest.ts";
import type { Quotas } from "./quotas.ts";
import { whenThere } from "./storage/files.ts";
import type { Storage } from "./storage/open.ts";

export interface Lender {
  /** Whether who sends on this connection may have everything that is lent: it is the lender itself. */
  trusts(connection: Socket): boolean;
  /** Where the blob would be: a file that never changes, verified by the lender. */
  path(digest: Digest): string;
  /** What it knows this registry by: said to it alone, beside blobs whose files it may share. */
  readonly token: string;
}

/** The header of that. */
export const SHARES = "Gantry-Shares";

/** What one client may take. */
export interface Loan {
  readonly token: string;
  /** Bytes; undefined when it is not lent. */
  size(digest: Digest): Promise<number | undefined>;
  /** Post-condition: true, and the repository has the blob; or false, and it is not lent. Throws DENIED for a quota. */
  take(name: string, digest: string): Promise<boolean>;
}

/** What a client may take from a lender that trusts it; undefined when there is none. */
export function loanFor(
  lender: Lender | undefined,
  connection: Socket,
  storage: Storage,
  quotas: Quotas,
): Loan | undefined {
  if (lender === undefined || !storage.writable || !lender.trusts(connection)) return undefined;
  const size = async (digest: Digest) => (await whenThere(stat(lender.path(digest))))?.size;
  return {
    token: lender.token,
    size,
    take: async (name, digest) => {
      if (!isDigest(digest)) return false;
      const bytes = await size(digest);
      if (bytes === undefined) return false;
      quotas.guard(name)?.(bytes);
      return await storage.blobs.alone(digest, async () => {
        await storage.repositories.linkHeldBlob(name, digest, bytes);
        return await storage.blobs.share(lender.path(digest), digest);
      });
    },
  };
}
