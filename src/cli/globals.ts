/** The flags that stand before the command's name. */
import type { FlagSpec } from "./flags/spec.ts";

export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  {
    name: "config",
    type: "string",
    help: "Folder of the client's configuration files",
    default: "",
    complete: "folders",
  },
  {
    name: "context",
    short: "c",
    type: "string",
    help: "Context that says which daemon to talk to (instead of DOCKER_HOST and of the context in use)",
    complete: "contexts",
  },
  { name: "debug", short: "D", type: "bool", help: "Show where errors come from" },
  { name: "host", short: "H", type: "list", help: "Address of the daemon" },
  {
    name: "log-level",
    short: "l",
    type: "string",
    help: 'Level of logging ("debug", "info", "warn", "error", "fatal")',
    default: "info",
    complete: ["debug", "info", "warn", "error", "fatal"],
  },
  { name: "tls", type: "bool", help: "Use TLS; --tlsverify implies it" },
  { name: "tlscacert", type: "string", help: "Trust only certificates that this CA signed", complete: "files" },
  { name: "tlscert", type: "string", help: "File of the TLS certificate", complete: "files" },
  { name: "tlskey", type: "string", help: "File of the TLS key", complete: "files" },
  { name: "tlsverify", type: "bool", help: "Use TLS and check who answers" },
  { name: "version", short: "v", type: "bool", help: "Print the version and end" },
];
