/** What the API was asked: counts and times, by route. */
import type { RequestObserver } from "../../api/dispatch.ts";
import { Counter, type Family, family, Histogram } from "../../base/exposition.ts";

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** dockerd's names for what is done to containers. */
const ACTIONS: Readonly<Record<string, string>> = {
  "GET /containers/{id}/changes": "changes",
  "POST /commit": "commit",
  "POST /containers/create": "create",
  "DELETE /containers/{id}": "delete",
  "POST /containers/{id}/start": "start",
};

export interface RequestMetrics extends RequestObserver {
  read(): Family[];
}

export function requestMetrics(): RequestMetrics {
  const requests = new Counter("gantry_api_requests_total", "Requests to the API that were answered or broke off.");
  const times = new Histogram("gantry_api_request_seconds", "Time to a whole answer; streams are left out.", SECONDS);
  const actions = new Histogram("engine_daemon_container_actions_seconds", "Time for each container action.", SECONDS);
  for (const action of Object.values(ACTIONS)) actions.touch({ action });
  let running = 0;
  return {
    began: () => {
      running++;
    },
    ended: ({ method, route, status, seconds, streamed }) => {
      running--;
      const path = route ?? "unknown";
      requests.add({ method, route: path, status: String(status) });
      if (streamed) return;
      times.observe(seconds, { method, route: path });
      const action = ACTIONS[`${method} ${path}`];
      if (action !== undefined && status < 400) actions.observe(seconds, { action });
    },
    read: () => [
      requests.read(),
      times.read(),
      actions.read(),
      family("gantry_api_requests_in_flight", "gauge", "Requests that run now, streams among them.", running),
    ],
  };
}
