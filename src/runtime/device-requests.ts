/** Which devices by name a container's requests mean: CDI names as they are, GPUs by the specifications that their makers' tools write. */
import type { DeviceRequest } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { CdiDevice, CdiDevices } from "./cdi-specs.ts";

/** GPU kinds, by the driver that asks for them; of those that are there, the first is taken for nobody's in particular. */
const GPU_KINDS: Readonly<Record<string, string>> = {
  nvidia: "nvidia.com/gpu",
  amd: "amd.com/gpu",
  intel: "intel.com/gpu",
};

/** In the order of the requests, each once. Throws "invalid" in Docker's words for what nothing here can give. */
export function requestedCdi(requests: readonly DeviceRequest[], known: () => CdiDevices): CdiDevice[] {
  if (requests.length === 0) return [];
  const cdi = known();
  const names = requests.flatMap((request) =>
    request.Driver === "cdi" ? (request.DeviceIDs ?? []) : gpus(request, cdi),
  );
  const missing = names.filter((name) => !cdi.devices.has(name));
  if (missing.length > 0)
    throw new EngineError("invalid", `CDI device injection failed: unresolvable CDI devices ${missing.join(", ")}`, {
      hint: hintOf(cdi),
    });
  return [...new Set(names)].flatMap((name) => cdi.devices.get(name) ?? []);
}

function hintOf({ devices, problems }: CdiDevices): string {
  if (problems.length > 0) return `These specifications can't be used: ${problems.join("; ")}`;
  if (devices.size === 0) return "No CDI specification was found in /etc/cdi or /var/run/cdi (cdi-spec-dirs).";
  return `Known: ${[...devices.keys()].slice(0, 20).join(", ")}`;
}

function gpus(request: DeviceRequest, { devices }: CdiDevices): string[] {
  const { Driver = "", Capabilities, Count = 0, DeviceIDs } = request;
  const wanted = (Capabilities ?? []).some((set) => set.includes("gpu"));
  const kinds = Driver === "" ? Object.values(GPU_KINDS) : [GPU_KINDS[Driver] ?? ""];
  const kind = kinds.find((one) => [...devices.keys()].some((name) => name.startsWith(`${one}=`)));
  if (!wanted || kind === undefined) throw noDriver(request);
  if (DeviceIDs !== undefined && DeviceIDs !== null && DeviceIDs.length > 0)
    return DeviceIDs.map((id) => `${kind}=${id}`);
  const own = [...devices.keys()].filter((name) => name.startsWith(`${kind}=`));
  if (Count < 0) return own.includes(`${kind}=all`) ? [`${kind}=all`] : own;
  const numbered = own.filter((name) => /=\d+$/.test(name));
  if (Count > numbered.length)
    throw new EngineError("invalid", `${Count} GPUs were asked for, ${numbered.length} are known`, {
      hint: `Known: ${own.join(", ")}`,
    });
  return numbered.slice(0, Count);
}

function noDriver({ Driver = "", Capabilities }: DeviceRequest): EngineError {
  const capabilities = (Capabilities ?? []).map((set) => `[${set.join(" ")}]`).join(" ");
  return new EngineError(
    "invalid",
    `could not select device driver ${JSON.stringify(Driver)} with capabilities: [${capabilities}]`,
    {
      hint: "GPUs are given by CDI: install the maker's container toolkit and let it write a specification (nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml).",
    },
  );
}
