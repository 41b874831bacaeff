/* Starting the task: pipes or a terminal, the OCI runtime, and the pid it leaves behind. */
#ifndef GANTRY_LAUNCH_H
#define GANTRY_LAUNCH_H

#include <stddef.h>
#include <sys/types.h>

#include "options.h"

/* The code of a runtime that did not end in time, together with the signal that killed it. */
enum { LAUNCH_LATE = 124 };

struct launched {
  pid_t pid;  /* 0: it failed */
  int input;  /* to the task's standard input; -1: none */
  int out;    /* from its standard output, or its terminal */
  int err;    /* from its standard error; -1: a terminal */
  int code;   /* on failure: the runtime's exit code, and the signal that ended it */
  int signal;
  const char *message; /* on failure: what it said */
  size_t message_length;
};

/* Runs the runtime to its end, for at most options->runtime_ms. When it failed no process of it is left. All descriptors in the result are non-blocking and close-on-exec. */
struct launched launch(const struct options *options, int signals);

#endif
