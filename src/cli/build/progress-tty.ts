/** Progress that is drawn over itself: every step a line, running ones with the end of their output below. */
import { StringDecoder } from "node:string_decoder";
import type { WireBuildEvent, WireVertex } from "../../api/types/build.ts";
import { humanSize } from "../format/sizes.ts";
import type { Output } from "../output.ts";
import { type Display, LineCutter, printable, seconds } from "./progress-text.ts";

interface Step {
  vertex: WireVertex;
  readonly cutter: LineCutter;
  readonly decoder: StringDecoder;
  lines: string[];
  readonly transfers: Map<string, string>;
}

/** Milliseconds between two drawings. */
const PAUSE = 100;
/** Lines of output below a running step, and below a failed one in the end. */
const TAIL = 6;
const KEPT = 20;

const BLUE = "\x1b[34m";
const RED = "\x1b[31m";
const DIM = "\x1b[2m";
const PLAIN = "\x1b[0m";

export class TtyDisplay implements Display {
  readonly #out: Output;
  readonly #size: () => { readonly rows: number; readonly columns: number } | undefined;
  readonly #steps = new Map<string, Step>();
  readonly #warnings: string[] = [];
  readonly #began = Date.now();
  readonly #timer: NodeJS.Timeout;
  #drawn = 0;

  constructor(out: Output, size: () => { readonly rows: number; readonly columns: number } | undefined) {
    this.#out = out;
    this.#size = size;
    this.#timer = setInterval(() => this.#draw(), PAUSE);
    this.#timer.unref();
    out.write("\x1b[?25l");
    process.once("exit", SHOW_CURSOR(out));
  }

  event(event: WireBuildEvent): void {
    if (event.type === "vertex") {
      const step = this.#steps.get(event.vertex.digest);
      // A step that is announced again, as part of a larger plan, keeps what is known of it.
      if (step !== undefined) step.vertex = begun(event.vertex) ? event.vertex : step.vertex;
      else
        this.#steps.set(event.vertex.digest, {
          vertex: event.vertex,
          cutter: new LineCutter(),
          decoder: new StringDecoder("utf8"),
          lines: [],
          transfers: new Map(),
        });
    } else if (event.type === "log") this.#log(event);
    else if (event.type === "transfer") this.#transfer(event);
    else
      this.#warnings.push(
        `${event.warning.rule}: ${printable(event.warning.message)} (${event.file}:${event.warning.range.start.line})`,
      );
  }

  finish(): void {
    clearInterval(this.#timer);
    this.#draw(true);
    for (const { vertex, lines } of this.#steps.values())
      if (vertex.error !== undefined && lines.length > 0)
        this.#out.write(`------\n > ${printable(vertex.name)}:\n${lines.join("\n")}\n------\n`);
    if (this.#warnings.length > 0) {
      const title = `${this.#warnings.length} warning${this.#warnings.length === 1 ? "" : "s"} found:`;
      this.#out.write(`\n ${title}\n${this.#warnings.map((text) => ` - ${text}\n`).join("")}`);
    }
    this.#out.write("\x1b[?25h");
  }

  #log({ vertex, data }: Extract<WireBuildEvent, { type: "log" }>): void {
    const step = this.#steps.get(vertex);
    if (step === undefined) return;
    const lines = step.cutter.take(step.decoder.write(Buffer.from(data, "base64")));
    step.lines = [...step.lines, ...lines.slice(-KEPT).map(printable)].slice(-KEPT);
  }

  #transfer({ vertex, id, current, total, completed }: Extract<WireBuildEvent, { type: "transfer" }>): void {
    const of = total === undefined || completed ? "" : ` / ${humanSize(total)}`;
    this.#steps.get(vertex)?.transfers.set(id, `${printable(id)} ${humanSize(current)}${of}`);
  }

  #draw(last = false): void {
    const { rows, columns } = this.#size() ?? { rows: 24, columns: 80 };
    const lines = this.#lines(columns);
    // A terminal cannot be drawn over above its first row: the oldest lines are left out until the end.
    const shown = last || lines.length < rows ? lines : [lines[0] ?? "", ...lines.slice(lines.length - rows + 2)];
    const up = this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A`;
    this.#out.write(`${up}\r${shown.map((line) => `${line}\x1b[K\n`).join("")}\x1b[J`);
    this.#drawn = shown.length;
  }

  #lines(columns: number): string[] {
    const now = Date.now();
    const steps = [...this.#steps.values()].filter(({ vertex }) => begun(vertex));
    const done = steps.filter(({ vertex }) => vertex.completedAt !== undefined || vertex.cached).length;
    const title = `[+] Building ${((now - this.#began) / 1000).toFixed(1)}s (${done}/${this.#steps.size})`;
    return [fit(title, "", columns), ...steps.flatMap((step) => stepLines(step, columns, now))];
  }
}

const begun = ({ startedAt, completedAt, cached }: WireVertex): boolean =>
  startedAt !== undefined || completedAt !== undefined || cached === true;

function stepLines({ vertex, lines, transfers }: Step, columns: number, now: number): string[] {
  const name = printable(vertex.name);
  const label = vertex.error !== undefined ? `ERROR ${name}` : vertex.cached ? `CACHED ${name}` : name;
  const running = vertex.completedAt === undefined && !vertex.cached;
  const line = fit(` => ${label}`, seconds(vertex, now), columns);
  const coloured = vertex.error !== undefined ? `${RED}${line}${PLAIN}` : running ? line : `${BLUE}${line}${PLAIN}`;
  const below = [...transfers.values()].map((text) => fit(` => => ${text}`, "", columns));
  const output = running
    ? lines.slice(-TAIL).map((text) => `${DIM}${fit(` => => # ${text}`, "", columns)}${PLAIN}`)
    : [];
  return [coloured, ...below, ...output];
}

/** Exactly as wide as the terminal at most: a line that wraps could not be drawn over. The right part goes to the edge. */
export function fit(left: string, right: string, columns: number): string {
  const room = Math.max(1, columns - 1 - (right === "" ? 0 : right.length + 1));
  const points = [...left];
  const widths = points.map(width);
  const total = widths.reduce((sum, one) => sum + one, 0);
  if (total <= room) return right === "" ? left : `${left}${" ".repeat(room - total)} ${right}`;
  let used = 0;
  const cut = points.filter((_, index) => {
    used += widths[index] ?? 0;
    return used <= room - 3;
  });
  const text = room <= 3 ? ".".repeat(room) : `${cut.join("")}...`;
  return right === "" ? text : `${text} ${right}`;
}

/** Columns of one character: wide ones of East Asia and pictures take two, marks that join the one before none. */
function width(character: string): number {
  if (/\p{Mark}/u.test(character)) return 0;
  return /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Extended_Pictographic}/u.test(
    character,
  )
    ? 2
    : 1;
}

const SHOW_CURSOR = (out: Output) => () => out.write("\x1b[?25h");
