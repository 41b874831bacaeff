/** Every module's migrations, in the order of the ranks. A new schema file is one more line here. */
import { migrations as images } from "./schema/images.ts";
import type { Migration } from "./store.ts";

export const MIGRATIONS: readonly Migration[] = [...images];
