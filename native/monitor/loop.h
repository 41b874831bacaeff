/* The event loop's vocabulary: one epoll, what each watched descriptor is, and time. */
#ifndef GANTRY_LOOP_H
#define GANTRY_LOOP_H

#include <stdint.h>

enum tag {
  TAG_SIGNAL,
  TAG_LISTENER,
  TAG_REPORT,
  TAG_INPUT,
  TAG_OOM,
  TAG_OUTPUT,                  /* + stream */
  TAG_CLIENT = TAG_OUTPUT + 2, /* + index */
};

void loop_open(void);
void loop_add(int fd, uint32_t events, uint32_t tag);
void loop_change(int fd, uint32_t events, uint32_t tag);
void loop_remove(int fd);
/* Waits until something happens or the deadline (loop_now() milliseconds; INT64_MAX: none) passes, and hands out the events. */
void loop_wait(int64_t deadline, void (*handle)(uint32_t tag, uint32_t events));
int64_t loop_now(void);

#endif
