#include "queue.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "disk.h"
#include "lines.h"

enum { STACK = 256 * 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t work, done;
/* Filled by the one side while the other writes what the other holds. */
static char *front, *back;
static size_t front_length, back_length, capacity, room;
static bool woken, last, over;

static void write_back(void) {
  bool is_last = last && front_length == 0;
  pthread_mutex_unlock(&lock);
  disk_write(back, back_length, is_last);
  disk_settle();
  pthread_mutex_lock(&lock);
  back_length = 0;
  over = is_last;
  pthread_cond_broadcast(&done);
}

static struct timespec in_milliseconds(int64_t count) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  int64_t nanoseconds = time.tv_nsec + count % 1000 * 1000000;
  return (struct timespec){.tv_sec = time.tv_sec + count / 1000 + nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
}

/* Until there is something to do. A gap is told also when nothing comes after it. */
static void wait_for_work(void) {
  while (front_length == 0 && !woken && (!last || over)) {
    struct timespec retry = in_milliseconds(DISK_RETRY_MS + 1);
    if (!disk_has_gap())
      pthread_cond_wait(&work, &lock);
    else if (pthread_cond_timedwait(&work, &lock, &retry) == ETIMEDOUT)
      return;
  }
}

static void *run(void *nothing) {
  pthread_mutex_lock(&lock);
  for (;;) {
    wait_for_work();
    woken = false;
    char *filled = front;
    front = back;
    back = filled;
    back_length = front_length;
    front_length = 0;
    write_back();
  }
  return nothing;
}

static char *map(void) {
  void *memory = mmap(NULL, capacity, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

int queue_open(size_t size) {
  room = size;
  /* What comes when nothing waits is taken in any case. */
  capacity = size > LOG_BATCH ? size : LOG_BATCH;
  front = map();
  back = map();
  if (front == NULL || back == NULL) return ENOMEM;
  pthread_condattr_t clock;
  pthread_condattr_init(&clock);
  pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
  pthread_cond_init(&work, &clock);
  pthread_cond_init(&done, &clock);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  pthread_t thread;
  return pthread_create(&thread, &attributes, run, NULL);
}

/* The whole lines that there is room for. */
static size_t fitting(const char *lines, size_t length) {
  size_t waiting = front_length + back_length;
  if (waiting == 0 || length + waiting <= room) return length;
  const char *feed = waiting >= room ? NULL : memrchr(lines, '\n', room - waiting);
  return feed == NULL ? 0 : (size_t)(feed - lines) + 1;
}

void queue_put(const char *lines, size_t length) {
  pthread_mutex_lock(&lock);
  size_t part = fitting(lines, length);
  memcpy(front + front_length, lines, part);
  front_length += part;
  pthread_cond_signal(&work);
  pthread_mutex_unlock(&lock);
  uint64_t given_up = 0;
  for (size_t at = part; at < length; at++) given_up += lines[at] == '\n';
  if (given_up > 0) disk_lose(given_up, 0);
}

void queue_settle(int64_t patience, bool is_last) {
  struct timespec end = in_milliseconds(patience);
  pthread_mutex_lock(&lock);
  last = last || is_last;
  pthread_cond_signal(&work);
  while (front_length + back_length > 0 || (last && !over))
    if (pthread_cond_timedwait(&done, &lock, &end) == ETIMEDOUT) break;
  pthread_mutex_unlock(&lock);
}

void queue_wake(void) {
  pthread_mutex_lock(&lock);
  woken = true;
  pthread_cond_signal(&work);
  pthread_mutex_unlock(&lock);
}

void queue_relax(void) {
  pthread_mutex_lock(&lock);
  if (front_length == 0) madvise(front, capacity, MADV_DONTNEED);
  if (back_length == 0) madvise(back, capacity, MADV_DONTNEED);
  pthread_mutex_unlock(&lock);
}
