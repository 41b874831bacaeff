import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { errnoOf, errorMessage } from "../../base/errors.ts";
import { writeFileAtomic } from "../../base/files.ts";
import type { Logger } from "../../base/log.ts";
import type { AuthConfig, RuleConfig } from "../config/config.ts";
import { Auth } from "./auth.ts";
import { HtpasswdFile } from "./htpasswd.ts";
import { readVerifyKeys } from "./jwt.ts";
import { Passwords } from "./passwords.ts";
import type { Rule } from "./rules.ts";

export interface AuthParts {
  readonly config: AuthConfig | undefined;
  readonly url: string | undefined;
  /** Where the secret of our tokens is kept, for all processes that serve this root. */
  readonly secretFile: string;
  readonly logger: Logger;
}

/** Throws "invalid" when a file it names is wrong. */
export function openAuth({ config = {}, url, secretFile, logger }: AuthParts): Auth {
  const broken = (error: unknown) => logger.log("error", errorMessage(error));
  const { token, htpasswd, groups = {}, rules = [] } = config;
  return new Auth({
    users: htpasswd === undefined ? undefined : new HtpasswdFile(htpasswd, broken),
    server: token === undefined ? undefined : { ...token, keys: readVerifyKeys(token.keys) },
    passwords: new Passwords(),
    rules: rules.map((rule) => withGroups(rule, groups)),
    scheme: config.scheme,
    secret: htpasswd === undefined ? randomBytes(32) : readSecret(secretFile),
    url,
  });
}

function withGroups(rule: RuleConfig, groups: Readonly<Record<string, readonly string[]>>): Rule {
  const users = rule.users.flatMap((user) => (user.startsWith("@") ? (groups[user.slice(1)] ?? []) : [user]));
  return { repositories: rule.repositories, users: new Set(users), actions: new Set(rule.actions) };
}

/** Made at the first use. */
function readSecret(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
    writeFileAtomic(path, randomBytes(32), { mode: 0o600, sync: true });
    return readFileSync(path);
  }
}
