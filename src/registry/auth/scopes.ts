/** Scopes of Docker's token authentication: "repository:team/app:pull,push", several of them apart by spaces. */

export interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** Bounds against hostile clients. */
const SCOPES_LIMIT = 100;

/** What is no scope is left out, as Docker's token servers do. */
export function parseScopes(texts: readonly string[]): Access[] {
  const scopes = texts.flatMap((text) => text.split(/[\s+]+/)).slice(0, SCOPES_LIMIT);
  return scopes.flatMap((scope) => {
    const [, type = "", name = "", actions = ""] = /^([a-z0-9]+(?:\([a-z0-9]+\))?):(.+):([^:]*)$/.exec(scope) ?? [];
    return type === "" ? [] : [{ type, name, actions: actions.split(",").filter((action) => action !== "") }];
  });
}

export function formatScope({ type, name, actions }: Access): string {
  return `${type}:${name}:${actions.join(",")}`;
}

export function grants(access: readonly Access[], name: string, action: string): boolean {
  return access.some(
    (item) =>
      item.type === "repository" && item.name === name && (item.actions.includes(action) || item.actions.includes("*")),
  );
}
