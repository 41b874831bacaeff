/** JSON with four spaces of indentation; numbers, strings and the order of members stay as they came. */
export function indentJson(text: string): string {
  let out = "";
  let depth = 0;
  const line = () => `\n${"    ".repeat(depth)}`;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (char === '"') {
      const end = stringEnd(text, at);
      out += text.slice(at, end);
      at = end - 1;
    } else if (char === "{" || char === "[") {
      const close = afterSpace(text, at + 1);
      if (text[close] === (char === "{" ? "}" : "]")) {
        out += char + text[close];
        at = close;
        continue;
      }
      depth++;
      out += char + line();
    } else if (char === "}" || char === "]") {
      depth--;
      out += line() + char;
    } else if (char === ",") out += char + line();
    else if (char === ":") out += ": ";
    else if (!/\s/.test(char)) out += char;
  }
  return out;
}

function stringEnd(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++)
    if (text[at] === "\\") at++;
    else if (text[at] === '"') return at + 1;
  return text.length;
}

function afterSpace(text: string, from: number): number {
  let at = from;
  while (/\s/.test(text[at] ?? "")) at++;
  return at;
}
