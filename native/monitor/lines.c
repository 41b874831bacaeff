#include "lines.h"

#include <string.h>
#include <time.h>

#include "text.h"

static const char HEAD[] = "{\"log\":\"";
static const char *attributes;

void lines_open(const char *given) {
  attributes = given;
}

void lines_tail(struct tail *tail, int stream) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct text text = text_over(tail->bytes, sizeof tail->bytes);
  text_add(&text, stream == STREAM_STDERR ? "\",\"stream\":\"stderr\"" : "\",\"stream\":\"stdout\"");
  if (attributes != NULL) {
    text_add(&text, ",\"attrs\":");
    text_add(&text, attributes);
  }
  text_add(&text, ",\"time\":\"");
  text_time(&text, now);
  text_add(&text, "\"}\n");
  tail->length = text_length(&text);
}

static char *put(char *at, const char *bytes, size_t length) {
  memcpy(at, bytes, length);
  return at + length;
}

size_t lines_begin(char **out, const char *text, size_t length, bool *ended) {
  *out = put(*out, HEAD, sizeof HEAD - 1);
  return json_line(out, text, length, ended);
}

char *lines_end(char *out, const struct tail *tail) {
  return put(out, tail->bytes, tail->length);
}
