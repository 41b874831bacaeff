/** Base images with the names that Dockerfiles in the wild begin with; their tools are small scripts that leave what the real ones would. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Cli } from "../lib/cli.ts";

const APT = `#!/bin/sh
case "$1" in
  update) mkdir -p /var/lib/apt/lists && echo lists > /var/lib/apt/lists/index ;;
  install) shift; for p; do case $p in -*) ;; *) mkdir -p /usr/share/doc/$p && echo "$p" > /usr/share/doc/$p/copyright ;; esac; done ;;
esac
`;
const APK = `#!/bin/sh
shift; for p; do case $p in -*|.*) ;; *) mkdir -p /lib/apk/db && echo "$p" >> /lib/apk/db/installed ;; esac; done
`;
const NPM = `#!/bin/sh
case "$1" in
  ci|install) [ -f package.json ] || exit 254; mkdir -p node_modules/dep "$HOME/.npm"; echo "module.exports=1" > node_modules/dep/index.js; echo cached > "$HOME/.npm/cache" ;;
  run) mkdir -p dist; cat src/* > dist/bundle.js ;;
  prune) rm -rf node_modules/dep ;;
esac
`;
const PIP = `#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = -r ] && { mkdir -p /usr/lib/python3/site-packages; while read -r line; do echo "$line" > "/usr/lib/python3/site-packages/\${line%%=*}"; done < "$2"; }; shift; done
`;
const GO = `#!/bin/sh
case "$1" in
  mod) mkdir -p /go/pkg/mod && cp go.sum /go/pkg/mod/sum ;;
  build) while [ $# -gt 0 ]; do [ "$1" = -o ] && out=$2; shift; done; mkdir -p "\${out%/*}"; { echo '#!/bin/sh'; echo "echo built for $GOOS/$GOARCH cgo=$CGO_ENABLED"; } > "$out"; chmod +x "$out" ;;
esac
`;
const MVN = `#!/bin/sh
mkdir -p target /root/.m2 && cat pom.xml > /root/.m2/pom && [ -d src ] && cat src/* > target/app.jar; exit 0
`;
const CARGO = `#!/bin/sh
mkdir -p target/release && cat src/*.rs > target/release/app && chmod +x target/release/app
`;
const BUNDLE = `#!/bin/sh
mkdir -p /usr/local/bundle && cp Gemfile.lock /usr/local/bundle/
`;
const COMPOSER = `#!/bin/sh
mkdir -p vendor && cp composer.json vendor/installed.json
`;
const USERADD = `#!/bin/sh
for last; do :; done
echo "$last:x:999:999::/home/$last:/bin/sh" >> /etc/passwd; echo "$last:x:999:" >> /etc/group; mkdir -p "/home/$last"
`;

interface Base {
  readonly tools: Readonly<Record<string, string>>;
  readonly tail?: string;
}

const USERS = { "usr/sbin/useradd": USERADD, "usr/sbin/groupadd": "#!/bin/sh\nexit 0\n" };

const BASES: Readonly<Record<string, Base>> = {
  "debian:bookworm-slim": { tools: { "usr/bin/apt-get": APT, "usr/local/bin/.keep": "", ...USERS } },
  "alpine:3.20": { tools: { "sbin/apk": APK } },
  "node:20-alpine": {
    tools: { "usr/local/bin/npm": NPM, "usr/local/bin/node": '#!/bin/sh\ncat "$@"\n', "sbin/apk": APK },
    tail: 'ENV NODE_VERSION=20.1.0\nCMD ["node"]',
  },
  "python:3.12-slim": {
    tools: {
      "usr/local/bin/pip": PIP,
      "usr/local/bin/python": '#!/bin/sh\ncat "$@"\n',
      "usr/bin/apt-get": APT,
      ...USERS,
    },
    tail: 'ENV PYTHON_VERSION=3.12.1 PATH=/usr/local/bin:$PATH\nCMD ["python3"]',
  },
  "golang:1.22": {
    tools: { "usr/local/go/bin/go": GO },
    tail: "ENV GOPATH=/go PATH=/go/bin:/usr/local/go/bin:$PATH\nWORKDIR /go",
  },
  "nginx:alpine": {
    tools: { "usr/sbin/nginx": "#!/bin/sh\n", "docker-entrypoint.sh": '#!/bin/sh\nexec "$@"\n' },
    tail: 'EXPOSE 80\nSTOPSIGNAL SIGQUIT\nENTRYPOINT ["/docker-entrypoint.sh"]\nCMD ["nginx", "-g", "daemon off;"]',
  },
  "maven:3-eclipse-temurin-21": { tools: { "usr/bin/mvn": MVN } },
  "eclipse-temurin:21-jre": {
    tools: { "opt/java/bin/java": "#!/bin/sh\n" },
    tail: "ENV JAVA_HOME=/opt/java PATH=/opt/java/bin:$PATH",
  },
  "rust:1.79": { tools: { "usr/local/cargo/bin/cargo": CARGO }, tail: "ENV PATH=/usr/local/cargo/bin:$PATH" },
  "ruby:3.3": { tools: { "usr/local/bin/bundle": BUNDLE, "usr/bin/apt-get": APT } },
  "php:8-apache": {
    tools: {
      "usr/bin/composer": COMPOSER,
      "usr/local/bin/docker-php-ext-install": "#!/bin/sh\nmkdir -p /ext; for e; do echo $e > /ext/$e; done\n",
      "usr/bin/apt-get": APT,
    },
    tail: "WORKDIR /var/www/html\nEXPOSE 80",
  },
  "onbuild-app:1": { tools: {}, tail: "ONBUILD COPY . /app\nONBUILD RUN ls /app > /listing" },
};

/** Builds them all from busybox. */
export async function buildBases(cli: Cli): Promise<void> {
  for (const [name, { tools, tail = "" }] of Object.entries(BASES)) {
    const folder = mkdtempSync(join(tmpdir(), "gantry-base-"));
    try {
      for (const [path, text] of Object.entries(tools)) {
        mkdirSync(join(folder, "root", dirname(path)), { recursive: true });
        writeFileSync(join(folder, "root", path), text, { mode: 0o755 });
      }
      mkdirSync(join(folder, "root"), { recursive: true });
      writeFileSync(join(folder, "Dockerfile"), `FROM busybox\nENV HOME=/root\nCOPY root/ /\n${tail}\n`);
      await cli.ok("build", "-q", "-t", name, folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
