import type { LogSubject } from "../logs.ts";
import type { LogOptions } from "../options.ts";
import type { Destination } from "./forwarder.ts";

/** Whose lines a service gets. */
export interface Identity {
  readonly subject: LogSubject;
  readonly tag: string;
  /** Chosen labels and variables. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly hostname: string;
}

/** A kind of log service: one of Docker's drivers. */
export interface Service {
  /** Options of its own, beside those of labels, variables and tag. */
  readonly options: readonly string[];
  /** Throws "invalid" for values that make no sense. `identity` is undefined when they are only checked. */
  destination(options: LogOptions, identity: Identity | undefined): Destination;
  /** Throws "unavailable" where the service is not, for one that is either on this machine or not at all. */
  check?(): void;
}
