import type { Buildkit, BuildkitParts } from "./buildkit.ts";
import { serveGrpc } from "./grpc/server.ts";
import { controlMethods } from "./services/control.ts";
import { gatewayMethods } from "./services/gateway.ts";
import { plainBuild } from "./services/plain.ts";
import { Sessions } from "./session/sessions.ts";
import { History } from "./solve/history.ts";
import { Jobs } from "./solve/jobs.ts";
import { RemoteFiles } from "./solve/remote-files.ts";
import { Results } from "./solve/results.ts";

export function openBuildkit(parts: BuildkitParts): Buildkit {
  const sessions = new Sessions();
  const services = {
    ...parts,
    sessions,
    jobs: new Jobs(),
    history: new History(),
    results: new Results(),
    files: new RemoteFiles(parts.contexts),
  };
  const methods = new Map([...controlMethods(services), ...gatewayMethods(services)]);
  return {
    build: (request, options) => plainBuild(services, request, options),
    control: (connection) => serveGrpc(connection, methods),
    session: (headers) => sessions.begin(headers),
  };
}
