/* What is said about the task: its state, its exit record. */
#ifndef GANTRY_RECORD_H
#define GANTRY_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

struct record {
  pid_t pid;
  struct timespec started;
  bool ended;
  int status; /* a wait status */
  struct timespec finished;
  bool oom_killed;
  const char *oom_file; /* NULL: none */
};

/* {"pid":…,"startedAt":…} and, when it ended, exitCode, signal (if one), oomKilled, finishedAt. Returns the length. */
size_t record_json(const struct record *record, bool with_oom_file, char *into, size_t size);
/* Takes the room for the record, so that it can be saved when the disk is full by then. 0 or an errno. */
int record_prepare(const struct record *record);
/* Writes the file `exit` in the current folder; readers see all of it or none. 0 or an errno. */
int record_save(const struct record *record);

#endif
