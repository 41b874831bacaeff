/** Compares and makes bcrypt hashes, which takes tens of milliseconds each, beside the event loop. */
import { parentPort } from "node:worker_threads";
import { compareSync, hashSync } from "bcryptjs";

export type BcryptJob =
  | { readonly id: number; readonly password: string; readonly hash: string }
  | { readonly id: number; readonly password: string; readonly cost: number };

export interface BcryptResult {
  readonly id: number;
  readonly value: boolean | string;
}

parentPort?.on("message", (job: BcryptJob) => {
  const value = "hash" in job ? compareSync(job.password, job.hash) : hashSync(job.password, job.cost);
  parentPort?.postMessage({ id: job.id, value } satisfies BcryptResult);
});
