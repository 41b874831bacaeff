/** Overlays on kernels before 6.5, by the option string of mount(2). */
import { closeSync, constants, openSync } from "node:fs";
import type { OverlayRequest } from "./mounts.ts";
import { native } from "./native.ts";
import { O_PATH } from "./rooted.ts";

/** What the kernel reads of the option string: a page, its last byte zero. The rest would be cut off without a word. */
const ROOM = 4095;
const MS_RDONLY = 1;

/** Holds about 220 lower folders: where their names are too long together, descriptors stand for them. */
export function mountOverlayByOptions(request: OverlayRequest): void {
  const named = optionString(request);
  if (Buffer.byteLength(named) <= ROOM) {
    mountWith(request, named);
    return;
  }
  const fds: number[] = [];
  const short = (path: string) => {
    const fd = openSync(path, O_PATH | constants.O_DIRECTORY);
    fds.push(fd);
    return `/proc/self/fd/${fd}`;
  };
  try {
    const lower = request.lower.map(short);
    const [upper, work] = [request.upper, request.work].map((path) => (path === undefined ? undefined : short(path)));
    mountWith(request, optionString({ ...request, lower, upper, work }));
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

function mountWith({ target, readOnly = false }: OverlayRequest, options: string): void {
  native.mount("overlay", target, "overlay", readOnly ? MS_RDONLY : 0, options);
}

/** Colons separate folders, commas options. Notes of overlay's own in a layer are never followed, nor made: as in mounts.c. */
function optionString({ lower, upper, work, volatile = false }: OverlayRequest): string {
  const escaped = (path: string) => path.replace(/[\\:,]/g, "\\$&");
  return [
    `lowerdir=${lower.map(escaped).join(":")}`,
    ...(upper === undefined ? [] : [`upperdir=${escaped(upper)}`, `workdir=${escaped(work ?? "")}`]),
    ...["redirect_dir=nofollow", "metacopy=off", "index=off"],
    ...(volatile && upper !== undefined ? ["volatile"] : []),
  ].join(",");
}
