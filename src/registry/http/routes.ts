/** Every endpoint: its path, and what each method does there. */

import { issueToken } from "../auth/token-service.ts";
import { goToPage, sendPage } from "../page/page.ts";
import { getBlob, headBlob, removeBlob } from "./blobs.ts";
import { browseTags } from "./browse.ts";
import type { Exchange, Handler } from "./exchange.ts";
import { discoverExtensions } from "./extensions.ts";
import { listRepositories, listTags } from "./lists.ts";
import { getManifest, putManifest, removeManifest } from "./manifests.ts";
import { listReferrers } from "./referrers.ts";
import { sendJson } from "./reply.ts";
import { health, metrics } from "./state.ts";
import { appendUpload, cancelUpload, finishUpload, startUpload, uploadStatus } from "./uploads.ts";

/** What a client must be allowed to. */
export type Action = "pull" | "push" | "delete";

export interface Endpoint {
  /** "open": nothing; "any": the handler looks itself at who it is. */
  readonly action: Action | "open" | "any";
  readonly handle: Handler;
}

export interface Route {
  /** For metrics. */
  readonly name: string;
  readonly path: RegExp;
  readonly methods: Readonly<Record<string, Endpoint>>;
}

const pull = (handle: Handler): Endpoint => ({ action: "pull", handle });
const push = (handle: Handler): Endpoint => ({ action: "push", handle });
const remove = (handle: Handler): Endpoint => ({ action: "delete", handle });
const open = (handle: Handler): Endpoint => ({ action: "open", handle });

export const ROUTES: readonly Route[] = [
  { name: "page", path: /^\/ui\/(?<file>[^/]*)$/, methods: { GET: open(sendPage), HEAD: open(sendPage) } },
  { name: "page", path: /^\/(?:ui)?$/, methods: { GET: open(goToPage), HEAD: open(goToPage) } },
  { name: "health", path: /^\/healthz$/, methods: { GET: open(health), HEAD: open(health) } },
  { name: "metrics", path: /^\/metrics$/, methods: { GET: { action: "any", handle: metrics } } },
  { name: "token", path: /^\/token$/, methods: { GET: open(token), POST: open(token) } },
  { name: "base", path: /^\/v2\/?$/, methods: { GET: pull(base), HEAD: pull(base) } },
  { name: "catalog", path: /^\/v2\/_catalog$/, methods: { GET: pull(listRepositories) } },
  {
    name: "extensions",
    path: /^\/v2\/(?:(?<name>.+)\/)?_oci\/ext\/discover$/,
    methods: { GET: pull(discoverExtensions) },
  },
  {
    name: "browse",
    path: /^\/v2\/(?<name>.+)\/_gantry\/tags\/list$/,
    methods: { GET: pull(browseTags) },
  },
  { name: "tags", path: /^\/v2\/(?<name>.+)\/tags\/list$/, methods: { GET: pull(listTags) } },
  {
    name: "manifest",
    path: /^\/v2\/(?<name>.+)\/manifests\/(?<reference>[^/]+)$/,
    methods: {
      GET: pull(getManifest),
      HEAD: pull(getManifest),
      PUT: push(putManifest),
      DELETE: remove(removeManifest),
    },
  },
  { name: "uploads", path: /^\/v2\/(?<name>.+)\/blobs\/uploads\/?$/, methods: { POST: push(startUpload) } },
  {
    name: "upload",
    path: /^\/v2\/(?<name>.+)\/blobs\/uploads\/(?<id>[^/]+)$/,
    methods: {
      GET: push(uploadStatus),
      PATCH: push(appendUpload),
      PUT: push(finishUpload),
      DELETE: push(cancelUpload),
    },
  },
  {
    name: "blob",
    path: /^\/v2\/(?<name>.+)\/blobs\/(?<digest>[^/]+)$/,
    methods: { GET: pull(getBlob), HEAD: pull(headBlob), DELETE: remove(removeBlob) },
  },
  {
    name: "referrers",
    path: /^\/v2\/(?<name>.+)\/referrers\/(?<digest>[^/]+)$/,
    methods: { GET: pull(listReferrers) },
  },
];

async function token({ auth, request, response, query }: Exchange): Promise<void> {
  await issueToken(auth, { request, response }, query);
}

/** Says that this is a registry. */
async function base({ response }: Exchange): Promise<void> {
  sendJson(response, 200, {});
}
