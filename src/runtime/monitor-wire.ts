/**
 * The frames that gantry-monitor speaks: 16 bytes, little-endian (op, flags, magic, a, b, length), then `length` bytes of
 * payload. native/monitor/wire.h is the other side.
 */
import { closeSync, openSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { EngineError, errnoOf } from "../base/errors.ts";
import { fdPath } from "../kernel/rooted.ts";

export const OP = {
  attach: "A",
  watch: "W",
  kill: "K",
  resize: "R",
  closeInput: "C",
  proceed: "P",
  reply: "=",
  started: "s",
  failed: "f",
  exit: "x",
  released: "r",
  oom: "o",
  lost: "l",
} as const;

export type Op = (typeof OP)[keyof typeof OP];

export interface Frame {
  readonly op: string;
  readonly a: number;
  readonly b: number;
  readonly payload: Buffer;
}

export const FRAME_SIZE = 16;
const MAGIC = 0x4721;
/** The longest payload that a monitor sends: what a runtime said. */
const MAX_PAYLOAD = 64 * 1024;

export function encodeRequest(op: Op, { flags = 0, a = 0, b = 0 } = {}): Buffer {
  const frame = Buffer.alloc(FRAME_SIZE);
  frame.write(op, 0, "latin1");
  frame.writeUInt8(flags, 1);
  frame.writeUInt16LE(MAGIC, 2);
  frame.writeUInt32LE(a, 4);
  frame.writeUInt32LE(b, 8);
  return frame;
}

/** The first frame in the bytes and its total length, or undefined when it is not complete. Throws "internal" on garbage. */
export function decodeFrame(bytes: Buffer): { frame: Frame; size: number } | undefined {
  if (bytes.length < FRAME_SIZE) return undefined;
  const length = bytes.readUInt32LE(12);
  if (bytes.readUInt16LE(2) !== MAGIC || length > MAX_PAYLOAD)
    throw new EngineError("internal", "the monitor sent garbage");
  const size = FRAME_SIZE + length;
  if (bytes.length < size) return undefined;
  const frame = {
    op: bytes.toString("latin1", 0, 1),
    a: bytes.readUInt32LE(4),
    b: bytes.readUInt32LE(8),
    payload: bytes.subarray(FRAME_SIZE, size),
  };
  return { frame, size };
}

/** Calls `onFrame` for each frame that comes, and `onEnd` once when no more can. */
export function readFrames(socket: Socket, onFrame: (frame: Frame) => void, onEnd: () => void): void {
  let waiting: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    try {
      for (let next = decodeFrame(waiting); next !== undefined; next = decodeFrame(waiting)) {
        waiting = waiting.subarray(next.size);
        onFrame(next.frame);
      }
    } catch {
      socket.destroy();
    }
    // A slice would keep the whole 64 KiB chunk alive as long as the task lives.
    waiting = Buffer.from(waiting);
  });
  socket.on("error", () => {});
  socket.once("close", onEnd);
}

/**
 * Connects to the socket of the monitor in `dir`, whose path may be longer than a socket address holds. Rejects with the
 * system's error: ENOENT, ECONNREFUSED when there is no monitor.
 */
export function connectMonitor(dir: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const folder = openSync(dir, "r");
    const socket = connect({ path: `${fdPath(folder)}/m.sock`, allowHalfOpen: true });
    const onError = (error: Error) => {
      closeSync(folder);
      reject(error);
    };
    socket.once("error", onError);
    socket.once("connect", () => {
      closeSync(folder);
      socket.off("error", onError);
      resolve(socket);
    });
  });
}

/** Whether an error of connectMonitor means that no monitor is there (any more). */
export function isGone(error: unknown): boolean {
  return ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOTDIR"].includes(errnoOf(error) ?? "");
}

/** Reads exactly one frame; bytes after it stay in the socket, which is paused. "unavailable" when the monitor hangs up first. */
export function readFrame(socket: Socket): Promise<Frame> {
  return new Promise((resolve, reject) => {
    const done = (act: () => void) => {
      socket.off("readable", onReadable).off("close", onClose).off("end", onClose).off("error", onClose);
      act();
    };
    const onClose = () => done(() => reject(new EngineError("unavailable", "the monitor hung up")));
    const onReadable = () => {
      const head: Buffer | null = socket.read(FRAME_SIZE);
      if (head === null) return;
      const length = head.readUInt32LE(12);
      const body: Buffer | null = length === 0 ? Buffer.alloc(0) : socket.read(length);
      if (body === null) {
        socket.unshift(head);
        return;
      }
      const decoded = decodeFrame(Buffer.concat([head, body]));
      if (decoded === undefined) onClose();
      else done(() => resolve(decoded.frame));
    };
    socket.on("readable", onReadable).on("close", onClose).on("end", onClose).on("error", onClose);
    onReadable();
  });
}

/** One request on a connection of its own; the errno of the reply, 0 for success. Rejects as connectMonitor does. */
export async function request(dir: string, op: Op, values: { a?: number; b?: number } = {}): Promise<number> {
  const socket = await connectMonitor(dir);
  try {
    socket.on("error", () => {});
    socket.write(encodeRequest(op, values));
    return (await readFrame(socket)).a;
  } finally {
    socket.destroy();
  }
}
