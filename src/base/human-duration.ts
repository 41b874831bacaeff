/** An age as people say it, as docker prints it: "3 minutes", "About an hour", "2 weeks". `milliseconds` may be anything. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.floor(Math.max(0, milliseconds) / 1000);
  const minutes = Math.floor(seconds / 60);
  // Rounded, as in Docker's go-units: 90 minutes are 2 hours.
  const hours = Math.floor(minutes / 60 + 0.5);
  const age = { seconds, minutes, hours };
  const rule = RULES.find(({ of, below }) => age[of] < below);
  return rule?.say(age) ?? `${Math.floor(minutes / 60 / 24 / 365)} years`;
}

interface Age {
  readonly seconds: number;
  readonly minutes: number;
  readonly hours: number;
}

const RULES: readonly { readonly of: keyof Age; readonly below: number; readonly say: (age: Age) => string }[] = [
  { of: "seconds", below: 1, say: () => "Less than a second" },
  { of: "seconds", below: 2, say: () => "1 second" },
  { of: "seconds", below: 60, say: ({ seconds }) => `${seconds} seconds` },
  { of: "minutes", below: 2, say: () => "About a minute" },
  { of: "minutes", below: 60, say: ({ minutes }) => `${minutes} minutes` },
  { of: "hours", below: 2, say: () => "About an hour" },
  { of: "hours", below: 48, say: ({ hours }) => `${hours} hours` },
  { of: "hours", below: 24 * 7 * 2, say: ({ hours }) => `${Math.floor(hours / 24)} days` },
  { of: "hours", below: 24 * 30 * 2, say: ({ hours }) => `${Math.floor(hours / 24 / 7)} weeks` },
  { of: "hours", below: 24 * 365 * 2, say: ({ hours }) => `${Math.floor(hours / 24 / 30)} months` },
];
