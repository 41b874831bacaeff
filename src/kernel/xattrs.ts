/** Extended attributes of a path itself, never of what a link points to. */
import { native } from "./native.ts";

export function listXattrs(path: string): string[] {
  const names = native.listXattrs(path);
  return names.length === 0 ? [] : names.toString("utf8", 0, names.length - 1).split("\0");
}

/** Undefined when there is none of this name. */
export function getXattr(path: string, name: string): Buffer | undefined {
  return native.getXattr(path, name);
}

export function setXattr(path: string, name: string, value: Uint8Array | string): void {
  native.setXattr(path, name, Buffer.from(value as Uint8Array));
}

export function removeXattr(path: string, name: string): void {
  native.removeXattr(path, name);
}
