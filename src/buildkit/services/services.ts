import type { BuildkitParts } from "../buildkit.ts";
import type { Sessions } from "../session/sessions.ts";
import type { History } from "../solve/history.ts";
import type { Jobs } from "../solve/jobs.ts";
import type { RemoteFiles } from "../solve/remote-files.ts";
import type { Results } from "../solve/results.ts";

export interface Services extends BuildkitParts {
  readonly sessions: Sessions;
  readonly jobs: Jobs;
  readonly history: History;
  readonly results: Results;
  readonly files: RemoteFiles;
}
