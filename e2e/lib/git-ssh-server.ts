/** An OpenSSH server that gives out one bare Git repository: an own user, host key and port on loopback, in a mount namespace of its own. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../../src/testing/free-port.ts";

const SSHD = "/usr/sbin/sshd";
const USER = "gantry-git";
/** Nobody's. */
const UID = 65534;

export function missingSshd(): string | false {
  if (process.getuid?.() !== 0) return "needs root";
  return existsSync(SSHD) ? false : "no sshd on this machine (Debian: openssh-server)";
}

export interface GitSshServer extends AsyncDisposable {
  /** "ssh://gantry-git@127.0.0.1:40123/…/repository.git". */
  readonly url: string;
  /** The private key that may log in, in a file. */
  readonly key: string;
  /** One that may not. */
  readonly otherKey: string;
  /** A folder in place of /etc/ssh whose ssh_known_hosts knows the server at 127.0.0.1, and not at localhost. */
  readonly etcSsh: string;
}

/** `source`: a folder whose files become the only commit of `main`. */
export async function startGitSshServer(source: string): Promise<GitSshServer> {
  const root = mkdtempSync(join(tmpdir(), "gantry-git-ssh-"));
  const port = await freePorts(1);
  const at = (...names: string[]) => join(root, ...names);
  chmodSync(root, 0o755);
  for (const name of ["host", "key", "other"])
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "of the test", "-f", at(name)]);
  makeRepository(source, at("repository.git"));
  writeFileSync(at("authorized_keys"), readFileSync(at("key.pub")), { mode: 0o644 });
  writeFileSync(at("passwd"), `${readFileSync("/etc/passwd", "utf8")}${USER}:x:${UID}:${UID}::/:/bin/sh\n`);
  writeFileSync(at("shadow"), `${readFileSync("/etc/shadow", "utf8")}${USER}:*:19000:0:99999:7:::\n`, { mode: 0o600 });
  writeFileSync(at("config"), configOf(root, port));
  mkdirSync(at("etc-ssh"));
  const [type, value] = readFileSync(at("host.pub"), "utf8").split(" ");
  writeFileSync(at("etc-ssh", "ssh_known_hosts"), `[127.0.0.1]:${port} ${type} ${value}\n`);
  const script = `mount --bind ${at("passwd")} /etc/passwd && mount --bind ${at("shadow")} /etc/shadow &&
    mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec ${SSHD} -D -e -f ${at("config")}`;
  const child = spawn("unshare", ["-m", "sh", "-c", script], { stdio: ["ignore", "ignore", "pipe"] });
  await listening(child, port);
  return {
    url: `ssh://${USER}@127.0.0.1:${port}${at("repository.git")}`,
    key: at("key"),
    otherKey: at("other"),
    etcSsh: at("etc-ssh"),
    [Symbol.asyncDispose]: async () => {
      const ended = new Promise((resolve) => child.once("exit", resolve));
      if (child.exitCode === null && child.kill()) await ended;
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function makeRepository(source: string, bare: string): void {
  const git = (...args: string[]) =>
    execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x@example.com", "-C", source, ...args], {
      stdio: "ignore",
    });
  git("init", "-b", "main");
  git("add", ".");
  git("commit", "-m", "x");
  git("tag", "v1");
  git("clone", "--bare", source, bare);
  spawnSync("chown", ["-R", `${UID}:${UID}`, bare]);
}

const configOf = (root: string, port: number): string => `ListenAddress 127.0.0.1:${port}
HostKey ${join(root, "host")}
AuthorizedKeysFile ${join(root, "authorized_keys")}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers ${USER}
AllowTcpForwarding no
AllowAgentForwarding no
MaxStartups 100
`;

async function listening(child: ChildProcess, port: number): Promise<void> {
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk).slice(-4000);
  });
  for (let attempt = 0; !(await answers(port)); attempt++) {
    if (child.exitCode !== null || attempt > 1000) throw new Error(`sshd did not come up: ${said}`);
    await sleep(20);
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("data", () => resolve(true)).once("error", () => resolve(false));
    socket.once("data", () => socket.destroy());
  });
}
