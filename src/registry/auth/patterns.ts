/** Patterns of names: `*` stands for anything but a slash, `**` for anything; everything else for itself. */

/** Undefined when the text is no pattern. */
export function compilePattern(text: string): RegExp | undefined {
  if (text === "" || text.length > 300 || /\*{3}|[^\w./@:*?-]/.test(text)) return undefined;
  const source = text.replace(/\*\*|[*?.]/g, (part) => PARTS[part] ?? part);
  return new RegExp(`^${source}$`);
}

const PARTS: Readonly<Record<string, string>> = { "**": ".*", "*": "[^/]*", "?": "[^/]", ".": "\\." };
