/** The drivers that HostConfig.LogConfig.Type may name. */
export const LOG_DRIVERS = ["fluentd", "gelf", "journald", "json-file", "local", "none", "syslog"] as const;

/** Docker's drivers for the services of single vendors, and what reaches them all the same. */
export const VENDOR_DRIVERS: Readonly<Record<string, string>> = {
  awslogs: "the log driver fluentd and fluent-bit's output cloudwatch_logs",
  gcplogs: "the log driver fluentd and fluent-bit's output stackdriver",
  splunk: "the log driver fluentd and fluent-bit's output splunk",
};

export type LogDriver = (typeof LOG_DRIVERS)[number];
