/** From the flags of `create` and `run` to the body of POST /containers/create. */
import type { ContainerConfig, ContainerCreateRequest, HealthConfig } from "../../api/types/container.ts";
import type { Environment } from "../context.ts";
import type { ParsedFlags } from "../flags/spec.ts";
import { keyValues, readEnvironment, readLabels } from "./env.ts";
import { hostConfig } from "./host-config.ts";
import { networking } from "./networks.ts";
import { parsePorts } from "./ports.ts";
import { anonymousVolumes } from "./volumes.ts";

/** The first positional is the image, the others the command. Throws an Error with docker's words for what does not fit. */
export function containerRequest(flags: ParsedFlags, env: Environment): ContainerCreateRequest {
  const [image = "", ...words] = flags.positional;
  const ports = parsePorts(flags.list("publish"), flags.list("expose"));
  const { mode, config } = networking(flags);
  return {
    ...streams(flags),
    ...present({
      Hostname: flags.text("hostname"),
      Domainname: flags.text("domainname"),
      User: flags.text("user"),
      WorkingDir: flags.text("workdir"),
      StopSignal: flags.text("stop-signal"),
    }),
    ...(flags.changed("stop-timeout") ? { StopTimeout: flags.number("stop-timeout") } : {}),
    Env: readEnvironment(flags.list("env-file"), flags.list("env"), env),
    Labels: keyValues(readLabels(flags.list("label-file"), flags.list("label"))),
    Image: image,
    Cmd: words.length === 0 ? null : words,
    ...(flags.changed("entrypoint") ? { Entrypoint: [flags.text("entrypoint")] } : {}),
    ExposedPorts: ports.exposed,
    Volumes: anonymousVolumes(flags.list("volume")),
    ...healthcheck(flags),
    HostConfig: hostConfig(flags, ports, mode),
    ...(config === undefined ? {} : { NetworkingConfig: config }),
  };
}

function streams(flags: ParsedFlags): Partial<ContainerConfig> {
  const wanted = flags.list("attach").map((name) => name.toLowerCase());
  const interactive = flags.bool("interactive");
  const stdin = interactive || wanted.includes("stdin");
  const all = wanted.length === 0;
  return {
    AttachStdin: stdin,
    AttachStdout: all || wanted.includes("stdout"),
    AttachStderr: all || wanted.includes("stderr"),
    Tty: flags.bool("tty"),
    OpenStdin: interactive,
    StdinOnce: interactive && stdin,
  };
}

const HEALTH = [
  "health-cmd",
  "health-interval",
  "health-timeout",
  "health-start-period",
  "health-start-interval",
  "health-retries",
  "health-on-failure",
];

function healthcheck(flags: ParsedFlags): { Healthcheck?: HealthConfig } {
  const given = HEALTH.some((name) => flags.changed(name));
  if (flags.bool("no-healthcheck")) {
    if (given) throw new Error("--no-healthcheck conflicts with --health-* options");
    return { Healthcheck: { Test: ["NONE"] } };
  }
  if (!given) return {};
  for (const name of HEALTH.slice(1, 6)) if (flags.number(name) < 0) throw new Error(`--${name} cannot be negative`);
  return {
    Healthcheck: {
      ...(flags.text("health-cmd") === "" ? {} : { Test: ["CMD-SHELL", flags.text("health-cmd")] }),
      Interval: flags.number("health-interval"),
      Timeout: flags.number("health-timeout"),
      StartPeriod: flags.number("health-start-period"),
      StartInterval: flags.number("health-start-interval"),
      Retries: flags.number("health-retries"),
      ...(flags.changed("health-on-failure") ? { OnFailure: flags.text("health-on-failure") } : {}),
    },
  };
}

/** Without the empty texts. */
export function present<T extends Readonly<Record<string, string>>>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== "")) as Partial<T>;
}
