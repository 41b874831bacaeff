/** What builds came to, as other builds of the same client name it: Bake's `target:` contexts. */
import { type Digest, digestOf } from "../../base/digest.ts";
import { newId } from "../../base/ids.ts";
import type { BuildResult } from "../../builder/builder.ts";
import { formatPlatform } from "../../oci/platform.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import type { MessageOf, PartOf } from "../protobuf/message.ts";
import type { Result } from "../wire/gateway.ts";
import { type Definition, Op } from "../wire/ops.ts";

/** A source of this engine's own: clients hand it back as they got it. */
const SCHEME = "gantry-image://";

export class Results {
  keep({ images }: BuildResult): Result {
    const metadata: Record<string, Uint8Array> = {};
    const platforms = images.map(({ platform }) => formatPlatform(platform));
    for (const [at, { configBytes }] of images.entries()) {
      metadata[images.length > 1 ? `containerimage.config/${platforms[at]}` : "containerimage.config"] = configBytes;
    }
    const refs = images.map(({ id }) => ({ id: newId(), def: definitionOf(id) }));
    const [first] = refs;
    if (refs.length === 1 && first !== undefined) return { ref: first, metadata };
    const shown = platforms.map((ID, at) => ({ ID, Platform: images[at]?.platform }));
    metadata["refs.platforms"] = Buffer.from(JSON.stringify({ Platforms: shown }));
    return { refs: { refs: Object.fromEntries(refs.map((ref, at) => [platforms[at] ?? "", ref])) }, metadata };
  }

  /** The image that a definition of `keep` names; undefined for others. */
  imageOf({ def }: MessageOf<typeof Definition>): string | undefined {
    for (const bytes of def) {
      const identifier = decode(Op, bytes).source?.identifier ?? "";
      if (identifier.startsWith(SCHEME)) return identifier.slice(SCHEME.length);
    }
    return undefined;
  }
}

/** One source, and the end that names it. */
function definitionOf(image: Digest): PartOf<typeof Definition> {
  const source = encode(Op, { source: { identifier: `${SCHEME}${image}` } });
  const end = encode(Op, { inputs: [{ digest: digestOf(source), index: 0 }] });
  return { def: [source, end], metadata: { [digestOf(source)]: {}, [digestOf(end)]: {} } };
}
