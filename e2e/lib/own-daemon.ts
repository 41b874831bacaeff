/** A daemon of a file's or a describe's own: up before its first test, gone after its last. */
import { after, before, describe } from "node:test";
import { type DaemonOptions, planDaemon, type TestDaemon } from "../../src/testing/daemon.ts";
import { Cli, type CliName, missing } from "./cli.ts";

/** To be called where the tests are; what is there from the start is where it will be. */
export function ownDaemon(options?: DaemonOptions): TestDaemon {
  const daemon = planDaemon(options);
  before(() => daemon.begin());
  after(() => daemon[Symbol.asyncDispose]());
  return daemon;
}

/** The same tests with each CLI, over a daemon of its own. `skip` says why not. */
export function withEachCli(
  tests: (cli: Cli, daemon: TestDaemon) => void,
  { skip = false, ...options }: DaemonOptions & { readonly skip?: string | false } = {},
): void {
  for (const name of ["docker", "gantry"] satisfies CliName[])
    describe(name, { skip: missing(name) || skip }, () => {
      const daemon = ownDaemon(options);
      tests(new Cli(name, daemon), daemon);
    });
}
