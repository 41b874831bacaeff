import assert from "node:assert/strict";

/** Checks that an answer is the specification's error document; its codes. */
export async function errorCodes(answer: Response): Promise<string[]> {
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
  const { errors } = (await answer.json()) as { errors: { code: string; message: string }[] };
  assert.ok(errors.length > 0);
  for (const { code, message } of errors) {
    assert.match(code, /^[A-Z_]+$/);
    assert.equal(typeof message, "string");
  }
  return [...new Set(errors.map(({ code }) => code))];
}
