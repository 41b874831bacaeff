import { EngineError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/log.ts";
import { authorized } from "../base/urls.ts";
import type { Reference } from "../oci/reference.ts";
import { Connections } from "./connections.ts";
import { inspectDistribution } from "./distribution.ts";
import { type Endpoint, endpointsOf } from "./endpoints.ts";
import { discard, exchange, type HttpRequest } from "./http.ts";
import { login } from "./login.ts";
import type {
  Credentials,
  Distribution,
  Download,
  LoginResult,
  Neighbour,
  Remote,
  RemoteSettings,
  Repository,
  SearchOptions,
  SearchResult,
} from "./remote.ts";
import { RemoteRepository } from "./repository.ts";
import { search } from "./search.ts";
import { Session, type Shared } from "./session.ts";
import { Tokens } from "./tokens.ts";

/** dockerd's defaults. */
export const REMOTE_DEFAULTS: RemoteSettings = Object.freeze({
  mirrors: [],
  insecureRegistries: [],
  rules: [],
  certificateFolders: ["/etc/gantry/certs.d", "/etc/docker/certs.d"],
  httpProxy: undefined,
  httpsProxy: undefined,
  noProxy: undefined,
  maxConcurrentDownloads: 3,
  maxConcurrentUploads: 5,
  maxDownloadAttempts: 5,
});

/** Nothing is connected to and nothing is loaded before the first request. */
export function openRemote({
  settings,
  logger = silentLogger,
}: {
  readonly settings: RemoteSettings;
  readonly logger?: Logger | undefined;
}): Remote {
  return new HttpRemote(settings, logger);
}

class HttpRemote implements Remote {
  readonly #logger: Logger;
  #shared: Shared;
  neighbour: Neighbour | undefined;

  constructor(settings: RemoteSettings, logger: Logger) {
    this.#logger = logger;
    this.#shared = makeShared(settings);
  }

  get settings(): RemoteSettings {
    return this.#shared.settings;
  }

  repository(reference: Reference, { credentials, access, insecure }: Parameters<Remote["repository"]>[1]): Repository {
    const settings = insecure === true ? withInsecure(this.#shared.settings, reference) : this.#shared.settings;
    const sessions = endpointsOf(reference, access, settings).map((endpoint) => {
      const scopes = [`repository:${endpoint.path}:${access === "push" ? "pull,push" : "pull"}`];
      return new Session(this.#shared, { endpoint, credentials: credentialsAt(endpoint, credentials), scopes });
    });
    const { connections } = this.#shared;
    const elsewhere = (request: HttpRequest) => exchange(request, connections);
    const attempts = settings.maxDownloadAttempts;
    const { neighbour } = this;
    return new RemoteRepository({ reference, sessions, attempts, elsewhere, neighbour, logger: this.#logger });
  }

  login(credentials: Credentials, signal?: AbortSignal): Promise<LoginResult> {
    return login(this.#shared, credentials, signal);
  }

  search(term: string, options: SearchOptions = {}): Promise<SearchResult[]> {
    return search(this.#shared, term, options);
  }

  distribution(
    reference: Reference,
    { credentials, insecure, signal }: Parameters<Remote["distribution"]>[1],
  ): Promise<Distribution> {
    return inspectDistribution(this.repository(reference, { credentials, insecure, access: "pull" }), signal);
  }

  async download(url: URL, signal?: AbortSignal): Promise<Download> {
    const bare = authorized(url.href);
    const answer = await exchange({ method: "GET", ...bare, signal }, this.#shared.connections);
    if (answer.status !== 200) {
      await discard(answer);
      throw new EngineError("invalid", `failed to GET ${bare.url.href} with status ${answer.status}`);
    }
    const size = Number(answer.headers["content-length"] ?? Number.NaN);
    const modifiedAt = Date.parse(String(answer.headers["last-modified"] ?? ""));
    return {
      body: answer.body,
      size: Number.isSafeInteger(size) ? size : undefined,
      modifiedAt: Number.isNaN(modifiedAt) ? undefined : modifiedAt,
    };
  }

  configure(settings: RemoteSettings): void {
    const before = this.#shared;
    this.#shared = makeShared(settings);
    void before.connections.close();
  }

  async close(): Promise<void> {
    await this.#shared.connections.close();
  }
}

function makeShared(settings: RemoteSettings): Shared {
  return {
    settings: Object.freeze(settings),
    connections: new Connections(settings),
    tokens: new Tokens(),
    schemes: new Map(),
    challenges: new Map(),
  };
}

function withInsecure(settings: RemoteSettings, { domain }: Reference): RemoteSettings {
  return { ...settings, insecureRegistries: [...settings.insecureRegistries, domain] };
}

/** A mirror is not shown the registry's credentials, unless they were given for it. */
function credentialsAt({ mirror, host }: Endpoint, credentials: Credentials | undefined): Credentials | undefined {
  if (!mirror || credentials === undefined) return credentials;
  const owner = (credentials.serverAddress ?? "").replace(/^https?:\/\//, "").split("/", 1)[0];
  return owner === host ? credentials : undefined;
}
