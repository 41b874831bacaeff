/** Tells the service manager how far the daemon is (sd_notify). */
import { run } from "./spawn.ts";

/** "READY=1", "STOPPING=1". Resolves when it was told; rejects when there is no systemd-notify or it fails. */
export async function notifyServiceManager(socket: string, state: string): Promise<void> {
  const { code, stderr } = await run("systemd-notify", ["--no-block", `--pid=${process.pid}`, state], {
    env: { NOTIFY_SOCKET: socket, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    timeoutMs: 5_000,
  });
  if (code !== 0) throw new Error(`systemd-notify: ${stderr.toString().trim()}`);
}
