/** Volumes. */
import type { Engine } from "../../engine/engine.ts";
import { ACCEPTED } from "../filters.ts";
import { volumeCopy, volumeCreate } from "../json/requests.ts";
import { matchesVolume } from "../match-filters.ts";
import { filters, flag, text } from "../query.ts";
import { registryCredentials } from "../registry-auth.ts";
import { empty, json, type Route, route } from "../route.ts";

export const volumeRoutes: readonly Route[] = [
  route("GET", "/volumes", {
    query: { filters: filters(ACCEPTED.volumes) },
    handle: async ({ engine, query }) => {
      const used = query.filters.dangling === undefined ? new Set<string>() : await volumesInUse(engine);
      const { volumes, warnings } = await engine.volumes.listAll();
      const Volumes = volumes.filter((volume) => matchesVolume(volume, query.filters, used));
      return json({ Volumes, Warnings: warnings.length === 0 ? null : warnings });
    },
  }),
  route("POST", "/volumes/create", {
    handle: async ({ engine, ...call }) =>
      json(await engine.volumes.create((await call.json(volumeCreate)) ?? {}), 201),
  }),
  route("POST", "/volumes/prune", {
    since: 25,
    query: { filters: filters(ACCEPTED.pruneVolumes) },
    handle: async ({ engine, query, version }) =>
      json(await engine.pruneVolumes(version < 42 ? { ...query.filters, all: ["true"] } : query.filters)),
  }),
  // Gantry's own, as the next five: Docker has no such operations.
  route("POST", "/volumes/{name}/copy", {
    handle: async ({ engine, path, signal, ...call }) => {
      const { Name = "", Snapshot = false, Labels } = (await call.json(volumeCopy)) ?? {};
      return json(await engine.copyVolume(path.name, { name: Name, snapshot: Snapshot, labels: Labels, signal }), 201);
    },
  }),
  route("POST", "/volumes/{name}/restore", {
    query: { from: text },
    handle: async ({ engine, path, query, signal }) => {
      await engine.volumes.restoreFrom(path.name, query.from ?? "", signal);
      return empty();
    },
  }),
  route("GET", "/volumes/{name}/export", {
    handle: async ({ engine, path }) => ({
      kind: "bytes",
      type: "application/x-tar",
      source: await engine.exportVolume(path.name),
    }),
  }),
  route("POST", "/volumes/import", {
    query: { name: text },
    handle: async ({ engine, query, request, signal }) =>
      json(await engine.volumes.import({ Name: query.name }, request, signal), 201),
  }),
  route("POST", "/volumes/{name}/push", {
    query: { ref: text },
    handle: ({ engine, path, query, request, signal }) => ({
      kind: "progress",
      run: async (onProgress) => {
        const credentials = registryCredentials(request);
        await engine.pushVolume(path.name, query.ref ?? "", { credentials, signal, onProgress });
      },
    }),
  }),
  route("POST", "/volumes/pull", {
    query: { ref: text, name: text },
    handle: ({ engine, query, request, signal }) => ({
      kind: "progress",
      run: async (onProgress) => {
        const credentials = registryCredentials(request);
        await engine.pullVolume(query.ref ?? "", query.name ?? "", { credentials, signal, onProgress });
      },
    }),
  }),
  route("GET", "/volumes/{name}", {
    handle: async ({ engine, path }) => json(await engine.volumes.describe(path.name)),
  }),
  route("DELETE", "/volumes/{name}", {
    query: { force: flag },
    handle: async ({ engine, path, query }) => {
      await engine.removeVolume(path.name, query.force);
      return empty();
    },
  }),
];

async function volumesInUse(engine: Engine): Promise<Set<string>> {
  const containers = await engine.containers.list({ all: true, size: false, filters: {} });
  return new Set(
    containers.flatMap(({ Mounts }) => Mounts.filter(({ Type }) => Type === "volume").map(({ Name }) => Name)),
  );
}
