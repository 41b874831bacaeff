/** For tests: servers that answer with their caller's address, and callers, in namespaces. */
import { createSocket } from "node:dgram";
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createConnection, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addVeth, deleteLink, RouteSocket, setLink } from "../kernel/netlink.ts";
import { addAddress, setDefaultRoute } from "../kernel/netlink-addresses.ts";
import { createNetns, removeNetns } from "../kernel/netns.ts";
import { killProcess, pipe, run, spawn } from "../kernel/spawn.ts";

const SERVER = `
const [tcp, udp] = [require("node:net"), require("node:dgram")];
const port = Number(process.argv[1]);
const plain = (ip) => ip.replace("::ffff:", "");
tcp.createServer((s) => { s.on("error", () => {}); s.end(plain(s.remoteAddress)); }).listen(port, "::", () => {
  const u = udp.createSocket("udp6");
  u.on("message", (_, from) => u.send(plain(from.address), from.port, from.address));
  u.bind(port, () => console.log("ready"));
});`;

const CALLER = `
import(process.argv[1]).then(({ ask }) => ask(process.argv[2], process.argv[3], Number(process.argv[4]))).then(console.log, (error) => {
  console.error(error.message);
  process.exit(1);
});`;

export type Transport = "tcp" | "udp";

/** What the server at the address says about whom it sees; from this process's namespace. Rejects after a second of silence. */
export function ask(transport: string, host: string, port: number): Promise<string> {
  return transport === "udp" ? askUdp(host, port) : askTcp(host, port);
}

const SILENCE_MS = 1000;

function askTcp(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = "";
    const socket = createConnection({ host, port, timeout: SILENCE_MS });
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.on("timeout", () => socket.destroy(new Error("no answer")));
    socket.on("error", reject);
    socket.on("close", () => (answer === "" ? reject(new Error("closed without an answer")) : resolve(answer)));
  });
}

function askUdp(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
    const timer = setTimeout(() => {
      socket.close();
      reject(new Error("no answer"));
    }, SILENCE_MS);
    socket.on("message", (message) => {
      clearTimeout(timer);
      socket.close();
      resolve(message.toString());
    });
    socket.on("error", reject);
    socket.send("who am I", port, host);
  });
}

/** The same from inside a namespace. */
export async function askFrom(netns: string, transport: Transport, host: string, port: number): Promise<string> {
  const command = [process.execPath, "-e", CALLER, import.meta.filename, transport, host, String(port)];
  const { code, stdout, stderr } = await run("nsenter", [`--net=${netns}`, "--", ...command], { timeoutMs: 10_000 });
  if (code !== 0) throw new Error(stderr.toString().trim());
  return stdout.toString().trim();
}

/** A TCP and a UDP server at the port of every address in the namespace. */
export async function serve(netns: string, port: number): Promise<Disposable> {
  const [read, write] = pipe();
  const { pid } = spawn({
    file: "nsenter",
    args: [`--net=${netns}`, "--", process.execPath, "-e", SERVER, String(port)],
    stdio: ["null", write, 2],
  });
  closeSync(write);
  for await (const chunk of new Socket({ fd: read, readable: true, writable: false }) as AsyncIterable<Buffer>)
    if (chunk.includes("ready")) break;
  return { [Symbol.dispose]: () => killProcess(pid, 9) };
}

export interface Machine extends Disposable {
  readonly netns: string;
  readonly address: string;
  /** This host's address on the cable between the two. */
  readonly hostAddress: string;
}

/** A namespace that stands for another machine, on a cable of its own; its default route leads here. `subnet` is "10.99.1": its first three bytes. */
export async function makeMachine(subnet: string): Promise<Machine> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-machine-"));
  const netns = join(folder, "net");
  await createNetns(netns);
  const [host, far] = [new RouteSocket(), new RouteSocket(netns)];
  const name = `gm${subnet.replaceAll(".", "-")}`;
  const bytes = (last: number) => Uint8Array.from([...subnet.split(".").map(Number), last]);
  const fd = openSync(netns, "r");
  try {
    host.run(addVeth({ name, mtu: 1500, peer: { name: "eth0", mac: Uint8Array.of(2, 0, ...bytes(2)), netnsFd: fd } }));
    const [near, there] = [host.link(name)?.index ?? 0, far.link("eth0")?.index ?? 0];
    host.run(setLink(near, { up: true }), addAddress({ link: near, address: bytes(1), prefix: 24 }));
    far.run(
      setLink("lo", { up: true }),
      setLink(there, { up: true }),
      addAddress({ link: there, address: bytes(2), prefix: 24 }),
    );
    far.run(setDefaultRoute(there, bytes(1)));
  } finally {
    closeSync(fd);
    far.close();
  }
  return {
    netns,
    address: `${subnet}.2`,
    hostAddress: `${subnet}.1`,
    [Symbol.dispose]() {
      host.run(deleteLink(name));
      host.close();
      removeNetns(netns);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
