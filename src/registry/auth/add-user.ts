import { EngineError } from "../../base/errors.ts";
import { parseHtpasswd } from "./htpasswd.ts";
import { Passwords } from "./passwords.ts";

/** A line for an htpasswd file. Throws "invalid" for names and passwords that it cannot hold. */
export async function hashPassword(user: string, password: string, cost: number): Promise<string> {
  if (Buffer.byteLength(password) > 72) throw new EngineError("invalid", "bcrypt takes passwords of at most 72 bytes");
  if (password === "") throw new EngineError("invalid", "the password is empty");
  if (cost < 4 || cost > 16) throw new EngineError("invalid", `the cost must be from 4 to 16, not ${cost}`);
  const passwords = new Passwords();
  try {
    const line = `${user}:${await passwords.hash(password, cost)}`;
    if (!parseHtpasswd(line, "the new line").has(user))
      throw new EngineError("invalid", `a user cannot be called ${JSON.stringify(user)}`);
    return line;
  } finally {
    await passwords.close();
  }
}
