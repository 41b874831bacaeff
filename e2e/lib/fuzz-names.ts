/** Objects that the fuzzer can name. */
import { createReadStream } from "node:fs";
import type { TestDaemon } from "../../src/testing/daemon.ts";

/** Made anew, since a fuzzer may have taken them away: two containers, one of them running, a volume, a network and an image; and names that stand for nothing. */
export async function prepareFuzz(daemon: TestDaemon): Promise<string[]> {
  const image = await daemon.call("GET", "/images/busybox/json").catch(() => undefined);
  if (image === undefined) await daemon.call("POST", "/images/load", createReadStream(daemon.archive));
  const create = async (name: string, Cmd: string[]) => {
    await daemon.call("DELETE", `/containers/${name}?force=1`).catch(() => {});
    return daemon.call<{ Id: string }>("POST", `/containers/create?name=${name}`, {
      Image: "busybox",
      Cmd,
      HostConfig: { NetworkMode: "none" },
    });
  };
  const running = await create("running", ["sh", "-c", "while :; do echo line; sleep 1; done"]);
  await daemon.call("POST", `/containers/${running.Id}/start`);
  const stopped = await create("stopped", ["true"]);
  await daemon.call("POST", "/volumes/create", { Name: "kept" });
  return ["running", "stopped", running.Id, stopped.Id, stopped.Id.slice(0, 12), "kept", "none", "busybox", "nothing"];
}
