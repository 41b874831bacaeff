/** Who may do what where. Rules only allow; what no rule allows is refused. */
import type { Action } from "../http/routes.ts";

export interface Rule {
  /** Repositories it is about. */
  readonly repositories: readonly RegExp[];
  /** Names of users; ANYONE for those who are not logged in too, KNOWN for those who are. */
  readonly users: ReadonlySet<string>;
  readonly actions: ReadonlySet<Action>;
}

export const ANYONE = "anonymous";
export const KNOWN = "authenticated";

/** `user`: undefined for who is not logged in. Without rules, who is logged in may do everything. */
export function allows(rules: readonly Rule[], user: string | undefined, name: string, action: Action): boolean {
  if (rules.length === 0) return user !== undefined;
  return rules.some(
    (rule) =>
      rule.actions.has(action) && isMeant(rule, user) && rule.repositories.some((pattern) => pattern.test(name)),
  );
}

function isMeant({ users }: Rule, user: string | undefined): boolean {
  if (users.has(ANYONE)) return true;
  return user !== undefined && (users.has(KNOWN) || users.has(user));
}

/** Whether anybody who is not logged in may do anything. */
export function welcomesAnyone(rules: readonly Rule[]): boolean {
  return rules.some(({ users }) => users.has(ANYONE));
}
