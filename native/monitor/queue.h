/* Non-blocking mode: lines wait in memory for a thread that writes them. When there is no room left new ones are given up and counted. */
#ifndef GANTRY_QUEUE_H
#define GANTRY_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for this many bytes of lines. Returns 0 or an errno. */
int queue_open(size_t size);
/* Never waits. */
void queue_put(const char *lines, size_t length);
/* Waits until all is written, so many milliseconds at most. `last`: nothing comes after it. */
void queue_settle(int64_t patience, bool last);
/* Has the thread look after the disk: see disk_settle. */
void queue_wake(void);
/* Gives memory back that nothing is in. */
void queue_relax(void);

#endif
