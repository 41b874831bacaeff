/** `gantry version`. */
import type { SystemVersion } from "../../api/types/system.ts";
import { API_VERSION } from "../../client/transport.ts";
import { type Command, NO_ARGUMENTS } from "../command.ts";
import type { Context } from "../context.ts";
import { errorText } from "../errors.ts";
import { alignCells } from "../format/tabwriter.ts";
import type { Output } from "../output.ts";
import { packageVersion } from "../package-version.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [{ name: "format", short: "f", type: "string", help: "How to print: 'json' or a Go template" }],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const client = clientVersion(context);
    let server: SystemVersion | undefined;
    let failure: unknown;
    try {
      server = await context.client.system.version();
    } catch (error) {
      failure = error;
    }
    const format = flags.text("format");
    if (format !== "")
      await (await import("../format/object-format.ts")).printObject(context, format, {
        Client: client,
        Server: server && serverObject(server),
      });
    else context.out.write(versionText(client, server));
    if (failure === undefined) return 0;
    context.err.write(`${errorText(failure)}\n`);
    return 1;
  },
};

export function printShort(out: Output): number {
  out.write(`Gantry version ${packageVersion()}\n`);
  return 0;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };

function clientVersion(context: Context) {
  return named(
    {
      Platform: { Name: "Gantry" },
      Version: packageVersion(),
      ApiVersion: context.env.DOCKER_API_VERSION || API_VERSION,
      DefaultAPIVersion: API_VERSION,
      GitCommit: "",
      GoVersion: `node ${process.version}`,
      Os: process.platform,
      Arch: ARCHITECTURES[process.arch] ?? process.arch,
      BuildTime: "",
      Context: context.endpoint.context,
    },
    "ApiVersion",
    "APIVersion",
  );
}

function serverObject(server: SystemVersion) {
  return named({ ...server }, "ApiVersion", "APIVersion");
}

/** Go's field has another name than its JSON. */
function named<T extends object>(value: T, from: keyof T, to: string): T {
  Object.defineProperty(value, to, { value: value[from], enumerable: false });
  return value;
}

function versionText(client: ReturnType<typeof clientVersion>, server: SystemVersion | undefined): string {
  const rows = [
    [`Client: ${client.Platform.Name}`],
    [" Version:", client.Version],
    [" API version:", client.ApiVersion],
    [" Node version:", process.version],
    [" OS/Arch:", `${client.Os}/${client.Arch}`],
    [" Context:", client.Context],
    ...(server === undefined ? [] : serverRows(server)),
  ];
  return alignCells(rows, 1, 20);
}

/** "Fri Jan  2 03:04:05 2026", as it was where it was built. */
function builtText(time: string): string {
  const match = /^(\d{4}-\d\d-\d\dT[\d:]{8})/.exec(time);
  if (match === null) return time;
  const [weekday, day, month, year, clock] = new Date(`${match[1]}Z`).toUTCString().replace(",", "").split(" ");
  return `${weekday} ${month} ${String(Number(day)).padStart(2)} ${clock} ${year}`;
}

function serverRows(server: SystemVersion): string[][] {
  const platform = server.Platform?.Name ?? "";
  const rows = [[""], [`Server:${platform === "" ? "" : ` ${platform}`}`]];
  const components = server.Components ?? [];
  const engine = components.find(({ Name }) => Name === "Engine") ?? { Name: "Engine", Version: server.Version };
  for (const { Name = "", Version = "", Details } of [engine, ...components.filter((one) => one !== engine)]) {
    rows.push([` ${Name}:`], ["  Version:", Version]);
    if (Name === "Engine")
      rows.push(
        ["  API version:", `${server.ApiVersion} (minimum version ${server.MinAPIVersion})`],
        ["  Go version:", server.GoVersion],
        ["  Git commit:", server.GitCommit],
        ["  Built:", builtText(server.BuildTime)],
        ["  OS/Arch:", `${server.Os}/${server.Arch}`],
        ["  Experimental:", String(server.Experimental ?? false)],
      );
    else for (const key of Object.keys(Details ?? {}).toSorted()) rows.push([`  ${key}:`, String(Details?.[key])]);
  }
  return rows;
}
