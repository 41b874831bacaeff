import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { EngineError } from "../base/errors.ts";
import { MIGRATIONS } from "./migrations.ts";
import type { Paths } from "./paths.ts";
import { Reserve } from "./reserve.ts";
import type { Migration, Row, Store } from "./store.ts";

/** SQLite's result code for a full disk. */
const SQLITE_FULL = 13;

/** Statements kept prepared; the engine has about a hundred in all. */
const STATEMENT_CACHE = 256;

/**
 * Opens the database (made when missing), applies the migrations that it lacks in one transaction, makes the folders of the
 * data and exec roots, and empties `tmp`. Fails with "conflict" when the database is from a newer Gantry.
 * The caller holds the data root's lock.
 */
export function openStore(paths: Paths, migrations: readonly Migration[] = MIGRATIONS): Store {
  makeFolders(paths);
  const database = new DatabaseSync(paths.database);
  try {
    database.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -1024;",
    );
    migrate(database, migrations);
    return new SqliteStore(database, paths, new Reserve(paths.reserve));
  } catch (error) {
    database.close();
    throw error;
  }
}

function makeFolders(paths: Paths): void {
  mkdirSync(paths.dataRoot, { recursive: true, mode: 0o711 });
  mkdirSync(paths.execRoot, { recursive: true, mode: 0o711 });
  const folders = [
    paths.blobs,
    paths.ingests,
    paths.snapshots,
    paths.volumes,
    paths.tmp,
    paths.runtimeState,
    paths.netnsFolder,
    paths.containersFolder,
    paths.bundlesFolder,
    paths.execsFolder,
  ];
  for (const folder of folders) mkdirSync(folder, { recursive: true, mode: 0o711 });
  for (const name of readdirSync(paths.tmp)) rmSync(join(paths.tmp, name), { recursive: true, force: true });
}

function migrate(database: DatabaseSync, migrations: readonly Migration[]): void {
  database.exec("CREATE TABLE IF NOT EXISTS migrations (id TEXT PRIMARY KEY, applied_at TEXT NOT NULL) STRICT");
  const applied = new Set(
    database
      .prepare("SELECT id FROM migrations")
      .all()
      .map((row) => String(row.id)),
  );
  const known = new Set(migrations.map(({ id }) => id));
  const foreign = [...applied].find((id) => !known.has(id));
  if (foreign !== undefined)
    throw new EngineError("conflict", `the data root was written by a newer Gantry (migration ${foreign})`, {
      hint: "start the newer version again, or choose another folder with --data-root",
    });
  database.exec("BEGIN IMMEDIATE");
  try {
    const record = database.prepare("INSERT INTO migrations (id, applied_at) VALUES (?, ?)");
    for (const { id, sql } of migrations) {
      if (applied.has(id)) continue;
      database.exec(sql);
      record.run(id, new Date().toISOString());
    }
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

class SqliteStore implements Store {
  readonly paths: Paths;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #reserve: Reserve;
  #depth = 0;

  constructor(database: DatabaseSync, paths: Paths, reserve: Reserve) {
    this.#database = database;
    this.#reserve = reserve;
    this.paths = paths;
  }

  all<T = Row>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.#statement(sql).all(...values) as T[];
  }

  get<T = Row>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.#statement(sql).get(...values) as T | undefined;
  }

  run(sql: string, ...values: SQLInputValue[]): number {
    try {
      return Number(this.#statement(sql).run(...values).changes);
    } catch (error) {
      if (!isFull(error)) throw error;
      if (!this.#reserve.release() || this.#database.isTransaction) throw this.#full(error);
      return Number(this.#statement(sql).run(...values).changes);
    }
  }

  transaction<T>(work: () => T): T {
    const level = this.#depth;
    this.#database.exec(level === 0 ? "BEGIN IMMEDIATE" : `SAVEPOINT level${level}`);
    this.#depth++;
    try {
      const result = work();
      this.#database.exec(level === 0 ? "COMMIT" : `RELEASE level${level}`);
      return result;
    } catch (error) {
      // A full disk may have rolled the whole transaction back already.
      if (this.#database.isTransaction)
        this.#database.exec(level === 0 ? "ROLLBACK" : `ROLLBACK TO level${level}; RELEASE level${level}`);
      if (!isFull(error)) throw error;
      // For whoever tries again.
      if (level === 0) this.#reserve.release();
      throw this.#full(error);
    } finally {
      this.#depth--;
    }
  }

  durable<T>(work: () => T): T {
    if (this.#depth > 0) return this.transaction(work);
    this.#database.exec("PRAGMA synchronous = FULL");
    try {
      return this.transaction(work);
    } finally {
      this.#database.exec("PRAGMA synchronous = NORMAL");
    }
  }

  close(): void {
    this.#reserve.close();
    this.#statements.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #full(cause: unknown): EngineError {
    return new EngineError("unavailable", "no space left on device: the database cannot be written", {
      hint: `Make room on the disk of ${this.paths.dataRoot}.`,
      cause,
    });
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      if (this.#statements.size >= STATEMENT_CACHE) this.#statements.clear();
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function isFull(error: unknown): boolean {
  const { cause = error } = (error ?? {}) as { cause?: unknown };
  return (cause as { errcode?: unknown } | null)?.errcode === SQLITE_FULL;
}
