/** Protocol Buffers (proto3) messages as tables: the table gives the encoder, the decoder and the TypeScript type. */

/** "int" is any whole number that fits a double exactly; "big" one that may not (nanoseconds). Enums are "int". */
export type Scalar = "string" | "bytes" | "bool" | "int" | "big";

export interface Message<F extends Fields = Fields> {
  readonly fields: F;
}

export type FieldType = Scalar | Message;

export interface Field<T extends FieldType = FieldType, S extends "one" | "many" | "map" = "one" | "many" | "map"> {
  readonly number: number;
  readonly type: T;
  readonly shape: S;
}

export type Fields = Readonly<Record<string, Field>>;

type ScalarValue = { string: string; bytes: Uint8Array; bool: boolean; int: number; big: bigint };

type One<T> = T extends keyof ScalarValue ? ScalarValue[T] : T extends Message<infer F> ? Decoded<F> : never;
type OnePart<T> = T extends keyof ScalarValue ? ScalarValue[T] : T extends Message<infer F> ? Part<F> : never;

/** A decoded message: every field is there, with its default when it was not sent; a message that was not sent is undefined. */
export type Decoded<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T, infer S>
    ? S extends "many"
      ? readonly One<T>[]
      : S extends "map"
        ? Readonly<Record<string, One<T>>>
        : T extends Message
          ? One<T> | undefined
          : One<T>
    : never;
};

/** What is encoded: fields that are missing are not sent. */
export type Part<F extends Fields> = {
  readonly [K in keyof F]?:
    | (F[K] extends Field<infer T, infer S>
        ? S extends "many"
          ? readonly OnePart<T>[]
          : S extends "map"
            ? Readonly<Record<string, OnePart<T>>>
            : OnePart<T>
        : never)
    | undefined;
};

export type MessageOf<M> = M extends Message<infer F> ? Decoded<F> : never;
export type PartOf<M> = M extends Message<infer F> ? Part<F> : never;

export const message = <const F extends Fields>(fields: F): Message<F> => Object.freeze({ fields });
export const one = <const T extends FieldType>(number: number, type: T): Field<T, "one"> => ({
  number,
  type,
  shape: "one",
});
export const many = <const T extends FieldType>(number: number, type: T): Field<T, "many"> => ({
  number,
  type,
  shape: "many",
});
/** Keys are strings. */
export const map = <const T extends FieldType>(number: number, type: T): Field<T, "map"> => ({
  number,
  type,
  shape: "map",
});
