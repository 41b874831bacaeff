/**
 * The store module's contract: the database and the disk's paths.
 *
 * Each module that keeps rows has a schema file here (`schema/<module>.ts`): a list of migrations, applied in order, never edited once
 * released. Statements are synchronous and short. Two levels of durability: `transaction` (WAL, NORMAL: survives a killed gantryd)
 * and `durable` (FULL: survives a power cut; for "image complete", "container created").
 */
import type { SQLInputValue } from "node:sqlite";
import type { Paths } from "./paths.ts";

export type Row = Readonly<Record<string, unknown>>;

export interface Store {
  readonly paths: Paths;
  /** Rows of a cached prepared statement. */
  all<T = Row>(sql: string, ...values: SQLInputValue[]): T[];
  get<T = Row>(sql: string, ...values: SQLInputValue[]): T | undefined;
  /** Returns the number of rows changed. */
  run(sql: string, ...values: SQLInputValue[]): number;
  /** All or nothing; synchronous; nests. */
  transaction<T>(work: () => T): T;
  durable<T>(work: () => T): T;
  /** Idempotent. */
  close(): void;
}

export interface Migration {
  /** "containers/1": module and number, unique. */
  readonly id: string;
  readonly sql: string;
}
