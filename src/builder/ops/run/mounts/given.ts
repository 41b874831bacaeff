/** Mounts that come from outside the build: secrets, SSH agents, scripts, empty memory. */
import { chmodSync, chownSync, closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { digestOf } from "../../../../base/digest.ts";
import { EngineError } from "../../../../base/errors.ts";
import { fdPath } from "../../../../kernel/rooted.ts";
import type { ContainerMount } from "../../../../runtime/container-mounts.ts";
import { mountShm, unmountShm } from "../../../../runtime/shm.ts";
import type { BuildRequest, SshSource } from "../../../builder.ts";
import type { SecretMount, SshMount, TmpfsMount } from "../../../dockerfile/plan.ts";
import { lookUp } from "../../../given.ts";
import type { Toolkit } from "../../../toolkit.ts";
import type { OpenMount, StepMount } from "../run.ts";

const NOTHING: OpenMount = { mounts: [], async [Symbol.asyncDispose]() {} };

export function tmpfsMount({ target, size }: TmpfsMount): StepMount {
  const options = ["nosuid", "nodev", ...(size > 0 ? [`size=${size}`] : [])];
  const mounts: ContainerMount[] = [{ type: "tmpfs", source: "tmpfs", target, options }];
  return {
    key: async () => ["tmpfs", target, size],
    open: async () => ({ mounts, async [Symbol.asyncDispose]() {} }),
  };
}

/** One of its own for each. */
const fileName = (parts: readonly string[]): string => digestOf(JSON.stringify(parts)).slice(-24);

/** As BuildKit: 500 KiB. */
const MAX_SECRET = 500 << 10;

/** What the secret is has no part in what the step is. It lies in memory only. */
export function secretMount(tools: Toolkit, mount: SecretMount, given: BuildRequest["secrets"]): StepMount {
  const { id, target, env, required, mode, uid, gid } = mount;
  return {
    key: async () => ["secret", id, target ?? "", env ?? "", mode, uid, gid],
    async open(_inputs, { signal }, place): Promise<OpenMount> {
      const source = await lookUp(given, id, signal);
      if (source === undefined) {
        if (!required) return NOTHING;
        throw new EngineError("invalid", `secret ${id}: not found`, { hint: `give it by --secret id=${id},src=FILE` });
      }
      const data = await source.read(signal);
      if (data.length > MAX_SECRET)
        throw new EngineError("too-large", `secret ${id} is larger than ${MAX_SECRET} bytes`);
      const variables = env === undefined ? [] : [`${env}=${Buffer.from(data).toString()}`];
      if (target === undefined) return { ...NOTHING, env: variables };
      // The engine's next start takes this mount away if nobody else does.
      const folder = tools.store.paths.shm(place.id);
      mountShm(folder, 4 << 20);
      const file = join(folder, fileName([id, target]));
      writeFileSync(file, data, { mode: 0o600 });
      chownSync(file, uid, gid);
      chmodSync(file, mode);
      return {
        mounts: [{ type: "bind", source: file, target, readOnly: true }],
        env: variables,
        async [Symbol.asyncDispose]() {
          rmSync(file, { force: true });
          unmountShm(folder);
        },
      };
    },
  };
}

export function sshMount(tools: Toolkit, mount: SshMount, given: BuildRequest["ssh"]): StepMount {
  const { id, target, required, mode, uid, gid } = mount;
  return {
    key: async () => ["ssh", id, target, mode, uid, gid],
    async open(_inputs, { signal }, place): Promise<OpenMount> {
      const source = await lookUp(given, id, signal);
      if (source === undefined) {
        if (!required) return NOTHING;
        throw new EngineError("invalid", `unset ssh forward key ${id}`, { hint: `give it by --ssh ${id}` });
      }
      const name = `ssh-${fileName([id, target])}`;
      const path = join(tools.store.paths.bundle(place.id), name);
      const server = await listen(tools.store.paths.bundle(place.id), name, source, signal);
      chownSync(path, uid, gid);
      chmodSync(path, mode);
      return {
        mounts: [{ type: "bind", source: path, target }],
        env: [`SSH_AUTH_SOCK=${target}`],
        async [Symbol.asyncDispose]() {
          await new Promise((resolve) => server.close(resolve));
          rmSync(path, { force: true });
        },
      };
    },
  };
}

/** Through the folder's descriptor: a socket's path has 107 bytes at most. */
async function listen(folder: string, name: string, source: SshSource, signal: AbortSignal): Promise<Server> {
  const open = new Set<{ destroy(): void }>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    open.add(client);
    client.on("error", () => {}).on("close", () => open.delete(client));
    source.connect(signal).then(
      (agent) => {
        agent.on("error", () => client.destroy());
        client.on("error", () => agent.destroy()).on("close", () => agent.destroy());
        client.pipe(agent).pipe(client);
      },
      () => client.destroy(),
    );
  });
  server.on("close", () => open.clear());
  const close = server.close.bind(server);
  server.close = (done) => {
    for (const client of open) client.destroy();
    return close(done);
  };
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject).listen(`${fdPath(fd)}/${name}`, resolve);
    });
  } finally {
    closeSync(fd);
  }
  return server;
}

/** A here-document that is a script of its own. */
export function scriptMount(
  tools: Toolkit,
  script: { readonly path: string; readonly content: string; readonly mode: number },
): StepMount {
  return {
    key: async () => ["script", script.path, script.content, script.mode],
    async open(_inputs, _context, place): Promise<OpenMount> {
      const bundle = tools.store.paths.bundle(place.id);
      mkdirSync(bundle, { recursive: true });
      const file = join(bundle, "script");
      writeFileSync(file, script.content, { mode: script.mode });
      chmodSync(file, script.mode);
      return {
        mounts: [{ type: "bind", source: file, target: script.path, readOnly: true }],
        async [Symbol.asyncDispose]() {
          rmSync(file, { force: true });
        },
      };
    },
  };
}
