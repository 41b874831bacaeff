import { EngineError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/log.ts";
import type { Row, Store } from "../store/store.ts";
import { Container } from "./container.ts";
import { LateWrites } from "./late-writes.ts";
import { nameTaken } from "./names.ts";
import type { Definition, MountRecord, State, Status } from "./record.ts";
import { INITIAL_STATE } from "./record.ts";
import { type Change, next } from "./state.ts";

export interface NewContainer {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly definition: Definition;
}

/** What is only done when it is written; every other change has happened already, whatever the disk says. */
const INTENTIONS: ReadonlySet<Change["kind"]> = new Set(["create", "remove"]);

/**
 * All containers: in memory by id and by name, and their rows. Memory follows the database, a failed write changes nothing; but what
 * has happened is never refused: it is written when the disk takes it again.
 */
export class Registry {
  readonly #store: Store;
  readonly #late: LateWrites<Container>;
  readonly #byId = new Map<string, Container>();
  readonly #byName = new Map<string, Container>();
  readonly #links = new Map<string, readonly string[]>();

  constructor(store: Store, logger: Logger = silentLogger) {
    this.#store = store;
    this.#late = new LateWrites(logger);
    const links = "CASE WHEN json_valid(definition) THEN json_extract(definition, '$.hostConfig.Links') END AS links";
    for (const row of store.all(`SELECT ${STATE_COLUMNS}, ${links}, id, name, image, created_at FROM containers`)) {
      this.#remember(String(row.id), String(row.name), String(row.image), String(row.created_at), stateOf(row));
      this.#rememberLinks(String(row.id), JSON.parse(String(row.links)));
    }
  }

  /** Newest first. Containers that are being created are not among them. */
  all(): Container[] {
    return this.everything()
      .filter(({ state }) => state.status !== "creating")
      .sort((a, b) => (a.createdNs < b.createdNs ? 1 : -1));
  }

  everything(): Container[] {
    return [...this.#byId.values()];
  }

  /** By id, name, or unambiguous prefix of an id. "not-found": `No such container: x`. */
  get(reference: string): Container {
    const found = this.find(reference);
    if (found === undefined) throw new EngineError("not-found", `No such container: ${reference}`);
    return found;
  }

  find(reference: string): Container | undefined {
    const exact = this.#byId.get(reference) ?? this.#byName.get(reference.replace(/^\//, ""));
    if (exact !== undefined) return seen(exact);
    if (!/^[0-9a-f]{1,64}$/.test(reference)) return undefined;
    const matches = this.everything().filter(({ id }) => id.startsWith(reference));
    if (matches.length > 1) throw new EngineError("invalid", `multiple IDs found with provided prefix: ${reference}`);
    return seen(matches[0]);
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  nameOwner(name: string): Container | undefined {
    return this.#byName.get(name);
  }

  /** Takes the name and writes the row, in the state "creating". "conflict" for a name in use. */
  insert({ id, name, createdAt, definition }: NewContainer): Container {
    const owner = this.#byName.get(name);
    if (owner !== undefined) throw nameTaken(name, owner.id);
    this.#store.run(
      `INSERT INTO containers (id, name, image, created_at, definition, status, started_at, finished_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
      id,
      name,
      definition.imageId,
      createdAt,
      JSON.stringify(definition),
      INITIAL_STATE.status,
      INITIAL_STATE.startedAt,
      INITIAL_STATE.finishedAt,
    );
    this.#rememberLinks(id, definition.hostConfig.Links);
    return this.#remember(id, name, definition.imageId, createdAt, INITIAL_STATE);
  }

  /** Makes the new container visible. With `durable` it outlives a power cut. */
  complete(container: Container, mounts: readonly MountRecord[], { durable }: { readonly durable: boolean }): void {
    const write = () => {
      for (const { type, name } of mounts)
        if (type === "volume" && name !== undefined)
          this.#store.run(
            "INSERT OR IGNORE INTO container_volumes (container, volume) VALUES (?, ?)",
            container.id,
            name,
          );
      this.change(container, { kind: "create" });
    };
    if (durable) this.#store.durable(write);
    else this.#store.transaction(write);
  }

  change(container: Container, change: Change): void {
    const state = next(container.state, change);
    const write = () => this.#write(container, state);
    const intention = INTENTIONS.has(change.kind);
    if (intention) write();
    else this.#late.write(container, write);
    container.state = state;
    // An older change that waits would be written over this one.
    if (intention) this.#late.settle(container);
  }

  /** Calls back once the database has the container's state: mostly at once. Until then what a run left must stay, to be found by the next engine. */
  whenWritten(container: Container, callback: () => void): void {
    this.#late.whenWritten(container, callback);
  }

  /** Last chance for what could not be written. */
  flush(): void {
    this.#late.flush();
  }

  #write(container: Container, state: State): void {
    this.#store.run(
      `UPDATE containers SET status = ?, pid = ?, exit_code = ?, error = ?, oom_killed = ?, started_at = ?, finished_at = ?,
       restart_count = ?, stopped_by_hand = ?, remove_volumes = ?, health = ? WHERE id = ?`,
      state.status,
      state.pid,
      state.exitCode,
      state.error,
      Number(state.oomKilled),
      state.startedAt,
      state.finishedAt,
      state.restartCount,
      Number(state.stoppedByHand),
      Number(state.removeVolumes),
      state.health === undefined ? null : JSON.stringify(state.health),
      container.id,
    );
  }

  rename(container: Container, to: string): void {
    const owner = this.#byName.get(to);
    if (owner !== undefined) throw nameTaken(to, owner.id);
    this.#store.run("UPDATE containers SET name = ? WHERE id = ?", to, container.id);
    this.#byName.delete(container.name);
    container.name = to;
    this.#byName.set(to, container);
  }

  redefine(container: Container, definition: Definition): void {
    this.#store.run("UPDATE containers SET definition = ? WHERE id = ?", JSON.stringify(definition), container.id);
    container.forgetDefinition();
    this.#rememberLinks(container.id, definition.hostConfig.Links);
  }

  delete(container: Container): void {
    this.#store.run("DELETE FROM containers WHERE id = ?", container.id);
    this.#byId.delete(container.id);
    this.#links.delete(container.id);
    this.#byName.delete(container.name);
    this.#late.settle(container);
  }

  /** Who has links, in the definitions' form: without reading any. */
  linkers(): { readonly id: string; readonly links: readonly string[] }[] {
    return [...this.#links].map(([id, links]) => ({ id, links }));
  }

  #rememberLinks(id: string, links: readonly string[] | null | undefined): void {
    if (links?.length) this.#links.set(id, links);
    else this.#links.delete(id);
  }

  /** Volume → ids of the containers that refer to it. */
  volumeUsers(): Map<string, string[]> {
    const users = new Map<string, string[]>();
    for (const row of this.#store.all("SELECT container, volume FROM container_volumes")) {
      const name = String(row.volume);
      users.set(name, [...(users.get(name) ?? []), String(row.container)]);
    }
    return users;
  }

  #remember(id: string, name: string, imageId: string, createdAt: string, state: State): Container {
    const load = (): Definition => {
      const row = this.#store.get("SELECT definition FROM containers WHERE id = ?", id);
      if (row === undefined) throw new EngineError("not-found", `No such container: ${id}`);
      return JSON.parse(String(row.definition));
    };
    const container = new Container({ id, name, imageId, createdAt, state }, load);
    this.#byId.set(id, container);
    this.#byName.set(name, container);
    return container;
  }
}

const STATE_COLUMNS =
  "status, pid, exit_code, error, oom_killed, started_at, finished_at, restart_count, stopped_by_hand, remove_volumes, health";

function stateOf(row: Row): State {
  return Object.freeze({
    status: String(row.status) as Status,
    pid: Number(row.pid),
    exitCode: Number(row.exit_code),
    error: String(row.error),
    oomKilled: row.oom_killed === 1,
    startedAt: String(row.started_at),
    finishedAt: String(row.finished_at),
    restartCount: Number(row.restart_count),
    stoppedByHand: row.stopped_by_hand === 1,
    removeVolumes: row.remove_volumes === 1,
    health: row.health === null ? undefined : JSON.parse(String(row.health)),
  });
}

function seen(container: Container | undefined): Container | undefined {
  return container?.state.status === "creating" ? undefined : container;
}
