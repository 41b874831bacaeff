#include "loop.h"

#include <limits.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static int epoll = -1;

void loop_open(void) {
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) _exit(125);
}

static void control(int operation, int fd, uint32_t events, uint32_t tag) {
  struct epoll_event event = {.events = events, .data.u32 = tag};
  epoll_ctl(epoll, operation, fd, &event);
}

void loop_add(int fd, uint32_t events, uint32_t tag) {
  control(EPOLL_CTL_ADD, fd, events, tag);
}

void loop_change(int fd, uint32_t events, uint32_t tag) {
  control(EPOLL_CTL_MOD, fd, events, tag);
}

void loop_remove(int fd) {
  control(EPOLL_CTL_DEL, fd, 0, 0);
}

int64_t loop_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int timeout_until(int64_t deadline) {
  if (deadline == INT64_MAX) return -1;
  int64_t left = deadline - loop_now();
  return left < 0 ? 0 : left > INT_MAX / 2 ? INT_MAX / 2 : (int)left + 1;
}

void loop_wait(int64_t deadline, void (*handle)(uint32_t tag, uint32_t events)) {
  struct epoll_event events[16];
  int count = epoll_wait(epoll, events, sizeof events / sizeof *events, timeout_until(deadline));
  for (int i = 0; i < count; i++) handle(events[i].data.u32, events[i].events);
}
