/** How builds name Git repositories: an address with `#ref:folder` behind it. */

export interface GitUrl {
  /** As git is given it. */
  readonly remote: string;
  /** A branch, tag or commit; undefined: the default branch. */
  readonly ref: string | undefined;
  /** Relative to the repository's root, no leading slash; "" is the root. */
  readonly folder: string;
}

/**
 * Undefined for what names no repository. `git://`, `ssh://`, `git@host:path` and `user@host:path.git` always do, http(s) when its
 * path ends in ".git", and `github.com/user/repo` is short for https, as in Docker's `docker build URL` and `ADD`.
 * `?branch=`, `?tag=`, `?ref=`, `?commit=` and `?subdir=` say the same as the fragment, which goes first.
 */
export function parseGitUrl(text: string): GitUrl | undefined {
  const hash = text.indexOf("#");
  const [address, fragment] = hash < 0 ? [text, ""] : [text.slice(0, hash), text.slice(hash + 1)];
  const mark = /^https?:/i.test(address) ? address.indexOf("?") : -1;
  const [place, query] = mark < 0 ? [address, ""] : [address.slice(0, mark), address.slice(mark + 1)];
  if (!isRepository(place)) return undefined;
  const words = new URLSearchParams(query);
  const colon = fragment.indexOf(":");
  const ref = colon < 0 ? fragment : fragment.slice(0, colon);
  const folder = colon < 0 ? "" : fragment.slice(colon + 1);
  const named = words.get("ref") ?? words.get("branch") ?? words.get("tag") ?? words.get("commit") ?? "";
  return {
    remote: place.startsWith("github.com/") ? `https://${place}` : place,
    ref: ref || named || undefined,
    folder: (folder || (words.get("subdir") ?? "")).replace(/^\/+/, ""),
  };
}

function isRepository(place: string): boolean {
  if (/^(?:git|ssh):\/\/[^/]/.test(place) || /^git@[^/:]+:/.test(place)) return true;
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]*@[^/:@]+:[^/].*\.git$/.test(place)) return true;
  return /^https?:\/\/[^/]+\/.*\.git$/i.test(place) || /^github\.com\/[^/]+\/[^/]/.test(place);
}
