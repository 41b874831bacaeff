import type { ContainerConfig, HealthConfig } from "../api/types/container.ts";
import { EngineError } from "../base/errors.ts";
import type { ImageRunConfig } from "../oci/types.ts";

/** The request's configuration completed by the image's, by Docker's rules. Throws "invalid" when no command comes out. */
export function mergeImageConfig(wished: ContainerConfig, image: ImageRunConfig): ContainerConfig {
  const merged: ContainerConfig = {
    ...wished,
    User: wished.User || image.User || "",
    Env: mergeEnv(wished.Env ?? [], image.Env ?? []),
    ...command(wished, image),
    Labels: { ...image.Labels, ...wished.Labels },
    Volumes: mergeKeys(wished.Volumes, image.Volumes),
    ExposedPorts: mergeKeys(wished.ExposedPorts, image.ExposedPorts),
    WorkingDir: cleanFolder(wished.WorkingDir || image.WorkingDir || ""),
    StopSignal: wished.StopSignal || image.StopSignal,
    Healthcheck: mergeHealth(wished.Healthcheck, image.Healthcheck as HealthConfig | undefined),
    Shell: wished.Shell?.length ? wished.Shell : image.Shell && [...image.Shell],
    OnBuild: wished.OnBuild ?? (image.OnBuild?.length ? [...image.OnBuild] : undefined),
  };
  if ((merged.Entrypoint ?? []).length === 0 && (merged.Cmd ?? []).length === 0)
    throw new EngineError("invalid", "no command specified");
  return merged;
}

/** A wished entrypoint makes the image's command void; [""] takes the image's entrypoint away. */
function command(wished: ContainerConfig, image: ImageRunConfig): Pick<ContainerConfig, "Entrypoint" | "Cmd"> {
  const given = wished.Entrypoint?.length ? wished.Entrypoint : undefined;
  const Cmd = wished.Cmd?.length || given !== undefined ? (wished.Cmd ?? null) : copy(image.Cmd);
  const Entrypoint = given ?? (Array.isArray(wished.Entrypoint) ? null : copy(image.Entrypoint));
  return { Cmd, Entrypoint: Entrypoint?.length === 1 && Entrypoint[0] === "" ? null : Entrypoint };
}

const copy = (list: readonly string[] | undefined): string[] | null => (list === undefined ? null : [...list]);

/** The request's variables first, then those of the image that it does not set. */
function mergeEnv(wished: readonly string[], image: readonly string[]): string[] {
  const names = new Set(wished.map(nameOf));
  return [...wished, ...image.filter((entry) => !names.has(nameOf(entry)))];
}

const nameOf = (entry: string) => entry.split("=", 1)[0] ?? "";

type Keys = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

function mergeKeys(wished: Keys | null | undefined, image: Keys | undefined) {
  const merged: Record<string, Record<string, unknown>> = {};
  for (const key of [...Object.keys(wished ?? {}), ...Object.keys(image ?? {})]) merged[key] = {};
  return Object.keys(merged).length === 0 ? undefined : merged;
}

/** Throws "invalid" with Docker's text for a relative one. */
function cleanFolder(folder: string): string {
  if (folder === "") return "";
  if (!folder.startsWith("/"))
    throw new EngineError("invalid", `the working directory '${folder}' is invalid, it needs to be an absolute path`);
  const parts: string[] = [];
  for (const part of folder.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** Field by field: zero and absent take the image's. */
function mergeHealth(wished: HealthConfig | undefined, image: HealthConfig | undefined): HealthConfig | undefined {
  if (wished === undefined || wished === null || image === undefined || image === null)
    return wished ?? image ?? undefined;
  return {
    Test: wished.Test?.length ? wished.Test : image.Test,
    Interval: wished.Interval || image.Interval,
    Timeout: wished.Timeout || image.Timeout,
    StartPeriod: wished.StartPeriod || image.StartPeriod,
    StartInterval: wished.StartInterval || image.StartInterval,
    Retries: wished.Retries || image.Retries,
    OnFailure: wished.OnFailure || image.OnFailure,
  };
}
