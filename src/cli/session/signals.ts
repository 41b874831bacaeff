/** Signals on to the container. SIGCHLD, SIGPIPE and what cannot be caught stay here. */

const FORWARDED =
  "SIGHUP SIGINT SIGQUIT SIGTERM SIGUSR1 SIGUSR2 SIGALRM SIGCONT SIGTSTP SIGTTIN SIGTTOU SIGIO SIGPWR SIGSYS SIGVTALRM SIGXCPU SIGXFSZ SIGTRAP SIGABRT SIGWINCH".split(
    " ",
  ) as NodeJS.Signals[];

/** Until the returned function is called. */
export function forwardSignals(send: (signal: NodeJS.Signals) => Promise<void>): () => void {
  const handler = (signal: NodeJS.Signals) => {
    send(signal).catch(() => {});
  };
  const heard = FORWARDED.filter((signal) => listen(signal, handler));
  return () => {
    for (const signal of heard) process.off(signal, handler);
  };
}

function listen(signal: NodeJS.Signals, handler: (signal: NodeJS.Signals) => void): boolean {
  try {
    process.on(signal, handler);
    return true;
  } catch {
    return false;
  }
}
