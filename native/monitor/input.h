/* The way from clients to the task's standard input. One buffer: while the task does not read, no client is read either. */
#ifndef GANTRY_INPUT_H
#define GANTRY_INPUT_H

#include <stdbool.h>
#include <stdint.h>

/* -1: the task has none; what clients send is dropped. */
void input_open(int fd);
/* Whether bytes wait for the task, so that clients have to. */
bool input_blocked(void);

enum input_result { INPUT_MORE, INPUT_NOTHING, INPUT_ENDED };
/* Moves what the client's socket holds, up to one buffer. `wanted`: to the task, only when not blocked; otherwise nowhere. */
enum input_result input_from(int client, bool wanted);
/* The descriptor became writable. */
void input_event(void);
/* Closes it after what waits was written. */
void input_close(void);
void input_relax(void);

#endif
