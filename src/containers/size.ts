import type { Container } from "./container.ts";
import type { Context } from "./context.ts";

/** Bytes of the writable part, and with the image's layers. */
export async function containerSize(
  { snapshots }: Context,
  container: Container,
): Promise<{ SizeRw: number; SizeRootFs: number }> {
  const SizeRw = await snapshots.usage(container.id).catch(() => 0);
  let SizeRootFs = SizeRw;
  for (let chainId = container.definition.chainId; chainId !== undefined; ) {
    const layer = snapshots.layer(chainId);
    SizeRootFs += layer?.size ?? 0;
    chainId = layer?.parent;
  }
  return { SizeRw, SizeRootFs };
}
