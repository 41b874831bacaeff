/** The parts of the client that need no network: names of hosts, endpoints, proxies, challenges, waits. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { EngineError } from "../base/errors.ts";
import { parseReference } from "../oci/reference.ts";
import { parseChallenges } from "./challenge.ts";
import { endpointsOf, splitLocation } from "./endpoints.ts";
import { hostNameOf, isListed, isLoopback } from "./hosts.ts";
import { domainOf } from "./login.ts";
import { REMOTE_DEFAULTS } from "./open.ts";
import { proxyFor } from "./proxy.ts";
import { parseRetryAfter, RegistryError } from "./registry-error.ts";
import type { RemoteSettings } from "./remote.ts";
import { delayBefore, isTransient } from "./retry.ts";
import { mergeScopes } from "./session.ts";

describe("hosts", () => {
  test("loopback is known by name and address", () => {
    for (const host of ["localhost", "localhost:5000", "a.localhost", "127.0.0.1:5000", "127.8.8.8", "[::1]:5000"])
      assert.ok(isLoopback(host), host);
    for (const host of ["localhost.example.com", "128.0.0.1", "[::2]:5000", "registry"])
      assert.ok(!isLoopback(host), host);
    assert.equal(hostNameOf("[fd00::1]:5000"), "fd00::1");
  });

  test("a list names hosts, hosts with ports, and networks", () => {
    const list = ["registry:5000", "plain.example.com", "10.0.0.0/8", "fd00::/8", "nonsense/99"];
    for (const host of ["registry:5000", "plain.example.com:1", "PLAIN.example.com", "10.1.2.3:5000", "[fd00::5]:5000"])
      assert.ok(isListed(host, list), host);
    for (const host of ["registry:5001", "registry", "11.0.0.1", "10.example.com", "[fe80::1]"])
      assert.ok(!isListed(host, list), host);
  });
});

describe("endpoints", () => {
  const settings = (given: Partial<RemoteSettings>): RemoteSettings => ({ ...REMOTE_DEFAULTS, ...given });
  const places = (name: string, given: Partial<RemoteSettings> = {}, access: "pull" | "push" = "pull") =>
    endpointsOf(parseReference(name), access, settings(given)).map(
      ({ host, path, schemes, insecure, mirror }) =>
        `${schemes.join("|")}://${host}/${path}${insecure ? " lax" : ""}${mirror ? " mirror" : ""}`,
    );

  test("a name without a registry is docker.io's, whose registry has another name", () => {
    assert.deepEqual(places("alpine"), ["https://registry-1.docker.io/library/alpine"]);
    assert.deepEqual(places("ghcr.io/a/b"), ["https://ghcr.io/a/b"]);
  });

  test("loopback and what is listed may do without TLS", () => {
    assert.deepEqual(places("localhost:5000/a"), ["https|http://localhost:5000/a lax"]);
    assert.deepEqual(places("r:5000/a", { insecureRegistries: ["r:5000"] }), ["https|http://r:5000/a lax"]);
  });

  test("docker.io's mirrors are asked first, in order, for pulls alone", () => {
    const mirrors = ["https://one.example.com", "http://two.example.com/cache/"];
    assert.deepEqual(places("alpine", { mirrors }), [
      "https://one.example.com/library/alpine mirror",
      "http://two.example.com/cache/library/alpine mirror",
      "https://registry-1.docker.io/library/alpine",
    ]);
    assert.deepEqual(places("alpine", { mirrors }, "push"), ["https://registry-1.docker.io/library/alpine"]);
    assert.deepEqual(places("quay.io/a/b", { mirrors }), ["https://quay.io/a/b"]);
  });

  test("any registry, or what lies below a prefix of it, has mirrors by rules; the longest prefix counts", () => {
    const rules = [
      { prefix: "ghcr.io", mirrors: [{ location: "cache:5000/github", insecure: true }] },
      { prefix: "ghcr.io/acme", mirrors: [{ location: "https://acme.example.com" }], mirrorsOnly: true },
      { prefix: "*.corp.test", location: "hub.corp.test:5000/all" },
    ];
    assert.deepEqual(places("ghcr.io/a/b", { rules }), [
      "https|http://cache:5000/github/a/b lax mirror",
      "https://ghcr.io/a/b",
    ]);
    assert.deepEqual(places("ghcr.io/acme/b", { rules }), ["https://acme.example.com/b mirror"]);
    assert.deepEqual(places("ghcr.io/acmes/b", { rules }).at(-1), "https://ghcr.io/acmes/b");
    assert.deepEqual(places("team.corp.test:1/x/y", { rules }), ["https://hub.corp.test:5000/all/x/y"]);
    assert.deepEqual(places("ghcr.io/acme/b", { rules }, "push"), ["https://ghcr.io/acme/b"]);
  });

  test("a mirror that has a registry's own names is told whose they are; Docker's mirrors and those with names of their own are not", () => {
    const rules = [
      { prefix: "ghcr.io", mirrors: [{ location: "cache:5000" }, { location: "cache:5000/github" }] },
      { prefix: "ghcr.io/acme", mirrors: [{ location: "cache:5000" }] },
      { prefix: "*.corp.test", mirrors: [{ location: "cache:5000" }] },
      { prefix: "docker.io", mirrors: [{ location: "cache:5000" }] },
    ];
    const told = (name: string) =>
      endpointsOf(parseReference(name), "pull", settings({ rules, mirrors: ["https://hub.test"] })).map(
        ({ namespace }) => namespace,
      );
    assert.deepEqual(told("ghcr.io/a/b"), ["ghcr.io", undefined, undefined]);
    assert.deepEqual(told("ghcr.io/acme/b"), [undefined, undefined]);
    assert.deepEqual(told("team.corp.test:1/x"), ["team.corp.test:1", undefined]);
    assert.deepEqual(told("alpine"), ["docker.io", undefined, undefined]);
  });

  test("a blocked one is refused, by its rule's name", () => {
    const rules = [{ prefix: "evil.example.com", blocked: true }];
    assert.throws(() => places("evil.example.com/a", { rules }), { kind: "forbidden", message: /registry rule "evil/ });
  });

  test("locations are taken apart", () => {
    assert.deepEqual(splitLocation("https://a:1/b/c/"), { scheme: "https", host: "a:1", folder: "b/c" });
    assert.deepEqual(splitLocation("a"), { scheme: undefined, host: "a", folder: "" });
  });

  test("a server's address in its many forms is one domain", () => {
    for (const address of [undefined, "", "https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"])
      assert.equal(domainOf(address), "docker.io", String(address));
    assert.equal(domainOf("https://localhost:5000/v2/"), "localhost:5000");
  });
});

describe("proxies", () => {
  const at = (url: string, noProxy?: string) =>
    proxyFor(new URL(url), { httpProxy: "http://plain:3128", httpsProxy: "secure:3128", noProxy });

  test("each scheme has its own; loopback needs none", () => {
    assert.equal(at("http://a.example.com/"), "http://plain:3128");
    assert.equal(at("https://a.example.com/"), "http://secure:3128");
    for (const url of ["http://localhost:5000/", "https://127.0.0.1/", "http://[::1]/"])
      assert.equal(at(url), undefined, url);
  });

  test("exceptions are hosts, domains, networks and ports", () => {
    const excepted = (url: string, noProxy: string) => at(url, noProxy) === undefined;
    const table: readonly [string, string, boolean][] = [
      ["https://a.example.com/", "example.com", true],
      ["https://example.com/", "example.com", true],
      ["https://example.com/", ".example.com", false],
      ["https://a.example.com/", ".example.com", true],
      ["https://a.example.com/", "*.example.com", true],
      ["https://badexample.com/", "example.com", false],
      ["https://a.example.com/", "a.example.com:443", true],
      ["https://a.example.com:8443/", "a.example.com:443", false],
      ["https://10.2.3.4/", " 10.0.0.0/8 , x", true],
      ["https://11.2.3.4/", "10.0.0.0/8", false],
      ["https://[fd00::1]/", "fd00::/8", true],
      ["https://[fd00::1]/", "[fd00::1]", true],
      ["https://anything/", "*", true],
      ["https://anything/", ",,", false],
    ];
    for (const [url, noProxy, expected] of table) assert.equal(excepted(url, noProxy), expected, `${url} ${noProxy}`);
  });
});

describe("challenges", () => {
  test("one, several, quoted and plain", () => {
    assert.deepEqual(parseChallenges('Bearer realm="https://a/token",service="a b",scope="repository:x:pull,push"'), [
      { scheme: "bearer", parameters: { realm: "https://a/token", service: "a b", scope: "repository:x:pull,push" } },
    ]);
    assert.deepEqual(parseChallenges('Basic realm="say \\"hi\\"", Bearer Realm=x'), [
      { scheme: "basic", parameters: { realm: 'say "hi"' } },
      { scheme: "bearer", parameters: { realm: "x" } },
    ]);
    assert.deepEqual(parseChallenges(""), []);
  });

  test("nothing makes it loop or throw", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'ab=", \\\t,;'), maxLength: 60 }),
        (text) => void parseChallenges(text),
      ),
    );
  });

  test("scopes of one repository are one scope", () => {
    assert.deepEqual(mergeScopes(["repository:a:pull", "repository:b:pull", "repository:a:pull,push"]), [
      "repository:a:pull,push",
      "repository:b:pull",
    ]);
  });
});

describe("trying again", () => {
  const failed = (status: number, retryAfter?: number) =>
    new RegistryError("unavailable", "x", { status, codes: [], retryAfter });
  const system = (code: string) =>
    new EngineError("unavailable", "x", { cause: Object.assign(new Error(code), { code }) });

  test("what passes is tried again, what does not is not", () => {
    for (const status of [429, 500, 502, 503, 504]) assert.ok(isTransient(failed(status), false), String(status));
    for (const status of [400, 401, 403, 404, 416]) assert.ok(!isTransient(failed(status), true), String(status));
    assert.ok(isTransient(system("ECONNRESET"), false));
    assert.deepEqual(
      [isTransient(system("ECONNREFUSED"), false), isTransient(system("ECONNREFUSED"), true)],
      [false, true],
    );
    assert.ok(!isTransient(system("CERT_HAS_EXPIRED"), true));
  });

  test("waits grow, are spread, end at a bound, and follow the registry", () => {
    assert.equal(delayBefore(0, failed(503), 0), 125);
    assert.equal(delayBefore(0, failed(503), 1), 250);
    assert.equal(delayBefore(50, failed(503), 1), 20_000);
    assert.equal(delayBefore(0, failed(429, 7000)), 7000);
  });

  test("Retry-After is seconds or a date, within bounds", () => {
    const now = Date.parse("2026-01-01T00:00:00Z");
    assert.equal(parseRetryAfter("3"), 3000);
    assert.equal(parseRetryAfter("Thu, 01 Jan 2026 00:00:10 GMT", now), 10_000);
    assert.equal(parseRetryAfter("Thu, 01 Jan 2025 00:00:10 GMT", now), 0);
    assert.equal(parseRetryAfter("999999999"), 300_000);
    for (const text of [undefined, "soon", "-1", ""]) assert.equal(parseRetryAfter(text), undefined, String(text));
  });
});
