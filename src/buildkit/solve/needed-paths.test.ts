import assert from "node:assert/strict";
import { test } from "node:test";
import { neededPaths } from "./needed-paths.ts";

const KNOWN: Readonly<Record<string, readonly string[]>> = { plain: [], triggers: ["COPY . /"] };

function needed(text: string, attributes: Readonly<Record<string, string>> = {}) {
  return neededPaths({
    attributes,
    dockerfile: { text, name: "Dockerfile" },
    onBuild: (name) => KNOWN[name.split(":")[0] ?? ""],
  });
}

test("the files that steps of needed stages name are needed, and no others", () => {
  const text = `FROM plain AS unused
COPY never /
FROM plain AS one
COPY a b/ ./c/../d /x/
ADD https://host/f git@host:r *.go /y/
FROM plain
COPY --from=one /x /x
RUN --mount=type=bind,source=e,target=/e --mount=type=cache,target=/c true
`;
  assert.deepEqual(needed(text)?.toSorted(), ["*.go", "a", "b", "d", "e"]);
  assert.deepEqual(needed("FROM plain\nRUN true\nCOPY <<E /f\ntext\nE\n"), []);
});

const ALL: Readonly<Record<string, string>> = {
  "a whole context": "FROM plain\nCOPY . /\n",
  "its root": "FROM plain\nCOPY / /\n",
  "a way back to it": "FROM plain\nCOPY a/.. /\n",
  "a variable": "FROM plain\nARG A\nCOPY $A /\n",
  "a mount without a source": "FROM plain\nRUN --mount=target=/m true\n",
  "triggers of the base": "FROM triggers\nRUN true\n",
  "a base that is not here": "FROM elsewhere\nRUN true\n",
  "triggers of its own": "FROM plain AS a\nONBUILD COPY x /\nFROM a\n",
  "what cannot be read": "FROM plain\nNOTHING\n",
};

for (const [what, text] of Object.entries(ALL))
  test(`${what}: all may be needed`, () => {
    assert.equal(needed(text), undefined);
  });

test("who pulls does not know the base", () => {
  assert.equal(needed("FROM plain\nCOPY a /\n", { "image-resolve-mode": "pull" }), undefined);
  assert.equal(needed("FROM plain\nCOPY a /\n", { "context:plain": "docker-image://other" }), undefined);
});
