/** Sizes as people read them, with Go's "%.3g"-like digits. */

const DECIMAL = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/** Powers of 1000: "1.23MB". `digits`: significant ones. */
export function humanSize(bytes: number, digits = 4): string {
  return scaled(bytes, 1000, DECIMAL, digits);
}

/** Powers of 1024: "1.23MiB". */
export function binarySize(bytes: number, digits = 4): string {
  return scaled(bytes, 1024, BINARY, digits);
}

function scaled(bytes: number, base: number, units: readonly string[], digits: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= base && unit < units.length - 1) {
    value /= base;
    unit++;
  }
  return `${significant(value, digits)}${units[unit]}`;
}

/** %.Ng: trailing zeros left out, an exponent where the digits do not reach. */
function significant(value: number, digits: number): string {
  const rounded = Number(value.toPrecision(digits));
  if (rounded !== 0 && Math.abs(rounded) >= 10 ** digits) {
    return value
      .toExponential(digits - 1)
      .replace(/\.?0+e/, "e")
      .replace(/e\+(\d)$/, "e+0$1");
  }
  return String(rounded);
}
