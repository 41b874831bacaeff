import { EngineError } from "../../base/errors.ts";

export interface Address {
  /** "tcp", "unixgram", …; one of those that were allowed. */
  readonly scheme: string;
  /** Without brackets; "" for a path. */
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

export interface AddressRules {
  /** The option's name. */
  readonly option: string;
  /** Allowed ones; a value without a scheme has the first of them when `bare`. */
  readonly schemes: readonly string[];
  readonly bare: boolean;
  readonly host: string;
  readonly port: number;
}

/** "scheme://host:port" or "unix:///path". Throws "invalid". */
export function parseAddress(text: string, { option, schemes, bare, host, port }: AddressRules): Address {
  const [, scheme, rest = ""] = /^(?:([a-z+]+):\/\/)?(.*)$/s.exec(text) ?? [];
  if (scheme === undefined && !bare)
    throw new EngineError("invalid", `${option} should be in form proto://address, got ${text}`);
  const chosen = scheme ?? schemes[0] ?? "";
  if (!schemes.includes(chosen)) throw new EngineError("invalid", `unsupported scheme: ${chosen} in ${option}`);
  if (chosen.startsWith("unix")) {
    if (!rest.startsWith("/") || Buffer.byteLength(rest) > 107)
      throw new EngineError("invalid", `${option} needs the absolute path of a socket, of at most 107 bytes: ${text}`);
    return { scheme: chosen, host: "", port: 0, path: rest };
  }
  const [, bracketed, plain, number] = /^(?:\[([^\]]*)\]|([^:/]*))(?::(\d{1,5}))?$/.exec(rest) ?? [];
  const name = bracketed ?? plain;
  const chosenPort = number === undefined ? port : Number(number);
  if (name === undefined || chosenPort < 1 || chosenPort > 65_535)
    throw new EngineError("invalid", `invalid ${option}: ${text}`);
  return { scheme: chosen, host: name === "" ? host : name, port: chosenPort, path: "" };
}
