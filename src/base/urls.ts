/** User names and passwords in addresses: they go to the server alone, never into what is shown or kept. */

/** "https://me:secret@host/" → "https://***@host/", in every address of a text; a name alone stays for ssh and git, whose it is no secret. */
export const withoutPassword = (text: string): string =>
  text.replace(/\b([a-z][a-z0-9+.-]*:\/\/)([^\s/?#'"]*)@/gi, (whole, scheme: string, user: string) =>
    /^(?:ssh|git):/i.test(scheme) && /^[\w.-]*$/.test(user) ? whole : `${scheme}***@`,
  );

/** What the server of an http(s) address is asked with: the address bare, its user and password as a header. Throws TypeError for no address. */
export function authorized(address: string): { readonly url: URL; readonly headers: Readonly<Record<string, string>> } {
  const url = new URL(address);
  const { username, password } = url;
  if (username === "" && password === "") return { url, headers: {} };
  url.username = "";
  url.password = "";
  const pair = [username, password].map(decoded).join(":");
  return { url, headers: { Authorization: `Basic ${Buffer.from(pair).toString("base64")}` } };
}

/** As it stands where it is not escaped as it ought to be. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
