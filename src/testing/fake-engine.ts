/** An Engine for tests of what stands above it: what is not given answers "not-implemented". */
import { EngineError } from "../base/errors.ts";
import type { Builder } from "../builder/builder.ts";
import type { Contexts } from "../builder/context/contexts.ts";
import type { Containers } from "../containers/containers.ts";
import type { Engine } from "../engine/engine.ts";
import type { Events } from "../events/events.ts";
import type { Images } from "../images/images.ts";
import type { Networks } from "../networks/networks.ts";
import type { Remote } from "../remote/remote.ts";
import type { Volumes } from "../volumes/volumes.ts";

export interface FakeParts {
  readonly containers?: Partial<Containers>;
  readonly images?: Partial<Images>;
  readonly networks?: Partial<Networks>;
  readonly volumes?: Partial<Volumes>;
  readonly builder?: Partial<Builder>;
  readonly buildContexts?: Partial<Contexts>;
  readonly events?: Partial<Events>;
  readonly remote?: Partial<Remote>;
  readonly system?: Partial<Engine["system"]>;
  readonly pruneVolumes?: Engine["pruneVolumes"];
  readonly pruneNetworks?: Engine["pruneNetworks"];
  readonly removeVolume?: Engine["removeVolume"];
}

export function fakeEngine(parts: FakeParts = {}): Engine {
  const { containers, images, networks, volumes, builder, buildContexts, events, remote, system, ...methods } = parts;
  const version = () => ({ Version: "9.9.9", Os: "linux", Experimental: false, ApiVersion: "1.51" }) as never;
  return {
    ...part<Engine>({
      ...methods,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
    pruneVolumes: methods.pruneVolumes ?? refuse("pruneVolumes"),
    pruneNetworks: methods.pruneNetworks ?? refuse("pruneNetworks"),
    removeVolume: methods.removeVolume ?? refuse("removeVolume"),
    containers: part(containers),
    images: part(images),
    networks: part(networks),
    volumes: part(volumes),
    builder: part(builder),
    buildContexts: part(buildContexts),
    events: part(events),
    remote: part(remote),
    system: part({ version, ...system }),
  };
}

function part<T extends object>(given: Partial<T> = {}): T {
  return new Proxy(given, {
    get: (target, name) => Reflect.get(target, name) ?? refuse(String(name)),
  }) as T;
}

function refuse(name: string): () => never {
  return () => {
    throw new EngineError("not-implemented", `${name} is not given`);
  };
}
