/** Dockerfiles that both CLIs build, with what must come of them. */

export interface Case {
  readonly name: string;
  readonly dockerfile: string;
  /** "-> x" is a link; a name that ends in "!" is executable. */
  readonly files?: Readonly<Record<string, string>>;
  readonly flags?: readonly string[];
  /** Of the image's run configuration. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** A command in the image, and what it prints. */
  readonly run?: readonly [command: readonly string[], output: string];
}

/** Shapes of public projects' Dockerfiles. */
export const REAL_WORLD: readonly Case[] = [
  {
    name: "a Node service: dependencies first, another user",
    dockerfile: `FROM node:20-alpine
WORKDIR /usr/src/app
COPY package*.json ./
RUN npm ci --omit=dev && npm cache clean --force
COPY . .
ENV NODE_ENV=production PORT=3000
EXPOSE 3000
USER 1000:1000
HEALTHCHECK --interval=30s --timeout=3s --retries=3 CMD wget -qO- http://localhost:3000/health || exit 1
CMD ["node", "server.js"]
`,
    files: {
      "package.json": "{}",
      "package-lock.json": "{}",
      "server.js": "serve()",
      ".dockerignore": "node_modules\n*.md\n",
      "README.md": "no",
      "node_modules/x": "no",
    },
    config: {
      WorkingDir: "/usr/src/app",
      User: "1000:1000",
      Cmd: ["node", "server.js"],
      ExposedPorts: { "3000/tcp": {} },
      Healthcheck: {
        Test: ["CMD-SHELL", "wget -qO- http://localhost:3000/health || exit 1"],
        Interval: 30_000_000_000,
        Timeout: 3_000_000_000,
        Retries: 3,
      },
    },
    run: [
      ["find", ".", "-type", "f"],
      "./.dockerignore ./Dockerfile ./node_modules/dep/index.js ./package-lock.json ./package.json ./server.js",
    ],
  },
  {
    name: "a front end built in one stage and served by nginx in the next",
    dockerfile: `# syntax=docker/dockerfile:1
ARG NODE=20
FROM node:\${NODE}-alpine AS build
WORKDIR /app
COPY package.json .
RUN npm install
COPY src src
RUN npm run build

FROM nginx:alpine
COPY --from=build /app/dist /usr/share/nginx/html
COPY nginx.conf /etc/nginx/conf.d/default.conf
`,
    files: { "package.json": "{}", "src/a.js": "a", "src/b.js": "b", "nginx.conf": "server {}" },
    config: {
      Entrypoint: ["/docker-entrypoint.sh"],
      Cmd: ["nginx", "-g", "daemon off;"],
      StopSignal: "SIGQUIT",
      ExposedPorts: { "80/tcp": {} },
    },
    run: [["cat", "/usr/share/nginx/html/bundle.js"], "ab"],
  },
  {
    name: "a Go program in scratch",
    dockerfile: `FROM golang:1.22 AS builder
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN --mount=type=cache,target=/root/.cache CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH go build -ldflags="-s -w" -o /out/app ./cmd/app

FROM scratch
COPY --from=builder /out/app /app
COPY --from=builder /etc/passwd /etc/passwd
USER root
ENTRYPOINT ["/app"]
`,
    files: { "go.mod": "module x", "go.sum": "sums", "cmd/app/main.go": "package main" },
    config: { Entrypoint: ["/app"], User: "root" },
  },
  {
    name: "a Python service with a user of its own",
    dockerfile: `FROM python:3.12-slim AS base

ENV PYTHONDONTWRITEBYTECODE=1 \\
    PYTHONUNBUFFERED=1

# What it needs
RUN apt-get update && apt-get install -y --no-install-recommends \\
    gcc \\
    libpq-dev \\
 && rm -rf /var/lib/apt/lists/*

WORKDIR /code
COPY requirements.txt /code/
RUN pip install --no-cache-dir -r requirements.txt
RUN groupadd -r app && useradd -r -g app app
COPY --chown=app:app . /code/
USER app
EXPOSE 8000/tcp
CMD gunicorn --bind 0.0.0.0:8000 app:app
`,
    files: { "requirements.txt": "flask==3.0\ngunicorn==22\n", "app.py": "app = 1" },
    config: { User: "app", Cmd: ["/bin/sh", "-c", "gunicorn --bind 0.0.0.0:8000 app:app"] },
    run: [["stat", "-c", "%U %a", "/code/app.py", "/usr/lib/python3/site-packages/flask"], "app 644 root 644"],
  },
  {
    name: "Java: dependencies apart from sources, a JRE in the end",
    dockerfile: `FROM maven:3-eclipse-temurin-21 AS build
WORKDIR /build
COPY pom.xml .
RUN mvn -B dependency:go-offline
COPY src ./src
RUN mvn -B package -DskipTests

FROM eclipse-temurin:21-jre
ARG JAR=target/app.jar
VOLUME /tmp
COPY --from=build /build/\${JAR} app.jar
ENV JAVA_OPTS=""
ENTRYPOINT exec java $JAVA_OPTS -jar /app.jar
`,
    files: { "pom.xml": "<project/>", "src/A.java": "class A {}" },
    config: { Volumes: { "/tmp": {} }, Entrypoint: ["/bin/sh", "-c", "exec java $JAVA_OPTS -jar /app.jar"] },
  },
  {
    name: "Rust with a stage for planning that is not needed",
    dockerfile: `FROM rust:1.79 AS chef
WORKDIR /app
FROM chef AS planner
RUN echo never && exit 1
FROM chef AS builder
COPY . .
RUN cargo build --release --bin app
FROM debian:bookworm-slim AS runtime
COPY --from=builder /app/target/release/app /usr/local/bin
ENTRYPOINT ["/usr/local/bin/app"]
`,
    files: { "Cargo.toml": "", "src/main.rs": "#!/bin/sh\necho rust\n" },
    run: [["/usr/local/bin/app"], "rust"],
  },
  {
    name: "Ruby on Rails: arguments, environments, an entry point script",
    dockerfile: `ARG RUBY_VERSION=3.3
FROM ruby:$RUBY_VERSION AS base
WORKDIR /rails
ENV RAILS_ENV="production" \\
    BUNDLE_WITHOUT="development:test"
FROM base AS build
COPY Gemfile Gemfile.lock ./
RUN bundle install
COPY . .
FROM base
COPY --from=build /usr/local/bundle /usr/local/bundle
COPY --from=build /rails /rails
ENTRYPOINT ["/rails/bin/docker-entrypoint"]
EXPOSE 3000
CMD ["./bin/rails", "server"]
`,
    files: { Gemfile: "", "Gemfile.lock": "lock", "bin/docker-entrypoint!": '#!/bin/sh\nexec "$@"\n' },
    config: {
      Env: [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/root",
        "RAILS_ENV=production",
        "BUNDLE_WITHOUT=development:test",
      ],
    },
    run: [["cat", "/usr/local/bundle/Gemfile.lock"], "lock"],
  },
  {
    name: "PHP with extensions and composer",
    dockerfile: `FROM php:8-apache
RUN apt-get update \\
    && apt-get install -y libzip-dev zip \\
    && docker-php-ext-install pdo_mysql zip
COPY composer.json ./
RUN composer install --no-dev
COPY . /var/www/html
RUN chown -R 33:33 /var/www/html && chmod 750 /var/www/html
LABEL org.opencontainers.image.title="Shop" org.opencontainers.image.vendor="A \\"B\\" C"
`,
    files: { "composer.json": "{}", "index.php": "<?php" },
    config: { Labels: { "org.opencontainers.image.title": "Shop", "org.opencontainers.image.vendor": 'A "B" C' } },
    run: [["stat", "-c", "%u:%g %a", "/var/www/html", "/var/www/html/index.php"], "33:33 750 33:33 644"],
  },
  {
    name: "a tool's image: packages, here-documents, an entry point in shell",
    dockerfile: `FROM alpine:3.20
RUN apk add --no-cache bash curl
COPY <<EOF /etc/tool.conf
home=$HOME
EOF
COPY --chmod=755 <<'EOF' /usr/local/bin/tool
#!/bin/sh
echo "tool $*"
EOF
RUN <<EOF
set -e
mkdir -p /data
tool made > /data/made
EOF
VOLUME ["/data"]
ENTRYPOINT ["tool"]
CMD ["--help"]
`,
    config: { Entrypoint: ["tool"], Cmd: ["--help"], Volumes: { "/data": {} } },
    run: [["cat", "/etc/tool.conf"], "home=/root"],
  },
  {
    name: "a base image's triggers",
    dockerfile: `FROM onbuild-app:1
CMD ["cat", "/listing"]
`,
    files: { a: "1", b: "2" },
    config: { OnBuild: undefined },
    run: [["cat", "/listing"], "Dockerfile a b"],
  },
  {
    name: "a monorepo: one Dockerfile, the target chosen",
    dockerfile: `FROM node:20-alpine AS base
WORKDIR /repo
FROM base AS api
COPY packages/api ./packages/api
CMD ["node", "packages/api/index.js"]
FROM base AS web
COPY packages/web ./packages/web
CMD ["node", "packages/web/index.js"]
`,
    files: { "packages/api/index.js": "api", "packages/web/index.js": "web" },
    flags: ["--target", "api"],
    config: { Cmd: ["node", "packages/api/index.js"] },
    run: [["find", "packages", "-type", "f"], "packages/api/index.js"],
  },
  {
    name: "build arguments, labels from the command line, several ports",
    dockerfile: `FROM debian:bookworm-slim
ARG VERSION=dev
ARG COMMIT
LABEL version=$VERSION commit=\${COMMIT:-none}
RUN echo "$VERSION" > /version
EXPOSE 80 443/tcp 53/udp 8000-8002
MAINTAINER someone@example.org
STOPSIGNAL SIGINT
SHELL ["/bin/sh", "-ec"]
RUN echo shell > /shell
CMD echo hi
`,
    flags: ["--build-arg", "VERSION=1.2", "--label", "extra=yes"],
    config: {
      Labels: { version: "1.2", commit: "none", extra: "yes" },
      StopSignal: "SIGINT",
      Cmd: ["/bin/sh", "-ec", "echo hi"],
      Shell: ["/bin/sh", "-ec"],
      ExposedPorts: { "80/tcp": {}, "443/tcp": {}, "53/udp": {}, "8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {} },
    },
    run: [["cat", "/version", "/shell"], "1.2 shell"],
  },
];

/** What the language can do with files. */
export const LANGUAGE: readonly Case[] = [
  {
    name: "COPY: patterns, links, modes, folders and their contents",
    dockerfile: `FROM busybox
COPY one /one
COPY dir /dir
COPY dir/ /into/
COPY *.txt d?? /mixed/
COPY link /link
COPY --chown=5:6 --chmod=640 a.txt /owned
COPY exec /bin/exec
COPY ["with space", "/with space/"]
`,
    files: {
      one: "1",
      "dir/x": "x",
      "dir/sub/y": "y",
      "a.txt": "a",
      "b.txt": "b",
      d12: "d",
      link: "-> one",
      "exec!": "#!/bin/sh\n",
      "with space/f": "f",
    },
    run: [
      [
        "sh",
        "-c",
        "cd /; find one dir into mixed link owned 'with space' -type f | sort; stat -c '%u:%g %a' owned; cat link",
      ],
      "dir/sub/y dir/x into/sub/y into/x link mixed/a.txt mixed/b.txt mixed/d12 mixed/sub/y mixed/x one owned with space/f 5:6 640 1",
    ],
  },
  {
    name: "ADD unpacks archives, COPY does not",
    dockerfile: `FROM busybox
ADD pack.tar /added/
COPY pack.tar /copied/
`,
    files: { "pack.tar": "" },
    run: [["sh", "-c", "cd /; find added copied -type f | sort"], "added/in/tar copied/pack.tar"],
  },
  {
    name: "bind mounts of the context and of stages",
    dockerfile: `FROM busybox AS tools
RUN echo from-stage > /t
FROM busybox
RUN --mount=type=bind,target=/ctx --mount=type=bind,from=tools,source=/t,target=/t cat /ctx/f /t > /both && ! touch /ctx/new 2>/dev/null
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x
`,
    files: { f: "from-context\n" },
    run: [["cat", "/both"], "from-context from-stage"],
  },
  {
    name: "variables: every operator, in the places where they count",
    dockerfile: `FROM busybox
ENV A=value EMPTY=
ENV B=\${A:-x} C=\${EMPTY:-default} D=\${EMPTY-kept} E=\${A:+set} F=\${NONE:+set} G=\${A#v} H=\${A%e} I=\${A/l/L} J='$A' K="\\$A"
WORKDIR /w/\${A}
RUN echo "$B|$C|$D|$E|$F|$G|$H|$I|$J|$K" > out
`,
    config: { WorkingDir: "/w/value" },
    run: [["cat", "out"], "value|default||set||alue|valu|vaLue|$A|$A"],
  },
  {
    name: "an ignore file with exceptions",
    dockerfile: `FROM busybox
COPY . /all
`,
    files: {
      ".dockerignore": "# comment\n*\n!keep\n!dir/*.go\n!dir/deep\ndir/deep/c.*\nkeep/not\nDockerfile\n",
      "keep/yes": "1",
      "keep/not": "2",
      "dir/a.go": "3",
      "dir/a.c": "4",
      "dir/deep/b.go": "5",
      "dir/deep/c.go": "7",
      other: "6",
    },
    run: [["sh", "-c", "cd /all; find . -type f | sort"], "./dir/a.go ./dir/deep/b.go ./keep/yes"],
  },
  {
    name: "removals, replaced folders and metadata-only steps",
    dockerfile: `FROM busybox
RUN mkdir /d && echo 1 > /d/one && echo 2 > /d/two && ln -s one /d/l
RUN rm /d/one && rm -r /d/l && mkdir /d/l && chmod 700 /d && chown 7:8 /d/two
RUN rm -rf /d && mkdir /d && echo new > /d/new
ENV X=1
WORKDIR /made/by/workdir
`,
    config: { WorkingDir: "/made/by/workdir" },
    run: [["find", "/d", "/made"], "/d /d/new /made /made/by /made/by/workdir"],
  },
];
