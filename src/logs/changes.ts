/** Waiting for something to happen in a folder, without polling where the system can tell. */
import { watch } from "node:fs";

const POLL_MS = 250;

export interface Changes extends Disposable {
  /** Resolves when something happened since it was last called, or when `wake` is called. */
  next(): Promise<void>;
  wake(): void;
}

/** Begins to watch. Where it can't (no inotify watch left) a timer stands in. */
export function watchFolder(folder: string): Changes {
  let happened = false;
  let waiting: (() => void) | undefined;
  const wake = () => {
    happened = true;
    waiting?.();
  };
  const stop = observe(folder, wake);
  return {
    async next() {
      if (!happened) await new Promise<void>((resolve) => (waiting = resolve));
      waiting = undefined;
      happened = false;
    },
    wake,
    [Symbol.dispose]: stop,
  };
}

function observe(folder: string, wake: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const poll = () => {
    timer ??= setInterval(wake, POLL_MS);
  };
  try {
    const watcher = watch(folder, wake);
    watcher.on("error", poll);
    return () => {
      watcher.close();
      clearInterval(timer);
    };
  } catch {
    poll();
    return () => clearInterval(timer);
  }
}
