import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { defaultSeccomp, parseSeccompProfile } from "./seccomp.ts";
import { compileDefault, type Instruction } from "./seccomp-bpf.ts";
import type { Seccomp } from "./spec-types.ts";
import { AARCH64, ARM, type SyscallRuns, X32, X86, X86_64 } from "./syscall-numbers.ts";

const ALLOW = 0x7fff0000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;

interface Call {
  readonly nr: number;
  readonly arch: number;
  readonly args?: readonly number[];
}

/** What the kernel would do with the program: the few instructions that we write. */
function execute(program: readonly Instruction[], { nr, arch, args = [] }: Call): number {
  const load = (offset: number) => (offset === 0 ? nr : offset === 4 ? arch : (args[(offset - 16) / 8] ?? 0)) >>> 0;
  let accumulator = 0;
  for (let at = 0; at < program.length; at++) {
    const [code, jt, jf, k] = program[at] as Instruction;
    if (code === 0x06) return k;
    if (code === 0x20) accumulator = load(k);
    else if (code === 0x54) accumulator = (accumulator & k) >>> 0;
    else if (code === 0x05) at += k;
    else if (code === 0x15) at += accumulator === k >>> 0 ? jt : jf;
    else if (code === 0x35) at += accumulator >= k ? jt : jf;
    else if (code === 0x45) at += (accumulator & k) !== 0 ? jt : jf;
    else throw new Error(`unknown instruction ${code}`);
  }
  throw new Error("fell off the program's end");
}

/** What the profile says, by name. */
function judge(profile: Seccomp, name: string, args: readonly number[]): number {
  for (const rule of profile.syscalls ?? []) {
    if (!rule.names.includes(name)) continue;
    const [test] = rule.args ?? [];
    const value = (args[test?.index ?? 0] ?? 0) >>> 0;
    const holds =
      test === undefined ||
      (test.op === "SCMP_CMP_EQ" && value === test.value) ||
      (test.op === "SCMP_CMP_NE" && value !== test.value) ||
      (test.op === "SCMP_CMP_MASKED_EQ" && (value & test.value) >>> 0 === test.valueTwo);
    if (holds) return rule.action === "SCMP_ACT_ALLOW" ? ALLOW : 0x00050000 | (rule.errnoRet ?? 1);
  }
  return EPERM;
}

function namesByNumber(runs: SyscallRuns): Map<number, string> {
  return new Map(
    runs.flatMap(([first, list]) =>
      list
        .trim()
        .split(/\s+/)
        .map((name, offset) => [first + offset, name] as const),
    ),
  );
}

const ABIS = [
  { label: "x86_64", architecture: "x64", arch: 0xc000003e, bit: 0, runs: X86_64 },
  { label: "x32", architecture: "x64", arch: 0xc000003e, bit: 0x40000000, runs: X32 },
  { label: "i386", architecture: "x64", arch: 0x40000003, bit: 0, runs: X86 },
  { label: "aarch64", architecture: "arm64", arch: 0xc00000b7, bit: 0, runs: AARCH64 },
  { label: "arm", architecture: "arm64", arch: 0x40000028, bit: 0, runs: ARM },
];
const CAPABILITY_SETS = [[], ["CAP_SYS_CHROOT"], ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF", "CAP_SYSLOG"]];
const ARGUMENTS = [[0], [0x8], [0x11], [40], [0x20008], [0xffffffff], [0x10000000], [0x01200011]];

describe("the compiled default filter", () => {
  for (const { label, architecture, arch, bit, runs } of ABIS) {
    it(`does to every call of ${label} what the profile says`, () => {
      const names = namesByNumber(runs);
      for (const capabilities of CAPABILITY_SETS) {
        const subject = { architecture, capabilities };
        const program = compileDefault(subject);
        const profile = defaultSeccomp(subject);
        for (let nr = 0; nr < 700; nr++) {
          const name = names.get(nr) ?? "-";
          for (const args of ARGUMENTS) {
            const got = execute(program, { nr: nr + bit, arch, args });
            assert.equal(got, judge(profile, name, args), `${name} (${nr}) with ${args} and ${capabilities}`);
          }
        }
      }
    });
  }

  it("kills what comes by another architecture's door", () => {
    const program = compileDefault({ architecture: "x64", capabilities: [] });
    assert.equal(execute(program, { nr: 0, arch: 0xc00000b7 }), 0);
  });

  it("fits into the kernel's 4096 instructions, every jump within reach and within the program", () => {
    for (const architecture of ["x64", "arm64"]) {
      const program = compileDefault({ architecture, capabilities: [] });
      assert.ok(program.length < 4096);
      for (const [at, [code, jt, jf, k]] of program.entries()) {
        assert.ok(jt <= 255 && jf <= 255);
        assert.ok(at + 1 + Math.max(jt, jf, code === 0x05 ? k : 0) < program.length || code === 0x06);
      }
    }
  });
});

describe("the default profile", () => {
  const profile = defaultSeccomp({ architecture: "x64", capabilities: [] });
  const answer = (name: string, ...args: number[]) => judge(profile, name, args);

  it("lets ordinary calls through and refuses those that reach the machine", () => {
    for (const name of ["read", "openat", "execve", "futex", "epoll_pwait2", "statx"])
      assert.equal(answer(name), ALLOW);
    for (const name of [
      "mount",
      "bpf",
      "keyctl",
      "add_key",
      "kexec_load",
      "init_module",
      "io_uring_setup",
      "userfaultfd",
    ]) {
      assert.equal(answer(name), EPERM);
    }
  });

  it("lets a thread be made but no namespace, and hides clone3, whose flags no filter sees", () => {
    assert.equal(answer("clone", 0x3d0f00), ALLOW);
    assert.equal(answer("clone", 0x10000000), EPERM);
    assert.equal(answer("clone3"), ENOSYS);
  });

  it("refuses sockets that reach the hypervisor", () => {
    assert.equal(answer("socket", 2), ALLOW);
    assert.equal(answer("socket", 40), EPERM);
  });

  it("opens up with capabilities", () => {
    const admin = defaultSeccomp({ architecture: "x64", capabilities: ["CAP_SYS_ADMIN"] });
    assert.equal(judge(admin, "mount", []), ALLOW);
    assert.equal(judge(admin, "clone", [0x10000000]), ALLOW);
    assert.equal(judge(admin, "clone3", []), ALLOW);
  });
});

describe("a profile file", () => {
  const subject = { architecture: "x64", capabilities: ["CAP_CHOWN"], kernelVersion: "6.1.0-13-amd64" };
  const parse = (value: object) => parseSeccompProfile(JSON.stringify(value), subject);

  it("has its conditions decided", () => {
    const rule = (name: string, more: object) => ({ names: [name], action: "SCMP_ACT_ALLOW", ...more });
    const { syscalls, architectures } = parse({
      defaultAction: "SCMP_ACT_ERRNO",
      archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] }],
      syscalls: [
        rule("a", { includes: { caps: ["CAP_CHOWN"] } }),
        rule("b", { includes: { caps: ["CAP_SYS_ADMIN"] } }),
        rule("c", { excludes: { caps: ["CAP_CHOWN"] } }),
        rule("d", { includes: { arches: ["amd64", "x32"] } }),
        rule("e", { includes: { arches: ["s390x"] } }),
        rule("f", { includes: { minKernel: "4.8" } }),
        rule("g", { includes: { minKernel: "6.10" } }),
        { name: "h", action: "SCMP_ACT_LOG" },
      ],
    });
    assert.deepEqual(
      syscalls?.map(({ names }) => names[0]),
      ["a", "d", "f", "h"],
    );
    assert.deepEqual(architectures, ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
  });

  it("is refused when it makes no sense", () => {
    assert.throws(() => parseSeccompProfile("{", subject), {
      kind: "invalid",
      message: /^decoding seccomp profile failed/,
    });
    assert.throws(() => parse({}), { message: /defaultAction/ });
    assert.throws(() => parse({ defaultAction: "x", syscalls: [{ name: "a", names: ["b"], action: "x" }] }), {
      message: /'name' and 'names'/,
    });
    assert.throws(
      () =>
        parse({
          defaultAction: "x",
          syscalls: [{ name: "a", action: "x", args: [{ index: 0, op: "y", value: 2 ** 60 }] }],
        }),
      {
        message: /too large/,
      },
    );
  });
});
