/** Every module's migrations, in the order of the ranks. A new schema file is one more line here. */

import { migrations as builder } from "./schema/builder.ts";
import { migrations as builderContexts } from "./schema/builder-contexts.ts";
import { migrations as containers } from "./schema/containers.ts";
import { migrations as images } from "./schema/images.ts";
import { migrations as networks } from "./schema/networks.ts";
import { migrations as snapshots } from "./schema/snapshots.ts";
import { migrations as volumes } from "./schema/volumes.ts";
import type { Migration } from "./store.ts";

export const MIGRATIONS: readonly Migration[] = [
  ...snapshots,
  ...images,
  ...volumes,
  ...networks,
  ...containers,
  ...builder,
  ...builderContexts,
];
