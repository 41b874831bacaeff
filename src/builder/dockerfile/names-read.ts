import type { Position, StageInstruction } from "./language.ts";

export interface NameRead {
  /** A stage, an index, a context or an image. */
  readonly name: string;
  readonly at: Position;
}

/** From what else than the context an instruction reads: `--from`, and `from` of mounts that have files. They take no variables. */
export function namesRead(instruction: StageInstruction): readonly NameRead[] {
  if (instruction.kind === "COPY") {
    const { from } = instruction;
    return from === undefined ? [] : [{ name: from.text, at: from.at }];
  }
  if (instruction.kind !== "RUN") return [];
  return instruction.mounts.flatMap(({ options, at }) => {
    const type = options.findLast(({ name }) => name === "type")?.value?.toLowerCase();
    const from = options.findLast(({ name }) => name === "from")?.value ?? "";
    return from === "" || type === "tmpfs" ? [] : [{ name: from, at }];
  });
}
