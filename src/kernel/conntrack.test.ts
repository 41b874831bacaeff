import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { ConntrackSocket } from "./conntrack.ts";
import { applyRuleset } from "./nftables.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";

test("a flow that is forgotten follows the rules of now, others go on as before", { skip }, async () => {
  const [front, table] = [22_931, `gantry_ct_${process.pid}`];
  const got = [0, 0];
  const servers = await Promise.all(
    got.map(
      (_, index) =>
        new Promise<ReturnType<typeof createSocket>>((resolve) => {
          const socket = createSocket("udp4").on("message", () => {
            got[index] = (got[index] ?? 0) + 1;
          });
          socket.bind(0, "127.0.0.1", () => resolve(socket));
        }),
    ),
  );
  const [one, two] = servers.map((socket) => socket.address().port);
  const sendTo = (port: number | undefined, mine: number) =>
    applyRuleset(`add table ip ${table}
delete table ip ${table}
table ip ${table} {
  chain output {
    type nat hook output priority -100
    ip daddr 127.0.0.1 udp dport ${mine} dnat to 127.0.0.1:${port}
  }
}
`);
  const client = createSocket("udp4");
  const conntrack = new ConntrackSocket();
  const send = () =>
    new Promise<void>((resolve) => client.send("x", front, "127.0.0.1", () => setTimeout(resolve, 50)));
  try {
    await sendTo(one, front);
    await send();
    assert.deepEqual(got, [1, 0]);
    await sendTo(two, front);
    await send();
    assert.deepEqual(got, [2, 0], "what was translated once is translated so again");
    await conntrack.forget([
      { family: 4, protocol: 17, port: front + 1 },
      { family: 6, protocol: 17, port: front },
    ]);
    await send();
    assert.deepEqual(got, [3, 0], "flows of others are not touched");
    await conntrack.forget([{ family: 4, protocol: 17, port: front }]);
    await send();
    assert.deepEqual(got, [3, 1]);
  } finally {
    conntrack.close();
    for (const socket of [client, ...servers]) socket.close();
    await applyRuleset(`add table ip ${table}\ndelete table ip ${table}\n`);
  }
});
