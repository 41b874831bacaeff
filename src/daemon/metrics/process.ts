/** What gantryd itself uses, by the names that every Prometheus client gives. */
import { readdirSync, readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { type Family, family } from "../../base/exposition.ts";

export interface ProcessMetrics extends Disposable {
  read(): Family[];
}

export function processMetrics(): ProcessMetrics {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  const startTime = Date.now() / 1000 - process.uptime();
  return {
    [Symbol.dispose]: () => {
      delay.disable();
    },
    read() {
      const { rss, heapUsed } = process.memoryUsage();
      const { user, system } = process.cpuUsage();
      // Since the last reading: what is long past would hide what is.
      const [half, most, longest] = [delay.percentile(50), delay.percentile(99), delay.max].map((value) => value / 1e9);
      delay.reset();
      return [
        family("process_cpu_seconds_total", "counter", "Processor time of gantryd.", (user + system) / 1e6),
        family("process_resident_memory_bytes", "gauge", "Resident memory of gantryd.", rss),
        family("nodejs_heap_size_used_bytes", "gauge", "Memory of its JavaScript objects.", heapUsed),
        family("process_open_fds", "gauge", "Its open descriptors.", readdirSync("/proc/self/fd").length),
        family("process_max_fds", "gauge", "How many it may have.", maxDescriptors()),
        family("process_start_time_seconds", "gauge", "When it started, seconds since the epoch.", startTime),
        family("gantry_event_loop_delay_seconds", "gauge", "How late it was for its work since the last reading.", [
          [{ quantile: "0.5" }, half ?? 0],
          [{ quantile: "0.99" }, most ?? 0],
          [{ quantile: "1" }, longest ?? 0],
        ]),
      ];
    },
  };
}

function maxDescriptors(): number {
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(limit);
}
