/** JSON text to a value, with Go's words for what is wrong with it. */
import { EngineError } from "../../base/errors.ts";

/** Throws "invalid" with the words of Go's json.Unmarshal. Depth is bounded by the text's length only: the parser does not recurse. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EngineError("invalid", describe(text), { cause: error });
  }
}

/** What Go's scanner says of a text that is not JSON. */
function describe(text: string): string {
  const at = firstError(text);
  if (at === undefined) return "unexpected end of JSON input";
  return `invalid character ${quote(text, at.offset)} ${at.context}`;
}

interface SyntaxPoint {
  readonly offset: number;
  readonly context: string;
}

const VALUE = "looking for beginning of value";
const TOKEN =
  /[ \t\r\n]+|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[[\]{}:,]/y;

/** Where a text that JSON.parse refused stops being JSON; undefined when it only lacks its end. */
function firstError(text: string): SyntaxPoint | undefined {
  const open: string[] = [];
  let expect: "value" | "first" | "key" | "firstKey" | "colon" | "after" = "value";
  for (let offset = 0; offset < text.length; ) {
    TOKEN.lastIndex = offset;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) return badToken(text, offset, expect);
    const point = (context: string): SyntaxPoint => ({ offset, context });
    const first = token[0] ?? "";
    if (!/\s/.test(first)) {
      const top = open.at(-1);
      if (expect === "colon") {
        if (first !== ":") return point("after object key");
        expect = "value";
      } else if (expect === "key" || expect === "firstKey") {
        if (first === '"') expect = "colon";
        else if (first === "}" && expect === "firstKey") {
          open.pop();
          expect = "after";
        } else return point("looking for beginning of object key string");
      } else if (expect === "after") {
        if (top === undefined) return point("after top-level value");
        const close = top === "{" ? "}" : "]";
        if (first === ",") expect = top === "{" ? "key" : "value";
        else if (first === close) open.pop();
        else return point(top === "{" ? "after object key:value pair" : "after array element");
      } else if (first === "{" || first === "[") {
        open.push(first);
        expect = first === "{" ? "firstKey" : "first";
      } else if (first === "]" && expect === "first") {
        open.pop();
        expect = "after";
      } else if (/[\]}:,]/.test(first)) return point(VALUE);
      else expect = "after";
    }
    offset += token.length;
  }
  return undefined;
}

const EXPECTED: Readonly<Record<string, string>> = {
  colon: "after object key",
  key: "looking for beginning of object key string",
  firstKey: "looking for beginning of object key string",
  after: "after top-level value",
};

function badToken(text: string, offset: number, expect: string): SyntaxPoint | undefined {
  if (text[offset] !== '"' || expect === "colon" || expect === "after")
    return { offset, context: EXPECTED[expect] ?? VALUE };
  const control = /[\u0000-\u001f]/.exec(text.slice(offset + 1));
  return control === null ? undefined : { offset: offset + 1 + control.index, context: "in string literal" };
}

function quote(text: string, offset: number): string {
  const character = String.fromCodePoint(text.codePointAt(offset) ?? 0);
  if (character === "'") return "'\\''";
  return character === '"' ? `'"'` : `'${JSON.stringify(character).slice(1, -1)}'`;
}
