/** COPY and ADD with their words expanded. */
import { posix } from "node:path";
import type { Task } from "./evaluate.ts";
import { isHttpUrl, parseGitSource } from "./git-source.ts";
import { contentOf } from "./heredocs.ts";
import type { Add, Copy, Heredoc, Word } from "./language.ts";
import { checkMode } from "./mode.ts";
import type { Transfer, TransferSource } from "./plan.ts";
import { type Expander, readSource } from "./scope.ts";

export function evaluateTransfer(task: Task<Copy | Add>): Transfer {
  const { scope, instruction, expander } = task;
  const parents = instruction.kind === "COPY" && instruction.parents;
  const from = instruction.kind === "COPY" ? instruction.from : undefined;
  const destinationText = expander.text(instruction.destination);
  const step = {
    from: from === undefined ? undefined : readSource(scope, instruction, from),
    sources: Object.freeze([
      ...instruction.sources.map((word) => readPath(task, word, parents)),
      ...instruction.heredocs.map((heredoc) => readInline(heredoc, expander)),
    ]),
    destination: destinationPath(destinationText, scope.config.WorkingDir ?? ""),
    destinationText,
    chown: expander.optional(instruction.chown),
    chmod: readMode(instruction.chmod, expander),
    link: instruction.link,
    parents,
    excludes: Object.freeze(instruction.excludes.map((word) => expander.text(word))),
  };
  return instruction.kind === "COPY" ? step : { ...step, ...addOptions(instruction, step.sources, expander) };
}

function readPath({ instruction, expander }: Task<Copy | Add>, word: Word, parents: boolean): TransferSource {
  const text = expander.text(word);
  const git = parseGitSource(text);
  const isCopy = instruction.kind === "COPY";
  if (isCopy && git !== undefined) throw expander.failure("source can't be a git ref for COPY", word.at, USE_ADD);
  if (git !== undefined) return { kind: "git", git, text };
  if (isCopy && isHttpUrl(text)) throw expander.failure("source can't be a URL for COPY", word.at, USE_ADD);
  if (isHttpUrl(text)) return { kind: "url", url: text, text };
  return { kind: "path", ...splitPivot(text, parents), text };
}

const USE_ADD = "ADD fetches from afar.";

/** "a/./b/c": what is before "/./" is not kept by --parents. */
function splitPivot(text: string, parents: boolean): { path: string; pivot: string } {
  const cut = parents ? text.indexOf("/./") : -1;
  if (cut < 0) return { path: inside(text), pivot: "." };
  const pivot = inside(text.slice(0, cut));
  return { path: inside(`${pivot}/${inside(text.slice(cut + 3))}`), pivot };
}

/** Relative to the root, which ".." does not leave; "." for the root. */
function inside(text: string): string {
  const path = posix.resolve("/", text.replace(/^\/+/, "")).slice(1);
  return path === "" ? "." : path;
}

function readInline(heredoc: Heredoc, expander: Expander): TransferSource {
  const word = { text: contentOf(heredoc), at: heredoc.at };
  const content = heredoc.expand ? expander.text(word, { ignoreQuotes: true, escapeChar: "\\" }) : word.text;
  return { kind: "inline", name: heredoc.name, content, text: `<<${heredoc.name}` };
}

/** A slash at the end stays: it says that this is a folder, as "." and nothing do. */
function destinationPath(text: string, workdir: string): string {
  const path = posix.resolve("/", workdir, text);
  const folder = text === "" || text === "." || text.endsWith("/") || text.endsWith("/.");
  return folder && path !== "/" ? `${path}/` : path;
}

function readMode(word: Word | undefined, expander: Expander): string | undefined {
  const mode = expander.optional(word);
  const problem = mode === undefined ? undefined : checkMode(mode);
  if (problem !== undefined) throw expander.failure(problem, word?.at);
  return mode;
}

function addOptions(
  { checksum: word, keepGitDir, unpack }: Add,
  sources: readonly TransferSource[],
  expander: Expander,
): Pick<Transfer, "checksum" | "keepGitDir" | "unpack"> {
  const checksum = expander.optional(word);
  const problem = checksum === undefined ? undefined : checkChecksum(checksum, sources);
  if (problem !== undefined) throw expander.failure(problem, word?.at);
  return { checksum, keepGitDir, unpack };
}

function checkChecksum(checksum: string, [source, ...more]: readonly TransferSource[]): string | undefined {
  if (more.length > 0 || source === undefined) return "checksum can't be specified for multiple sources";
  if (source.kind === "git")
    return /^[0-9a-f]{1,64}$/i.test(checksum)
      ? undefined
      : `invalid checksum ${JSON.stringify(checksum)} for Git source`;
  if (source.kind !== "url") return "checksum requires HTTP(S) or Git sources";
  if (!checksum.includes(":")) return "invalid checksum digest format";
  if (!checksum.startsWith("sha256:")) return "unsupported digest algorithm";
  return /^sha256:[0-9a-f]{64}$/.test(checksum) ? undefined : "invalid checksum digest length";
}
