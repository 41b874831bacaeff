/** The network that a build's steps have: the host's, none, a network's, another container's. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Cli, missing } from "./lib/cli.ts";

describe("the network of steps", () => {
  let daemon: TestDaemon;
  let root: string;
  let count = 0;

  before(async () => {
    root = mkdtempSync(join(tmpdir(), "gantry-build-networks-"));
    daemon = await startDaemon();
    const cli = new Cli("gantry", daemon);
    await cli.ok("network", "create", "own");
    const serve = "echo hello >/index.html; exec httpd -f -p 8080 -h /";
    await cli.ok(
      "run",
      "-d",
      "--name",
      "web",
      "--network",
      "own",
      "--hostname",
      "webhost",
      "busybox",
      "sh",
      "-c",
      serve,
    );
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    rmSync(root, { recursive: true, force: true });
  });

  for (const name of ["docker", "gantry"] as const)
    describe(`by ${name}`, { skip: missing(name) }, () => {
      let cli: Cli;
      before(() => {
        cli = new Cli(name, daemon);
      });
      /** What a build of these lines says, and its exit code. */
      async function build(
        steps: string,
        ...flags: string[]
      ): Promise<{ readonly code: number; readonly text: string }> {
        const folder = join(root, String(count++));
        mkdirSync(folder);
        writeFileSync(join(folder, "Dockerfile"), `FROM busybox\n${steps}\n`);
        const { code, out, err } = await cli.run("build", "--no-cache", ...flags, folder);
        return { code, text: out + err };
      }

      /** Tries until the server listens. */
      const get = (address: string) => `until wget -qO- http://${address}:8080/; do usleep 50000; done`;

      test("a running container's: its addresses, its names, its loopback; it stays as it was", async () => {
        const steps = `RUN ${get("127.0.0.1")}\nRUN echo "I am $(hostname) $(grep -c webhost /etc/hosts)"\nRUN ip -4 -o addr show eth0`;
        const { IPAddress } = JSON.parse(
          await cli.ok("inspect", "--format", '{{json (index .NetworkSettings.Networks "own")}}', "web"),
        ) as { IPAddress: string };
        const { code, text } = await build(steps, "--network", "container:web");
        assert.equal(code, 0, text);
        assert.match(text, /hello/);
        assert.match(text, /I am webhost 1/);
        assert.ok(text.includes(`inet ${IPAddress}/`), text);
        assert.equal(await cli.ok("exec", "web", "wget", "-qO-", "http://127.0.0.1:8080/"), "hello");
      });

      test("one that is not there, or does not run, is told of with the line; other options that cannot be too", async () => {
        await cli.ok("create", "--name", `asleep-${name}`, "busybox");
        const absent = await build("RUN true", "--network", "container:absent");
        assert.notEqual(absent.code, 0);
        assert.match(absent.text, /No such container: absent/i);
        const asleep = await build("RUN true", "--network", `container:asleep-${name}`);
        assert.notEqual(asleep.code, 0);
        assert.match(asleep.text, /cannot join network namespace of a non running container/);
        const hosts = await build("RUN true", "--network", "container:web", "--add-host", "a:1.2.3.4");
        assert.notEqual(hosts.code, 0);
        assert.match(hosts.text, /conflicting options: custom host-to-IP mapping and the network mode/);
        const network = await build("RUN true", "--network", "absent");
        assert.notEqual(network.code, 0);
        assert.match(network.text, /network absent not found/);
      });

      test("a network's, where containers are found by their names", async () => {
        const { code, text } = await build(`RUN ${get("web")}`, "--network", "own");
        assert.equal(code, 0, text);
        assert.match(text, /hello/);
        assert.equal((await cli.ok("network", "inspect", "--format", "{{len .Containers}}", "own")).trim(), "1");
      });

      test("the host's, none, and what one RUN alone says", async () => {
        const links = readdirSync("/sys/class/net");
        const host = await build('RUN echo "links: $(ls /sys/class/net | tr "\\n" " ")"', "--network", "host");
        assert.equal(host.code, 0, host.text);
        assert.match(host.text, /links: /);
        assert.ok(
          links.some((link) => !/^(?:lo|eth0)$/.test(link) && host.text.includes(` ${link} `)),
          host.text,
        );
        const steps =
          'RUN echo "first: $(ls /sys/class/net | tr "\\n" " ")"\nRUN --network=none echo "second: $(ls /sys/class/net | tr "\\n" " ")"';
        const mixed = await build(steps, "--network", "default");
        assert.equal(mixed.code, 0, mixed.text);
        assert.match(mixed.text, /first: eth0 lo /);
        assert.match(mixed.text, /second: lo /);
        const none = await build("RUN --network=default ls /sys/class/net", "--network", "none");
        assert.doesNotMatch(none.text, /eth0/);
      });
    });
});
