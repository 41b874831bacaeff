/** From the text of a Dockerfile to its instructions and stages. */
import { splitCommand } from "./command-line.ts";
import { DockerfileError } from "./errors.ts";
import { findMarks, readContent } from "./heredocs.ts";
import { InstructionLine } from "./instruction-line.ts";
import type { Arg, Dockerfile, Heredoc, Instruction, InstructionName, ParsedStage, Warning } from "./language.ts";
import { LineReader, type LogicalLine, positionOf, rangeOf } from "./logical-lines.ts";
import { emptyContinuation } from "./rules.ts";
import { INSTRUCTION_LIMIT } from "./source.ts";
import { suggestion } from "./suggest.ts";
import { INSTRUCTION_NAMES, INSTRUCTIONS, instructionName } from "./table.ts";
import { parseJsonList } from "./words.ts";

interface Parsed {
  readonly instructions: readonly Instruction[];
  readonly reader: LineReader;
  readonly warnings: readonly Warning[];
}

/**
 * Reads a whole Dockerfile. `file` is what errors call it.
 * Throws DockerfileError for the first thing that is wrong; nothing else, whatever the text. Takes time in proportion to the text's length.
 */
export function parseDockerfile(text: string, file = "Dockerfile"): Dockerfile {
  const { instructions, reader, warnings } = parseInstructions(text, file);
  if (instructions.length === 0)
    throw failureAtEnd(text, file, text === "" ? "the Dockerfile cannot be empty" : "file with no instructions");
  const { globalArgs, stages } = groupStages(instructions, { text, file });
  if (stages.length === 0) throw failureAtEnd(text, file, "dockerfile contains no stages to build");
  return deepFreeze({ file, text, directives: reader.directives, globalArgs, stages, warnings });
}

/** One instruction alone, as an image keeps its ONBUILD triggers. Throws DockerfileError. */
export function parseTrigger(text: string, file: string): Instruction {
  const { instructions } = parseInstructions(text, file);
  const [instruction, ...more] = instructions;
  if (instruction === undefined || more.length > 0)
    throw failureAtEnd(text, file, "onbuild trigger should be a single expression");
  return deepFreeze(instruction);
}

function parseInstructions(text: string, file: string): Parsed {
  const reader = new LineReader(file, text);
  const instructions: Instruction[] = [];
  const warnings: Warning[] = [];
  for (let line = reader.next(); line !== undefined; line = reader.next()) {
    if (line.emptyContinuation) warnings.push(emptyContinuation(rangeOf(line)));
    if (instructions.length === INSTRUCTION_LIMIT)
      throw reader.failure(`there are more than ${INSTRUCTION_LIMIT} instructions`, rangeOf(line).start.line);
    instructions.push(parseInstruction(line, { reader, text, file }));
  }
  return { instructions, reader, warnings };
}

interface Origin {
  readonly reader: LineReader;
  readonly text: string;
  readonly file: string;
}

function parseInstruction(logical: LogicalLine, origin: Origin): Instruction {
  const command = splitCommand(logical.text);
  const name = instructionName(command.keyword.text);
  if (name === undefined) throw unknownInstruction(logical, command.keyword.text, origin);
  const heredocs = canHaveHeredocs(name, command.rest.text) ? readHeredocs(logical, origin) : [];
  const end = heredocs.length === 0 ? logical.end : { line: origin.reader.lastLine, column: 1 };
  const { file, text, reader } = origin;
  const escapeChar = reader.directives.escape;
  const line = new InstructionLine({ file, text, logical, command, name, escapeChar, heredocs, end });
  line.readFlags(INSTRUCTIONS[name].flags);
  const instruction = {
    kind: name,
    keyword: command.keyword.text,
    range: line.range,
    source: logical.text.trim(),
    comments: logical.comments,
    ...INSTRUCTIONS[name].read(line),
  } as Instruction;
  if (name === "ONBUILD") checkTrigger(line);
  return instruction;
}

/** The trigger must be an instruction, though it is not run here. */
function checkTrigger(onBuild: InstructionLine): void {
  const keyword = splitCommand(onBuild.rest.text).keyword.text;
  const name = instructionName(keyword);
  if (name === undefined) throw onBuild.failure(unknown(keyword), onBuild.rest);
  const line = onBuild.trigger(name);
  line.readFlags(INSTRUCTIONS[name].flags);
  INSTRUCTIONS[name].read(line);
}

function unknown(keyword: string): string {
  return `unknown instruction: ${keyword}${suggestion(keyword, INSTRUCTION_NAMES, false)}`;
}

function unknownInstruction(line: LogicalLine, keyword: string, { text, file }: Origin): DockerfileError {
  const range = rangeOf(line);
  const shown = keyword.length <= 100 ? keyword : `${keyword.slice(0, 100)}...`;
  const message = `dockerfile parse error on line ${range.start.line}: ${unknown(shown)}`;
  return new DockerfileError(message, { file, text, range });
}

function canHaveHeredocs(name: InstructionName, rest: string): boolean {
  if (name !== "ONBUILD") return INSTRUCTIONS[name].heredocs === true && parseJsonList(rest).kind !== "list";
  const trigger = splitCommand(rest);
  const inner = instructionName(trigger.keyword.text);
  return inner !== undefined && inner !== "ONBUILD" && canHaveHeredocs(inner, trigger.rest.text);
}

function readHeredocs(line: LogicalLine, { reader, text, file }: Origin): Heredoc[] {
  return findMarks(line.text).map(({ offset, ...mark }) => {
    const content = readContent(reader, mark);
    const at = positionOf(line, offset);
    if (content !== undefined) return { ...mark, content, at };
    const start = rangeOf(line).start;
    const range = { start: at, end: { line: Math.max(reader.lastLine, start.line), column: 1 } };
    const hint = `End it with a line that has ${mark.name} alone.`;
    throw new DockerfileError(
      `dockerfile parse error on line ${start.line}: unterminated heredoc`,
      { file, text, range },
      hint,
    );
  });
}

function groupStages(
  instructions: readonly Instruction[],
  place: { readonly text: string; readonly file: string },
): { globalArgs: readonly Arg[]; stages: readonly ParsedStage[] } {
  const globalArgs: Arg[] = [];
  const stages: { index: number; from: ParsedStage["from"]; instructions: ParsedStage["instructions"][number][] }[] =
    [];
  for (const instruction of instructions) {
    const stage = stages.at(-1);
    if (instruction.kind === "FROM") stages.push({ index: stages.length, from: instruction, instructions: [] });
    else if (stage !== undefined) stage.instructions.push(instruction);
    else if (instruction.kind === "ARG") globalArgs.push(instruction);
    else throw beforeFrom(instruction, place);
  }
  return { globalArgs, stages };
}

function beforeFrom({ range }: Instruction, place: { readonly text: string; readonly file: string }): DockerfileError {
  const message = `dockerfile parse error on line ${range.start.line}: no build stage in current context`;
  return new DockerfileError(message, { ...place, range }, "Begin with FROM; only ARG may stand before it.");
}

function failureAtEnd(text: string, file: string, message: string): DockerfileError {
  const place = { line: 1, column: 1 };
  return new DockerfileError(message, { file, text, range: { start: place, end: place } });
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  for (const inner of Object.values(value)) deepFreeze(inner);
  return Object.freeze(value);
}
