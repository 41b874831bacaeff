/* One line of the log, {"log":"…","stream":"…","attrs":{…},"time":"…"} and a line feed: the only one in it. */
#ifndef GANTRY_LINES_H
#define GANTRY_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "json.h"
#include "log.h"

enum {
  TAIL_ROOM = LOG_ATTRIBUTES + 128,
  LINE_ROOM = LOG_PIECE * JSON_GROWTH + JSON_SLACK + TAIL_ROOM, /* the longest line */
};

/* What follows the text; made once for all lines of one batch, which share their time. */
struct tail {
  size_t length;
  char bytes[TAIL_ROOM];
};

/* `attributes`: a JSON object, or NULL. It must stay. */
void lines_open(const char *attributes);
void lines_tail(struct tail *tail, int stream);
/* Begins a line with text up to and including the first line feed, or all of it; `*ended` says which. Returns how much was used. */
size_t lines_begin(char **out, const char *text, size_t length, bool *ended);
char *lines_end(char *out, const struct tail *tail);

#endif
