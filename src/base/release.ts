/**
 * Gives the memory of a chunk that was used up back at once. The garbage collector counts buffers only by tens of megabytes, so a stream
 * of fresh ones makes each thread grow by 64 MB and touches new pages all the time; one that is given back is used again, still in
 * the processor's cache.
 *
 * Post-condition: the chunk is empty, unless its memory may be shared: nothing happens to one that is not the end and at least half of
 * its ArrayBuffer (Buffer's pool serves less than half of itself at once; what follows in the same ArrayBuffer may be somebody's still).
 * The caller is the only one that knows the chunk, and nobody looks at what lies before it.
 */
export function releaseMemory({ buffer, byteOffset, byteLength }: Uint8Array): void {
  const isLast = byteLength > 0 && byteOffset + byteLength === buffer.byteLength;
  if (isLast && byteLength * 2 >= buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer(0);
}
