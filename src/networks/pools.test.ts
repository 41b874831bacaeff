import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Cidr, formatCidr, makeCidr, overlaps, parseCidr } from "./addresses.ts";
import { checkPools, DEFAULT_POOLS, freeSubnet, localIpv6Subnet } from "./pools.ts";

const cidrs = (...texts: string[]): Cidr[] => texts.map((text) => parseCidr(text) ?? assert.fail(text));
const next = (taken: Cidr[], pools = DEFAULT_POOLS) => {
  const found = freeSubnet(pools, 4, taken);
  return found === undefined ? undefined : formatCidr(found);
};

test("the default pools begin as Docker's and last for nine hundred networks", () => {
  const taken: Cidr[] = [];
  for (let subnet = next(taken); subnet !== undefined; subnet = next(taken)) taken.push(...cidrs(subnet));
  assert.equal(taken.length, 931);
  assert.deepEqual(
    [0, 2, 3, 162, 163, 674, 675, 930].map((index) => taken[index] && formatCidr(taken[index])),
    [
      ...["172.17.0.0/16", "172.19.0.0/16", "172.20.0.0/20", "172.29.240.0/20"],
      ...["172.30.0.0/24", "172.31.255.0/24", "192.168.0.0/24", "192.168.255.0/24"],
    ],
  );
});

test("a subnet of a pool is free when it overlaps nothing that is taken, and is the first such", () => {
  const cidr = fc.record({ third: fc.integer({ min: 0, max: 255 }), prefix: fc.integer({ min: 18, max: 32 }) });
  fc.assert(
    fc.property(fc.array(cidr, { maxLength: 30 }), fc.integer({ min: 16, max: 26 }), (wished, size) => {
      const taken = cidrs(...wished.map(({ third, prefix }) => `10.9.${third}.77/${prefix}`));
      const pool = cidrs("10.9.0.0/16")[0] ?? assert.fail();
      const all = Array.from({ length: 2 ** (size - 16) }, (_, index) =>
        makeCidr({ family: 4, value: pool.first + (BigInt(index) << BigInt(32 - size)) }, size),
      );
      const free = all.find((subnet) => !taken.some((other) => overlaps(other, subnet)));
      assert.deepEqual(freeSubnet([{ base: "10.9.0.0/16", size }], 4, taken), free);
    }),
  );
});

test("what is taken is left out, larger and smaller than a subnet", () => {
  assert.equal(next(cidrs("172.16.0.0/12")), "192.168.0.0/24");
  assert.equal(next(cidrs("172.17.3.4/32", "172.18.0.0/15")), "172.20.0.0/20");
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
