import assert from "node:assert/strict";
import { test } from "node:test";
import { authorized, withoutPassword } from "./urls.ts";

const SHOWN: readonly (readonly [text: string, shown: string])[] = [
  ["https://me:s3cr3t@host/x", "https://***@host/x"],
  ["https://token@host/x", "https://***@host/x"],
  ["http://me:p@ss@host:80/x", "http://***@host:80/x"],
  ["load http://a:b@c and HTTPS://d:e@f.", "load http://***@c and HTTPS://***@f."],
  ["ssh://git@host/x.git", "ssh://git@host/x.git"],
  ["ssh://git:pw@host/x.git", "ssh://***@host/x.git"],
  ["git@host:me/x.git", "git@host:me/x.git"],
  ["https://host/me@there?a=b@c", "https://host/me@there?a=b@c"],
  ["RUN echo me@host", "RUN echo me@host"],
];

test("addresses are shown without what only their server may know", () => {
  for (const [text, shown] of SHOWN) assert.equal(withoutPassword(text), shown);
});

test("an address's user and password become a header", () => {
  assert.deepEqual(authorized("http://host/x").headers, {});
  const { url, headers } = authorized("http://m%40e:p%3Aw@host:81/x?y=z");
  assert.equal(url.href, "http://host:81/x?y=z");
  assert.equal(headers.Authorization, `Basic ${Buffer.from("m@e:p:w").toString("base64")}`);
});
