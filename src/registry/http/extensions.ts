/** `/v2/_oci/ext/discover` and the same below a repository: what is here beyond the specification. */
import type { Exchange } from "./exchange.ts";
import { sendJson } from "./reply.ts";

/** As the extension's document has it. */
interface Extension {
  readonly name: string;
  readonly url: string;
  readonly description: string;
  readonly endpoints: readonly string[];
}

const SPECIFICATION = "https://github.com/opencontainers/distribution-spec/blob/main/extensions/_oci.md";
const CATALOG = "https://distribution.github.io/distribution/spec/api/#listing-repositories";

const OF_REGISTRY: readonly Extension[] = [
  { name: "_oci", url: SPECIFICATION, description: "What else is here", endpoints: ["_oci/ext/discover"] },
  { name: "_catalog", url: CATALOG, description: "Repositories, page by page", endpoints: ["_catalog"] },
];
const OF_REPOSITORY: readonly Extension[] = [
  { name: "_oci", url: SPECIFICATION, description: "What else is here", endpoints: ["_oci/ext/discover"] },
  {
    name: "_gantry",
    // Where this registry's page is, which uses it.
    url: "/ui/",
    description: "Tags with digests, sizes, platforms and times",
    endpoints: ["_gantry/tags/list"],
  },
];

export async function discoverExtensions({ response, name }: Exchange): Promise<void> {
  sendJson(response, 200, { extensions: name === "" ? OF_REGISTRY : OF_REPOSITORY });
}
