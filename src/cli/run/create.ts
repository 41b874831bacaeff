/** Makes a container: fetches the image when it has to, writes the cidfile, shows warnings. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import type { ContainerCreateRequest } from "../../api/types/container.ts";
import { EngineError, errorKind, errorMessage } from "../../base/errors.ts";
import type { Context } from "../context.ts";
import { isDaemonAnswer } from "../errors.ts";
import type { ParsedFlags } from "../flags/spec.ts";

/** Resolves with the id. */
export async function createContainer(
  context: Context,
  flags: ParsedFlags,
  request: ContainerCreateRequest,
): Promise<string> {
  const policy = flags.text("pull");
  if (!["always", "missing", "never"].includes(policy))
    throw new Error(`invalid pull option: '${policy}': must be one of "always", "missing" or "never"`);
  const cidfile = flags.text("cidfile");
  reserve(cidfile);
  try {
    if (policy === "always") await fetchImage(context, flags, request.Image ?? "");
    const { Id, Warnings } = await create(context, flags, request, policy === "missing");
    for (const warning of Warnings ?? []) context.err.write(`WARNING: ${warning}\n`);
    if (cidfile !== "") writeFileSync(cidfile, Id);
    return Id;
  } catch (error) {
    if (cidfile !== "") rmSync(cidfile, { force: true });
    throw error;
  }
}

async function create(context: Context, flags: ParsedFlags, request: ContainerCreateRequest, mayFetch: boolean) {
  const attempt = () =>
    context.client.containers.create(flags.text("name") || undefined, request, flags.text("platform"));
  try {
    return await attempt();
  } catch (error) {
    const lacksImage =
      isDaemonAnswer(error) &&
      errorKind(error) === "not-found" &&
      /No such image|does not match the specified platform/i.test(errorMessage(error));
    if (!lacksImage || !mayFetch) throw error;
    const image = request.Image ?? "";
    if (!flags.bool("quiet")) context.err.write(`Unable to find image '${await tagged(image)}' locally\n`);
    await fetchImage(context, flags, image);
    return await attempt();
  }
}

async function tagged(image: string): Promise<string> {
  const { withTag } = await import("../images/name.ts");
  return withTag(image);
}

async function fetchImage(context: Context, flags: ParsedFlags, image: string): Promise<void> {
  const { pullImage } = await import("../images/pull.ts");
  await pullImage(context, await tagged(image), {
    platform: flags.text("platform"),
    quiet: flags.bool("quiet"),
    to: context.err,
  });
}

/** Another container's file is not overwritten. */
function reserve(cidfile: string): void {
  if (cidfile === "") return;
  if (existsSync(cidfile))
    throw new EngineError(
      "conflict",
      `container ID file found, make sure the other container isn't running or delete ${cidfile}`,
    );
  writeFileSync(cidfile, "");
}
