import assert from "node:assert/strict";
import { test } from "node:test";
import {
  contains,
  formatCidr,
  formatIp,
  ipBytes,
  ipOfBytes,
  macOf,
  overlaps,
  parseCidr,
  parseIp,
} from "./addresses.ts";

const ip = (text: string) => parseIp(text) ?? assert.fail(text);
const cidr = (text: string) => parseCidr(text) ?? assert.fail(text);

test("an address comes out of its number in its canonical form", () => {
  const cases = {
    "172.17.0.2": "172.17.0.2",
    "0.0.0.0": "0.0.0.0",
    "255.255.255.255": "255.255.255.255",
    "::": "::",
    "::1": "::1",
    "fd00:0:0::2": "fd00::2",
    "2001:db8:0:0:1:0:0:1": "2001:db8::1:0:0:1",
    "2001:0db8::0001:0": "2001:db8::1:0",
    "1:2:3:4:5:6:7:8": "1:2:3:4:5:6:7:8",
    "10:0:0:3::": "10:0:0:3::",
    "::ffff:10.0.0.1": "::ffff:a00:1",
  };
  for (const [text, expected] of Object.entries(cases)) {
    assert.equal(formatIp(ip(text)), expected);
    assert.deepEqual(ipOfBytes(ipBytes(ip(text))), ip(text));
  }
});

test("what is no address or subnet is refused", () => {
  for (const text of ["", "1.2.3", "1.2.3.256", "::1%lo", "g::", "1.2.3.4/8"])
    assert.equal(parseIp(text), undefined, text);
  for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "::/129", "10.0.0.0/8/8"])
    assert.equal(parseCidr(text), undefined, text);
});

test("a subnet knows its ends, what it holds and what it overlaps", () => {
  assert.equal(formatCidr(cidr("172.17.42.1/16")), "172.17.0.0/16");
  assert.ok(contains(cidr("10.0.0.0/8"), ip("10.255.255.255")));
  assert.ok(!contains(cidr("10.0.0.0/8"), ip("11.0.0.0")));
  assert.ok(!contains(cidr("::/0"), ip("10.0.0.1")));
  assert.ok(overlaps(cidr("10.0.0.0/8"), cidr("10.1.0.0/16")));
  assert.ok(!overlaps(cidr("10.0.0.0/16"), cidr("10.1.0.0/16")));
});

test("a MAC address follows from the IPv4 address", () => {
  assert.equal(macOf(ip("172.17.0.2")), "02:42:ac:11:00:02");
});
