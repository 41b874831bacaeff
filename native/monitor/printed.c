#include "printed.h"

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { ROOM = 1 << 20, STREAMS = 2 };

static int seen[STREAMS];
static char kept[PRINTED_KEPT];
static size_t kept_length;

/* Adds to the end, at the cost of the beginning. */
static size_t append(char *into, size_t length, size_t size, const char *bytes, size_t count) {
  if (count > size) {
    bytes += count - size;
    count = size;
  }
  size_t stay = length < size - count ? length : size - count;
  memmove(into, into + length - stay, stay);
  memcpy(into + stay, bytes, count);
  return stay + count;
}

static void take(int stream, int fd, int waiting) {
  char bytes[4096];
  while (waiting > 0) {
    ssize_t count = read(fd, bytes, sizeof bytes < (size_t)waiting ? sizeof bytes : (size_t)waiting);
    if (count <= 0) return;
    waiting -= (int)count;
    if (stream == 1) kept_length = append(kept, kept_length, sizeof kept, bytes, (size_t)count);
  }
}

bool printed_relieve(int stream, int fd, bool only_runtime) {
  int room = fcntl(fd, F_GETPIPE_SZ), waiting = 0;
  if (room <= 0 || ioctl(fd, FIONREAD, &waiting) != 0) return false;
  /* A pipe is full by pages, of which each may be half empty. */
  bool stuck = waiting == seen[stream] && waiting >= room / 8 * 3;
  seen[stream] = waiting;
  if (!stuck) return waiting >= room / 8 * 3;
  if (room < ROOM && fcntl(fd, F_SETPIPE_SZ, ROOM) >= ROOM) return true;
  if (only_runtime) take(stream, fd, waiting);
  return only_runtime;
}

size_t printed_end(int fd, char *into, size_t size) {
  char bytes[4096];
  size_t length = append(into, 0, size, kept, kept_length);
  for (;;) {
    ssize_t count = read(fd, bytes, sizeof bytes);
    if (count <= 0) return length;
    length = append(into, length, size, bytes, (size_t)count);
  }
}
