import type { HealthConfig } from "../dockerfile/language.ts";
import type { StepMount } from "./mounts.ts";
import type { Folder, ImageFiles } from "./sources.ts";

export interface RunOptions {
  readonly mounts?: readonly StepMount[] | undefined;
  readonly network?: "default" | "none" | "host" | undefined;
}

export interface CopyOptions {
  /** "user:group", names or numbers. */
  readonly owner?: string | undefined;
  /** "755", "u=rwX,go=rX". */
  readonly mode?: string | undefined;
  readonly link?: boolean | undefined;
  readonly parents?: boolean | undefined;
  readonly exclude?: readonly string[] | undefined;
}

/** One thing that a stage does; plain values. */
export type Step =
  | { readonly kind: "run"; readonly command: string | readonly string[]; readonly options: RunOptions }
  | {
      readonly kind: "copy";
      readonly from: Stage | Folder | ImageFiles;
      readonly paths: readonly string[];
      readonly to: string;
      readonly options: CopyOptions;
    }
  | {
      readonly kind: "add";
      readonly urls: readonly string[];
      readonly to: string;
      readonly options: CopyOptions & { readonly checksum?: string | undefined; readonly unpack?: boolean | undefined };
    }
  | { readonly kind: "file"; readonly path: string; readonly content: string; readonly options: CopyOptions }
  | { readonly kind: "workdir"; readonly path: string }
  | { readonly kind: "env" | "label"; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: "user"; readonly user: string }
  | { readonly kind: "cmd" | "entrypoint"; readonly args: readonly string[] }
  | { readonly kind: "shell"; readonly shell: readonly string[] }
  | { readonly kind: "expose" | "volume"; readonly values: readonly string[] }
  | { readonly kind: "stopSignal"; readonly signal: string }
  | { readonly kind: "healthcheck"; readonly health: HealthConfig };

/**
 * What an image is made from and how, as a value: each method gives a new stage with one more step, and nothing happens before `build`. A
 * stage may be used by many others. Texts mean themselves: no variables are expanded, no quotes needed.
 */
export class Stage {
  /** An image's name, another stage, or undefined for nothing. */
  readonly base: string | Stage | undefined;
  readonly steps: readonly Step[];
  /** As progress and errors call it. */
  readonly title: string | undefined;

  /** Use `from` and `scratch`. */
  constructor(base: string | Stage | undefined, steps: readonly Step[] = [], title?: string | undefined) {
    this.base = base;
    this.steps = Object.freeze(steps);
    this.title = title;
    Object.freeze(this);
  }

  /** A text is given to the shell; a list is executed as it is. */
  run(command: string | readonly string[], options: RunOptions = {}): Stage {
    return this.#with({ kind: "run", command, options });
  }

  /** Paths and patterns (Go's filepath.Match) below `from`; of a folder its contents. */
  copy(
    from: Stage | Folder | ImageFiles,
    paths: string | readonly string[],
    to: string,
    options: CopyOptions = {},
  ): Stage {
    return this.#with({ kind: "copy", from, paths: list(paths), to, options });
  }

  /** Files behind URLs, and Git repositories ("https://host/repo.git#ref:folder"). */
  add(
    urls: string | readonly string[],
    to: string,
    options: CopyOptions & { readonly checksum?: string; readonly unpack?: boolean } = {},
  ): Stage {
    return this.#with({ kind: "add", urls: list(urls), to, options });
  }

  /** A file with this content. */
  file(path: string, content: string, options: CopyOptions = {}): Stage {
    return this.#with({ kind: "file", path, content, options });
  }

  workdir(path: string): Stage {
    return this.#with({ kind: "workdir", path });
  }

  env(values: Readonly<Record<string, string>>): Stage {
    return this.#with({ kind: "env", pairs: Object.entries(values) });
  }

  label(values: Readonly<Record<string, string>>): Stage {
    return this.#with({ kind: "label", pairs: Object.entries(values) });
  }

  user(user: string): Stage {
    return this.#with({ kind: "user", user });
  }

  cmd(...args: readonly string[]): Stage {
    return this.#with({ kind: "cmd", args });
  }

  entrypoint(...args: readonly string[]): Stage {
    return this.#with({ kind: "entrypoint", args });
  }

  /** What texts given to `run` are executed by: ["/bin/sh", "-c"] unless said otherwise. */
  shell(...shell: readonly string[]): Stage {
    return this.#with({ kind: "shell", shell });
  }

  /** "8080", "53/udp". */
  expose(...ports: readonly string[]): Stage {
    return this.#with({ kind: "expose", values: ports });
  }

  volume(...paths: readonly string[]): Stage {
    return this.#with({ kind: "volume", values: paths });
  }

  stopSignal(signal: string): Stage {
    return this.#with({ kind: "stopSignal", signal });
  }

  /** As in an image's configuration; durations in nanoseconds. */
  healthcheck(health: HealthConfig): Stage {
    return this.#with({ kind: "healthcheck", health });
  }

  named(title: string): Stage {
    return new Stage(this.base, this.steps, title);
  }

  #with(step: Step): Stage {
    return new Stage(this.base, [...this.steps, Object.freeze(step)], this.title);
  }
}

/** Starts from an image ("debian:12"), or goes on where another stage ends. */
export function from(base: string | Stage): Stage {
  return new Stage(base);
}

/** Starts from nothing. */
export function scratch(): Stage {
  return new Stage(undefined);
}

function list(values: string | readonly string[]): readonly string[] {
  return typeof values === "string" ? [values] : values;
}
