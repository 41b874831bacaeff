/** Debian's Chromium without a screen, driven over its DevTools protocol: for tests of pages. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

export interface Browser extends AsyncDisposable {
  /** Resolves when the page has loaded. */
  open(url: string): Promise<void>;
  /** The value of an expression in the page; promises are awaited. */
  run<T>(expression: string): Promise<T>;
  /** The text of the first element, as it is shown; waits until there is one. */
  text(selector: string): Promise<string>;
  /** Waits until an expression in the page is true. */
  until(expression: string): Promise<void>;
  /** Clicks the first element that has this text. */
  click(selector: string, text?: string): Promise<void>;
  type(selector: string, text: string): Promise<void>;
  /** What the page complained about: exceptions, errors on the console, violations of its policy. */
  readonly complaints: readonly string[];
}

const PATIENCE = 30_000;

export async function startBrowser(): Promise<Browser> {
  const folder = mkdtempSync(join(tmpdir(), "gantry-browser-"));
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
  ];
  const ports = ["--remote-debugging-port=0", `--user-data-dir=${folder}`, "--no-proxy-server"];
  const child = spawn("chromium", [...flags, ...ports, "about:blank"], {
    stdio: "ignore",
    env: { PATH: process.env.PATH, HOME: folder },
  });
  const stop = async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.signalCode === null && child.kill("SIGKILL")) await ended;
    // Its helpers may still be writing there.
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  try {
    const socket = await connect(await pageUrl(folder, child));
    return new DevTools(socket, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function pageUrl(folder: string, child: ChildProcess): Promise<string> {
  const file = join(folder, "DevToolsActivePort");
  for (let waited = 0; waited < PATIENCE && child.exitCode === null; waited += 50) {
    const port = existsSync(file) ? readFileSync(file, "utf8").split("\n")[0] : "";
    if (port) {
      const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
        type: string;
        webSocketDebuggerUrl: string;
      }[];
      const page = targets.find(({ type }) => type === "page");
      if (page !== undefined) return page.webSocketDebuggerUrl;
    }
    await sleep(50);
  }
  throw new Error("chromium did not start");
}

function connect(url: string): Promise<WebSocket> {
  const socket = new WebSocket(url);
  return new Promise((resolve, reject) => {
    socket.addEventListener("open", () => resolve(socket));
    socket.addEventListener("error", () => reject(new Error("chromium cannot be reached")));
  });
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

class DevTools implements Browser {
  readonly complaints: string[] = [];
  readonly #socket: WebSocket;
  readonly #stop: () => Promise<void>;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #last = 0;

  constructor(socket: WebSocket, stop: () => Promise<void>) {
    this.#socket = socket;
    this.#stop = stop;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data)) as Message));
  }

  async open(url: string): Promise<void> {
    for (const domain of ["Runtime", "Log", "Page"]) await this.#send(`${domain}.enable`);
    await this.#send("Page.navigate", { url });
    await this.until(`location.href.startsWith(${JSON.stringify(url)}) && document.readyState === "complete"`);
  }

  async run<T>(expression: string): Promise<T> {
    const answer = await this.#send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    const { result, exceptionDetails } = answer as { result: { value: T }; exceptionDetails?: { text: string } };
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return result.value;
  }

  async text(selector: string): Promise<string> {
    const found = `document.querySelector(${JSON.stringify(selector)})`;
    await this.until(`${found} !== null`);
    return await this.run(`${found}.innerText`);
  }

  async until(expression: string): Promise<void> {
    for (let waited = 0; waited < PATIENCE; waited += 25) {
      // A navigation in between takes the page away.
      if (await this.run<boolean>(`Boolean(${expression})`).catch(() => false)) return;
      await sleep(25);
    }
    const shown = await this.run<string>("document.body.innerText").catch(String);
    throw new Error(`never true: ${expression}\n${this.complaints.join("\n")}\n${shown}`);
  }

  async click(selector: string, text = ""): Promise<void> {
    const all = `[...document.querySelectorAll(${JSON.stringify(selector)})]`;
    const found = `${all}.find((element) => element.innerText.includes(${JSON.stringify(text)}))`;
    await this.until(`${found} !== undefined`);
    await this.run(`${found}.click()`);
  }

  async type(selector: string, text: string): Promise<void> {
    await this.until(`document.querySelector(${JSON.stringify(selector)}) !== null`);
    await this.run(`document.querySelector(${JSON.stringify(selector)}).select()`);
    await this.#send("Input.insertText", { text });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    await this.#stop();
  }

  async #send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = ++this.#last;
    const answered = new Promise<Message>((resolve) => this.#waiting.set(id, resolve));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result = {}, error } = await answered;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  #take({ id, method, params, ...message }: Message): void {
    if (id !== undefined) {
      this.#waiting.get(id)?.(message);
      this.#waiting.delete(id);
    } else if (method === "Runtime.exceptionThrown") this.complaints.push(JSON.stringify(params));
    else if (method === "Log.entryAdded") {
      const { level, text, source } = (params as { entry: { level: string; text: string; source: string } }).entry;
      // A 401 is how a page learns that it must log in; the network's failures are told there too.
      if (level === "error" && source !== "network") this.complaints.push(`${source}: ${text}`);
    }
  }
}
