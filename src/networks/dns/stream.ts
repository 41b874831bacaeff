/** DNS over TCP: each message behind its length in two bytes (RFC 1035, 4.2.2). */

export function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.length);
  return Buffer.concat([length, message]);
}

/** Takes messages out of a stream's chunks; never holds more than one unfinished message. */
export class Unframer {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer): Buffer[] {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Buffer[] = [];
    let at = 0;
    while (at + 2 <= data.length) {
      const end = at + 2 + data.readUInt16BE(at);
      if (end > data.length) break;
      messages.push(data.subarray(at + 2, end));
      at = end;
    }
    this.#rest = Buffer.from(data.subarray(at));
    return messages;
  }
}
