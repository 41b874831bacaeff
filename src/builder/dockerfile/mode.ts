/** `--chmod`: octal ("755") and symbolic ("u=rwX,go=rX") modes, as chmod(1) has them. */

/** What a mode is turned into for one file. */
export type ModeChange = (current: number, isFolder: boolean) => number;

interface Clause {
  /** The bits of the classes named: 0o700, 0o070, 0o007 and their set-id bits. */
  readonly who: number;
  readonly actions: readonly Action[];
}

interface Action {
  readonly operator: "+" | "-" | "=";
  /** "rwxXst", or one of "ugo" to copy. */
  readonly permissions: string;
}

const CLAUSE = /^([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)$/;
const CLASSES: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const SHIFTS: Readonly<Record<string, number>> = { u: 6, g: 3, o: 0 };
const LONGEST = 256;

/** What is wrong with it, in BuildKit's words; undefined when nothing is. */
export function checkMode(text: string): string | undefined {
  if (/^\d+$/.test(text))
    return isOctal(text)
      ? undefined
      : `invalid chmod parameter: '${text}'. it should be octal string and between 0 and 07777`;
  return parseClauses(text) === undefined ? `invalid mode: ${JSON.stringify(text)}` : undefined;
}

/** Undefined for what is no mode. */
export function parseMode(text: string): ModeChange | undefined {
  if (/^\d+$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    return isOctal(text) ? () => mode : undefined;
  }
  const clauses = parseClauses(text);
  return clauses && ((current, isFolder) => clauses.reduce((mode, clause) => apply(mode, clause, isFolder), current));
}

function isOctal(text: string): boolean {
  return /^[0-7]+$/.test(text) && Number.parseInt(text, 8) <= 0o7777;
}

function parseClauses(text: string): readonly Clause[] | undefined {
  if (text.length > LONGEST) return undefined;
  const clauses = text.split(",").map(parseClause);
  return clauses.every((clause) => clause !== undefined) ? clauses : undefined;
}

function parseClause(text: string): Clause | undefined {
  const [, who = "", actions] = CLAUSE.exec(text) ?? [];
  if (actions === undefined) return undefined;
  const bits = [...(who === "" ? "a" : who)].reduce((all, name) => all | (CLASSES[name] ?? 0), 0);
  const parts = [...actions.matchAll(/([-+=])([ugo]|[rwxXst]*)/g)];
  return {
    who: bits,
    actions: parts.map(([, operator, permissions = ""]) => ({
      operator: operator as Action["operator"],
      permissions,
    })),
  };
}

function apply(mode: number, { who, actions }: Clause, isFolder: boolean): number {
  let result = mode;
  for (const { operator, permissions } of actions) {
    const bits = bitsOf(permissions, result, isFolder) & who;
    if (operator === "+") result |= bits;
    else if (operator === "-") result &= ~bits;
    else result = (result & ~who) | bits;
  }
  return result;
}

/** For all classes at once. */
function bitsOf(permissions: string, mode: number, isFolder: boolean): number {
  const from = SHIFTS[permissions];
  if (from !== undefined) return ((mode >> from) & 7) * 0o111;
  let bits = 0;
  for (const permission of permissions) {
    if (permission === "r") bits |= 0o444;
    else if (permission === "w") bits |= 0o222;
    else if (permission === "x") bits |= 0o111;
    else if (permission === "X") bits |= isFolder || (mode & 0o111) !== 0 ? 0o111 : 0;
    else if (permission === "s") bits |= 0o6000;
    else bits |= 0o1000;
  }
  return bits;
}
