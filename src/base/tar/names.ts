/**
 * An entry's path, relative to the root it belongs to: no leading slashes, no ".", no "//", no trailing slash; "" is the root itself.
 * ".." is resolved lexically; undefined when the path would leave the root.
 */
export function cleanEntryPath(path: string): string | undefined {
  if (!NEEDS_CLEANING.test(path)) return path;
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}

const NEEDS_CLEANING = /^\/|^\.{1,2}(?:\/|$)|\/\.{0,2}(?:\/|$)/;
