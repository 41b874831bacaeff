/** A template over something inspected: over its struct, and where that fails over the JSON as it came, as docker does it. */

import { type Compiled, compileTemplate } from "../../base/template/evaluate.ts";
import { TemplateError } from "../../base/template/lex.ts";
import { ExitError } from "../command.ts";
import { type InspectedType, typedValue } from "./typed.ts";

/** Throws an ExitError of 64 for what does not parse; what it returns throws one of 1 for what cannot be run. */
export function inspectTemplate(format: string): (json: string, type: InspectedType) => string {
  const template = parsed(format);
  return (json, type) => {
    const value: unknown = JSON.parse(json);
    return typedRun(template, type, value) ?? rawRun(template, value);
  };
}

const parsingError = (error: TemplateError, code: number) =>
  new ExitError(code, `template parsing error: ${error.message}`);

function parsed(format: string): Compiled {
  try {
    return compileTemplate(format);
  } catch (error) {
    throw error instanceof TemplateError ? parsingError(error, 64) : error;
  }
}

function typedRun(template: Compiled, type: InspectedType, value: unknown): string | undefined {
  try {
    return template.run(typedValue(type, value), { missingKey: "no-value" });
  } catch {
    return undefined;
  }
}

function rawRun(template: Compiled, value: unknown): string {
  try {
    return template.run(value, { missingKey: "error" });
  } catch (error) {
    throw error instanceof TemplateError ? parsingError(error, 1) : error;
  }
}
