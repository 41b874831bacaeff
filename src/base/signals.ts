import { constants } from "node:os";

const MIN_REALTIME = 34;
const MAX_REALTIME = 64;

/** The number of "KILL", "SIGKILL", "kill", "9", "SIGRTMIN+3"; undefined for what is no signal. */
export function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) {
    const number = Number(text);
    return number >= 1 && number <= MAX_REALTIME ? number : undefined;
  }
  const name = `SIG${text.toUpperCase().replace(/^SIG/, "")}`;
  return NUMBERS[name] ?? realtimeNumber(name);
}

const NUMBERS: Readonly<Record<string, number>> = { ...constants.signals, SIGCLD: constants.signals.SIGCHLD };

function realtimeNumber(name: string): number | undefined {
  const match = /^SIGRT(MIN|MAX)(?:([+-])(\d+))?$/.exec(name);
  if (match === null) return undefined;
  const [, end, sign = "+", distance = "0"] = match;
  const number = (end === "MIN" ? MIN_REALTIME : MAX_REALTIME) + Number(`${sign}${distance}`);
  return number >= MIN_REALTIME && number <= MAX_REALTIME ? number : undefined;
}
