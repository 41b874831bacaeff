/* The way of the task's output: read, logged, offered to the attached clients. */
#ifndef GANTRY_OUTPUT_H
#define GANTRY_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

/* Takes the descriptors; `err` is -1 for a terminal. Nothing is read while held. */
void output_open(int out, int err, bool held);
void output_event(int stream);
/* Ends the hold, or goes on after clients were behind. */
void output_proceed(void);
void output_resume(void);
/*
 * The task has ended: logs all that it left, and offers it to the clients whether they are behind or not. True when
 * nobody can write any more; otherwise a descendant holds the output open.
 */
bool output_drain(void);
bool output_ended(void);
/* Logs unfinished lines and closes. */
void output_finish(void);
void output_relax(void);

#endif
