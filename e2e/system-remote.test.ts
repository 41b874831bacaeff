/** Daemons that are elsewhere: TCP with certificates, ssh, and contexts that say how to get there; both CLIs. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { makeAuthority, makeCertificate } from "../src/testing/certificates.ts";
import type { TestDaemon } from "../src/testing/daemon.ts";
import { Cli, collect, missing } from "./lib/cli.ts";
import { ownDaemon } from "./lib/own-daemon.ts";

const root = process.getuid?.() === 0;
const ROOT = join(import.meta.dirname, "..");

describe("far daemons", { skip: root ? false : "needs root" }, () => {
  const daemon = ownDaemon();
  let certificates: string;
  let address: string;
  before(async () => {
    certificates = join(daemon.folder, "certificates");
    makeCertificates(certificates);
    await daemon.kill("SIGTERM");
    daemon.setFlags([
      ...["-H", "tcp://127.0.0.1:0", "--tlsverify", "--tlscacert", join(certificates, "ca.pem")],
      ...["--tlscert", join(certificates, "server.pem"), "--tlskey", join(certificates, "server.key")],
    ]);
    await daemon.start();
    address = `tcp://localhost:${/API listen on 127\.0\.0\.1:(\d+)/.exec(daemon.log())?.[1]}`;
  });

  const file = (name: string) => join(certificates, name);
  const withTls = (who: string) => [
    ...["-H", address, "--tlsverify", "--tlscacert", file("ca.pem")],
    ...["--tlscert", file(`${who}.pem`), "--tlskey", file(`${who}.key`)],
  ];

  for (const name of ["docker", "gantry"] as const)
    describe(name, { skip: missing(name) }, () => {
      let cli: Cli;
      before(() => {
        cli = new Cli(name, daemon).with({ DOCKER_HOST: "", DOCKER_CONFIG: join(daemon.folder, `config-${name}`) });
      });

      test("a certificate of the authority gets in, with every kind of stream", async () => {
        const tls = withTls("client");
        assert.match(await cli.ok(...tls, "version", "--format", "{{.Server.Version}}"), /\d/);
        const { code, out } = await cli.feed(
          "half\n",
          ...tls,
          "run",
          "-i",
          "--rm",
          "busybox",
          "sh",
          "-c",
          "cat; exit 7",
        );
        assert.deepEqual([code, out], [7, "half"]);
        const big = Buffer.alloc(3 << 20, "gantry");
        const echoed = await cli.feed(big, ...tls, "run", "-i", "--rm", "busybox", "wc", "-c");
        assert.equal(echoed.out, String(big.length));
        await cli.ok(...tls, "run", "-d", "--name", `tls-${name}`, "busybox", "sh", "-c", "echo one; sleep 600");
        assert.equal((await cli.feed("x\n", ...tls, "exec", "-i", `tls-${name}`, "cat")).out, "x");
        assert.equal(await cli.ok(...tls, "logs", `tls-${name}`), "one");
        await cli.ok(...tls, "rm", "-f", `tls-${name}`);
      });

      test("another authority's certificate, and none, are kept out; an unknown server is not believed", async () => {
        for (const words of [
          withTls("stranger"),
          ["-H", address, "--tlsverify", "--tlscacert", file("ca.pem")],
          ["-H", address, "--tlsverify", "--tlscacert", file("strangers.pem")],
        ]) {
          const { code, out, err } = await cli.run(...words, "ps");
          assert.notEqual(code, 0, out);
          assert.match(err, /certificate|tls|TLS|alert/i);
        }
        const plain = await cli.run("-H", address, "ps");
        assert.equal(plain.code, 1);
        assert.match(plain.err, /Client sent an HTTP request to an HTTPS server/);
      });

      test("the folder of DOCKER_CERT_PATH, or a missing file's name, is used as the environment says", async () => {
        const folder = join(daemon.folder, `certs-${name}`);
        const env = { DOCKER_HOST: address, DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: folder };
        mkdirSync(folder);
        const { code, err } = await cli.with(env).run("ps", "-q");
        assert.equal(code, 1);
        assert.match(
          err,
          new RegExp(`unable to resolve docker endpoint: open ${folder}/ca.pem: no such file or directory`),
        );
        for (const [to, from] of Object.entries({
          "ca.pem": "ca.pem",
          "cert.pem": "client.pem",
          "key.pem": "client.key",
        }))
          writeFileSync(join(folder, to), readFileSync(file(from)));
        await cli.with(env).ok("ps", "-q");
      });

      test("a context holds the certificates, is carried elsewhere as a file, changed, and used there", async () => {
        const docker = `host=${address},ca=${file("ca.pem")},cert=${file("client.pem")},key=${file("client.key")}`;
        await cli.ok("context", "create", "far", "--description", "over there", "--docker", docker);
        await cli.ok("--context", "far", "ps", "-q");
        const archive = join(daemon.folder, `far-${name}.dockercontext`);
        await cli.ok("context", "export", "far", archive);
        const again = await cli.run("context", "export", "far", archive);
        assert.deepEqual([again.code, again.err], [1, `open ${archive}: file exists`]);
        const elsewhere = cli.with({ DOCKER_CONFIG: join(daemon.folder, `elsewhere-${name}`) });
        await elsewhere.ok("context", "import", "there", archive);
        await elsewhere.ok("--context", "there", "ps", "-q");
        const [seen] = JSON.parse(await elsewhere.ok("context", "inspect", "there"));
        assert.deepEqual(seen.TLSMaterial, { docker: ["ca.pem", "cert.pem", "key.pem"] });
        assert.equal(seen.Metadata.Description, "over there");
        assert.ok(existsSync(join(seen.Storage.TLSPath, "docker", "key.pem")));
        await elsewhere.ok("context", "create", "copy", "--from", "there");
        await elsewhere.ok("--context", "copy", "ps", "-q");
        await elsewhere.ok("context", "update", "copy", "--docker", `host=${address},skip-tls-verify=true`);
        const unsure = await elsewhere.run("--context", "copy", "ps", "-q");
        assert.equal(unsure.code, 1, "no certificate any more");
        await elsewhere.ok("context", "use", "there");
        await elsewhere.ok("ps", "-q");
        assert.match(await elsewhere.ok("context", "ls"), /^there \*/m);
        const inUse = await elsewhere.run("context", "rm", "there");
        assert.deepEqual([inUse.code, inUse.err], [1, 'context "there" is in use, set -f flag to force remove']);
        await elsewhere.ok("context", "rm", "-f", "there");
        assert.ok(!existsSync(seen.Storage.TLSPath), "its key is gone with it");
      });

      test("what is no context, or would be none, is refused in the same words", async () => {
        const config = join(daemon.folder, `refuse-${name}`);
        const other = cli.with({ DOCKER_CONFIG: config });
        const refused = async (pattern: RegExp, ...words: string[]) => {
          const { code, err } = await other.run("context", ...words);
          assert.equal(code, 1, words.join(" "));
          assert.match(err, pattern);
        };
        await refused(
          /^unable to create docker endpoint config: unrecognized config key: bad/,
          "create",
          "one",
          "--docker",
          "bad=1",
        );
        await refused(/unable to parse docker host `xx`/, "create", "one", "--docker", "host=xx");
        await refused(/ca\.pem seems invalid/, "create", "one", "--docker", `host=${address},ca=${file("client.key")}`);
        await refused(
          /open \/nope: no such file or directory/,
          "create",
          "one",
          "--docker",
          `host=${address},key=/nope`,
        );
        await refused(/parsing "zz": invalid syntax/, "create", "one", "--docker", "host=tcp://a:1,skip-tls-verify=zz");
        await refused(
          /cannot use --docker flag when --from is set/,
          "create",
          "one",
          "--from",
          "default",
          "--docker",
          "host=tcp://a:1",
        );
        await refused(/is invalid, names are validated/, "create", "a b", "--docker", "host=tcp://a:1");
        await refused(/context "nope": context not found/, "update", "nope", "--description", "x");
        await refused(/"default" is a reserved context name/, "update", "default", "--description", "x");
        await refused(/context "nope": context not found/, "export", "nope", "-");
        await refused(/context "nope" does not exist/, "rm", "nope");
        await refused(/invalid tar header|unexpected EOF/, "import", "one", file("ca.pem"));
        await refused(/no such file or directory/, "import", "one", "/nope");
        assert.equal((await other.run("context", "inspect", "nope")).code, 1);
      });

      test("a daemon behind ssh is reached by dial-stdio there", async () => {
        const bin = fakeSsh(daemon, cli);
        const far = cli.with({ PATH: `${bin}:${cli.env.PATH}`, DOCKER_HOST: "ssh://me@far.example:2222" });
        assert.match(await far.ok("version", "--format", "{{.Server.Version}}"), /\d/);
        const { code, out } = await far.feed("half\n", "run", "-i", "--rm", "busybox", "sh", "-c", "cat; exit 7");
        assert.deepEqual([code, out], [7, "half"]);
        const asked = readFileSync(join(bin, "asked"), "utf8");
        assert.match(asked, /-p 2222/);
        assert.match(asked, /(me@far\.example|-l me .*far\.example)/);
        writeFileSync(join(bin, "broken"), "");
        const lost = await far.run("ps");
        assert.notEqual(lost.code, 0);
        // Docker tells ssh's words or its own broken pipe, whichever comes first.
        if (name === "gantry") assert.match(lost.err, /Permission denied \(publickey\)/);
        rmSync(join(bin, "broken"));
      });
    });

  test("a socket on the far side may be named in the address", async () => {
    const cli = new Cli("gantry", daemon);
    const bin = fakeSsh(daemon, cli);
    const path = daemon.host.slice("unix://".length);
    const far = cli.with({
      PATH: `${bin}:${cli.env.PATH}`,
      DOCKER_HOST: `ssh://far.example${path}`,
      FAR_HOST: "unix:///nowhere",
    });
    await far.ok("ps", "-q");
  });

  test("dial-stdio carries bytes until either side ends", async () => {
    const cli = new Cli("gantry", daemon);
    const request = "GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    const child = spawn(cli.file, ["system", "dial-stdio"], { env: cli.env, stdio: ["pipe", "pipe", "pipe"] });
    child.stdin.write(request);
    assert.match(
      (await collect(child)).out,
      /^HTTP\/1\.1 200 OK[\s\S]*OK$/,
      "the daemon's end is the end, with stdin open",
    );
  });
});

function makeCertificates(folder: string): void {
  mkdirSync(folder);
  makeAuthority(folder, "ca");
  makeAuthority(folder, "strangers");
  for (const name of ["server", "client"]) makeCertificate(folder, name, "ca");
  makeCertificate(folder, "stranger", "strangers");
}

/** An `ssh` that runs its command here, by the CLI's own program, against the daemon; and notes how it was asked. */
function fakeSsh(daemon: TestDaemon, { name, file }: Cli): string {
  const bin = join(daemon.folder, `bin-${name}`);
  mkdirSync(bin, { recursive: true });
  const write = (program: string, text: string) => {
    writeFileSync(join(bin, program), text);
    chmodSync(join(bin, program), 0o755);
  };
  write(
    "ssh",
    `#!/bin/sh
echo "$@" >>"${bin}/asked"
[ -e "${bin}/broken" ] && { echo "me@far.example: Permission denied (publickey)." >&2; exit 255; }
while [ $# -gt 0 ]; do case "$1" in -o|-p|-l) shift 2;; -*) shift;; *) break;; esac; done
shift
[ "$1" = -- ] && shift
unset DOCKER_CONFIG
export DOCKER_HOST="\${FAR_HOST:-${daemon.host}}" HOME="${daemon.folder}"
exec sh -c "$*"
`,
  );
  write("gantry", `#!/bin/sh\nexec "${name === "gantry" ? file : join(ROOT, "bin", "gantry")}" "$@"\n`);
  return bin;
}
