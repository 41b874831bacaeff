/**
 * The default filter as a finished BPF program (seccomp(2), "Filters"), which crun takes in an annotation. Compiling the same
 * profile by libseccomp costs crun 10–20 ms at every start on a 2-core machine (run of `true`, medians: 11.6 ms without a filter,
 * 34 ms with libseccomp, 12.1 ms with this program); and a search tree over ranges of numbers is short for the kernel to run.
 *
 * Profiles that users give go through libseccomp.
 */

import { allowedNames, type SeccompSubject } from "./seccomp.ts";
import { ALLOWED_ARGUMENTS, type ArgumentTest, MISSING_WITHOUT } from "./seccomp-table.ts";
import { AARCH64, ARM, type SyscallRuns, X32, X86, X86_64 } from "./syscall-numbers.ts";

/** crun's annotation for a program in base64. */
export const BPF_ANNOTATION = "run.oci.seccomp_bpf_data";

/** One BPF instruction: struct sock_filter. */
export type Instruction = readonly [code: number, jt: number, jf: number, k: number];

const LOAD = 0x20;
const AND = 0x54;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_SET = 0x45;
const JUMP = 0x05;
const RETURN = 0x06;

/** Offsets in struct seccomp_data. */
const NUMBER = 0;
const ARCHITECTURE = 4;
const argument = (index: number) => 16 + 8 * index;

const ALLOW = 0x7fff0000;
const KILL_THREAD = 0;
const refuse = (errno: number) => 0x00050000 | errno;
const EPERM = 1;
const ENOSYS = 38;

const X32_BIT = 0x40000000;

interface Abi {
  /** AUDIT_ARCH_* of linux/audit.h. */
  readonly audit: number;
  readonly numbers: SyscallRuns;
  /** The numbers of calls with bit 30 set. */
  readonly x32?: SyscallRuns;
}

/** The native architecture first; only little-endian ones, which the argument offsets assume. */
const ABIS: Readonly<Record<string, readonly Abi[]>> = {
  x64: [
    { audit: 0xc000003e, numbers: X86_64, x32: X32 },
    { audit: 0x40000003, numbers: X86 },
  ],
  arm64: [
    { audit: 0xc00000b7, numbers: AARCH64 },
    { audit: 0x40000028, numbers: ARM },
  ],
};

const cache = new Map<string, string>();

/** The program in base64; undefined on an architecture for which we have no table. */
export function defaultBpf(subject: SeccompSubject): string | undefined {
  if (ABIS[subject.architecture] === undefined) return undefined;
  const key = `${subject.architecture} ${subject.capabilities.join()}`;
  let program = cache.get(key);
  if (program === undefined) {
    program = encode(compileDefault(subject)).toString("base64");
    cache.set(key, program);
  }
  return program;
}

/** Exported for its test. */
export function compileDefault(subject: SeccompSubject): Instruction[] {
  const abis = ABIS[subject.architecture] ?? [];
  const blocks = abis.map(({ audit, numbers, x32 }) => {
    const native = searchTree(outcomes(numbers, subject));
    const body =
      x32 === undefined
        ? native
        : either(JUMP_SET, X32_BIT, [[AND, 0, 0, X32_BIT - 1], ...searchTree(outcomes(x32, subject))], native);
    return { audit, body: [[LOAD, 0, 0, NUMBER] as const, ...body] };
  });
  const wrong: Instruction[] = [[RETURN, 0, 0, KILL_THREAD]];
  const chain = blocks.reduceRight<Instruction[]>(
    (rest, { audit, body }) => either(JUMP_EQUAL, audit, body, rest),
    wrong,
  );
  return [[LOAD, 0, 0, ARCHITECTURE], ...chain];
}

/** A run of numbers that end alike, from `first` up to the next run's. */
interface Outcome {
  readonly first: number;
  readonly code: readonly Instruction[];
}

function outcomes(numbers: SyscallRuns, { capabilities, architecture }: SeccompSubject): Outcome[] {
  const allowed = allowedNames({ capabilities, architecture });
  const byNumber = numberedNames(numbers);
  const special = new Map<string, Instruction[]>();
  for (const { name, capability } of MISSING_WITHOUT) {
    if (!capabilities.includes(capability)) special.set(name, [[RETURN, 0, 0, refuse(ENOSYS)]]);
  }
  for (const [name, tests] of argumentTests(capabilities)) special.set(name, testArguments(tests));

  const runs: Outcome[] = [];
  const refused: Instruction[] = [[RETURN, 0, 0, refuse(EPERM)]];
  const granted: Instruction[] = [[RETURN, 0, 0, ALLOW]];
  const last = Math.max(...byNumber.keys());
  for (let number = 0; number <= last + 1; number++) {
    const name = byNumber.get(number) ?? "";
    const code = allowed.has(name) ? granted : (special.get(name) ?? refused);
    if (runs.at(-1)?.code !== code) runs.push({ first: number, code });
  }
  return runs;
}

function numberedNames(runs: SyscallRuns): Map<number, string> {
  const names = new Map<number, string>();
  for (const [first, list] of runs) {
    for (const [offset, name] of list.trim().split(/\s+/).entries()) if (name !== "-") names.set(first + offset, name);
  }
  return names;
}

function argumentTests(capabilities: readonly string[]): Map<string, ArgumentTest[]> {
  const tests = new Map<string, ArgumentTest[]>();
  for (const { name, test, withoutCapability } of ALLOWED_ARGUMENTS) {
    if (withoutCapability !== undefined && capabilities.includes(withoutCapability)) continue;
    tests.set(name, [...(tests.get(name) ?? []), test]);
  }
  return tests;
}

/** Allows when one of the tests holds. Only the low words are looked at, as the kernel does with these arguments. */
function testArguments(tests: readonly ArgumentTest[]): Instruction[] {
  const allow: Instruction = [RETURN, 0, 0, ALLOW];
  const code = tests.flatMap(({ index, op, value, valueTwo = 0 }): Instruction[] => {
    const load: Instruction = [LOAD, 0, 0, argument(index)];
    if (op === "SCMP_CMP_EQ") return [load, [JUMP_EQUAL, 0, 1, value], allow];
    if (op === "SCMP_CMP_NE") return [load, [JUMP_EQUAL, 1, 0, value], allow];
    return [load, [AND, 0, 0, value], [JUMP_EQUAL, 0, 1, valueTwo], allow];
  });
  return [...code, [RETURN, 0, 0, refuse(EPERM)]];
}

/** Halves the runs until one is left. */
function searchTree(runs: readonly Outcome[]): Instruction[] {
  const middle = runs[runs.length >> 1];
  if (runs.length <= 1 || middle === undefined) return [...(runs[0]?.code ?? [])];
  const below = searchTree(runs.slice(0, runs.length >> 1));
  const above = searchTree(runs.slice(runs.length >> 1));
  return either(JUMP_AT_LEAST, middle.first, above, below);
}

/** `then` when the test holds, else `otherwise`; both end in a return. A conditional jump reaches 255 instructions, JUMP any. */
function either(
  test: number,
  k: number,
  then: readonly Instruction[],
  otherwise: readonly Instruction[],
): Instruction[] {
  if (otherwise.length <= 255) return [[test, otherwise.length, 0, k], ...otherwise, ...then];
  return [[test, 0, 1, k], [JUMP, 0, 0, otherwise.length], ...otherwise, ...then];
}

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [at, [code, jt, jf, k]] of program.entries()) {
    bytes.writeUInt16LE(code, at * 8);
    bytes.writeUInt8(jt, at * 8 + 2);
    bytes.writeUInt8(jf, at * 8 + 3);
    bytes.writeUInt32LE(k >>> 0, at * 8 + 4);
  }
  return bytes;
}
