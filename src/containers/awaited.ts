/** Which containers another one needs running for its own start: those that it is linked to, and those whose namespaces it joins. */
import type { Container } from "./container.ts";
import type { Context } from "./context.ts";
import { usedLinks } from "./links.ts";
import { isLive } from "./state.ts";

/** Milliseconds between two looks at whether they run. */
export const AWAIT_POLL = 100;

/** One of them will run by itself in a moment, or a new engine has yet to look for it: a start would fail now. */
export function awaitsOthers(context: Context, container: Container): boolean {
  try {
    return awaited(context, container).some(
      ({ state, startsWithEngine, task }) =>
        startsWithEngine || state.status === "restarting" || (isLive(state) && task === undefined),
    );
  } catch {
    // What is wrong the start says.
    return false;
  }
}

function awaited(context: Context, container: Container): Container[] {
  const { NetworkMode = "", PidMode = "", IpcMode = "" } = container.definition.hostConfig;
  const donors = [NetworkMode, PidMode, IpcMode].flatMap((mode) => {
    const id = /^container:(.+)$/.exec(mode)?.[1];
    return (id === undefined ? undefined : context.registry.find(id)) ?? [];
  });
  return [...(NetworkMode.includes(":") ? [] : usedLinks(context, container).map(({ target }) => target)), ...donors];
}
