/* The command line of gantry-monitor. */
#ifndef GANTRY_OPTIONS_H
#define GANTRY_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "log.h"

struct options {
  const char *directory;
  char **launch;
  char **cleanup; /* NULL: none */
  const char *oom_file;
  const char *runtime_log;
  bool terminal;
  int64_t rows, columns; /* 0: leave them */
  bool input, input_once;
  bool hold;
  bool hide_unified;
  int report; /* -1: none */
  int64_t stall_ms;
  int64_t runtime_ms; /* that a launch or cleanup may take */
  struct log_options log;
};

/* Prints what is wrong and exits with 125 when the arguments make no sense. */
struct options parse_options(char **arguments);
_Noreturn void usage(const char *problem, const char *subject);

#endif
