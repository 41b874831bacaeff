/** Gzip in parallel: blocks deflated side by side on zlib's threads, each primed with the end of the one before (as pigz does). */
import { promisify } from "node:util";
import { constants, crc32, deflateRaw } from "node:zlib";

const deflate = promisify(deflateRaw) as (data: Buffer, options: object) => Promise<Buffer>;

/** Bytes. */
const BLOCK = 1 << 20;
const WINDOW = 32 << 10;
/** Blocks under way: more than zlib has threads only wait. */
const DEPTH = 4;
const LEVEL = 6;
/** No name, no time: the same bytes for the same input. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
/** An empty block that is marked as the last. */
const END = Buffer.from([3, 0]);

/** One gzip member; the same bytes for the same input and level (0–9), however it was cut into chunks. Memory is bounded. */
export async function* gzip(source: AsyncIterable<Buffer>, level = LEVEL): AsyncGenerator<Buffer> {
  yield HEADER;
  let [crc, size] = [0, 0];
  let dictionary: Buffer | undefined;
  const underway: Promise<Buffer>[] = [];
  for await (const block of blocksOf(source)) {
    crc = crc32(block, crc);
    size += block.length;
    const made = deflate(block, {
      level,
      finishFlush: constants.Z_SYNC_FLUSH,
      ...(dictionary && { dictionary }),
    });
    // Its failure is heard when its turn comes.
    made.catch(() => {});
    underway.push(made);
    dictionary = block.subarray(-WINDOW);
    if (underway.length >= DEPTH) yield await (underway.shift() as Promise<Buffer>);
  }
  for (const made of underway) yield await made;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield Buffer.concat([END, trailer]);
}

async function* blocksOf(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafeSlow(BLOCK);
  let filled = 0;
  for await (const chunk of source)
    for (let at = 0; at < chunk.length; ) {
      const count = chunk.copy(block, filled, at);
      filled += count;
      at += count;
      if (filled < BLOCK) continue;
      yield block;
      block = Buffer.allocUnsafeSlow(BLOCK);
      filled = 0;
    }
  if (filled > 0) yield block.subarray(0, filled);
}
