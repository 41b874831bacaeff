import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AnswerCache, LIMITS } from "./cache.ts";
import { question, says } from "./dns.fixture.ts";
import { reverseName } from "./local.ts";
import {
  encodeName,
  type Query,
  RCODE,
  readQuery,
  readResponse,
  redress,
  respond,
  respondError,
  TYPE,
} from "./message.ts";
import { RateLimit } from "./rate-limit.ts";
import { framed, Unframer } from "./stream.ts";

function queryOf(packet: Buffer): Query {
  const query = readQuery(packet);
  assert.ok(typeof query === "object");
  return query;
}

const LABEL = fc.stringMatching(/^[a-zA-Z0-9_-]{1,63}$/);
const NAME = fc.array(LABEL, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));

test("a question is read as it was written, and its answer is an answer to it", () => {
  fc.assert(
    fc.property(
      NAME,
      fc.nat(65_535),
      fc.constantFrom(1, 12, 28),
      fc.constantFrom(undefined, 0, 512, 1232, 65_535),
      (name, id, type, edns) => {
        if (encodeName(name) === undefined) return;
        const query = queryOf(question(name, { id, type, edns }));
        assert.deepEqual([query.name, query.id, query.type], [name.toLowerCase(), id, type]);
        const answer = respond(query, RCODE.ok, [{ type, ttl: 9, data: Buffer.alloc(4) }], { udp: true });
        const read = readResponse(answer, query, id);
        assert.deepEqual([read?.code, read?.truncated, read?.ttl, read?.ttls.length], [RCODE.ok, false, 9, 1]);
        assert.equal(readResponse(answer, query, id ^ 1), undefined);
        assert.equal(readResponse(answer, { ...query, name: `x${query.name}` }, id), undefined);
      },
    ),
  );
});

test("no packet brings the readers down, and what cannot be read is answered by an error or not at all", () => {
  const query = queryOf(question("example.test"));
  const good = says(query, ["10.0.0.1", "10.0.0.2"]);
  const mutated = fc
    .record({ at: fc.nat(good.length - 1), byte: fc.nat(255), cut: fc.nat(good.length) })
    .map(({ at, byte, cut }) => {
      const packet = Buffer.from(good.subarray(0, cut));
      if (at < packet.length) packet[at] = byte;
      return packet;
    });
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes)),
    mutated,
  );
  fc.assert(
    fc.property(anything, (packet) => {
      const read = readQuery(packet);
      if (typeof read === "number") assert.ok(respondError(packet, read).length === 12);
      if (typeof read === "object") assert.ok(respond(read, RCODE.ok, [], { udp: true }).length >= 12);
      const response = readResponse(packet, query, query.id);
      if (response === undefined) return;
      for (const at of response.ttls) assert.ok(at + 4 <= packet.length);
      redress(packet, query, { age: 1, ttls: response.ttls, udp: true });
    }),
    { numRuns: 3000 },
  );
});

test("packets that are no questions get no answer, or the error that is theirs", () => {
  const plain = question("a.test");
  const changed = (at: number, byte: number) => {
    const packet = Buffer.from(plain);
    packet[at] = byte;
    return packet;
  };
  assert.equal(readQuery(Buffer.alloc(11)), undefined);
  assert.equal(readQuery(changed(2, 0x81)), undefined, "an answer is not answered, or two servers would talk forever");
  assert.equal(readQuery(changed(2, 0x28)), RCODE.notImplemented, "an update");
  assert.equal(readQuery(changed(5, 2)), RCODE.formatError, "two questions");
  assert.equal(readQuery(changed(5, 0)), RCODE.formatError, "none");
  assert.equal(readQuery(changed(12, 0xc0)), RCODE.formatError, "a pointer in the question");
  assert.equal(readQuery(plain.subarray(0, -1)), RCODE.formatError);
  assert.equal(readQuery(Buffer.concat([plain, Buffer.of(0)])), RCODE.formatError, "more than was announced");
  assert.equal(queryOf(Buffer.from("000001000001000000000000" + "03612e62" + "0000010001", "hex")).name, "a\\.b");
});

test("an answer is cut off at what the asker takes, at a record's end", () => {
  const many = Array.from({ length: 100 }, () => ({ type: TYPE.a, ttl: 1, data: Buffer.alloc(4) }));
  for (const [edns, most] of [
    [undefined, 512],
    [100, 512],
    [1232, 1232],
    [65_000, 4096],
  ] as const) {
    const query = queryOf(question("a.test", { edns }));
    const packet = respond(query, RCODE.ok, many, { udp: true });
    assert.ok(packet.length <= most && packet.length > Math.min(most, 1600) - 40, `${edns}: ${packet.length}`);
    assert.equal(readResponse(packet, query, query.id)?.truncated, most < 1600);
    assert.equal(readResponse(respond(query, RCODE.ok, many, { udp: false }), query, query.id)?.truncated, false);
  }
});

test("an answer that says no is kept as long as its SOA record says, one without it not at all", () => {
  const query = queryOf(question("no.test"));
  const soa = Buffer.concat([Buffer.of(0, 0), Buffer.alloc(16), Buffer.of(0, 0, 0, 30)]);
  const answer = respond(query, RCODE.nameError, [{ type: TYPE.soa, ttl: 99, data: soa }], { udp: true });
  answer.writeUInt16BE(0, 6);
  answer.writeUInt16BE(1, 8);
  assert.equal(readResponse(answer, query, query.id)?.ttl, 30);
  assert.equal(readResponse(respond(query, RCODE.nameError, [], { udp: true }), query, query.id)?.ttl, 0);
});

test("the cache forgets in time, and what was not used for longest when it is full", () => {
  let now = 0;
  const cache = new AnswerCache(() => now);
  const put = (key: string, ttl: number, length = 20) => cache.put(key, Buffer.alloc(length), { ttl, ttls: [] });
  put("short", 2);
  put("never", 0);
  put("huge", 60, LIMITS.answer + 1);
  now = 1500;
  assert.equal(cache.get("short")?.age, 1);
  now = 2000;
  assert.deepEqual([cache.get("short"), cache.get("never"), cache.get("huge")], [undefined, undefined, undefined]);
  put("used", 300);
  for (let index = 0; index < LIMITS.entries; index++) {
    put(`${index}`, 300);
    cache.get("used");
  }
  assert.ok(cache.get("used"));
  assert.equal(cache.get("0"), undefined);
  for (let index = 0; index < 2 * (LIMITS.bytes / LIMITS.answer); index++) put(`big ${index}`, 300, LIMITS.answer);
  assert.equal(cache.get(`big ${LIMITS.bytes / LIMITS.answer - 1}`), undefined);
});

test("messages of a stream come out whole, however it is cut", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 8 });
  fc.assert(
    fc.property(messages, fc.integer({ min: 1, max: 20 }), (sent, size) => {
      const bytes = Buffer.concat(sent.map((one) => framed(Buffer.from(one))));
      const unframer = new Unframer();
      const got: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) got.push(...unframer.push(bytes.subarray(at, at + size)));
      assert.deepEqual(
        got,
        sent.map((one) => Buffer.from(one)),
      );
    }),
  );
});

test("a name of an address is read backwards", () => {
  assert.deepEqual(reverseName("4.3.2.1.in-addr.arpa"), { family: 4, value: 0x01020304n });
  assert.equal(reverseName("999.3.2.1.in-addr.arpa"), undefined);
  assert.equal(reverseName("3.2.1.in-addr.arpa"), undefined);
  const six = `1.${"0.".repeat(30)}f.ip6.arpa`;
  assert.deepEqual(reverseName(six), { family: 6, value: (0xf0n << 120n) | 1n });
});

test("a flood is cut down to a rate, and passes again after a while", () => {
  let now = 0;
  const limit = new RateLimit(() => now);
  const passed = (count: number) => Array.from({ length: count }, () => limit.take()).filter(Boolean).length;
  assert.equal(passed(50_000), 10_000);
  now = 100;
  assert.equal(passed(50_000), 1000);
});
