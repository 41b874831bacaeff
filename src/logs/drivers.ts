/** The drivers that HostConfig.LogConfig.Type may name. */
export const LOG_DRIVERS = ["fluentd", "journald", "json-file", "local", "none", "syslog"] as const;

export type LogDriver = (typeof LOG_DRIVERS)[number];
