/** The registry's page in a real browser. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { MEDIA } from "../src/oci/media-types.ts";
import type { Descriptor } from "../src/oci/types.ts";
import { hashPassword } from "../src/registry/auth/add-user.ts";
import { type Browser, startBrowser } from "../src/testing/browser.ts";
import { startRegistry, type TestRegistry } from "../src/testing/registry.ts";

const folder = mkdtempSync(join(tmpdir(), "gantry-registry-page-"));
const HOSTILE = `<img src=x onerror="document.title='owned'">`;
let browser: Browser;

before(async () => {
  browser = await startBrowser();
});
after(async () => {
  await browser[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function pushRealImage(
  registry: TestRegistry,
  name: string,
  tag: string | undefined,
  architecture: string,
): Promise<Descriptor> {
  const layers = [
    await registry.pushBlob(name, "first ".repeat(500)),
    await registry.pushBlob(name, "second ".repeat(300_000)),
  ];
  const details = {
    os: "linux",
    architecture,
    created: "2026-01-02T03:04:05Z",
    config: {
      Cmd: ["nginx", "-g", "daemon off;"],
      Env: ["LANG=C.UTF-8"],
      Labels: { note: HOSTILE },
      ExposedPorts: { "80/tcp": {} },
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ digest }) => digest) },
    history: [
      { created_by: "ADD rootfs.tar /" },
      { created_by: "ENV LANG=C.UTF-8", empty_layer: true },
      { created_by: "RUN apt-get install nginx" },
    ],
  };
  const config = { ...(await registry.pushBlob(name, JSON.stringify(details))), mediaType: MEDIA.ociConfig };
  const annotations = { "org.example.note": HOSTILE };
  return await registry.pushManifest(
    name,
    { schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers, annotations },
    tag,
  );
}

describe("a registry for everyone", () => {
  let registry: TestRegistry;
  let amd64: Descriptor;
  before(async () => {
    registry = await startRegistry();
    amd64 = await pushRealImage(registry, "team/web", "v1", "amd64");
    const arm64 = await pushRealImage(registry, "team/web", undefined, "arm64");
    const platform = (architecture: string) => ({ os: "linux", architecture });
    const manifests = [
      { ...amd64, platform: platform("amd64") },
      { ...arm64, platform: platform("arm64") },
    ];
    await registry.pushManifest("team/web", { schemaVersion: 2, mediaType: MEDIA.ociIndex, manifests }, "multi");
    await registry.pushImage("team/web", undefined, "sbom", { subject: amd64, artifactType: "example/sbom" });
    for (let i = 0; i < 3; i++) await registry.pushImage(`other/r${i}`, "latest", "x");
  });
  after(() => registry[Symbol.asyncDispose]());

  test("/ leads to the list of repositories, which can be filtered", async () => {
    await browser.open(`${registry.url}/`);
    assert.equal(await browser.run("location.pathname"), "/ui/");
    assert.equal(await browser.text("#repositories"), "other/r0\nother/r1\nother/r2\nteam/web");
    await browser.type("input[type=search]", "team");
    assert.equal(await browser.text("#repositories"), "team/web");
  });

  test("a repository shows its tags with digests, platforms, sizes and times", async () => {
    await browser.open(`${registry.url}/ui/`);
    await browser.click("#repositories a", "team/web");
    const tags = await browser.text("#tags");
    assert.match(tags, new RegExp(`v1\\s+${amd64.digest.slice(0, 19)}\\s+linux/amd64\\s+2\\.10 MB`));
    assert.match(tags, /multi\s+sha256:[0-9a-f]{12}\s+linux\/amd64, linux\/arm64\s+4\.21 MB/);
    assert.match(await browser.text("main"), new RegExp(`docker pull ${registry.host}/team/web:multi`));
  });

  test("a tag shows its configuration, and its layers beside the steps that made them", async () => {
    await browser.click("#tags a", "v1");
    assert.equal(await browser.text("#digest"), amd64.digest);
    const config = await browser.text("#config");
    assert.match(config, /Platform\s+linux\/amd64/);
    assert.match(config, /Command\s+nginx -g "daemon off;"/);
    assert.match(config, /Ports\s+80\/tcp/);
    const rows = (await browser.text("#layers tbody")).split("\n");
    assert.match(rows[0] ?? "", /^sha256:[0-9a-f]{12}\s+3\.00 kB\s+ADD rootfs\.tar/);
    assert.match(rows[1] ?? "", /^\s*ENV LANG/);
    assert.match(rows[2] ?? "", /^sha256:[0-9a-f]{12}\s+2\.10 MB\s+RUN apt-get/);
  });

  test("what refers to a manifest is listed and can be followed", async () => {
    assert.match(await browser.text("#referrers"), /example\/sbom/);
    await browser.click("#referrers a");
    await browser.until('document.querySelector("h1").innerText.includes("@sha256:")');
    assert.match(await browser.text("main"), /Type\s+example\/sbom/);
  });

  test("an index shows its manifests by platform", async () => {
    await browser.open(`${registry.url}/ui/#/team/web:multi`);
    assert.match(await browser.text("#manifests"), /linux\/arm64/);
    await browser.click("#manifests tr:nth-child(2) a");
    assert.match(await browser.text("#config"), /linux\/arm64/);
  });

  test("what is not there is said to be not there", async () => {
    await browser.open(`${registry.url}/ui/#/team/web:none`);
    assert.equal(await browser.text("h1"), "Not here");
    assert.equal(await browser.text("#problem"), "manifest unknown");
  });

  test("markup in annotations and labels is text", async () => {
    await browser.open(`${registry.url}/ui/#/team/web:v1`);
    assert.ok((await browser.text("#config")).includes(HOSTILE));
    assert.equal(await browser.run("document.querySelectorAll('main img').length"), 0);
    assert.notEqual(await browser.run("document.title"), "owned");
  });

  for (const [what, details] of [
    ["whose parts are texts", { rootfs: {}, history: "x", config: "x", created: "x", author: { a: 1 }, os: [] }],
    [
      "whose parts are no lists",
      {
        rootfs: 1,
        history: [null, 1, { created_by: HOSTILE }],
        config: { Env: { a: 1 }, Cmd: "x", Labels: [HOSTILE] },
      },
    ],
    ["that is nothing", null],
  ] as const)
    test(`a configuration ${what} takes nothing from the view`, async () => {
      const config = { ...(await registry.pushBlob("odd/one", JSON.stringify(details))), mediaType: MEDIA.ociConfig };
      const layers = [await registry.pushBlob("odd/one", "layer")];
      const manifest = { schemaVersion: 2, mediaType: MEDIA.ociManifest, config, layers };
      const { digest } = await registry.pushManifest("odd/one", manifest, "v1");
      await browser.open(`${registry.url}/ui/#/odd/one@${digest}`);
      await browser.until(`document.querySelector("#digest")?.innerText === ${JSON.stringify(digest)}`);
      assert.match(await browser.text("#layers"), /5 B/);
      assert.equal(await browser.run("document.querySelectorAll('main img').length"), 0);
    });

  for (const address of ["%", "%ff/x", "<img src=x>", "a?b", "../../x", `team/web:${"v".repeat(300)}`])
    test(`the address #/${address.slice(0, 20)} is said to be not there, or wrong`, async () => {
      await browser.open(`${registry.url}/ui/`);
      await browser.run(`location.hash = ${JSON.stringify(`#/${address}`)}; 1`);
      await browser.until('document.querySelector("#problem") !== null');
      assert.equal(await browser.run("document.querySelectorAll('main img').length"), 0);
    });

  test("the page complained about nothing, and no other page may frame it or run scripts in it", async () => {
    assert.deepEqual(browser.complaints, []);
    const policy = (await registry.fetch("GET", "/ui/")).headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.match(policy, /frame-ancestors 'none'/);
    assert.equal((await registry.fetch("GET", "/ui/..%2fpage.ts")).status, 404);
  });
});

for (const scheme of ["basic", "token"] as const)
  describe(`a registry with users, by ${scheme}`, () => {
    let registry: TestRegistry;
    before(async () => {
      const htpasswd = join(folder, "users");
      writeFileSync(htpasswd, await hashPassword("alice", "pässword", 4));
      await using writer = await startRegistry({ root: join(folder, scheme) });
      await writer.pushImage("team/secret", "v1", "x");
      await writer[Symbol.asyncDispose]();
      registry = await startRegistry({ root: join(folder, scheme), auth: { htpasswd, scheme } });
    });
    after(() => registry[Symbol.asyncDispose]());

    const logIn = async (password: string) => {
      await browser.type("input[name=user]", "alice");
      await browser.type("input[name=password]", password);
      await browser.click("form button");
    };

    test("asks for name and password, says when they are wrong, and shows what they open", async () => {
      await browser.open(`${registry.url}/ui/`);
      // Anyone gets a token, which opens nothing.
      if (scheme === "token") assert.equal(await browser.text("#repositories"), "Nothing here.");
      await browser.click("#who button", "Log in");
      assert.equal(await browser.text("h1"), "Log in");
      await logIn("wrong");
      assert.match(await browser.text("#problem"), /does not let alice/);
      await logIn("pässword");
      assert.equal(await browser.text("#repositories"), "team/secret");
      assert.match(await browser.text("#who"), /^alice/);
      await browser.click("#repositories a", "team/secret");
      await browser.click("#tags a", "v1");
      assert.match(await browser.text("#digest"), /^sha256:/);
      await browser.click("#who button", "Log out");
      await browser.until('document.querySelector("h1").innerText === "Log in"');
    });
  });
