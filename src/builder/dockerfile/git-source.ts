import type { GitSource } from "./plan.ts";

const HTTP = /^https?:\/\/[^/]+\/[^?#]*\.git\/?$/i;
const OTHER = /^(?:git|ssh|git\+ssh|git\+https?):\/\/[^/]+\/./i;
/** "git@host:path": a user, a host, a colon that no number follows. */
const SCP = /^[\w.-]+@[\w.-]+:(?!\/\/)[^\s]+$/;

/**
 * What `ADD` fetches with Git: an address that ends in ".git", the schemes git and ssh, "user@host:path"; each may have "#ref:folder"
 * after it. Undefined for everything else. Grammar: Docker's "URL fragments" of Git contexts.
 */
export function parseGitSource(text: string): GitSource | undefined {
  const hash = text.indexOf("#");
  const remote = hash < 0 ? text : text.slice(0, hash);
  if (!HTTP.test(remote) && !OTHER.test(remote) && !SCP.test(remote)) return undefined;
  const [ref = "", ...folder] = hash < 0 ? [] : text.slice(hash + 1).split(":");
  return { remote, ref, subdir: folder.join(":").replace(/^\/+|\/+$/g, "") };
}

export function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text);
}
