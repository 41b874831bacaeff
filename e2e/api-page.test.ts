/** Everything that docs/api.md says works, tried; and that the page leaves nothing out and is as it would be written now. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { API_PAGE, apiPage, SECTIONS } from "../scripts/api-page.ts";
import { CONTAINER_FIELDS } from "../src/api/json/requests.ts";
import { routes } from "../src/api/routes/table.ts";
import { unsupportedRoutes } from "../src/api/routes/unsupported.ts";
import { startDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { Try } from "./api/try.ts";

const [OPERATIONS, CONFIG, HOST] = SECTIONS.map(({ rows }) => rows);
const namesOf = (rows: typeof OPERATIONS) => (rows ?? []).map(({ name }) => name);

test("the page is as it would be written now", () => {
  assert.equal(readFileSync(API_PAGE, "utf8"), apiPage(), "write it again: node scripts/api-page.ts");
});

test("every operation on containers, execs and the engine is on it, and none is said to work that is refused", () => {
  const ours = /^\/(containers|exec|_ping|auth|info|version|events|system)\b/;
  const own = ["POST /system/prune"];
  const served = routes.filter(({ path }) => ours.test(path)).map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(namesOf(OPERATIONS).toSorted(), served.filter((name) => !own.includes(name)).toSorted());
  const refused = new Set(unsupportedRoutes.map(({ method, path }) => `${method} ${path}`));
  for (const { name, check } of OPERATIONS ?? []) assert.equal(check === undefined, refused.has(name), name);
});

test("every field that a request may have is on it", () => {
  assert.deepEqual(namesOf(CONFIG).toSorted(), CONTAINER_FIELDS.Config.toSorted());
  assert.deepEqual(namesOf(HOST).toSorted(), CONTAINER_FIELDS.HostConfig.toSorted());
});

describe("what works", () => {
  let daemon: TestDaemon;
  let at: Try;
  before(async () => {
    const cdi = mkdtempSync(join(tmpdir(), "gantry-cdi-"));
    daemon = await startDaemon({ flags: ["--cdi-spec-dir", cdi] });
    at = new Try(daemon, cdi);
  });
  after(async () => {
    await daemon[Symbol.asyncDispose]();
    rmSync(at.cdi, { recursive: true, force: true });
  });

  for (const { title, rows } of SECTIONS)
    describe(title, () => {
      for (const { name, check, needs } of rows)
        if (check !== undefined)
          test(name, async (t) => {
            if (needs !== undefined && !needs(at.features)) return t.skip("this kernel lacks it");
            try {
              await check(at);
            } finally {
              await at.clear();
            }
          });
    });
});
