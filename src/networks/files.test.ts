import assert from "node:assert/strict";
import { test } from "node:test";
import { type FileContext, hostsFile, resolvConfFile } from "./files.ts";
import { requestFor } from "./networks.fixture.ts";
import { formatResolvConf, parseResolvConf } from "./resolv.ts";

function context(changes: Partial<FileContext> = {}): FileContext {
  return {
    request: requestFor("web"),
    sandbox: {
      netns: "/run/x",
      sandboxId: "x",
      endpoints: { bridge: { IPAddress: "172.17.0.2", GlobalIPv6Address: "" } },
      ports: {},
      dns: false,
    },
    hostGateways: ["172.17.0.1"],
    dns: [],
    dnsSearch: [],
    dnsOptions: [],
    extraHosts: [],
    ...changes,
  };
}

const lines = (text: string) => text.trimEnd().split("\n");

test("/etc/hosts knows localhost, the extra hosts and the container itself", () => {
  const extraHosts = ["db:10.0.0.5", "six=[fd00::5]", "six2:fd00::6", "up:host-gateway"];
  const text = hostsFile(context({ extraHosts, request: { ...requestFor("web"), domainname: "example.org" } }));
  assert.equal(lines(text)[0], "127.0.0.1\tlocalhost");
  assert.deepEqual(lines(text).slice(6), [
    "10.0.0.5\tdb",
    "fd00::5\tsix",
    "fd00::6\tsix2",
    "172.17.0.1\tup",
    "172.17.0.2\tweb.example.org web",
  ]);
});

test("an extra host without a usable address is refused", () => {
  assert.throws(() => hostsFile(context({ extraHosts: ["db:nowhere"] })), { kind: "invalid" });
  assert.throws(
    () => hostsFile(context({ extraHosts: ["up:host-gateway"], hostGateways: [] })),
    /unable to derive the IP value for host-gateway/,
  );
});

test("resolv.conf says what was asked for", () => {
  const text = resolvConfFile(
    context({ dns: ["1.2.3.4", "5.6.7.8"], dnsSearch: ["a.b", "c"], dnsOptions: ["ndots:2"] }),
    assert.fail,
  );
  assert.deepEqual(lines(text).slice(1), [
    "nameserver 1.2.3.4",
    "nameserver 5.6.7.8",
    "search a.b c",
    "options ndots:2",
  ]);
  assert.doesNotMatch(resolvConfFile(context({ dns: ["1.2.3.4"], dnsSearch: ["."] }), assert.fail), /search/);
});

test("resolv.conf is read as the resolver reads it", () => {
  const text = "# c\ndomain old\nnameserver 10.0.0.1 \n\tnameserver fd00::1\nsearch a b\noptions ndots:1 edns0\n";
  const parsed = { servers: ["10.0.0.1", "fd00::1"], search: ["a", "b"], options: ["ndots:1", "edns0"] };
  assert.deepEqual(parseResolvConf(text), parsed);
  assert.deepEqual(parseResolvConf(formatResolvConf(parsed)), parsed);
});
