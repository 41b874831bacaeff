/** The reader and the writer against each other, against archives made by hand, and against GNU tar and bsdtar where they are. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeTarHeader, TAR_END, tarPadding } from "./encode.ts";
import { cleanEntryPath } from "./names.ts";
import { decodeTime, encodeTime } from "./numbers.ts";
import { TarParser } from "./parser.ts";
import { readTar } from "./reader.ts";
import type { TarHeader, TarInput } from "./tar.ts";
import { TarWriter } from "./writer.ts";

interface Entry {
  readonly header: TarHeader;
  readonly data: string;
}

async function read(archive: Buffer, chunkSize = archive.length): Promise<Entry[]> {
  const chunks: Buffer[] = [];
  for (let at = 0; at < archive.length; at += chunkSize) chunks.push(archive.subarray(at, at + chunkSize));
  const entries: Entry[] = [];
  for await (const entry of readTar(Readable.from(chunks))) {
    entries.push({ header: entry.header, data: (await entry.bytes(1 << 26)).toString("latin1") });
  }
  return entries;
}

function archiveOf(...entries: readonly (readonly [TarInput, string?])[]): Buffer {
  const parts = entries.flatMap(([header, data = ""]) => {
    const body = Buffer.from(data, "latin1");
    return [encodeTarHeader({ ...header, size: body.length }), body, tarPadding(body.length)];
  });
  return Buffer.concat([...parts, TAR_END]);
}

/** A block made by hand, with its checksum. */
function block(fields: Readonly<Record<number, string | Buffer>>): Buffer {
  const bytes = Buffer.alloc(512);
  for (const [at, value] of Object.entries(fields)) Buffer.from(value as string).copy(bytes, Number(at));
  bytes.fill(0x20, 148, 156);
  const sum = bytes.reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

function pad(data: string): Buffer {
  return Buffer.concat([Buffer.from(data), tarPadding(Buffer.byteLength(data))]);
}

function pax(records: Readonly<Record<string, string>>, flag = "x"): Buffer {
  const text = Object.entries(records)
    .map(([key, value]) => record(`${key}=${value}`))
    .join("");
  return Buffer.concat([
    block({ 0: "pax", 124: text.length.toString(8).padStart(11, "0"), 156: flag, 257: "ustar\x0000" }),
    pad(text),
  ]);
}

function record(text: string): string {
  for (let length = text.length + 3; ; length++) {
    const line = `${length} ${text}\n`;
    if (line.length === length) return line;
    if (length > text.length + 20) throw new Error("no length fits");
  }
}

describe("what is written is read back", () => {
  const bytes = (max: number) => fc.uint8Array({ maxLength: max }).map((value) => Buffer.from(value));
  const part = fc.stringMatching(/^[a-zA-Z0-9 äλ~é_-]{1,60}$/);
  const path = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join("/"));
  const header = fc.record({
    path,
    type: fc.constantFrom("file", "hardlink", "symlink", "char", "block", "directory", "fifo"),
    linkPath: path,
    mode: fc.integer({ min: 0, max: 0o7777 }),
    uid: fc.integer({ min: 0, max: 2 ** 32 }),
    gid: fc.integer({ min: 0, max: 2 ** 32 }),
    userName: part,
    mtime: fc.bigInt({ min: -(10n ** 18n), max: 10n ** 20n }),
    major: fc.integer({ min: 0, max: 2 ** 24 }),
    minor: fc.integer({ min: 0, max: 2 ** 24 }),
    xattrs: fc
      .dictionary(fc.stringMatching(/^user\.[a-z]{1,9}$/), bytes(50))
      .map((value) => new Map(Object.entries(value))),
  });

  test("every field of every type, in chunks of any size", async () => {
    const entries = fc.array(fc.tuple(header, fc.string({ maxLength: 2000 })), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(entries, fc.integer({ min: 1, max: 3000 }), async (given, chunkSize) => {
        const inputs = given.map(
          ([input, data]) => [input, input.type === "file" ? Buffer.from(data).toString("latin1") : ""] as const,
        );
        const found = await read(archiveOf(...inputs), chunkSize);
        assert.equal(found.length, inputs.length);
        for (const [index, [input, data]] of inputs.entries()) {
          const { header: actual, data: actualData } = found[index] as Entry;
          const linked = input.type === "hardlink" || input.type === "symlink";
          assert.equal(actual.path, input.type === "directory" ? `${input.path}/` : input.path);
          assert.equal(actual.linkPath, linked ? input.linkPath : "");
          assert.equal(actualData, data);
          for (const key of ["type", "mode", "uid", "gid", "userName", "mtime", "major", "minor"] as const)
            assert.equal(actual[key], input[key], key);
          assert.deepEqual(new Map(actual.xattrs), input.xattrs);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("the writer takes values and streams, and holds back when nobody reads", async () => {
    const writer = new TarWriter({ highWaterMark: 1024 });
    let added = 0;
    const writing = (async () => {
      for (let i = 0; i < 10; i++, added++)
        await writer.add(
          { path: `f${i}`, size: 3000 },
          Readable.from([Buffer.alloc(1000, 65), Buffer.alloc(2000, 66)]),
        );
      await writer.finish();
    })();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(added, 0);
    const entries = await read(Buffer.concat(await Array.fromAsync(writer.stream)));
    await writing;
    assert.equal(entries.length, 10);
    assert.equal(entries[9]?.data, "A".repeat(1000) + "B".repeat(2000));
  });

  test("a body that is shorter or longer than it said fails for the writer and for the reader of the archive", async () => {
    for (const size of [99, 101]) {
      const writer = new TarWriter();
      const reading = Array.fromAsync(writer.stream);
      await assert.rejects(writer.add({ path: "f", size }, Readable.from([Buffer.alloc(100)])), { kind: "invalid" });
      await assert.rejects(reading, { kind: "invalid" });
    }
  });

  test("a reader that goes away ends the writer", async () => {
    const writer = new TarWriter({ highWaterMark: 10 });
    const adding = writer.add({ path: "f" }, Buffer.alloc(100_000));
    writer.stream.destroy();
    await assert.rejects(adding, { kind: "cancelled" });
  });
});

describe("bodies", () => {
  const archive = archiveOf([{ path: "a" }, "first"], [{ path: "b" }, "second".repeat(5000)], [{ path: "c" }, "third"]);

  test("are streamed, skipped or read in part, and the next entry is found", async () => {
    const seen: string[] = [];
    for await (const entry of readTar(Readable.from([archive.subarray(0, 3000), archive.subarray(3000)]))) {
      seen.push(entry.header.path);
      if (entry.header.path === "b") for await (const _ of entry.body()) break;
      if (entry.header.path === "c") assert.equal((await entry.bytes(5)).toString(), "third");
    }
    assert.deepEqual(seen, ["a", "b", "c"]);
  });

  test("past the limit are not read", async () => {
    for await (const entry of readTar(Readable.from([archive]))) {
      if (entry.header.path === "b") await assert.rejects(entry.bytes(10), { kind: "too-large" });
    }
  });

  test("leaving early destroys the source", async () => {
    const source = Readable.from([archive, archive, archive]);
    for await (const _ of readTar(source)) break;
    assert.ok(source.destroyed);
  });

  test("an archive without its end mark is whole; one that stops in a body or before a promised entry is not", async () => {
    assert.equal((await read(archive.subarray(0, archive.length - 1024))).length, 3);
    await assert.rejects(read(archive.subarray(0, 515)), { kind: "invalid", message: /truncated.*"a"/ });
    await assert.rejects(read(pax({ path: "x" })), { kind: "invalid", message: /truncated/ });
    assert.deepEqual(await read(Buffer.alloc(0)), []);
    await assert.rejects(read(Buffer.concat([Buffer.alloc(512), archive])), { message: /lone zero block/ });
  });
});

describe("formats made by hand", () => {
  const base = { 100: "0000644\0", 124: "00000000003", 257: "ustar\x0000" };

  test("numbers in base 256, also negative times", async () => {
    const big = Buffer.from([0x80, 0, 0, 0, 0, 0x2d, 0xc6, 0xc0]);
    const past = Buffer.alloc(12, 0xff);
    const [entry] = await read(Buffer.concat([block({ ...base, 0: "f", 108: big, 136: past }), pad("abc")]));
    assert.equal(entry?.header.uid, 3_000_000);
    assert.equal(entry?.header.mtime, -1_000_000_000n);
  });

  test("GNU long names and links, and volume labels", async () => {
    const long = (flag: string, text: string) =>
      Buffer.concat([
        block({ 0: "././@LongLink", 124: text.length.toString(8).padStart(11, "0"), 156: flag, 257: "ustar  \0" }),
        pad(text),
      ]);
    const name = "n".repeat(300);
    const target = "t".repeat(200);
    const label = block({ 0: "label", 156: "V", 257: "ustar  \0" });
    const [entry] = await read(
      Buffer.concat([
        label,
        long("L", `${name}\0`),
        long("K", `${target}\0`),
        block({ 0: "n", 156: "2", 257: "ustar  \0" }),
      ]),
    );
    assert.deepEqual([entry?.header.path, entry?.header.linkPath, entry?.header.type], [name, target, "symlink"]);
  });

  test("global records hold until they are overruled; an empty one takes them away", async () => {
    const file = Buffer.concat([block({ ...base, 0: "f", 136: "00000000007" }), pad("abc")]);
    const entries = await read(
      Buffer.concat([pax({ uid: "42", mtime: "1.5" }, "g"), file, pax({ uid: "7", mtime: "" }), file, file]),
    );
    assert.deepEqual(
      entries.map(({ header }) => [header.uid, header.mtime]),
      [
        [42, 1_500_000_000n],
        [7, 7_000_000_000n],
        [42, 1_500_000_000n],
      ],
    );
  });

  test("attributes as star and as libarchive write them", async () => {
    const [entry] = await read(
      Buffer.concat([
        pax({
          "SCHILY.xattr.user.a": "\u0001=\n",
          "LIBARCHIVE.xattr.user%2Eb": "AID/",
          "LIBARCHIVE.xattr.user.a": "QUFB",
        }),
        block({ ...base, 0: "f" }),
        pad("abc"),
      ]),
    );
    assert.deepEqual(
      entry?.header.xattrs,
      new Map([
        ["user.a", Buffer.from("\u0001=\n")],
        ["user.b", Buffer.from([0, 0x80, 0xff])],
      ]),
    );
  });

  test("names that are no UTF-8 keep their bytes", async () => {
    const name = Buffer.from([0x66, 0xff, 0xfe]);
    const [plain] = await read(Buffer.concat([block({ ...base, 0: name }), pad("abc")]));
    assert.deepEqual(plain?.header.rawPath, name);
    const [written] = await read(archiveOf([{ path: name }, "abc"]));
    assert.deepEqual(written?.header.rawPath, name);
  });

  test("a name that ends in a slash is a directory also in the oldest format", async () => {
    const [entry] = await read(block({ 0: "old/", 100: "0000755\0" }));
    assert.equal(entry?.header.type, "directory");
  });

  test("sparse maps of the formats 0.0, 0.1 and 1.0", async () => {
    const expected = { size: 20, data: `${"\0".repeat(5)}abc${"\0".repeat(12)}` };
    const body = pad("abc");
    const maps = {
      "0.0": [
        pax({
          "GNU.sparse.size": "20",
          "GNU.sparse.numblocks": "1",
          "GNU.sparse.offset": "5",
          "GNU.sparse.numbytes": "3",
        }),
        block({ ...base, 0: "f" }),
        body,
      ],
      "0.1": [
        pax({ "GNU.sparse.size": "20", "GNU.sparse.name": "f", "GNU.sparse.map": "5,3" }),
        block({ ...base, 0: "x" }),
        body,
      ],
      "1.0": [
        pax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "f", "GNU.sparse.realsize": "20" }),
        block({ ...base, 0: "x", 124: (515).toString(8).padStart(11, "0") }),
        pad("1\n5\n3\n"),
        body,
      ],
    };
    for (const [format, parts] of Object.entries(maps)) {
      const [entry] = await read(Buffer.concat(parts), 100);
      assert.deepEqual(
        [entry?.header.path, entry?.header.size, entry?.data],
        ["f", expected.size, expected.data],
        format,
      );
    }
  });

  test("sparse maps that lie are refused", async () => {
    const sparse = (map: string) =>
      Buffer.concat([pax({ "GNU.sparse.size": "20", "GNU.sparse.map": map }), block({ ...base, 0: "f" }), pad("abc")]);
    for (const map of ["18,3", "5,2", "5,3,4,0", "5", "-1,3", "a,3"])
      await assert.rejects(read(sparse(map)), { kind: "invalid" }, map);
  });
});

test("extended headers that are malformed or too large are refused", async () => {
  const raw = (body: string) =>
    Buffer.concat([
      block({ 0: "pax", 124: body.length.toString(8).padStart(11, "0"), 156: "x", 257: "ustar\x0000" }),
      pad(body),
    ]);
  for (const body of ["9 path=x\n", "99 path=x\n", "8 path=x\n\n", "x path=x\n", "5 =x\n\n", "9path=xx\n", "0 a=b\n"])
    await assert.rejects(read(raw(body)), { kind: "invalid" }, body);
  await assert.rejects(read(block({ 0: "pax", 124: "77777777777", 156: "x", 257: "ustar\x0000" })), {
    message: /too large/,
  });
  await assert.rejects(read(Buffer.concat([pax({ path: "a\0b" }), block({ 0: "f" })])), {
    message: /NUL byte in path/,
  });
});

test("whatever comes, the parser ends or refuses, and never says more bytes than there are", () => {
  const seed = archiveOf(
    [{ path: "a".repeat(200), mtime: 5n, xattrs: new Map([["user.x", Buffer.from("y")]]) }, "data"],
    [{ path: "d", type: "directory" }],
  );
  const change = fc.tuple(fc.nat(seed.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), fc.boolean(), (changes, fix) => {
      const bytes = Buffer.from(seed);
      for (const [at, value] of changes) bytes[at] = value;
      if (fix)
        for (let at = 0; at < bytes.length - 1024; at += 512)
          block({ 0: bytes.subarray(at, at + 512) }).copy(bytes, at);
      let said = 0;
      const parser = new TarParser({ entry() {}, data: (chunk) => (said += chunk.length), end() {} });
      try {
        parser.write(bytes);
        parser.end();
      } catch (error) {
        assert.equal((error as { kind?: string }).kind, "invalid");
      }
      assert.ok(said <= bytes.length);
    }),
    { numRuns: 500 },
  );
});

test("paths are cleaned, and those that climb out are known", () => {
  const cases: Readonly<Record<string, string | undefined>> = {
    "a/b": "a/b",
    "./a": "a",
    "/a//b/": "a/b",
    "a/./b/..": "a",
    "./": "",
    ".": "",
    "/": "",
    "": "",
    "..": undefined,
    "a/../..": undefined,
    "/../a": undefined,
    "..a/b..": "..a/b..",
    ".a": ".a",
    "a/..": "",
  };
  for (const [path, expected] of Object.entries(cases)) assert.equal(cleanEntryPath(path), expected, path);
});

test("times go through text without losing a nanosecond", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), (time) => decodeTime(encodeTime(time)) === time),
  );
});

for (const program of ["tar", "bsdtar"]) {
  const missing = hasProgram(program) ? false : `${program} is not installed`;

  test(`${program} reads what is written`, { skip: missing }, async (t) => {
    const folder = temporary(t);
    const names = ["plain", "ünïcode/ß", `${"long/".repeat(40)}name`, "x".repeat(180)];
    writeFileSync(
      join(folder, "a.tar"),
      archiveOf(
        ...names.map(
          (path, i) => [{ path, uid: 3_000_000, mtime: 1_700_000_000_123_456_789n, mode: 0o640 }, `data ${i}`] as const,
        ),
        [{ path: "link", type: "symlink", linkPath: "t".repeat(150) }],
      ),
    );
    mkdirSync(join(folder, "out"));
    execFileSync(program, ["-xpf", join(folder, "a.tar"), "-C", join(folder, "out"), "--numeric-owner"]);
    for (const [i, name] of names.entries()) {
      const stats = lstatSync(join(folder, "out", name), { bigint: true });
      assert.equal(readFileSync(join(folder, "out", name), "utf8"), `data ${i}`);
      assert.deepEqual(
        [stats.mtimeNs, stats.mode & 0o777n, stats.uid],
        [1_700_000_000_123_456_789n, 0o640n, process.getuid?.() === 0 ? 3_000_000n : stats.uid],
      );
    }
  });

  for (const format of program === "tar" ? ["gnu", "oldgnu", "pax", "ustar", "v7"] : ["pax", "ustar", "gnutar", "v7"]) {
    test(`what ${program} writes as ${format} is read`, { skip: missing }, async (t) => {
      const folder = temporary(t);
      mkdirSync(join(folder, "in/dir"), { recursive: true });
      writeFileSync(join(folder, "in/dir/file"), "hello");
      execFileSync("ln", [join(folder, "in/dir/file"), join(folder, "in/dir/hard")]);
      execFileSync("ln", ["-s", "file", join(folder, "in/dir/soft")]);
      if (format !== "v7" && format !== "ustar") writeFileSync(join(folder, `in/${"n".repeat(200)}`), "long");
      const sparse = openSync(join(folder, "in/sparse"), "w");
      writeSync(sparse, "middle", 1 << 20);
      ftruncateSync(sparse, 4 << 20);
      closeSync(sparse);
      const flags = program === "tar" && !["ustar", "v7"].includes(format) ? ["-S"] : [];
      execFileSync(program, [
        "-cf",
        join(folder, "a.tar"),
        `--format=${format}`,
        ...flags,
        "-C",
        join(folder, "in"),
        ".",
      ]);
      const entries = new Map(
        (await read(readFileSync(join(folder, "a.tar")), 10_000)).map((entry) => [
          cleanEntryPath(entry.header.path),
          entry,
        ]),
      );
      for (const name of ["dir/file", "dir/hard", "dir/soft", "sparse"]) assert.ok(entries.has(name), name);
      const types = ["dir/file", "dir/hard"].map((name) => entries.get(name)?.header.type).sort();
      assert.deepEqual(types, ["file", "hardlink"]);
      assert.equal(entries.get("sparse")?.data, `${"\0".repeat(1 << 20)}middle${"\0".repeat(3 * (1 << 20) - 6)}`);
      if (format !== "v7" && format !== "ustar") assert.equal(entries.get("n".repeat(200))?.data, "long");
    });
  }
}

for (const version of ["0.0", "0.1", "1.0"]) {
  test(`GNU tar's sparse format ${version} is read, many segments too`, {
    skip: hasProgram("tar") ? false : "tar is not installed",
  }, async (t) => {
    const folder = temporary(t);
    const fd = openSync(join(folder, "sparse"), "w");
    for (let i = 0; i < 200; i++) writeSync(fd, `segment ${i}`, i * 65536);
    closeSync(fd);
    execFileSync("tar", [
      "-cSf",
      join(folder, "a.tar"),
      "--format=pax",
      `--sparse-version=${version}`,
      "-C",
      folder,
      "sparse",
    ]);
    const [entry] = await read(readFileSync(join(folder, "a.tar")), 777);
    assert.equal(entry?.data, readFileSync(join(folder, "sparse"), "latin1"));
    assert.equal(entry?.header.path, "sparse");
  });
}

function temporary(t: { after(work: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), "gantry-tar-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function hasProgram(name: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${name}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
