/*
 * The inside of JSON strings as Docker's json-file writes it: control characters, quotes, backslashes, <, > and & escaped,
 * invalid UTF-8 as \ufffd, U+2028 and U+2029 escaped, everything else as it is.
 */
#ifndef GANTRY_JSON_H
#define GANTRY_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* How much longer than its input the output can get, and how far past it the fast path may write. */
enum { JSON_GROWTH = 6, JSON_SLACK = 16 };

/*
 * Encodes up to and including the first line feed, or all of it. `*out` is advanced and needs room for
 * JSON_GROWTH * length + JSON_SLACK bytes. Returns how much of the input was used; `*ended` says whether it ends with a line feed.
 */
size_t json_line(char **out, const char *in, size_t length, bool *ended);

/* The longest prefix that cuts no UTF-8 sequence apart (only the last three bytes are looked at). */
size_t utf8_whole(const char *in, size_t length);

#endif
