/** Runs a parsed template over a value, with text/template's rules and its wording of errors. */
import { FUNCTION_NAMES, FUNCTIONS, isTrue, type TemplateFunction } from "./functions.ts";
import { TemplateError } from "./lex.ts";
import { type Command, type Node, type Operand, type Pipe, parseTemplate, type Template } from "./parse.ts";
import { goText, sortedKeys, structureOf, typeName, type Value } from "./print.ts";

export interface EvaluateOptions {
  /** A key that a map lacks: an error (inspect), or "no value". */
  readonly missingKey: "error" | "no-value";
  /** The root's Go type in errors; an unknown field of such a root is always an error. */
  readonly rootType?: string | undefined;
  /** Replaces functions of the same name. */
  readonly functions?: Readonly<Record<string, TemplateFunction>> | undefined;
}

export interface Compiled {
  /** Throws a TemplateError. */
  run(data: Value, options: EvaluateOptions): string;
}

/** Throws a TemplateError for what does not parse. */
export function compileTemplate(source: string): Compiled {
  const template = parseTemplate(source, FUNCTION_NAMES);
  return { run: (data, options) => new Evaluation(template, data, options).text() };
}

class LoopControl {
  readonly kind: "break" | "continue";
  constructor(kind: "break" | "continue") {
    this.kind = kind;
  }
}

const MAX_DEPTH = 200;

class Evaluation {
  readonly #template: Template;
  readonly #options: EvaluateOptions;
  readonly #root: Value;
  readonly #variables: { name: string; value: Value }[];
  #output = "";
  #name = "";
  #depth = 0;

  constructor(template: Template, data: Value, options: EvaluateOptions) {
    this.#template = template;
    this.#options = options;
    this.#root = data;
    this.#variables = [{ name: "$", value: data }];
  }

  text(): string {
    this.#list(this.#template.root, this.#root);
    return this.#output;
  }

  #list(nodes: readonly Node[], dot: Value): void {
    for (const node of nodes) this.#node(node, dot);
  }

  #node(node: Node, dot: Value): void {
    switch (node.kind) {
      case "text":
        this.#output += node.text;
        return;
      case "action": {
        const value = this.#pipe(node.pipe, dot);
        if (node.pipe.declares.length === 0)
          this.#output += value === undefined || value === null ? "<no value>" : printed(value);
        return;
      }
      case "if":
      case "with":
        this.#scoped(() => {
          const value = this.#pipe(node.pipe, dot);
          if (isTrue(value)) this.#list(node.body, node.kind === "with" ? value : dot);
          else if (node.otherwise !== undefined) this.#list(node.otherwise, dot);
        });
        return;
      case "range":
        this.#range(node, dot);
        return;
      case "template":
        this.#call(node, dot);
        return;
      default:
        throw new LoopControl(node.kind);
    }
  }

  #scoped(body: () => void): void {
    const scope = this.#variables.length;
    try {
      body();
    } finally {
      this.#variables.length = scope;
    }
  }

  #range(node: Node & { kind: "range" }, dot: Value): void {
    this.#scoped(() => {
      const over = this.#pipe({ ...node.pipe, declares: [] }, dot);
      const pairs = this.#pairs(over, node.pipe);
      if (pairs.length === 0) {
        if (node.otherwise !== undefined) this.#list(node.otherwise, dot);
        return;
      }
      for (const [key, value] of pairs) if (this.#turn(node, key, value)) return;
    });
  }

  /** True: `break`. */
  #turn(node: Node & { kind: "range" }, key: Value, value: Value): boolean {
    const { declares, assigns } = node.pipe;
    let stopped = false;
    this.#scoped(() => {
      const values = declares.length === 2 ? [key, value] : [value];
      declares.forEach((name, index) => {
        if (assigns) this.#assign(name, values[index]);
        else this.#variables.push({ name, value: values[index] });
      });
      try {
        this.#list(node.body, value);
      } catch (error) {
        if (!(error instanceof LoopControl)) throw error;
        stopped = error.kind === "break";
      }
    });
    return stopped;
  }

  #pairs(over: Value, pipe: Pipe): [Value, Value][] {
    if (over === null || over === undefined) return [];
    if (Array.isArray(over)) return over.map((value, index) => [index, value]);
    if (typeof over === "number" && Number.isInteger(over))
      return Array.from({ length: Math.max(over, 0) }, (_, index) => [index, index]);
    if (typeof over === "object" && structureOf(over) === undefined) {
      const record = over as Record<string, Value>;
      return sortedKeys(record).map((key) => [key, record[key]]);
    }
    throw this.#fail(pipe.at, this.#sourceOf(pipe), `range can't iterate over ${goText(over)}`);
  }

  #call(node: Node & { kind: "template" }, dot: Value): void {
    const body = this.#template.defined.get(node.name);
    if (body === undefined)
      throw new TemplateError(
        `template: :${this.#position(node.at)}: executing ${JSON.stringify(this.#name)} at <{{template ${JSON.stringify(node.name)}}}>: template ${JSON.stringify(node.name)} not defined`,
      );
    if (++this.#depth > MAX_DEPTH) throw new TemplateError("template: exceeded maximum template depth");
    const data = node.pipe === undefined ? undefined : this.#pipe(node.pipe, dot);
    const outer = { variables: this.#variables.splice(0), name: this.#name };
    this.#variables.push({ name: "$", value: data });
    this.#name = node.name;
    this.#list(body, data);
    this.#variables.splice(0, this.#variables.length, ...outer.variables);
    this.#name = outer.name;
    this.#depth--;
  }

  #pipe(pipe: Pipe, dot: Value): Value {
    let value: Value;
    pipe.commands.forEach((command, index) => {
      value = this.#command(command, dot, index === 0 ? [] : [value]);
    });
    for (const name of pipe.declares) {
      if (pipe.assigns) this.#assign(name, value);
      else this.#variables.push({ name, value });
    }
    return value;
  }

  #assign(name: string, value: Value): void {
    const variable = this.#variables.findLast((one) => one.name === name);
    if (variable !== undefined) variable.value = value;
  }

  #command(command: Command, dot: Value, piped: readonly Value[]): Value {
    const [first, ...rest] = command.words as [Operand, ...Operand[]];
    if (first.kind === "function") return this.#function(first, rest, dot, piped);
    const args = () => [...rest.map((word) => this.#operand(word, dot)), ...piped];
    if (first.kind === "constant") {
      if (first.value === null) throw this.#fail(first.at, "nil", "nil is not a command");
      if (rest.length > 0)
        throw this.#fail(first.at, first.source, `can't give argument to non-function ${first.source}`);
      return first.value;
    }
    const fields = first.fields;
    if (fields.length === 0) {
      if (rest.length + piped.length > 0)
        throw this.#fail(
          first.at,
          this.#sourceOf(first),
          `can't give argument to non-function ${this.#sourceOf(first)}`,
        );
      return this.#base(first, dot);
    }
    return this.#chain(first, dot, args());
  }

  #function(
    first: Operand & { kind: "function" },
    rest: readonly Operand[],
    dot: Value,
    piped: readonly Value[],
  ): Value {
    const lazy = [...rest.map((word) => () => this.#operand(word, dot)), ...piped.map((value) => () => value)];
    if (first.name === "and" || first.name === "or") return this.#logic(first, lazy);
    const fn = this.#options.functions?.[first.name] ?? (FUNCTIONS[first.name] as TemplateFunction);
    const args = lazy.map((one) => one());
    const wanted = ARITY[first.name];
    if (wanted !== undefined && args.length !== wanted)
      throw this.#fail(
        first.at,
        first.name,
        `wrong number of args for ${first.name}: want ${wanted} got ${args.length}`,
      );
    if (args.length === 0 && NEEDS_ONE.has(first.name))
      throw this.#fail(first.at, first.name, `wrong number of args for ${first.name}: want at least 1 got 0`);
    try {
      return fn(...args);
    } catch (error) {
      if (error instanceof TemplateError) throw error;
      throw this.#fail(
        first.at,
        this.#callText(first, rest),
        `error calling ${first.name}: ${(error as Error).message}`,
      );
    }
  }

  #logic(first: Operand & { kind: "function" }, lazy: readonly (() => Value)[]): Value {
    if (lazy.length === 0)
      throw this.#fail(first.at, first.name, `wrong number of args for ${first.name}: want at least 1 got 0`);
    let value: Value;
    for (const one of lazy) {
      value = one();
      if (isTrue(value) === (first.name === "or")) return value;
    }
    return value;
  }

  #operand(word: Operand, dot: Value): Value {
    if (word.kind === "constant") return word.value;
    if (word.kind === "function") return this.#function(word, [], dot, []);
    return word.fields.length === 0 ? this.#base(word, dot) : this.#chain(word, dot, []);
  }

  #base(word: Exclude<Operand, { kind: "constant" | "function" }>, dot: Value): Value {
    if (word.kind === "dot") return dot;
    if (word.kind === "pipe") return this.#scopedPipe(word.pipe, dot);
    return this.#variables.findLast((one) => one.name === word.name)?.value;
  }

  #scopedPipe(pipe: Pipe, dot: Value): Value {
    let value: Value;
    this.#scoped(() => {
      value = this.#pipe(pipe, dot);
    });
    return value;
  }

  #chain(word: Exclude<Operand, { kind: "constant" | "function" }>, dot: Value, args: readonly Value[]): Value {
    let value = this.#base(word, dot);
    word.fields.forEach((field, index) => {
      const last = index === word.fields.length - 1;
      value = this.#field(word, index, value, field, last ? args : []);
    });
    return value;
  }

  #field(
    word: Exclude<Operand, { kind: "constant" | "function" }>,
    index: number,
    value: Value,
    field: string,
    args: readonly Value[],
  ): Value {
    const fail = (why: string) => this.#fail(chainPosition(word), this.#sourceOf(word), why);
    if (value === null || value === undefined) {
      if (value === undefined && this.#options.missingKey === "no-value") return undefined;
      throw fail(
        value === null || index > 0
          ? `nil pointer evaluating interface {}.${field}`
          : `nil data; no entry for key ${JSON.stringify(field)}`,
      );
    }
    if (typeof value !== "object" || Array.isArray(value))
      throw fail(`can't evaluate field ${field} in type ${typeName(value)}`);
    const record = value as Record<string, Value>;
    const found = Object.hasOwn(record, field) ? record[field] : undefined;
    if (typeof found === "function") return this.#method(found as TemplateFunction, field, args, fail);
    if (args.length > 0) throw fail(`${field} has arguments but cannot be invoked as function`);
    if (found !== undefined) return found;
    const zero = structureOf(value)?.find(([name]) => name === field);
    if (zero !== undefined) return zero[1];
    if ((structureOf(value)?.length ?? 0) > 0) throw fail(`can't evaluate field ${field} in type struct`);
    if (value === this.#root && this.#options.rootType !== undefined)
      throw fail(`can't evaluate field ${field} in type ${this.#options.rootType}`);
    if (this.#options.missingKey === "error") throw fail(`map has no entry for key ${JSON.stringify(field)}`);
    return undefined;
  }

  #method(
    method: TemplateFunction,
    field: string,
    args: readonly Value[],
    fail: (why: string) => TemplateError,
  ): Value {
    if (method.length !== args.length)
      throw fail(`wrong number of args for ${field}: want ${method.length} got ${args.length}`);
    return method(...args);
  }

  #fail(at: number, source: string, why: string): TemplateError {
    return new TemplateError(
      `template: :${this.#position(at)}: executing ${JSON.stringify(this.#name)} at <${source}>: ${why}`,
    );
  }

  #position(at: number): string {
    const before = this.#template.source.slice(0, at);
    return `${before.split("\n").length}:${at - (before.lastIndexOf("\n") + 1)}`;
  }

  #sourceOf(part: Operand | Pipe): string {
    if ("commands" in part)
      return part.commands.map((command) => command.words.map((word) => this.#sourceOf(word)).join(" ")).join(" | ");
    switch (part.kind) {
      case "dot":
        return part.fields.length === 0 ? "." : part.fields.map((field) => `.${field}`).join("");
      case "variable":
        return [part.name, ...part.fields].join(".");
      case "pipe":
        return [`(${this.#sourceOf(part.pipe)})`, ...part.fields].join(".");
      case "function":
        return part.name;
      case "constant":
        return part.source;
    }
  }

  #callText(first: Operand, rest: readonly Operand[]): string {
    return [first, ...rest].map((word) => this.#sourceOf(word)).join(" ");
  }
}

/** Where Go sees a chain of fields: at the first one that hangs on another. */
function chainPosition(word: Exclude<Operand, { kind: "constant" | "function" }>): number {
  if (word.kind === "variable") return word.at + word.name.length;
  return word.kind === "dot" && word.fields.length > 1 ? word.at + 1 + (word.fields[0] as string).length : word.at;
}

/** Functions with a fixed number of arguments. */
const ARITY: Readonly<Record<string, number>> = {
  not: 1,
  len: 1,
  ne: 2,
  lt: 2,
  le: 2,
  gt: 2,
  ge: 2,
  json: 1,
  split: 2,
  join: 2,
  title: 1,
  lower: 1,
  upper: 1,
  pad: 3,
  truncate: 2,
};

const NEEDS_ONE: ReadonlySet<string> = new Set(["index", "slice", "printf", "eq", "call"]);

function printed(value: Value): string {
  return typeof value === "string" ? value : goText(value);
}
