/*
 * Out-of-memory kills in the task's cgroup, as they happen: memory.events (v2) is watched by inotify, memory.oom_control (v1) has an
 * eventfd, which comes a moment before the kill is counted.
 */
#ifndef GANTRY_OOM_H
#define GANTRY_OOM_H

#include <stdbool.h>
#include <stdint.h>

/* `file` is either of the two, or NULL. Where it can't be watched only oom_killed() knows. */
void oom_open(const char *file);
void oom_event(void);
/* When oom_news is to be asked although there was no event; INT64_MAX: never. */
int64_t oom_deadline(void);
/* True once after each kill. */
bool oom_news(int64_t now);
/* The same when the task has ended. */
bool oom_last_news(void);
/* Whether there was one. */
bool oom_killed(const char *file);

#endif
