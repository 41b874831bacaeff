import assert from "node:assert/strict";
import { test } from "node:test";
import { type Cidr, formatCidr, parseCidr } from "./addresses.ts";
import { checkPools, DEFAULT_POOLS, freeSubnet, localIpv6Subnet } from "./pools.ts";

const cidrs = (...texts: string[]): Cidr[] => texts.map((text) => parseCidr(text) ?? assert.fail(text));
const next = (taken: Cidr[], pools = DEFAULT_POOLS) => {
  const found = freeSubnet(pools, 4, taken);
  return found === undefined ? undefined : formatCidr(found);
};

test("the default pools are Docker's, in its order", () => {
  const taken: Cidr[] = [];
  for (let subnet = next(taken); subnet !== undefined; subnet = next(taken)) taken.push(...cidrs(subnet));
  assert.equal(taken.length, 31);
  assert.deepEqual(
    [taken[0], taken[14], taken[15], taken[30]].map((cidr) => cidr && formatCidr(cidr)),
    ["172.17.0.0/16", "172.31.0.0/16", "192.168.0.0/20", "192.168.240.0/20"],
  );
});

test("what is taken is left out, larger and smaller than a subnet", () => {
  assert.equal(next(cidrs("172.16.0.0/12")), "192.168.0.0/20");
  assert.equal(next(cidrs("172.17.3.4/32", "172.18.0.0/15")), "172.20.0.0/16");
  const pools = [{ base: "10.0.0.0/16", size: 24 }];
  assert.equal(next(cidrs("10.0.0.0/23", "10.0.2.7/32"), pools), "10.0.3.0/24");
  assert.equal(next(cidrs("10.0.0.0/8"), pools), undefined);
});

test("a pool that cannot be cut is refused", () => {
  assert.throws(() => checkPools([{ base: "10.0.0.0/24", size: 16 }]), { kind: "invalid" });
  assert.throws(() => checkPools([{ base: "10.0.0.0", size: 24 }]), { kind: "invalid" });
});

test("a local IPv6 subnet follows from its seed", () => {
  assert.match(formatCidr(localIpv6Subnet("a")), /^fd[0-9a-f:]+::\/64$/);
  assert.deepEqual(localIpv6Subnet("a"), localIpv6Subnet("a"));
  assert.notDeepEqual(localIpv6Subnet("a"), localIpv6Subnet("b"));
});
