/**
 * The registry module's contract: a registry of the OCI distribution specification 1.1, for Docker's clients too. It knows nothing of
 * images, snapshots or containers, so that it can run alone.
 *
 * Vocabulary
 *   root        the folder with everything that lasts (storage/layout.ts draws it); plain files, each appears whole or not at all
 *   writer      the one process that may change a root; it holds the lock. Any number of readers serve the same root beside it
 *   blob        immutable bytes, stored once for all repositories under their digest
 *   link        what makes a blob or a manifest part of a repository; without one the repository does not have it
 *   upload      bytes on their way to a blob; resumable, also by the next process
 *   subject     the manifest another one is about; the other is its referrer
 *
 * Life of a push: POST opens an upload; PATCH and PUT append; PUT compares the digest, syncs, links the blob and renames the upload to
 * it. A manifest is checked (its blobs must be linked in the same repository), stored like a blob, listed with its subject's
 * referrers, linked, and last tagged. A kill between any two steps leaves nothing half-written visible, and what was answered stays.
 * What no repository reaches any more is removed by `collect`, while requests go on.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "../base/log.ts";
import type { RemoteSettings } from "../remote/remote.ts";
import type { AuthConfig, CollectionConfig } from "./config/config.ts";
import type { Collected } from "./gc/collect.ts";
import type { RetentionRule } from "./gc/retention.ts";
import type { Lender } from "./lend.ts";
import type { Quota } from "./quotas.ts";
import type { UpstreamConfig } from "./upstream/upstream.ts";
import type { WebhookConfig } from "./webhooks/queue.ts";

export interface RegistryOptions {
  readonly root: string;
  /** Serve a root that another process writes; pushes and deletions are refused. Default false. */
  readonly readOnly?: boolean | undefined;
  readonly logger?: Logger | undefined;
  /** How clients reach it, when a proxy stands before it. Default: what they say themselves. */
  readonly url?: string | undefined;
  /** Who may do what; default: everyone everything. */
  readonly auth?: AuthConfig | undefined;
  /** What `collect` takes away, and how often it runs by itself (default: never). */
  readonly collection?: CollectionConfig | undefined;
  readonly retention?: readonly RetentionRule[] | undefined;
  readonly quotas?: readonly Quota[] | undefined;
  /** Registries that this one is a cache of. */
  readonly upstreams?: readonly UpstreamConfig[] | undefined;
  /** How upstreams are reached: proxies, certificates. */
  readonly remote?: Partial<RemoteSettings> | undefined;
  readonly webhooks?: readonly WebhookConfig[] | undefined;
  /** Who may read /metrics, where there are users. Default: those. */
  readonly metricsFor?: "anyone" | "users" | undefined;
  /** A store on this machine whose blobs need not be sent. */
  readonly lender?: Lender | undefined;
}

export interface Registry extends AsyncDisposable {
  /** Answers one request; never rejects. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Takes away what nobody reaches; one collection at a time. */
  collect(options?: { readonly grace?: number | undefined; readonly dryRun?: boolean | undefined }): Promise<Collected>;
}
