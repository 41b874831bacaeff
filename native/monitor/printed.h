/*
 * What a runtime prints while it is waited for. It prints into the pipes that the container's process writes to, so nothing is
 * read as long as it fits: it may be the container's already.
 */
#ifndef GANTRY_PRINTED_H
#define GANTRY_PRINTED_H

#include <stdbool.h>
#include <stddef.h>

enum { PRINTED_KEPT = 8192 };

/*
 * Makes room in a pipe that stayed full since the last call: it grows to 1 MiB, and after that, while `only_runtime` can have
 * written there, all of it is taken and the end of it kept. `stream`: 0 for output, 1 for errors. True when there was something to do: look
 * again soon.
 */
bool printed_relieve(int stream, int fd, bool only_runtime);
/* The end of what came through the non-blocking pipe of errors, and was not the container's; its length. */
size_t printed_end(int fd, char *into, size_t size);

#endif
