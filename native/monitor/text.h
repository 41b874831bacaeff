/*
 * Text without stdio: a bounded builder that never writes past its end, and what the log and the records are written with.
 */
#ifndef GANTRY_TEXT_H
#define GANTRY_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* What does not fit is dropped, and `full` says so. */
struct text {
  char *start;
  char *at;
  char *end;
  bool full;
};

struct text text_over(char *buffer, size_t size);
size_t text_length(const struct text *text);
void text_bytes(struct text *text, const char *bytes, size_t length);
void text_add(struct text *text, const char *string);
void text_number(struct text *text, int64_t number);
/* RFC 3339, UTC, nanoseconds without trailing zeros: what Go's RFC3339Nano prints. At most 30 bytes. */
void text_time(struct text *text, struct timespec time);

/* Parses a whole string of decimal digits; false for anything else or more than INT64_MAX. */
bool parse_number(const char *string, int64_t *number);

#endif
