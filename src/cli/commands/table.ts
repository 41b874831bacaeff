/**
 * Every command: its names (the first is the one that help lists; the others do the same), a line about it, and where
 * its file is. Nothing of it is loaded before it is needed.
 */
import type { Command } from "../command.ts";

export interface Entry {
  readonly names: readonly string[];
  readonly summary: string;
  /** In help's first list. */
  readonly common?: boolean;
  readonly hidden?: boolean;
  load(): Promise<Command>;
}

/** First words of commands of two, with what they are about. */
export const GROUPS: Readonly<Record<string, string>> = {
  builder: "Manage builds",
  container: "Manage containers",
  context: "Manage contexts",
  image: "Manage images",
  manifest: "Manage manifest lists, names for images of several platforms in registries",
  network: "Manage networks",
  registry: "Run a registry of images",
  system: "Manage the engine",
  volume: "Manage volumes",
};

export function groupSummary(group: string): string {
  return GROUPS[group] ?? "";
}

export const COMMANDS: readonly Entry[] = [
  {
    names: ["run", "container run"],
    summary: "Create a container from an image and run it",
    common: true,
    load: async () => (await import("./run.ts")).command,
  },
  {
    names: ["exec", "container exec"],
    summary: "Run a command in a running container",
    common: true,
    load: async () => (await import("./exec.ts")).command,
  },
  {
    names: ["ps", "container ls", "container list", "container ps"],
    summary: "List containers",
    common: true,
    load: async () => (await import("./ps.ts")).command,
  },
  {
    names: ["build", "image build", "builder build"],
    summary: "Build an image from a Dockerfile",
    common: true,
    load: async () => (await import("./build.ts")).command,
  },
  {
    names: ["pull", "image pull"],
    summary: "Fetch an image from a registry",
    common: true,
    load: async () => (await import("./pull.ts")).command,
  },
  {
    names: ["push", "image push"],
    summary: "Send an image to a registry",
    common: true,
    load: async () => (await import("./push.ts")).command,
  },
  {
    names: ["images", "image ls", "image list"],
    summary: "List images",
    common: true,
    load: async () => (await import("./images.ts")).command,
  },
  {
    names: ["login"],
    summary: "Log in to a registry",
    common: true,
    load: async () => (await import("./login.ts")).command,
  },
  {
    names: ["logout"],
    summary: "Log out from a registry",
    common: true,
    load: async () => (await import("./logout.ts")).command,
  },
  {
    names: ["search"],
    summary: "Search for images",
    common: true,
    load: async () => (await import("./search.ts")).command,
  },
  {
    names: ["version"],
    summary: "Show the versions of client and daemon",
    common: true,
    load: async () => (await import("./version.ts")).command,
  },
  {
    names: ["info", "system info"],
    summary: "Show what the daemon is and what it keeps",
    common: true,
    load: async () => (await import("./info.ts")).command,
  },
  {
    names: ["attach", "container attach"],
    summary: "Attach this terminal's input and output to a running container",
    load: async () => (await import("./attach.ts")).command,
  },
  {
    names: ["commit", "container commit"],
    summary: "Make an image from a container's changes",
    load: async () => (await import("./commit.ts")).command,
  },
  {
    names: ["cp", "container cp"],
    summary: "Copy files between a container and this machine",
    load: async () => (await import("./cp.ts")).command,
  },
  {
    names: ["create", "container create"],
    summary: "Create a container",
    load: async () => (await import("./create.ts")).command,
  },
  {
    names: ["diff", "container diff"],
    summary: "Show what changed in a container's file system",
    load: async () => (await import("./diff.ts")).command,
  },
  {
    names: ["events", "system events"],
    summary: "Show what happens in the daemon, as it happens",
    load: async () => (await import("./events.ts")).command,
  },
  {
    names: ["export", "container export"],
    summary: "Write a container's file system as a tar archive",
    load: async () => (await import("./export.ts")).command,
  },
  {
    names: ["history", "image history"],
    summary: "Show how an image was made",
    load: async () => (await import("./history.ts")).command,
  },
  {
    names: ["import", "image import"],
    summary: "Make an image from a tar archive of a file system",
    load: async () => (await import("./import.ts")).command,
  },
  { names: ["inspect"], summary: "Show objects in full", load: async () => (await import("./inspect.ts")).command },
  {
    names: ["kill", "container kill"],
    summary: "Kill running containers, or send them a signal",
    load: async () => (await import("./kill.ts")).command,
  },
  {
    names: ["load", "image load"],
    summary: "Load images from a tar archive",
    load: async () => (await import("./load.ts")).command,
  },
  {
    names: ["logs", "container logs"],
    summary: "Show what a container wrote",
    load: async () => (await import("./logs.ts")).command,
  },
  {
    names: ["pause", "container pause"],
    summary: "Pause all processes of containers",
    load: async () => (await import("./pause.ts")).command,
  },
  {
    names: ["port", "container port"],
    summary: "List a container's published ports",
    load: async () => (await import("./port.ts")).command,
  },
  {
    names: ["rename", "container rename"],
    summary: "Rename a container",
    load: async () => (await import("./rename.ts")).command,
  },
  {
    names: ["restart", "container restart"],
    summary: "Restart containers",
    load: async () => (await import("./restart.ts")).command,
  },
  {
    names: ["rm", "container rm", "container remove"],
    summary: "Remove containers",
    load: async () => (await import("./rm.ts")).command,
  },
  {
    names: ["rmi", "image rm", "image remove"],
    summary: "Remove images",
    load: async () => (await import("./rmi.ts")).command,
  },
  {
    names: ["save", "image save"],
    summary: "Write images as a tar archive",
    load: async () => (await import("./save.ts")).command,
  },
  {
    names: ["start", "container start"],
    summary: "Start stopped containers",
    load: async () => (await import("./start.ts")).command,
  },
  {
    names: ["stats", "container stats"],
    summary: "Show what containers use, as it changes",
    load: async () => (await import("./stats.ts")).command,
  },
  {
    names: ["stop", "container stop"],
    summary: "Stop running containers",
    load: async () => (await import("./stop.ts")).command,
  },
  {
    names: ["tag", "image tag"],
    summary: "Give an image a further name",
    load: async () => (await import("./tag.ts")).command,
  },
  {
    names: ["top", "container top"],
    summary: "Show a container's processes",
    load: async () => (await import("./top.ts")).command,
  },
  {
    names: ["unpause", "container unpause"],
    summary: "Let paused containers go on",
    load: async () => (await import("./unpause.ts")).command,
  },
  {
    names: ["update", "container update"],
    summary: "Change the limits of containers",
    load: async () => (await import("./update.ts")).command,
  },
  {
    names: ["wait", "container wait"],
    summary: "Wait until containers stop, then print their exit codes",
    load: async () => (await import("./wait.ts")).command,
  },
  {
    names: ["container inspect"],
    summary: "Show containers in full",
    load: async () => (await import("./container-inspect.ts")).command,
  },
  {
    names: ["container prune"],
    summary: "Remove all stopped containers",
    load: async () => (await import("./container-prune.ts")).command,
  },
  {
    names: ["image inspect"],
    summary: "Show images in full",
    load: async () => (await import("./image-inspect.ts")).command,
  },
  {
    names: ["image prune"],
    summary: "Remove images that nothing uses",
    load: async () => (await import("./image-prune.ts")).command,
  },
  {
    names: ["manifest create"],
    summary: "Begin a manifest list of images that a registry has",
    load: async () => (await import("./manifest-create.ts")).command,
  },
  {
    names: ["manifest annotate"],
    summary: "Say what an image in a manifest list runs on",
    load: async () => (await import("./manifest-annotate.ts")).command,
  },
  {
    names: ["manifest inspect"],
    summary: "Show a manifest, or a manifest list",
    load: async () => (await import("./manifest-inspect.ts")).command,
  },
  {
    names: ["manifest push"],
    summary: "Send a manifest list to its registry",
    load: async () => (await import("./manifest-push.ts")).command,
  },
  {
    names: ["manifest rm"],
    summary: "Forget manifest lists that were begun",
    load: async () => (await import("./manifest-rm.ts")).command,
  },
  {
    names: ["builder prune"],
    summary: "Remove the build cache",
    load: async () => (await import("./builder-prune.ts")).command,
  },
  {
    names: ["volume clone"],
    summary: "Make a volume of what another one holds",
    load: async () => (await import("./volume-clone.ts")).command,
  },
  {
    names: ["volume create"],
    summary: "Create a volume",
    load: async () => (await import("./volume-create.ts")).command,
  },
  {
    names: ["volume export"],
    summary: "Write what a volume holds into a tar archive",
    load: async () => (await import("./volume-export.ts")).command,
  },
  {
    names: ["volume import"],
    summary: "Make a volume of a tar archive",
    load: async () => (await import("./volume-import.ts")).command,
  },
  {
    names: ["volume inspect"],
    summary: "Show volumes in full",
    load: async () => (await import("./volume-inspect.ts")).command,
  },
  {
    names: ["volume ls", "volume list"],
    summary: "List volumes",
    load: async () => (await import("./volume-ls.ts")).command,
  },
  {
    names: ["volume prune"],
    summary: "Remove volumes that nothing uses",
    load: async () => (await import("./volume-prune.ts")).command,
  },
  {
    names: ["volume pull"],
    summary: "Make a volume of one in a registry",
    load: async () => (await import("./volume-pull.ts")).command,
  },
  {
    names: ["volume push"],
    summary: "Send what a volume holds to a registry",
    load: async () => (await import("./volume-push.ts")).command,
  },
  {
    names: ["volume restore"],
    summary: "Put back what a snapshot holds",
    load: async () => (await import("./volume-restore.ts")).command,
  },
  {
    names: ["volume rm", "volume remove"],
    summary: "Remove volumes",
    load: async () => (await import("./volume-rm.ts")).command,
  },
  {
    names: ["volume snapshot"],
    summary: "Keep what a volume holds now",
    load: async () => (await import("./volume-snapshot.ts")).command,
  },
  {
    names: ["volume update"],
    summary: "Update a cluster volume",
    load: async () => (await import("./volume-update.ts")).command,
  },
  {
    names: ["network connect"],
    summary: "Connect a container to a network",
    load: async () => (await import("./network-connect.ts")).command,
  },
  {
    names: ["network create"],
    summary: "Create a network",
    load: async () => (await import("./network-create.ts")).command,
  },
  {
    names: ["network disconnect"],
    summary: "Disconnect a container from a network",
    load: async () => (await import("./network-disconnect.ts")).command,
  },
  {
    names: ["network exposure"],
    summary: "Show what of the containers is reachable, and from where",
    load: async () => (await import("./network-exposure.ts")).command,
  },
  {
    names: ["network inspect"],
    summary: "Show networks in full",
    load: async () => (await import("./network-inspect.ts")).command,
  },
  {
    names: ["network ls", "network list"],
    summary: "List networks",
    load: async () => (await import("./network-ls.ts")).command,
  },
  {
    names: ["network prune"],
    summary: "Remove networks that nothing uses",
    load: async () => (await import("./network-prune.ts")).command,
  },
  {
    names: ["network rm", "network remove"],
    summary: "Remove networks",
    load: async () => (await import("./network-rm.ts")).command,
  },
  {
    names: ["system df"],
    summary: "Show how much disk is used",
    load: async () => (await import("./system-df.ts")).command,
  },
  {
    names: ["system prune"],
    summary: "Remove everything that nothing uses",
    load: async () => (await import("./system-prune.ts")).command,
  },
  {
    names: ["system dial-stdio"],
    summary: "Carry standard input and output to the daemon's socket",
    hidden: true,
    load: async () => (await import("./system-dial-stdio.ts")).command,
  },
  {
    names: ["context create"],
    summary: "Create a context",
    load: async () => (await import("./context-create.ts")).command,
  },
  {
    names: ["context export"],
    summary: "Write a context to a file or to standard output",
    load: async () => (await import("./context-export.ts")).command,
  },
  {
    names: ["context import"],
    summary: "Make a context from a file or from standard input",
    load: async () => (await import("./context-import.ts")).command,
  },
  {
    names: ["context inspect"],
    summary: "Show contexts in full",
    load: async () => (await import("./context-inspect.ts")).command,
  },
  {
    names: ["context ls", "context list"],
    summary: "List contexts",
    load: async () => (await import("./context-ls.ts")).command,
  },
  {
    names: ["context rm", "context remove"],
    summary: "Remove contexts",
    load: async () => (await import("./context-rm.ts")).command,
  },
  {
    names: ["context show"],
    summary: "Print the name of the context in use",
    load: async () => (await import("./context-show.ts")).command,
  },
  {
    names: ["context update"],
    summary: "Change a context",
    load: async () => (await import("./context-update.ts")).command,
  },
  {
    names: ["context use"],
    summary: "Choose the context to use",
    load: async () => (await import("./context-use.ts")).command,
  },
  {
    names: ["completion"],
    summary: "Print the completion script of a shell",
    load: async () => (await import("./completion.ts")).command,
  },
  {
    names: ["daemon"],
    summary: "Run the daemon in the foreground",
    load: async () => (await import("./daemon.ts")).command,
  },
  {
    names: ["registry serve"],
    summary: "Serve a registry in the foreground",
    load: async () => (await import("./registry-serve.ts")).command,
  },
  {
    names: ["registry gc"],
    summary: "Remove what nothing in a registry needs, also while it serves",
    load: async () => (await import("./registry-gc.ts")).command,
  },
  {
    names: ["registry htpasswd"],
    summary: "Hash the password of a registry's user",
    load: async () => (await import("./registry-htpasswd.ts")).command,
  },
  {
    names: ["__complete"],
    summary: "Complete the words given",
    hidden: true,
    load: async () => (await import("./complete.ts")).command,
  },
];
