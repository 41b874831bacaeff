import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { readUserFiles, resolveUser } from "./users.ts";

const FILES = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001:Ann:/home/ann:/bin/sh\n# comment\n\n42:x:7:8::/seven:\n",
  group: "root:x:0:\nstaff:x:50:ann,bob\nann:x:1001:\nwheel:x:10:bob\n",
};

const cases: [user: string, uid: number, gid: number, additional: number[], home: string][] = [
  ["", 0, 0, [], "/root"],
  ["root", 0, 0, [], "/root"],
  ["ann", 1000, 1001, [50], "/home/ann"],
  ["1000", 1000, 1001, [50], "/home/ann"],
  ["ann:staff", 1000, 50, [], "/home/ann"],
  ["ann:4711", 1000, 4711, [], "/home/ann"],
  ["5000", 5000, 0, [], "/"],
  ["5000:5001", 5000, 5001, [], "/"],
  ["42", 7, 8, [], "/seven"],
];

describe("a user as a container names it", () => {
  for (const [user, uid, gid, additionalGids, home] of cases) {
    it(`${user || "nobody in particular"} is ${uid}:${gid}`, () => {
      assert.deepEqual(resolveUser(user, FILES), { uid, gid, additionalGids, home });
    });
  }

  it("gets the groups that are added, by name and number, each once", () => {
    assert.deepEqual(resolveUser("ann", FILES, ["wheel", "77", "staff"]).additionalGids, [50, 10, 77]);
  });

  it("is root where the image has no files at all", () => {
    assert.deepEqual(resolveUser("", { passwd: "", group: "" }), { uid: 0, gid: 0, additionalGids: [], home: "/root" });
  });

  it("must be in the file when it is a name", () => {
    assert.throws(() => resolveUser("eve", FILES), {
      kind: "invalid",
      message: "unable to find user eve: no matching entries in passwd file",
    });
    assert.throws(() => resolveUser("ann:none", FILES), {
      message: "unable to find group none: no matching entries in group file",
    });
    assert.throws(() => resolveUser("ann", FILES, ["none"]), { message: /unable to find group none/ });
  });

  it("must be a number that fits", () => {
    for (const user of ["2147483648", "-1", "0:99999999999"]) {
      assert.throws(() => resolveUser(user, FILES), { message: "uids and gids must be in range 0-2147483647" });
    }
  });
});

it("the files are read inside the root, whatever links say", (t) => {
  const root = mkdtempSync(join(tmpdir(), "users-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "etc"));
  symlinkSync("/../../../../etc/outside-passwd", join(root, "etc/passwd"));
  writeFileSync(join(root, "etc/outside-passwd"), "in:x:1:1::/:\n");
  symlinkSync("group", join(root, "etc/group"));
  assert.deepEqual(readUserFiles(root), { passwd: "in:x:1:1::/:\n", group: "" });
});

it("what is no regular file is not read, and of a huge one only the beginning", {
  skip: process.getuid?.() !== 0,
}, (t) => {
  const root = mkdtempSync(join(tmpdir(), "users-"));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  mkdirSync(join(root, "etc"));
  const passwd = join(root, "etc", "passwd");
  for (const [command, ...words] of [
    ["mknod", passwd, "c", "1", "5"],
    ["mkfifo", passwd],
    ["mkdir", passwd],
  ] as const) {
    execFileSync(command, words);
    assert.equal(readUserFiles(root).passwd, "");
    rmSync(passwd, { recursive: true });
  }
  writeFileSync(passwd, FILES.passwd);
  truncateSync(passwd, 2 ** 40);
  const files = readUserFiles(root);
  assert.equal(resolveUser("ann", files).uid, 1000);
  assert.ok(files.passwd.length <= 16 << 20);
});
