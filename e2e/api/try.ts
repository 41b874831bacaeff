/** What the checks of the API's table have at hand: containers of one daemon. */
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { ContainerCreateRequest, ContainerInspect } from "../../src/api/types/container.ts";
import { type CgroupFeatures, openCgroups } from "../../src/kernel/cgroups.ts";
import type { TestDaemon } from "../../src/testing/daemon.ts";
import { payloads } from "../../src/testing/engine-harness.ts";

export type Request = Partial<ContainerCreateRequest>;

export class Try {
  readonly daemon: TestDaemon;
  /** The daemon's folder of CDI specifications. */
  readonly cdi: string;
  readonly v1: boolean;
  readonly features: CgroupFeatures;
  #made: string[] = [];

  constructor(daemon: TestDaemon, cdi: string) {
    const { version, features } = openCgroups();
    this.daemon = daemon;
    this.cdi = cdi;
    this.v1 = version === 1;
    this.features = features;
  }

  /** A busybox container without a network, unless the request says otherwise; its id. */
  async create(request: Request, name = ""): Promise<string> {
    const body = { Image: "busybox", ...request, HostConfig: { NetworkMode: "none", ...request.HostConfig } };
    const query = name === "" ? "" : `?name=${name}`;
    const { Id } = await this.daemon.call<{ Id: string }>("POST", `/containers/create${query}`, body);
    this.#made.push(Id);
    return Id;
  }

  async start(request: Request, script = "sleep 1000", name = ""): Promise<string> {
    const id = await this.create({ Cmd: ["sh", "-c", script], ...request }, name);
    await this.post(id, "start");
    return id;
  }

  /** What it wrote till its end, both streams, and its exit code. */
  async run(request: Request, script: string): Promise<{ readonly text: string; readonly code: number }> {
    const id = await this.start(request, script);
    const { StatusCode } = await this.post<{ StatusCode: number }>(id, "wait");
    return { text: await this.log(id), code: StatusCode };
  }

  async log(id: string): Promise<string> {
    const response = await this.daemon.open("GET", `/containers/${id}/logs?stdout=1&stderr=1`);
    const bytes = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>));
    const raw = response.headers["content-type"] === "application/vnd.docker.raw-stream";
    return raw
      ? bytes.toString()
      : payloads(bytes)
          .map(({ text }) => text)
          .join("");
  }

  /** The output of a command in a running container. */
  async exec(id: string, ...Cmd: string[]): Promise<string> {
    const request = { Cmd, AttachStdout: true, AttachStderr: true };
    const { Id } = await this.post<{ Id: string }>(id, "exec", request);
    const response = await this.daemon.open("POST", `/exec/${Id}/start`, {});
    const bytes = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>));
    return payloads(bytes)
      .map(({ text }) => text)
      .join("");
  }

  inspect(id: string): Promise<ContainerInspect> {
    return this.daemon.call("GET", `/containers/${id}/json`);
  }

  post<T>(id: string, operation: string, body?: unknown): Promise<T> {
    return this.daemon.call<T>("POST", `/containers/${id}/${operation}`, body);
  }

  /** The connection of an attach, for whoever wants to send by it. */
  attach(id: string, query = "stream=1&stdin=1&stdout=1&stderr=1"): Socket {
    const socket = connect({ path: this.daemon.host.replace("unix://", ""), allowHalfOpen: true });
    const path = `/v1.51/containers/${id}/attach?${query}`;
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n`,
    );
    return socket;
  }

  async until(condition: () => Promise<boolean> | boolean): Promise<void> {
    while (!(await condition())) await sleep(20);
  }

  /** Removes what this one made. */
  async clear(): Promise<void> {
    const made = this.#made.splice(0).reverse();
    for (const id of made) await this.daemon.call("DELETE", `/containers/${id}?force=1&v=1`).catch(() => {});
  }
}
