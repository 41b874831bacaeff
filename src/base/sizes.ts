const UNITS: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

/** An amount of data as people write it ("20GB", "1.5 GiB", "512k", "4096"), in bytes: "GB" and "G" count in thousands, "GiB" in 1024s. Undefined when the text is none. */
export function parseSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?|\.\d+)\s*([kmgtp]?)(i?)b?$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, count = "", unit = "", binary = ""] = match;
  const power = UNITS[unit.toLowerCase()] ?? 0;
  if (power === 0 && binary !== "") return undefined;
  const bytes = Math.round(Number(count) * (binary === "" ? 1000 : 1024) ** power);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
