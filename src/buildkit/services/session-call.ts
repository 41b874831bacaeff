import { Duplex, PassThrough, Readable } from "node:stream";
import type { Method } from "../grpc/server.ts";
import { decode } from "../protobuf/decode.ts";
import { encode } from "../protobuf/encode.ts";
import type { Sessions } from "../session/sessions.ts";
import { BytesMessage } from "../wire/session.ts";

/** A session within a call, as Bake opens the one that its targets share: what `POST /session` takes over goes back and forth in messages. */
export function sessionCall(sessions: Sessions): Method {
  return async function* (requests, { metadata, signal }) {
    const serve = sessions.begin(metadata);
    const sent = new PassThrough();
    const received = Readable.from(bodiesOf(requests), { objectMode: false });
    const connection = Duplex.from({ readable: received, writable: sent } as unknown as Parameters<
      typeof Duplex.from
    >[0]);
    connection.on("error", () => {});
    const end = () => void connection.destroy();
    signal.addEventListener("abort", end, { once: true });
    if (signal.aborted) end();
    const served = serve(connection).finally(() => sent.end());
    try {
      for await (const data of sent as AsyncIterable<Buffer>) yield encode(BytesMessage, { data });
    } finally {
      signal.removeEventListener("abort", end);
      end();
      await served;
    }
  };
}

async function* bodiesOf(requests: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  for await (const body of requests) yield decode(BytesMessage, body).data;
}
