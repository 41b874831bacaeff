import assert from "node:assert/strict";
import { test } from "node:test";
import { hostText, parseHost } from "./host.ts";

test("addresses are read in every form that people write", () => {
  assert.deepEqual(parseHost("unix:///run/x.sock"), { kind: "unix", path: "/run/x.sock" });
  assert.deepEqual(parseHost("unix://"), { kind: "unix", path: "/run/gantry/gantry.sock" });
  const tcp = (text: string) => {
    const endpoint = parseHost(text);
    return endpoint.kind === "tcp" ? [endpoint.host, endpoint.port, endpoint.base, endpoint.tls !== undefined] : [];
  };
  assert.deepEqual(tcp("tcp://10.0.0.1:2375"), ["10.0.0.1", 2375, "", false]);
  assert.deepEqual(tcp("tcp://box"), ["box", 2375, "", false]);
  assert.deepEqual(tcp("tcp://box:80/base/"), ["box", 80, "/base", false]);
  assert.deepEqual(tcp("tcp://[::1]:2375"), ["::1", 2375, "", false]);
  assert.deepEqual(tcp("https://box"), ["box", 2376, "", true]);
  assert.deepEqual(tcp("https://box:443"), ["box", 443, "", true]);
  assert.deepEqual(parseHost("ssh://me@box:2222/run/x.sock"), {
    kind: "ssh",
    destination: "me@box",
    port: 2222,
    socket: "/run/x.sock",
  });
});

test("what is no address, or would be an option of ssh, is refused", () => {
  for (const text of ["", "box:2375", "/run/x.sock"])
    assert.throws(() => parseHost(text), /unable to parse docker host/);
  assert.throws(() => parseHost("fd://x"), /protocol not available/);
  assert.throws(() => parseHost("ssh://-oProxyCommand=x"), /invalid ssh host|unable to parse/);
  assert.throws(() => parseHost("ssh://me:secret@box"), /plain-text password/);
});

test("an address is shown as it is written", () => {
  for (const text of ["unix:///run/x.sock", "tcp://10.0.0.1:2375", "tcp://[::1]:2375", "ssh://me@box:22"])
    assert.equal(hostText(parseHost(text)), text);
});
