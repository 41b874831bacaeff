/** The Python web application of the usual tutorials, on Debian: built by both CLIs, changed, and asked for its page. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { startDaemon } from "../src/testing/daemon.ts";
import { savedImage } from "./build/saved.ts";
import { Cli, missing } from "./lib/cli.ts";
import { debianArchive, missingDebian } from "./lib/debian.ts";

/** Without a network the package index is a stage. */
const DOCKERFILE = `FROM debian-python AS index
COPY tinyweb /src
RUN pip3 wheel --no-build-isolation --no-deps --no-index --wheel-dir /index /src

FROM debian-python
WORKDIR /app
COPY requirements.txt .
RUN --mount=type=bind,from=index,source=/index,target=/index \\
    --mount=type=cache,target=/root/.cache/pip \\
    pip3 install --break-system-packages --no-index --find-links /index -r requirements.txt
COPY . .
EXPOSE 8000
ENV PYTHONUNBUFFERED=1 GREETING=Hello
CMD ["python3", "app.py"]
`;

const FILES: Readonly<Record<string, string>> = {
  Dockerfile: DOCKERFILE,
  ".dockerignore": "__pycache__\n.git\ntinyweb\n!tinyweb\n",
  "requirements.txt": "tinyweb==1.0\n",
  "app.py": 'import os, tinyweb\ntinyweb.serve(8000, os.environ["GREETING"] + " from a container")\n',
  "tinyweb/setup.py": 'from setuptools import setup\nsetup(name="tinyweb", version="1.0", py_modules=["tinyweb"])\n',
  "tinyweb/tinyweb.py": `from http.server import BaseHTTPRequestHandler, HTTPServer
def serve(port, text):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())
    HTTPServer(("", port), Handler).serve_forever()
`,
};

function project(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "gantry-python-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

test("the Python web application of the tutorials", { skip: missingDebian() || missing("docker") }, async (t) => {
  const archive = debianArchive("python", ["python3-minimal", "python3-pip"]);
  const folder = project(t);
  await using daemon = await startDaemon();
  const [docker, gantry] = [new Cli("docker", daemon), new Cli("gantry", daemon)];
  await gantry.ok("import", archive, "debian-python");

  await docker.ok("build", "--no-cache", "-t", "by-docker", folder);
  await gantry.ok("build", "--no-cache", "-t", "by-gantry", folder);
  const [classic, own] = [await savedImage(daemon, "by-docker"), await savedImage(daemon, "by-gantry")];
  assert.deepEqual(own.config, classic.config);
  assert.deepEqual(own.history, classic.history);
  assert.deepEqual(own.layers.map(withoutCompiled), classic.layers.map(withoutCompiled));

  const id = await gantry.ok("run", "-d", "-p", "127.0.0.1::8000", "by-gantry");
  const address = await gantry.ok("port", id, "8000");
  assert.equal(await page(address), "Hello from a container");

  writeFileSync(join(folder, "app.py"), 'import tinyweb\ntinyweb.serve(8000, "changed")\n');
  const again = await gantry.run("build", "--progress", "plain", "-t", "by-gantry", folder);
  assert.match(again.err, /pip3 install[^\n]*\n#\d+ CACHED/);
  assert.doesNotMatch(again.err, /COPY \. \.\n#\d+ CACHED/);
  const second = await gantry.ok("run", "-d", "-p", "127.0.0.1::8000", "by-gantry");
  assert.equal(await page(await gantry.ok("port", second, "8000")), "changed");
});

/** Compiled Python holds the time of its source, and pip writes down when it ran. */
function withoutCompiled(layer: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(layer).filter(([path]) => !/\.pyc$|\/RECORD$/.test(path)));
}

async function page(address: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await (await fetch(`http://${address.split("\n")[0]}/`)).text();
    } catch (error) {
      if (attempt > 500) throw error;
      await sleep(20);
    }
  }
}
