#include "input.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clients.h"
#include "loop.h"

static _Alignas(4096) char buffer[32 * 1024];
static size_t start, end;
static int target = -1;
static bool watched, closing;

void input_open(int fd) {
  target = fd;
}

bool input_blocked(void) {
  return start < end;
}

static void unwatch(void) {
  if (watched) loop_remove(target);
  watched = false;
}

static void drop(void) {
  unwatch();
  if (target >= 0) close(target);
  target = -1;
  start = end = 0;
}

static void push(void) {
  while (start < end && target >= 0) {
    ssize_t count = write(target, buffer + start, end - start);
    if (count > 0) {
      start += (size_t)count;
    } else if (count < 0 && errno == EAGAIN) {
      if (!watched) loop_add(target, EPOLLOUT, TAG_INPUT);
      watched = true;
      return;
    } else if (errno != EINTR) {
      drop();
    }
  }
  start = end = 0;
  unwatch();
  if (closing) drop();
}

enum input_result input_from(int client, bool wanted) {
  char nowhere[1024];
  ssize_t count = wanted ? recv(client, buffer, sizeof buffer, MSG_DONTWAIT) : recv(client, nowhere, sizeof nowhere, MSG_DONTWAIT);
  if (count == 0) return INPUT_ENDED;
  if (count < 0) return errno == EAGAIN || errno == EINTR ? INPUT_NOTHING : INPUT_ENDED;
  if (!wanted || target < 0 || closing) return INPUT_MORE;
  start = 0;
  end = (size_t)count;
  push();
  return INPUT_MORE;
}

void input_event(void) {
  push();
  if (!input_blocked()) clients_input_ready();
}

void input_close(void) {
  closing = true;
  if (!input_blocked()) drop();
}

void input_relax(void) {
  if (!input_blocked()) madvise(buffer, sizeof buffer, MADV_DONTNEED);
}
