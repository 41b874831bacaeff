/** Every module's migrations, in the order of the ranks. A new schema file is one more line here. */
import type { Migration } from "./store.ts";

export const MIGRATIONS: readonly Migration[] = [];
