/**
 * What Go's typed values have beyond JSON's: nil pointers, nil slices and maps, structs whose fields have an order, another name
 * in JSON and a zero value, times and durations that print otherwise than they are encoded.
 */

/** A nil pointer: prints as <nil>, is false, and has no fields. */
export const NIL: unique symbol = Symbol("nil");

/** A value with two spellings. */
export class Spelled {
  readonly text: string;
  readonly json: string | number;

  constructor(text: string, json: string | number) {
    this.text = text;
    this.json = json;
  }
}

export interface Traits {
  /** A slice or map that was never made: `null` in JSON. */
  readonly nil?: boolean;
  /** What a map gives for a key that it lacks. */
  readonly element?: unknown;
  /** A struct's members as its encoder writes them. */
  readonly members?: readonly (readonly [name: string, value: unknown])[];
}

const TRAITS = Symbol("traits");

export function withTraits<T extends object>(value: T, traits: Traits): T {
  Object.defineProperty(value, TRAITS, { value: traits, enumerable: false });
  return value;
}

export function traitsOf(value: object): Traits {
  return (value as { [TRAITS]?: Traits })[TRAITS] ?? {};
}
