/** Tokens to a tree, with Go's text/template grammar: text, pipelines, variables, if, with, range, define, template, block. */

import { unquote } from "../go-strings.ts";
import { lex, lineOf, TemplateError, type Token, type TokenKind } from "./lex.ts";

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipe: Pipe }
  | {
      readonly kind: "if" | "with";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[] | undefined;
    }
  | {
      readonly kind: "range";
      readonly pipe: Pipe;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[] | undefined;
    }
  | { readonly kind: "template"; readonly name: string; readonly pipe: Pipe | undefined; readonly at: number }
  | { readonly kind: "break" | "continue" };

export interface Pipe {
  readonly at: number;
  readonly declares: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

/** A term with its arguments. */
export interface Command {
  readonly at: number;
  readonly words: readonly Operand[];
}

export type Operand =
  | { readonly kind: "dot"; readonly at: number; readonly fields: readonly string[] }
  | { readonly kind: "variable"; readonly at: number; readonly name: string; readonly fields: readonly string[] }
  | { readonly kind: "function"; readonly at: number; readonly name: string }
  | {
      readonly kind: "constant";
      readonly at: number;
      readonly value: string | number | boolean | null;
      readonly source: string;
    }
  | { readonly kind: "pipe"; readonly at: number; readonly pipe: Pipe; readonly fields: readonly string[] };

export interface Template {
  readonly source: string;
  readonly root: readonly Node[];
  readonly defined: ReadonlyMap<string, readonly Node[]>;
}

/** Throws a TemplateError worded as Go's ("template: :1: …"). */
export function parseTemplate(source: string, functions: ReadonlySet<string>): Template {
  return new Parser(source, functions).template();
}

type Stop = { readonly word: "end" | "else"; readonly at: number };

class Parser {
  readonly #source: string;
  readonly #functions: ReadonlySet<string>;
  readonly #tokens: readonly Token[];
  readonly #defined = new Map<string, readonly Node[]>();
  readonly #variables: string[] = ["$"];
  #at = 0;
  #rangeDepth = 0;

  constructor(source: string, functions: ReadonlySet<string>) {
    this.#source = source;
    this.#functions = functions;
    this.#tokens = lex(source);
  }

  template(): Template {
    const { nodes, stop } = this.#list();
    if (stop !== undefined) throw this.#fail(stop.at, `unexpected {{${stop.word}}}`);
    return { source: this.#source, root: nodes, defined: this.#defined };
  }

  #list(): { nodes: Node[]; stop: Stop | undefined } {
    const nodes: Node[] = [];
    for (;;) {
      const token = this.#next();
      if (token.kind === "end") return { nodes, stop: undefined };
      if (token.kind === "text") {
        nodes.push({ kind: "text", text: token.text });
        continue;
      }
      const first = this.#peekSolid();
      if (first.kind === "keyword" && (first.text === "end" || first.text === "else")) {
        this.#nextSolid();
        return { nodes, stop: { word: first.text, at: first.at } };
      }
      const node = this.#action(first);
      if (node !== undefined) nodes.push(node);
    }
  }

  #action(first: Token): Node | undefined {
    if (first.kind !== "keyword") {
      const pipe = this.#pipe("command", "close");
      return { kind: "action", pipe };
    }
    this.#nextSolid();
    switch (first.text) {
      case "if":
      case "with":
      case "range":
        return this.#control(first.text);
      case "break":
      case "continue":
        if (this.#rangeDepth === 0) throw this.#fail(first.at, `{{${first.text}}} outside {{range}}`);
        this.#expect("close", `{{${first.text}}}`);
        return { kind: first.text };
      case "define":
        this.#define();
        return undefined;
      case "template":
      case "block":
        return this.#call(first.text, first.at);
      default:
        throw this.#fail(first.at, `unexpected {{${first.text}}}`);
    }
  }

  #control(kind: "if" | "with" | "range"): Node {
    const scope = this.#variables.length;
    const pipe = this.#pipe(kind, "close");
    if (kind === "range") this.#rangeDepth++;
    const body = this.#list();
    if (kind === "range") this.#rangeDepth--;
    if (body.stop === undefined) throw this.#fail(this.#source.length, "unexpected EOF");
    const otherwise = body.stop.word === "else" ? this.#otherwise(kind) : this.#close("end");
    this.#variables.length = scope;
    return { kind, pipe, body: body.nodes, otherwise };
  }

  #close(context: string): undefined {
    this.#expect("close", context);
  }

  #otherwise(kind: "if" | "with" | "range"): readonly Node[] {
    const next = this.#peekSolid();
    if (kind !== "range" && next.kind === "keyword" && next.text === kind) {
      this.#nextSolid();
      return [this.#control(kind)];
    }
    this.#expect("close", "else");
    const { nodes, stop } = this.#list();
    if (stop === undefined) throw this.#fail(this.#source.length, "unexpected EOF");
    if (stop.word === "else") throw this.#fail(stop.at, "expected end; found {{else}}");
    this.#expect("close", "end");
    return nodes;
  }

  #define(): void {
    const name = this.#expect("string", "define clause");
    this.#expect("close", "define clause");
    this.#defined.set(unquote(name.text), this.#body());
  }

  #body(): readonly Node[] {
    const { nodes, stop } = this.#list();
    if (stop === undefined) throw this.#fail(this.#source.length, "unexpected EOF");
    if (stop.word === "else") throw this.#fail(stop.at, "unexpected {{else}} in define clause");
    this.#expect("close", "end");
    return nodes;
  }

  #call(kind: "template" | "block", at: number): Node {
    const name = unquote(this.#expect("string", `${kind} clause`).text);
    const pipe = this.#peekSolid().kind === "close" ? undefined : this.#pipe(`${kind} clause`, "close");
    if (pipe === undefined) this.#expect("close", `${kind} clause`);
    if (kind === "block" && !this.#defined.has(name)) this.#defined.set(name, this.#body());
    return { kind: "template", name, pipe, at };
  }

  #pipe(context: string, end: "close" | ")"): Pipe {
    const at = this.#peekSolid().at;
    const { declares, assigns } = this.#declarations(context);
    const commands: Command[] = [];
    for (;;) {
      const token = this.#peekSolid();
      if (token.kind === end) {
        this.#nextSolid();
        break;
      }
      if (token.kind === "close" || token.kind === ")" || token.kind === "end")
        throw this.#fail(token.at, `unexpected ${show(token)} in ${context}`);
      commands.push(this.#command(context));
    }
    if (commands.length === 0) throw this.#fail(at, `missing value for ${context}`);
    for (const command of commands.slice(1)) {
      const first = command.words[0] as Operand;
      if (first.kind === "constant" || (first.kind === "dot" && first.fields.length === 0))
        throw this.#fail(first.at, `non executable command in pipeline stage ${commands.indexOf(command) + 1}`);
    }
    for (const name of assigns ? [] : declares) this.#variables.push(name);
    return { at, declares, assigns, commands };
  }

  #declarations(context: string): { declares: readonly string[]; assigns: boolean } {
    const start = this.#at;
    const names: string[] = [];
    for (;;) {
      const token = this.#nextSolid();
      if (token.kind !== "variable") break;
      names.push(token.text);
      const after = this.#nextSolid();
      if (after.kind === ":=" || after.kind === "=") {
        if (after.kind === "=") for (const name of names) this.#known(name, token.at);
        return { declares: names, assigns: after.kind === "=" };
      }
      if (after.kind !== "," || context !== "range" || names.length > 1) break;
    }
    this.#at = start;
    return { declares: [], assigns: false };
  }

  #command(context: string): Command {
    const words: Operand[] = [];
    const at = this.#peekSolid().at;
    for (;;) {
      const token = this.#peekSolid();
      if (token.kind === "close" || token.kind === ")") break;
      if (token.kind === "pipe") {
        this.#nextSolid();
        const after = this.#peekSolid();
        if (words.length === 0) throw this.#fail(token.at, "empty command");
        if (after.kind === "close" || after.kind === ")") throw this.#fail(after.at, "missing value for command");
        break;
      }
      words.push(this.#operand(context));
    }
    return { at, words };
  }

  #operand(context: string): Operand {
    const token = this.#nextSolid();
    const at = token.at;
    switch (token.kind) {
      case "dot":
        return { kind: "dot", at, fields: [] };
      case "field":
        return { kind: "dot", at, fields: [token.text.slice(1), ...this.#fields()] };
      case "variable":
        this.#known(token.text, at);
        return { kind: "variable", at, name: token.text, fields: this.#fields() };
      case "identifier":
        if (!this.#functions.has(token.text))
          throw this.#fail(at, `function ${JSON.stringify(token.text)} not defined`);
        return { kind: "function", at, name: token.text };
      case "(": {
        const pipe = this.#pipe("parenthesized pipeline", ")");
        return { kind: "pipe", at, pipe, fields: this.#fields() };
      }
      case "string":
        return { kind: "constant", at, value: unquote(token.text), source: token.text };
      case "char":
        return { kind: "constant", at, value: unquote(token.text).codePointAt(0) ?? 0, source: token.text };
      case "number":
        return { kind: "constant", at, value: this.#number(token), source: token.text };
      case "bool":
        return { kind: "constant", at, value: token.text === "true", source: token.text };
      case "nil":
        return { kind: "constant", at, value: null, source: "nil" };
      default:
        throw this.#fail(at, `unexpected ${show(token)} in ${context === "command" ? "operand" : context}`);
    }
  }

  #fields(): string[] {
    const fields: string[] = [];
    while (this.#tokens[this.#at]?.kind === "field") fields.push(this.#next().text.slice(1));
    return fields;
  }

  #number(token: Token): number {
    const value = Number(token.text.replaceAll("_", "").replace(/^\+/, ""));
    if (Number.isNaN(value)) throw this.#fail(token.at, `bad number syntax: ${JSON.stringify(token.text)}`);
    return value;
  }

  #known(name: string, at: number): void {
    if (!this.#variables.includes(name)) throw this.#fail(at, `undefined variable ${JSON.stringify(name)}`);
  }

  #next(): Token {
    const token = this.#tokens[this.#at] as Token;
    if (token.kind !== "end") this.#at++;
    return token;
  }

  #nextSolid(): Token {
    let token = this.#next();
    while (token.kind === "space") token = this.#next();
    return token;
  }

  #peekSolid(): Token {
    while (this.#tokens[this.#at]?.kind === "space") this.#at++;
    return this.#tokens[this.#at] as Token;
  }

  #expect(kind: TokenKind, context: string): Token {
    const token = this.#nextSolid();
    if (token.kind !== kind) throw this.#fail(token.at, `unexpected ${show(token)} in ${context}`);
    return token;
  }

  #fail(at: number, why: string): TemplateError {
    return new TemplateError(`template: :${lineOf(this.#source, at)}: ${why}`);
  }
}

/** As Go's lexer prints an item. */
function show(token: Token): string {
  if (token.kind === "end") return "EOF";
  if (token.kind === "keyword") return `<${token.text}>`;
  const text = token.text.length > 10 ? `${JSON.stringify(token.text.slice(0, 10))}...` : JSON.stringify(token.text);
  return text;
}
