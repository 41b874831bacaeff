/** `gantry info`. */
import type { SystemInfo } from "../../api/types/system.ts";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { binarySize } from "../format/sizes.ts";
import { packageVersion } from "../package-version.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [{ name: "format", short: "f", type: "string", help: "How to print: 'json' or a Go template" }],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    let info: SystemInfo | undefined;
    let failure: unknown;
    try {
      info = await context.client.system.info();
    } catch (error) {
      failure = error;
    }
    const client = {
      Debug: false,
      Version: packageVersion(),
      Context: context.endpoint.context,
      Plugins: [],
      Warnings: null,
    };
    const format = flags.text("format");
    if (format !== "") {
      const { structure } = await import("../../base/template/print.ts");
      await (await import("../format/object-format.ts")).printObject(
        context,
        format,
        templated(structure, { ...info, ClientInfo: client }, failure),
      );
    } else {
      context.out.write(clientText(context));
      context.out.write(info === undefined ? "\nServer:\n" : `\nServer:\n${serverText(info)}\n`);
      for (const warning of info?.Warnings ?? []) context.err.write(`${warning}\n`);
    }
    if (failure === undefined) return 0;
    context.err.write(`${errorText(failure)}\n`);
    return 1;
  },
};

function clientText(context: Context): string {
  return `Client:\n Version:    ${packageVersion()}\n Context:    ${context.endpoint.context}\n Debug Mode: false\n`;
}

type Line = string | undefined | readonly Line[];

/** In templates Go's structs keep the order of their fields, and `ServerErrors` is there though JSON leaves it out. */
function templated(structure: typeof import("../../base/template/print.ts").structure, info: object, failure: unknown) {
  const struct = (value: object) =>
    structure(
      value,
      Object.keys(value).map((key) => [key, ""] as const),
    );
  const structs = Object.entries(info).map(([key, value]) =>
    STRUCTS.has(key) && value ? ([key, struct(value as object)] as const) : ([key, value as unknown] as const),
  );
  const errors = failure === undefined ? [] : [errorText(failure)];
  return Object.defineProperty(structure(Object.fromEntries(structs), []), "ServerErrors", { value: errors });
}

const STRUCTS: ReadonlySet<string> = new Set(["Plugins", "Swarm", "RuncCommit", "ContainerdCommit", "InitCommit"]);

const when = (text: string | undefined, line: (text: string) => Line): Line => (text ? line(text) : undefined);
const list = (title: string, items: readonly string[] | null | undefined): Line =>
  items && items.length > 0 ? [` ${title}:`, ...items.map((item) => `  ${item}`)] : undefined;

function serverText(info: SystemInfo): string {
  const { Swarm, RegistryConfig = {} } = info;
  const lines: readonly Line[] = [
    ` Containers: ${info.Containers}`,
    `  Running: ${info.ContainersRunning}`,
    `  Paused: ${info.ContainersPaused}`,
    `  Stopped: ${info.ContainersStopped}`,
    ` Images: ${info.Images}`,
    when(info.ServerVersion, (text) => ` Server Version: ${text}`),
    when(info.Driver, (text) => ` Storage Driver: ${text}`),
    (info.DriverStatus ?? []).map(([name, value]) => `  ${name}: ${value}`),
    when(info.LoggingDriver, (text) => ` Logging Driver: ${text}`),
    when(info.CgroupDriver, (text) => ` Cgroup Driver: ${text}`),
    when(info.CgroupVersion, (text) => ` Cgroup Version: ${text}`),
    pluginLines(info),
    list("CDI spec directories", info.CDISpecDirs),
    ` Swarm: ${(Swarm as { LocalNodeState?: string } | undefined)?.LocalNodeState ?? "inactive"}`,
    Object.keys(info.Runtimes ?? {}).length > 0
      ? [` Runtimes: ${Object.keys(info.Runtimes).toSorted().join(" ")}`, ` Default Runtime: ${info.DefaultRuntime}`]
      : undefined,
    ` Init Binary: ${info.InitBinary}`,
    ` containerd version: ${info.ContainerdCommit?.ID ?? ""}`,
    ` runc version: ${info.RuncCommit?.ID ?? ""}`,
    ` init version: ${info.InitCommit?.ID ?? ""}`,
    securityLines(info.SecurityOptions ?? []),
    ` Kernel Version: ${info.KernelVersion}`,
    ` Operating System: ${info.OperatingSystem}`,
    ` OSType: ${info.OSType}`,
    ` Architecture: ${info.Architecture}`,
    ` CPUs: ${info.NCPU}`,
    ` Total Memory: ${binarySize(info.MemTotal)}`,
    ` Name: ${info.Name}`,
    ` ID: ${info.ID}`,
    ` Docker Root Dir: ${info.DockerRootDir}`,
    ` Debug Mode: ${info.Debug}`,
    info.Debug
      ? [
          `  File Descriptors: ${info.NFd}`,
          `  Goroutines: ${info.NGoroutines}`,
          `  System Time: ${info.SystemTime}`,
          `  EventsListeners: ${info.NEventsListener}`,
        ]
      : undefined,
    when(info.HttpProxy, (text) => ` HTTP Proxy: ${text}`),
    when(info.HttpsProxy, (text) => ` HTTPS Proxy: ${text}`),
    when(info.NoProxy, (text) => ` No Proxy: ${text}`),
    list("Labels", info.Labels),
    ` Experimental: ${info.ExperimentalBuild}`,
    list("Insecure Registries", RegistryConfig.InsecureRegistryCIDRs),
    list("Registry Mirrors", RegistryConfig.Mirrors),
    ` Live Restore Enabled: ${info.LiveRestoreEnabled}`,
    (info.DefaultAddressPools ?? []).length > 0
      ? [
          " Default Address Pools:",
          ...info.DefaultAddressPools.map(({ Base, Size }) => `   Base: ${Base}, Size: ${Size}`),
        ]
      : undefined,
    when(info.ProductLicense, (text) => ` Product License: ${text}`),
  ];
  return (lines.flat(3) as Line[])
    .filter((line) => line !== undefined)
    .map((line) => `${line as string}\n`)
    .join("");
}

function pluginLines({ Plugins = {} }: SystemInfo): Line {
  const row = (name: string, names: readonly string[] | null | undefined) =>
    names && names.length > 0 ? [`  ${name}: ${names.join(" ")}`] : [];
  return [
    " Plugins:",
    `  Volume: ${(Plugins.Volume ?? []).join(" ")}`,
    `  Network: ${(Plugins.Network ?? []).join(" ")}`,
    ...row("Authorization", Plugins.Authorization),
    `  Log: ${(Plugins.Log ?? []).join(" ")}`,
  ];
}

/** "name=seccomp,profile=builtin" → " seccomp" and "  Profile: builtin". */
function securityLines(options: readonly string[]): Line {
  if (options.length === 0) return undefined;
  const lines = options.flatMap((option) => {
    const pairs = option.split(",").map((part) => part.split("="));
    return pairs.map(([key = "", value = ""]) =>
      key === "name" ? `  ${value}` : `   ${key[0]?.toUpperCase()}${key.slice(1)}: ${value}`,
    );
  });
  return [" Security Options:", ...lines];
}
