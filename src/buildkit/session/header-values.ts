/** Lists as metadata of a call. What is not ASCII makes a list escaped, and a further header says so. */
export function headerValues(lists: Readonly<Record<string, readonly string[]>>): Record<string, readonly string[]> {
  const headers: Record<string, readonly string[]> = {};
  for (const [name, values] of Object.entries(lists)) {
    if (values.length === 0) continue;
    const plain = values.every((value) => /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(value));
    headers[name] = plain ? values : values.map(encodeURIComponent);
    if (!plain) headers[`${name}-encoded`] = ["1"];
  }
  return headers;
}
