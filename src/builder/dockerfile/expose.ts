/** Ports of EXPOSE: "80", "53/udp", "8000-8010", and the forms of `docker run -p`, of which only the container's port counts. */
/** "80/tcp" for each port. Throws SyntaxError with Docker's text. */
export function parseExposedPort(text: string): string[] {
  const parts = text.split(":");
  const container = parts.at(-1) ?? "";
  const slash = container.indexOf("/");
  const ports = slash < 0 ? container : container.slice(0, slash);
  const protocol = slash < 0 ? "tcp" : container.slice(slash + 1).toLowerCase() || "tcp";
  if (ports === "") throw new SyntaxError(`no port specified: ${container}<empty>`);
  if (!PROTOCOLS.has(protocol)) throw new SyntaxError(`invalid proto: ${protocol}`);
  checkAddress(parts.slice(0, -2).join(":"));
  const [first, last] = parseRange(ports) ?? fail(`invalid containerPort: ${ports}`);
  checkHostPort(parts.at(-2) ?? "", { ports, count: last - first });
  return Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol}`);
}

const PROTOCOLS = new Set(["tcp", "udp", "sctp"]);

function checkAddress(text: string): void {
  if (text !== "" && !isAddress(text.replace(/^\[(.*)\]$/, "$1"))) fail(`invalid IP address: ${text}`);
}

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

function isAddress(text: string): boolean {
  return IPV4.test(text) || (/^[\da-fA-F:.]{2,45}$/.test(text) && URL.canParse(`http://[${text}]/`));
}

function checkHostPort(text: string, { ports, count }: { readonly ports: string; readonly count: number }): void {
  if (text === "") return;
  const [first, last] = parseRange(text) ?? fail(`invalid hostPort: ${text}`);
  if (count !== 0 && last - first !== count)
    fail(`invalid ranges specified for container and host Ports: ${ports} and ${text}`);
}

function parseRange(text: string): readonly [first: number, last: number] | undefined {
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const range = [Number(first), Number(last)] as const;
  return first !== undefined && range[0] <= range[1] && range[1] <= 65535 ? range : undefined;
}

function fail(message: string): never {
  throw new SyntaxError(message);
}
