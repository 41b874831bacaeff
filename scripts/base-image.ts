/**
 * Makes a base image from what the machine has, without any registry: the static busybox as `busybox:latest`.
 *
 *   node scripts/base-image.ts busybox.tar
 *
 * The archive is a Docker archive (manifest.json, configuration, one layer) and the same, byte by byte, for the same busybox.
 */
import { spawnSync } from "node:child_process";
import { createWriteStream, existsSync, readFileSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { digestOf } from "../src/base/digest.ts";
import { TarWriter } from "../src/base/tar/writer.ts";
import { HOST_PLATFORM } from "../src/oci/platform.ts";

export interface BusyboxOptions {
  /** Default "busybox:latest"; undefined member of `names`: none. */
  readonly names?: readonly string[] | undefined;
  /** Merged over the image's run configuration. */
  readonly config?: Readonly<Record<string, unknown>> | undefined;
}

/** Post-condition: `path` holds the archive. Throws when the machine has no static busybox. Returns the image's id. */
export async function makeBusyboxArchive(path: string, options: BusyboxOptions = {}): Promise<string> {
  const layer = await busyboxLayer();
  const config = Buffer.from(JSON.stringify(configFile(digestOf(layer), options.config ?? {})));
  const id = digestOf(config);
  const writer = new TarWriter();
  const written = pipeline(writer.stream, createWriteStream(path));
  const layerPath = `${digestOf(layer).slice(7)}.tar`;
  const manifest = [
    { Config: `${id.slice(7)}.json`, RepoTags: options.names ?? ["busybox:latest"], Layers: [layerPath] },
  ];
  await writer.add({ path: `${id.slice(7)}.json` }, config);
  await writer.add({ path: layerPath }, layer);
  await writer.add({ path: "manifest.json" }, JSON.stringify(manifest));
  await writer.finish();
  await written;
  return id;
}

const PLACES = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"];

function findBusybox(): string {
  const found = PLACES.find((place) => existsSync(place) && isStatic(readFileSync(place)));
  if (found === undefined) throw new Error("no static busybox here; install one: apt-get install busybox-static");
  return found;
}

/** An ELF file (64-bit, little-endian) without an interpreter (PT_INTERP) needs no libraries. */
function isStatic(file: Buffer): boolean {
  if (file.length < 64 || file.readUInt32BE(0) !== 0x7f454c46 || file[4] !== 2 || file[5] !== 1) return false;
  const table = Number(file.readBigUInt64LE(32));
  const [size, count] = [file.readUInt16LE(54), file.readUInt16LE(56)];
  for (let i = 0; i < count; i++) if (file.readUInt32LE(table + i * size) === 3) return false;
  return true;
}

function applets(busybox: string): string[] {
  const { status, stdout } = spawnSync(busybox, ["--list"], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${busybox} --list failed`);
  return stdout
    .split("\n")
    .filter((name) => name !== "" && name !== "busybox")
    .sort();
}

/** Fixed, so that equal inputs give equal bytes. */
const CREATED = "2024-01-01T00:00:00Z";

const FOLDERS: readonly (readonly [path: string, mode?: number])[] = [
  ["bin"],
  ["dev"],
  ["etc"],
  ["home"],
  ["lib"],
  ["proc", 0o555],
  ["root", 0o700],
  ["run"],
  ["sbin"],
  ["sys", 0o555],
  ["tmp", 0o1777],
  ["usr"],
  ["usr/bin"],
  ["usr/sbin"],
  ["var"],
  ["var/log"],
  ["var/spool"],
  ["var/spool/mail"],
  ["var/tmp", 0o1777],
  ["var/www"],
];

const FILES: readonly (readonly [path: string, text: string, mode?: number])[] = [
  [
    "etc/passwd",
    `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
sys:x:3:3:sys:/dev:/bin/false
sync:x:4:100:sync:/bin:/bin/sync
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
`,
  ],
  [
    "etc/group",
    `root:x:0:
daemon:x:1:
bin:x:2:
sys:x:3:
adm:x:4:
tty:x:5:
disk:x:6:
wheel:x:10:root
mail:x:8:
www-data:x:33:
operator:x:37:
users:x:100:
nogroup:x:65534:
`,
  ],
  ["etc/shadow", "root:*:::::::\nnobody:*:::::::\n", 0o640],
  ["etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"],
  ["etc/profile", "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n"],
];

async function busyboxLayer(): Promise<Buffer> {
  const busybox = findBusybox();
  const mtime = BigInt(Date.parse(CREATED)) * 1_000_000n;
  const writer = new TarWriter();
  const chunks = Array.fromAsync(writer.stream as AsyncIterable<Buffer>);
  for (const [path, mode = 0o755] of FOLDERS) await writer.add({ path, type: "directory", mode, mtime });
  await writer.add({ path: "bin/busybox", mode: 0o755, mtime }, readFileSync(busybox));
  for (const name of applets(busybox))
    await writer.add({ path: `bin/${name}`, type: "hardlink", linkPath: "bin/busybox", mode: 0o755, mtime });
  for (const [path, text, mode = 0o644] of FILES) await writer.add({ path, mode, mtime }, text);
  await writer.finish();
  return Buffer.concat(await chunks);
}

function configFile(diffId: string, config: Readonly<Record<string, unknown>>): unknown {
  return {
    ...HOST_PLATFORM,
    created: CREATED,
    config: {
      Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
      Cmd: ["sh"],
      ...config,
    },
    rootfs: { type: "layers", diff_ids: [diffId] },
    history: [
      { created: CREATED, created_by: "busybox from the machine", comment: "scripts/base-image.ts" },
      { created: CREATED, created_by: 'CMD ["sh"]', empty_layer: true },
    ],
  };
}

if (import.meta.main) {
  const [path] = process.argv.slice(2);
  if (path === undefined) throw new Error("usage: node scripts/base-image.ts <archive>");
  console.log(await makeBusyboxArchive(path));
}
