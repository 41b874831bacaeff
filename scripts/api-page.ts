/** Writes docs/api.md: which of the API's operations and fields work, from the rows that e2e/api-page.test.ts tries. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG_FIELDS } from "../e2e/api/config-fields.ts";
import { HOST_FIELDS } from "../e2e/api/host-fields.ts";
import { OPERATIONS } from "../e2e/api/operations.ts";
import { RESOURCE_FIELDS } from "../e2e/api/resource-fields.ts";
import type { Row } from "../e2e/api/rows.ts";

export const API_PAGE = join(import.meta.dirname, "..", "docs", "api.md");

const byName = (rows: readonly Row[]) => rows.toSorted((a, b) => (a.name < b.name ? -1 : 1));

export const SECTIONS: readonly { readonly title: string; readonly rows: readonly Row[] }[] = [
  { title: "Containers, execs, the engine", rows: OPERATIONS },
  { title: "Fields of a container's Config", rows: byName(CONFIG_FIELDS) },
  { title: "Fields of a container's HostConfig", rows: byName([...HOST_FIELDS, ...RESOURCE_FIELDS]) },
];

const HEAD = `# The API

Gantry serves the Docker Engine API 1.51, and older versions back to 1.24. Here is what works of it, for containers and the engine itself.
Each "yes" is tried on a real daemon by \`e2e/api-page.test.ts\`; this page is written by \`node scripts/api-page.ts\` from the same rows,
in \`e2e/api/\`. What more there is to know of images, networks, volumes, builds and logs is on pages of their own.
`;

export function apiPage(): string {
  return [HEAD, ...SECTIONS.map(section)].join("\n");
}

function section({ title, rows }: (typeof SECTIONS)[number]): string {
  const lines = rows.map(
    ({ name, check, note = "" }) => `| \`${name}\` | ${check === undefined ? "no" : "yes"} | ${note} |`,
  );
  return `## ${title}\n\n| | works | |\n|---|---|---|\n${lines.join("\n")}\n`;
}

if (import.meta.main) writeFileSync(API_PAGE, apiPage());
