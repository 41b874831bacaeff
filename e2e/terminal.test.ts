/** Terminals: raw while a session has them, as big inside as outside, and afterwards as they were, however it ends. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { withEachCli } from "./lib/own-daemon.ts";
import { noTerminal, Terminal } from "./lib/terminal.ts";

withEachCli(
  (cli, daemon) => {
    const { name } = cli;
    /** `$cli` is the CLI under test; `kept` runs a line and says whether the terminal is as before. */
    const terminal = (script: string) =>
      new Terminal(
        `kept() { before=$(stty -g); eval "$1"; code=$?; [ "$before" = "$(stty -g)" ] && echo "kept, code $code" || echo "changed, code $code"; }\n${script}`,
        { ...cli.env, cli: cli.file, folder: daemon.folder, SHELL: "/bin/sh" },
      );

    const WAIT = "while :; do sleep 0.1; done";

    test("a container's terminal is as big as the user's, from its first moment", async () => {
      await using shell = terminal("stty rows 33 cols 101; $cli run --rm -it busybox stty size");
      assert.equal(await shell.ended(), 0);
      assert.match(shell.shown, /33 101/);
    });

    test("it follows the user's window", async () => {
      const go = join(daemon.folder, "resize");
      await using shell = terminal(
        `stty rows 20 cols 80
       (while [ ! -e $folder/resize ]; do sleep 0.05; done; stty rows 44 cols 111 </dev/tty) &
       $cli run --rm -it busybox sh -c 'trap "stty size; exit 4" WINCH; echo read""y; ${WAIT}'`,
      );
      await shell.see(/ready/);
      // The docker CLI begins to watch the window only after the start.
      await sleep(1000);
      writeFileSync(go, "");
      assert.equal(await shell.ended(), 4);
      assert.match(shell.shown, /44 111/);
    });

    test("output passes unchanged, keys are not shown twice", async () => {
      await using shell = terminal(
        'kept \'$cli run --rm -it busybox sh -c "stty -echo; echo rea\\"\\"dy; read x; echo [\\$x]"\'',
      );
      await shell.see(/ready/);
      shell.type("hello\r");
      assert.equal(await shell.ended(), 0);
      assert.doesNotMatch(shell.shown, /\r\r\n/);
      assert.equal(shell.shown.split("hello").length, 2, shell.shown);
      assert.match(shell.shown, /\[hello\]\r\nkept, code 0/);
    });

    test("Ctrl-C is the container's", async () => {
      await using shell = terminal(
        `kept '$cli run --rm -it busybox sh -c "trap \\"exit 7\\" INT; echo rea\\"\\"dy; ${WAIT}"'`,
      );
      await shell.see(/ready/);
      shell.type("\x03");
      await shell.see(/kept, code 7/);
    });

    test("the detach keys leave the container running, attach finds it again", async () => {
      await using shell = terminal(
        `kept '$cli run -it --name kept busybox sh'; kept '$cli attach kept'; $cli wait kept`,
      );
      await shell.see(/# /);
      shell.type("\x10\x11");
      await shell.see(/kept, code 0/);
      assert.equal(await cli.ok("inspect", "-f", "{{.State.Running}}", "kept"), "true");
      shell.type("\rexit 5\r");
      await shell.see(/kept, code 5/);
      assert.equal(await shell.ended(), 0);
      await cli.ok("rm", "kept");
    });

    test("other detach keys can be chosen, and the usual ones are the container's then", async () => {
      await using shell = terminal("kept '$cli run -it --rm --name chosen --detach-keys ctrl-x,q busybox cat'");
      await shell.see(/\n|^$/);
      shell.type("\x10\x11one\r");
      await shell.see(/one/);
      shell.type("\x18q");
      await shell.see(/kept, code 0/);
      await cli.ok("rm", "-f", "chosen");
    });

    test("exec has a terminal too: size, keys, exit code", async () => {
      await cli.ok("run", "-d", "--name", "target", "busybox", "sleep", "300");
      await using shell = terminal(
        `stty rows 31 cols 99; kept '$cli exec -it target sh -c "stty size; trap \\"exit 6\\" INT; echo rea\\"\\"dy; ${WAIT}"'`,
      );
      await shell.see(/31 99\r\nready/);
      shell.type("\x03");
      await shell.see(/kept, code 6/);
      await cli.ok("rm", "-f", "target");
    });

    test("the terminal comes back when the start fails, and when the container is killed", async () => {
      await using failed = terminal("kept '$cli run --rm -it busybox no-such-program'");
      await failed.see(/kept, code 127/);
      await using killed = terminal("kept '$cli run -it --rm --name victim busybox sh'");
      await killed.see(/# /);
      await cli.ok("kill", "victim");
      await killed.see(/kept, code 137/);
    });

    test("it comes back when the daemon dies", async () => {
      await using shell = terminal("kept '$cli run -it --name orphan busybox sh'");
      await shell.see(/# /);
      await daemon.kill();
      await shell.see(/kept, code/);
      await daemon.start();
      await cli.ok("rm", "-f", "orphan");
    });

    // docker leaves the terminal raw then.
    for (const signal of name === "gantry" ? (["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"] as const) : [])
      test(`it comes back when ${signal} ends the CLI itself`, async () => {
        const container = `ended-${signal}`;
        await using shell = terminal(
          `kept 'sh -c "echo pid=\\$\\$,; exec $cli run --sig-proxy=false -it --name ${container} busybox sh"'`,
        );
        await shell.see(/pid=\d+,.*# /s);
        process.kill(Number(/pid=(\d+),/.exec(shell.shown)?.[1]), signal);
        await shell.see(/kept, code/);
        await cli.ok("rm", "-f", container);
      });
  },
  { skip: noTerminal() },
);
