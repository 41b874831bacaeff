/** Extended attributes of a path itself, never of what a link points to. A path that is no UTF-8 is given as bytes. */
import { native } from "./native.ts";

export function listXattrs(path: string | Buffer): string[] {
  const names = native.listXattrs(path);
  return names.length === 0 ? [] : names.toString("utf8", 0, names.length - 1).split("\0");
}

/** Undefined when there is none of this name. */
export function getXattr(path: string | Buffer, name: string): Buffer | undefined {
  return native.getXattr(path, name);
}

export function setXattr(path: string | Buffer, name: string, value: Uint8Array | string): void {
  native.setXattr(path, name, Buffer.from(value as Uint8Array));
}

export function removeXattr(path: string | Buffer, name: string): void {
  native.removeXattr(path, name);
}
