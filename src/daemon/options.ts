/**
 * Everything that can be configured: a row per option, with its flag, its key in daemon.json, and what it does here. The parser, the
 * validation, `--help` and docs/daemon.md are derived from this table.
 */

/** How a value is written and read; see values.ts. */
export type OptionKind =
  | "bool"
  | "int"
  | "string"
  | "bytes"
  | "list"
  /** One value in the flag, a string or a list of strings in the file. */
  | "lists"
  | "map"
  | "mapmap"
  | "ulimits"
  | "runtimes"
  | "pools"
  /** Any JSON; no flag. */
  | "json";

export interface Option {
  /** The key in daemon.json, or for what only a flag has, the flag's name. */
  readonly key: string;
  /** Without "--"; undefined: only in daemon.json. */
  readonly flag: string | undefined;
  readonly short: string | undefined;
  /** Not a key of daemon.json. */
  readonly flagOnly: boolean;
  readonly kind: OptionKind;
  /** What it does here, for people. */
  readonly does: string;
  /** Accepted, and nothing here depends on it. */
  readonly idle: boolean;
  /** SIGHUP takes a changed value up. */
  readonly reloads: boolean;
  /** For values that promise what would not be kept: what is wrong with this one. It ends the start. */
  readonly refuses: ((value: unknown) => string | undefined) | undefined;
}

interface Extra {
  readonly flag?: string | null;
  readonly short?: string;
  readonly flagOnly?: boolean;
  readonly reloads?: boolean;
  readonly refuses?: Option["refuses"];
}

const option = (key: string, kind: OptionKind, does: string, extra: Extra = {}): Option => ({
  key,
  kind,
  does,
  flag: extra.flag === null ? undefined : (extra.flag ?? key),
  short: extra.short,
  flagOnly: extra.flagOnly ?? false,
  idle: false,
  reloads: extra.reloads ?? false,
  refuses: extra.refuses,
});

const idle = (key: string, kind: OptionKind, why: string, extra: Extra = {}): Option => ({
  ...option(key, kind, `Nothing: ${why}`, extra),
  idle: true,
});

/** Nothing but refusals. */
const refused = (key: string, kind: OptionKind, why: string, extra: Extra = {}): Option =>
  option(key, kind, `Refused when set: ${why}`, {
    ...extra,
    refuses: (value) => (value === "" || value === false ? undefined : why.replace(/\.$/, "")),
  });

/** The first complaint about a list of "key=value". */
const eachOf = (complain: (key: string, value: string) => string | undefined) => (list: unknown) =>
  (list as readonly string[])
    .map((word) => {
      const [, key = word, value = ""] = /^([^=]*)=(.*)$/s.exec(word) ?? [];
      return complain(key.trim().toLowerCase(), value.trim());
    })
    .find((complaint) => complaint !== undefined);

const NO_CONTAINERD = "there is no containerd; the engine keeps content and runs containers itself.";
const NO_SWARM = "there is no swarm mode.";

export const OPTIONS: readonly Option[] = [
  option("runtimes", "runtimes", "Adds an OCI runtime, `name=path`; containers choose it with `--runtime`.", {
    flag: "add-runtime",
    reloads: true,
  }),
  option("allow-direct-routing", "bool", "Published ports may also be reached at the container's own address."),
  option(
    "authorization-plugins",
    "list",
    "Plug-ins that are asked before a request is carried out and before its answer goes out.",
    { flag: "authorization-plugin", reloads: true },
  ),
  option("bip", "string", "Address and subnet of the default bridge, `172.30.0.1/16`."),
  option("bip6", "string", "IPv6 address and subnet of the default bridge."),
  option("bridge", "string", "Name of the default bridge; `none`: no default bridge.", { short: "b" }),
  option("bridge-accept-fwmark", "string", "Packets with this mark reach every container: `0x1` or `0x1/0x3`."),
  option("builder", "json", "`gc.defaultKeepStorage`: how much builds may keep beyond images (default `20GB`).", {
    flag: null,
  }),
  option(
    "cdi-spec-dirs",
    "list",
    "Folders of CDI specifications, for `--device vendor/class=name` and `--gpus` (default `/etc/cdi`, `/var/run/cdi`).",
    { flag: "cdi-spec-dir" },
  ),
  option("cgroup-parent", "string", "Control group under which those of containers are made."),
  option(
    "config-file",
    "string",
    "The configuration file (default `/etc/gantry/daemon.json`; called dockerd: `/etc/docker/daemon.json`).",
    { flagOnly: true },
  ),
  idle("containerd", "string", NO_CONTAINERD),
  idle("containerd-namespace", "string", NO_CONTAINERD),
  idle("containerd-plugins-namespace", "string", NO_CONTAINERD),
  idle("cpu-rt-period", "int", "real-time scheduling is set per container only."),
  idle("cpu-rt-runtime", "int", "real-time scheduling is set per container only."),
  idle("cri-containerd", "bool", NO_CONTAINERD),
  option(
    "data-root",
    "string",
    "Where everything that lasts is kept (default `/var/lib/gantry`, also when called dockerd).",
  ),
  option("debug", "bool", "Logs at debug level.", { short: "D", reloads: true }),
  option("default-address-pools", "pools", "Where subnets of new networks come from, `base=172.30.0.0/16,size=24`.", {
    flag: "default-address-pool",
  }),
  option(
    "default-cgroupns-mode",
    "string",
    "`private` or `host`: the control group namespace of containers that don't say (default `private`).",
  ),
  option("default-gateway", "string", "Gateway on the default bridge other than the bridge itself."),
  option("default-gateway-v6", "string", "The same for IPv6."),
  option(
    "default-ipc-mode",
    "string",
    "`private` or `shareable`: the IPC namespace of containers that don't say (default `private`).",
  ),
  option(
    "default-network-opts",
    "mapmap",
    "Options of new networks, by driver: `bridge=com.docker.network.driver.mtu=1400`.",
    {
      flag: "default-network-opt",
    },
  ),
  option(
    "default-runtime",
    "string",
    "The runtime of containers that don't say (default: crun where it is installed, otherwise runc).",
    { reloads: true },
  ),
  option("default-shm-size", "bytes", "Size of /dev/shm (default `64m`)."),
  option("default-ulimits", "ulimits", "Limits of containers that don't say, `nofile=1024:2048`.", {
    flag: "default-ulimit",
  }),
  option("dns", "list", "Name servers of containers that don't say."),
  option("dns-opts", "list", "resolv.conf options of containers that don't say.", { flag: "dns-opt" }),
  option("dns-search", "list", "Search domains of containers that don't say."),
  option(
    "exec-opts",
    "list",
    "`native.cgroupdriver=cgroupfs`: control groups are written directly; others are refused.",
    {
      flag: "exec-opt",
      refuses: eachOf((key, value) => {
        if (key !== "native.cgroupdriver") return `unknown option ${JSON.stringify(key)}: there is native.cgroupdriver`;
        return value === "cgroupfs"
          ? undefined
          : `native.cgroupdriver=${value} is not supported: there is cgroupfs alone`;
      }),
    },
  ),
  option("exec-root", "string", "Where everything that a reboot may take is kept (default `/run/gantry`)."),
  option("experimental", "bool", "Says so in `version` and `_ping`; nothing is hidden behind it."),
  option("features", "map", "`cdi=false` switches devices by name off; others have no effect.", { flag: "feature" }),
  idle("firewall-backend", "string", "rules are always written by nftables, beside those of others."),
  option("fixed-cidr", "string", "The part of the default bridge's subnet that containers get addresses from."),
  option("fixed-cidr-v6", "string", "The same for IPv6."),
  option(
    "group",
    "string",
    "Group that may use the unix sockets (default `gantry`; called dockerd: `docker`); root alone where it doesn't exist.",
    { short: "G" },
  ),
  option("help", "bool", "Prints the options.", { flagOnly: true }),
  option(
    "hosts",
    "list",
    "Where to listen: `unix:///path`, `tcp://address:port`, `fd://` (sockets of systemd); default `unix:///run/gantry/gantry.sock`, called dockerd: `unix:///var/run/docker.sock`.",
    { flag: "host", short: "H" },
  ),
  option(
    "host-gateway-ips",
    "lists",
    "What `host-gateway` in `--add-host` stands for (default: the default bridge's addresses).",
    { flag: "host-gateway-ip" },
  ),
  option("http-proxy", "string", "Proxy to registries without TLS; default `$HTTP_PROXY`.", { reloads: true }),
  option("https-proxy", "string", "Proxy to registries with TLS; default `$HTTPS_PROXY`.", { reloads: true }),
  option("icc", "bool", "Containers on the default bridge may talk to each other (default true)."),
  option("init", "bool", "Runs a small init as process 1 of containers that don't say."),
  option("init-path", "string", "That init, instead of the one that comes along."),
  option(
    "insecure-registries",
    "list",
    "Registries (`host:port`, or a network) that are reached by unverified TLS or plain HTTP; loopback always is.",
    { flag: "insecure-registry", reloads: true },
  ),
  option("ip", "string", "Host address of published ports that don't say (default `0.0.0.0`)."),
  option("ip-forward", "bool", "Turns IP forwarding on (default true)."),
  option(
    "ip-forward-no-drop",
    "bool",
    "Lets the host forward between its other interfaces too when forwarding had to be turned on.",
  ),
  option("ip-masq", "bool", "Masquerades what leaves the default bridge (default true)."),
  option("ip6tables", "bool", "Writes the IPv6 part of the firewall rules (default true)."),
  option("iptables", "bool", "Writes firewall rules: masquerading, published ports, isolation (default true)."),
  option("ipv6", "bool", "Gives containers on the default bridge IPv6 addresses."),
  option("labels", "list", "Labels of this engine, shown by `info`.", { flag: "label", reloads: true }),
  option(
    "live-restore",
    "bool",
    "Containers go on while the daemon is stopped (default true; false stops them with it, as dockerd's default does).",
    { reloads: true },
  ),
  option("log-driver", "string", "Log driver of containers that don't say (default `json-file`)."),
  option("log-format", "string", "The daemon's own log: `text` (logfmt) or `json`."),
  option("log-level", "string", "`debug`, `info`, `warn`, `error`, `fatal` (default `info`).", {
    short: "l",
    reloads: true,
  }),
  option("log-opts", "map", "Options of the log driver, `max-size=10m`.", { flag: "log-opt" }),
  option("max-concurrent-downloads", "int", "Layers fetched at the same time (default 3).", { reloads: true }),
  option("max-concurrent-uploads", "int", "Layers sent at the same time (default 5).", { reloads: true }),
  option("max-download-attempts", "int", "How often a transfer that brings nothing is tried (default 5).", {
    reloads: true,
  }),
  option(
    "metrics-addr",
    "string",
    "Where Prometheus finds figures, `127.0.0.1:9323`; at `/metrics`, without a password.",
  ),
  option("mtu", "int", "MTU of the default bridge (default 1500)."),
  idle("network-control-plane-mtu", "int", NO_SWARM),
  option("no-new-privileges", "bool", "Sets no_new_privs for containers that don't say."),
  option("no-proxy", "string", "Hosts, domains and networks reached without a proxy; default `$NO_PROXY`.", {
    reloads: true,
  }),
  idle("node-generic-resources", "list", NO_SWARM, { flag: "node-generic-resource" }),
  option(
    "pidfile",
    "string",
    "The daemon's PID file (default `gantry.pid` in the exec root; called dockerd: `/var/run/docker.pid`).",
    { short: "p" },
  ),
  option(
    "plugin-dirs",
    "list",
    "Folders of plug-ins' sockets, `.spec` and `.json` files (default Docker's: `/run/docker/plugins`, `/etc/docker/plugins`, `/usr/lib/docker/plugins`).",
    { flag: "plugin-dir" },
  ),
  option("proxies", "json", "The three proxy options in one object.", { flag: null, reloads: true }),
  option(
    "publish-through",
    "string",
    "`forward`: published ports are translated by the kernel; `input`: they obey the host's input rules (default `forward`).",
  ),
  option("raw-logs", "bool", "Always so: the daemon's log has full times and no colours."),
  option("registries", "json", "Rules for registries: mirrors in order, other places, blocks; see registries.md.", {
    flag: null,
    reloads: true,
  }),
  option("registry", "json", "A registry inside the daemon, which shares its blobs; see registry.md.", {
    flag: null,
    reloads: true,
  }),
  option("registry-mirrors", "list", "URLs of mirrors of docker.io, asked before it.", {
    flag: "registry-mirror",
    reloads: true,
  }),
  refused("rootless", "bool", "running without root is not supported yet."),
  option(
    "runtime-timeout",
    "int",
    "Seconds that a call of the OCI runtime (run, exec, delete) may take before it is killed with what it started (default 120).",
    { reloads: true },
  ),
  option("seccomp-profile", "string", "Profile of containers that don't say: `builtin`, `unconfined`, or a file."),
  idle("selinux-enabled", "bool", "SELinux labels are not set."),
  option("shutdown-timeout", "int", "Seconds that containers get to stop when `live-restore` is false (default 15).", {
    reloads: true,
  }),
  option("storage-driver", "string", "`overlay` (`overlay2`) or `copy` (`vfs`); default: what the file system can.", {
    short: "s",
  }),
  option(
    "storage-opts",
    "list",
    "`overlay2.override_kernel_check` has no effect; others are refused: the storage drivers have no quotas.",
    {
      flag: "storage-opt",
      refuses: eachOf((key) => {
        if (key === "overlay2.override_kernel_check") return undefined;
        return key === "overlay2.size" ? "overlay2.size: the storage drivers have no quotas" : `unknown option ${key}`;
      }),
    },
  ),
  idle("swarm-default-advertise-addr", "string", NO_SWARM),
  option("tls", "bool", "Speaks TLS on TCP sockets."),
  option(
    "tlscacert",
    "string",
    "The authority that client certificates must be from (default `ca.pem` in `$DOCKER_CERT_PATH` or `~/.docker`).",
  ),
  option("tlscert", "string", "The server's certificate (default `cert.pem` there)."),
  option("tlskey", "string", "Its key (default `key.pem` there)."),
  option("tlsverify", "bool", "Speaks TLS and lets only clients with a certificate of that authority in."),
  option(
    "userland-proxy",
    "bool",
    "Passes on to containers what the kernel cannot: from IPv6 to IPv4, from `::1` (default true).",
  ),
  idle("userland-proxy-path", "string", "the daemon itself passes on what the kernel cannot."),
  refused("userns-remap", "string", "user namespaces are not supported yet."),
  option("validate", "bool", "Checks the configuration and exits.", { flagOnly: true }),
  option("version", "bool", "Prints the version.", { flagOnly: true, short: "v" }),
];

/** Other spellings that daemon.json may use. */
export const KEY_ALIASES: Readonly<Record<string, string>> = {
  "host-gateway-ip": "host-gateway-ips",
  "authorization-plugin": "authorization-plugins",
};
