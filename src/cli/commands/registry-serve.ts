/** `gantry registry serve`: a registry in the foreground. */
import { type Command, NO_ARGUMENTS } from "../command.ts";

export const REGISTRY_ROOT = "/var/lib/gantry-registry";

export const command: Command = {
  usage: "[OPTIONS]",
  flags: [
    { name: "anonymous-pull", type: "bool", help: "With --htpasswd: who is not logged in may pull" },
    { name: "config", type: "string", value: "file", help: "Settings as JSON; flags win over them" },
    { name: "htpasswd", type: "string", value: "file", help: "Users and their passwords, hashed with bcrypt" },
    { name: "listen", type: "list", value: "address", help: "Where to listen, [HOST:]PORT (default 127.0.0.1:5000)" },
    { name: "read-only", type: "bool", help: "Serve a root that another process writes" },
    {
      name: "root",
      type: "string",
      value: "folder",
      help: `Where everything is kept (default ${REGISTRY_ROOT})`,
    },
    { name: "tls-cert", type: "string", value: "file", help: "Certificate in PEM, with its chain" },
    { name: "tls-key", type: "string", value: "file", help: "Its key in PEM" },
  ],
  arguments: NO_ARGUMENTS,
  run: async (context, flags) => {
    const { runRegistry } = await import("../../registry/main.ts");
    const given = (name: string) => (flags.changed(name) ? flags.text(name) : undefined);
    const variable = (name: string) => context.env[name] || context.env[name.toLowerCase()] || undefined;
    const settings = {
      config: given("config"),
      root: given("root"),
      defaultRoot: REGISTRY_ROOT,
      listen: flags.list("listen"),
      readOnly: flags.changed("read-only") ? flags.bool("read-only") : undefined,
      tlsCertificate: given("tls-cert"),
      tlsKey: given("tls-key"),
      htpasswd: given("htpasswd"),
      anonymousPull: flags.bool("anonymous-pull"),
      remote: {
        httpProxy: variable("HTTP_PROXY"),
        httpsProxy: variable("HTTPS_PROXY"),
        noProxy: variable("NO_PROXY"),
      },
    };
    return await runRegistry(settings, (line) => context.err.write(`${line}\n`));
  },
};
