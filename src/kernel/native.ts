/** The addon `native/build/gantry.node`: the system calls that Node lacks. Only files of kernel/ import this one. */
import { createRequire } from "node:module";
import { join } from "node:path";
import { EngineError } from "../base/errors.ts";

export interface Native {
  makeNode(path: string | Buffer, mode: number, major: number, minor: number): void;
  setTimes(path: string | Buffer, atimeNs: bigint, mtimeNs: bigint): void;
  createFile(
    path: string,
    data: Buffer,
    mode: number,
    chmod: number,
    uid: number,
    gid: number,
    atimeNs: bigint,
    mtimeNs: bigint,
  ): void;
  createFiles(fields: Buffer, data: Buffer, paths: Buffer): Promise<void>;
  readPlainFile(folderFd: number, name: string | Buffer, into: Buffer): number;
  listXattrs(path: string | Buffer): Buffer;
  getXattr(path: string | Buffer, name: string): Buffer | undefined;
  setXattr(path: string | Buffer, name: string, value: Buffer): void;
  removeXattr(path: string | Buffer, name: string): void;
  openAt2(rootFd: number, path: string | Buffer, flags: number, mode: number, resolve: number): number;
  countTree(path: string): Promise<[bytes: number, allocated: number, entries: number]>;
  removeTree(path: string): Promise<void>;
  syncFileSystem(path: string): Promise<void>;
  spreadFolders(path: string): boolean;
  cloneFile(sourceFd: number, targetFd: number): boolean;
  copyRange(sourceFd: number, targetFd: number, length: number): number;
  tryLock(fd: number): boolean;
  mount(source: string | null, target: string, type: string | null, flags: number, data: string | null): void;
  bindMapped(source: string, target: string, uidMap: string, gidMap: string, recursive: number): void;
  unmount(target: string, flags: number): void;
  unmountAside(target: string, flags: number): Promise<void>;
  mountOverlay(
    lower: readonly string[],
    upper: string | null,
    work: string | null,
    target: string,
    readOnly: number,
    isVolatile: number,
  ): void;
  openStage(
    root: string,
    sources: readonly string[],
    parts: readonly string[],
    targets: readonly string[],
    modes: readonly string[],
  ): Promise<[rootFd: number, stage: number]>;
  closeStage(stage: number): Promise<void>;
  createNetns(path: string): Promise<void>;
  openSocket(netns: string | null, family: number, type: number, protocol: number): number;
  bindSocket(netns: string | null, type: number, protocol: number, address: Uint8Array, port: number): number;
  serveUdp(
    fd: number,
    input: Buffer,
    output: Buffer,
    onPacket: (length: number, host: number, port: number) => number,
  ): UdpHandle;
  sendUdp(handle: UdpHandle, bytes: Buffer, host: number, port: number): void;
  closeUdp(handle: UdpHandle): void;
  sendUnixDatagram(fd: number, path: string, bytes: Buffer): void;
  readFileInside(netns: string, file: string): Buffer;
  writeFileInside(netns: string, file: string, text: string): void;
  netlinkExchange(fd: number, requests: Buffer): Buffer;
  netlinkExchangeAside(fd: number, requests: Buffer): Promise<Buffer>;
  spawn(
    file: string,
    args: readonly string[],
    env: readonly string[],
    cwd: string | null,
    stdio: readonly number[],
    session: number,
    onExit: (code: number, signal: number) => void,
    keepAlive: number,
  ): number;
  decodeJsonLog(
    input: Buffer,
    from: number,
    to: number,
    output: Buffer,
    flags: number,
    since: bigint,
    until: bigint,
  ): [consumed: number, produced: number, done: number];
  pipe(): [number, number];
  killProcess(pid: number, signal: number): void;
}

/** A pointer of the addon's. */
export type UdpHandle = { readonly [udpHandle]: true };
declare const udpHandle: unique symbol;

function load(): Native {
  const path = join(import.meta.dirname, "../../native/build/gantry.node");
  try {
    return createRequire(import.meta.url)(path) as Native;
  } catch (cause) {
    throw new EngineError("unavailable", `the native part could not be loaded from ${path}`, {
      hint: "build it with: make -C native",
      cause,
    });
  }
}

export const native: Native = load();
