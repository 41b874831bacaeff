import { EngineError } from "../base/errors.ts";

/** The label of volumes that nobody named. */
export const ANONYMOUS = "com.docker.volume.anonymous";

const PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

export function isVolumeName(name: string): boolean {
  return PATTERN.test(name) && name.length <= 255;
}

/** Throws "invalid" with Docker's texts. */
export function checkVolumeName(name: string): void {
  if (name.length === 1)
    throw new EngineError("invalid", "volume name is too short, names should be at least two alphanumeric characters");
  if (!PATTERN.test(name))
    throw new EngineError(
      "invalid",
      `create ${name}: "${name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  // A folder's name cannot be longer.
  if (name.length > 255) throw new EngineError("invalid", `create ${name.slice(0, 64)}…: the volume name is too long`);
}
