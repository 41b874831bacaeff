/** Services behind TLS: who is trusted gets the lines, who is not gets none. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createServer, type TLSSocket } from "node:tls";
import { makeAuthority, makeCertificate } from "../../testing/certificates.ts";
import { LogWriter, SUBJECT, startForwarding, until } from "./forward-fixture.ts";

const skip = existsSync("/usr/bin/openssl") ? false : "needs openssl";

test("Syslog goes over TLS with the client's certificate to who the given authority knows, and to nobody else", {
  skip,
}, async (t) => {
  const { folder, writer, port, received, clients } = await startTlsReceiver(t);
  const at = (name: string) => join(folder, name);
  writer.write("secret\n");
  makeAuthority(folder, "other");
  const options = {
    "syslog-address": `tcp+tls://localhost:${port}`,
    "syslog-format": "rfc5424",
    "syslog-tls-cert": at("client.pem"),
    "syslog-tls-key": at("client.key"),
  };
  const wrong = startForwarding(t, writer, {
    Type: "syslog",
    Config: { ...options, "syslog-tls-ca-cert": at("other.pem") },
  });
  await until(() => wrong.told.length > 0);
  await wrong.logs.close();
  assert.equal(received(), "");
  startForwarding(t, writer, { Type: "syslog", Config: { ...options, "syslog-tls-ca-cert": at("ca.pem") } });
  await until(() => received().endsWith("secret"));
  // RFC 5425: the length, then the message.
  const [, length = "", message = ""] = /^(\d+) (.*)$/s.exec(received()) ?? [];
  assert.equal(Number(length), message.length);
  assert.deepEqual(clients(), ["client"]);
});

test("Syslog goes to anybody who speaks TLS when nobody is to be verified", { skip }, async (t) => {
  const { writer, port, received } = await startTlsReceiver(t);
  writer.write("to anybody\n");
  const Config = { "syslog-address": `tcp+tls://localhost:${port}`, "syslog-tls-skip-verify": "true" };
  startForwarding(t, writer, { Type: "syslog", Config });
  await until(() => received().endsWith("to anybody\n"));
});

test("Fluentd gets lines over TLS when the machine trusts it, and none otherwise", { skip }, async (t) => {
  const { folder, writer, port, received } = await startTlsReceiver(t);
  writer.write("for fluentd\n");
  const config = { Type: "fluentd", Config: { "fluentd-address": `tls://localhost:${port}` } };
  const distrusting = startForwarding(t, writer, config);
  await until(() => distrusting.told.length > 0);
  await distrusting.logs.close();
  assert.equal(received(), "");
  // Authorities beside the system's are read when a process starts.
  const code = `
    const { openLogs } = await import(${JSON.stringify(new URL("../open.ts", import.meta.url).href)});
    const [config, folder, subject] = JSON.parse(process.argv[1]);
    openLogs().forward(config, folder, subject, new Promise(() => setTimeout(() => {}, 60_000)));`;
  const words = ["--input-type=module", "-e", code, JSON.stringify([config, writer.folder, SUBJECT])];
  const child = spawn(process.execPath, words, {
    env: { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") },
    stdio: "inherit",
  });
  t.after(() => child.kill());
  await until(() => received().includes("for fluentd"));
});

async function startTlsReceiver(t: TestContext) {
  const writer = new LogWriter(t);
  const { folder } = writer;
  makeAuthority(folder, "ca");
  makeCertificate(folder, "server", "ca");
  makeCertificate(folder, "client", "ca");
  const file = (name: string) => readFileSync(join(folder, name));
  const sockets = new Set<TLSSocket>();
  const clients: string[] = [];
  let text = "";
  const server = createServer(
    {
      cert: file("server.pem"),
      key: file("server.key"),
      ca: file("ca.pem"),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (socket) => {
      sockets.add(socket);
      const { subject } = socket.getPeerCertificate();
      if (subject !== undefined) clients.push(String(subject.CN));
      socket.on("error", () => {});
      socket.on("data", (bytes: Buffer) => {
        text += bytes.toString("latin1");
      });
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "localhost", resolve));
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  return { folder, writer, port, received: () => text, clients: () => clients };
}
