import assert from "node:assert/strict";
import { test } from "node:test";
import { mountOf, withAddress, withoutPassword } from "./options.ts";

const lookUp = async (host: string) => {
  if (host !== "files.example") throw new Error("not found");
  return "192.0.2.7";
};

test("a network file system's server is looked up, as the kernel does not", async () => {
  const nfs = { type: "nfs", o: "addr=files.example,rw,nfsvers=4.2,soft,timeo=30", device: ":/export/data" };
  assert.deepEqual(mountOf(await withAddress(nfs, lookUp), "/t"), {
    source: "192.0.2.7:/export/data",
    target: "/t",
    type: "nfs",
    flags: [],
    data: "addr=192.0.2.7,nfsvers=4.2,soft,timeo=30",
  });
  const named = { type: "nfs4", o: "ro,noatime,addr=files.example", device: "files.example:/" };
  const { source, flags, data } = mountOf(await withAddress(named, lookUp), "/t");
  assert.deepEqual([source, flags, data], ["files.example:/", ["ro", "noatime"], "addr=192.0.2.7"]);
  const more = { type: "nfs", o: "mountaddr=files.example,addr=files.example", device: ":/x" };
  assert.equal((await withAddress(more, lookUp)).o, "mountaddr=files.example,addr=192.0.2.7");
  const cifs = { type: "cifs", o: "username=me,password=secret", device: "//files.example/share" };
  assert.equal((await withAddress(cifs, lookUp)).device, "//192.0.2.7/share");
});

test("addresses, and what has no server, stay as they are", async () => {
  for (const options of [
    { type: "nfs", o: "addr=192.0.2.1", device: ":/x" },
    { type: "nfs", o: "addr=2001:db8::1,ro", device: ":/x" },
    { type: "tmpfs", o: "size=1m", device: "tmpfs" },
    { type: "none", o: "bind", device: "/srv/addr=files.example" },
  ])
    assert.equal(await withAddress(options, lookUp), options);
});

test("a name that nobody knows is an error that says which", async () => {
  await assert.rejects(withAddress({ type: "nfs", o: "addr=nowhere.example", device: ":/x" }, lookUp), {
    kind: "unavailable",
    message: /server nowhere\.example: not found/,
  });
});

test("passwords are in no message", () => {
  assert.equal(withoutPassword("username=a,password=secret,uid=1"), "username=a,password=********,uid=1");
  assert.equal(withoutPassword("pass=secret"), "pass=********");
});
