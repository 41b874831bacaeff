/** "x2" before "x10". */
export function naturalOrder(a: string, b: string): number {
  const [partsA, partsB] = [a.split(/(\d+)/), b.split(/(\d+)/)];
  for (let index = 0; index < Math.min(partsA.length, partsB.length); index++) {
    const [one = "", other = ""] = [partsA[index], partsB[index]];
    if (one === other) continue;
    const numbers = index % 2 === 1 && Number(one) !== Number(other);
    return numbers ? Number(one) - Number(other) : one < other ? -1 : 1;
  }
  return partsA.length - partsB.length;
}
