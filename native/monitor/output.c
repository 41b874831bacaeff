#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clients.h"
#include "log.h"
#include "loop.h"

enum {
  CHUNK = 128 * 1024,
  PIPE_SMALL = 64 * 1024, /* what a pipe has by default */
  PIPE_LARGE = 1024 * 1024,
};

struct source {
  int fd;
  bool watched;
  bool large;
};

static struct source sources[STREAM_COUNT] = {{.fd = -1}, {.fd = -1}};
static bool held;
static _Alignas(4096) char chunk[CHUNK];

/* What slow clients had not taken when the task ended, with headers; at most the pipe's content. */
static struct rest {
  char *bytes;
  size_t length, size;
} rests[STREAM_COUNT];

static void watch(void) {
  bool wanted = !held && !clients_behind();
  for (int stream = 0; stream < STREAM_COUNT; stream++) {
    struct source *source = &sources[stream];
    if (source->fd < 0 || source->watched == wanted) continue;
    if (wanted)
      loop_add(source->fd, EPOLLIN, TAG_OUTPUT + (uint32_t)stream);
    else
      loop_remove(source->fd);
    source->watched = wanted;
  }
}

void output_open(int out, int err, bool is_held) {
  held = is_held;
  sources[STREAM_STDOUT].fd = out;
  sources[STREAM_STDERR].fd = err;
  watch();
}

void output_proceed(void) {
  held = false;
  watch();
}

void output_resume(void) {
  watch();
}

static void close_source(struct source *source) {
  if (source->watched) loop_remove(source->fd);
  close(source->fd);
  *source = (struct source){.fd = -1};
}

/* A writer that fills the pipe gets a larger one: fewer and longer turns for both. */
static void enlarge(struct source *source) {
  if (!source->large) fcntl(source->fd, F_SETPIPE_SZ, PIPE_LARGE);
  source->large = true;
}

/* Bytes read into the chunk; 0: nothing now, or closed because all writers are gone. */
static size_t read_chunk(struct source *source) {
  ssize_t count = read(source->fd, chunk, sizeof chunk);
  if (count > 0) {
    if (count >= PIPE_SMALL) enlarge(source);
    return (size_t)count;
  }
  /* A terminal whose other side was closed says EIO. */
  if (count == 0 || (errno != EAGAIN && errno != EINTR)) close_source(source);
  return 0;
}

void output_event(int stream) {
  struct source *source = &sources[stream];
  if (source->fd < 0 || !source->watched) return;
  size_t count = read_chunk(source);
  if (count == 0) return;
  log_write(stream, chunk, count);
  clients_offer(stream, chunk, count);
  if (clients_behind()) watch();
}

static bool reserve(struct rest *rest, size_t more) {
  size_t wanted = rest->length + more;
  if (wanted <= rest->size) return true;
  size_t size = rest->size == 0 ? 256 * 1024 : rest->size;
  while (size < wanted) size *= 2;
  void *grown = rest->size == 0 ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                                : mremap(rest->bytes, rest->size, size, MREMAP_MAYMOVE);
  if (grown == MAP_FAILED) return false;
  rest->bytes = grown;
  rest->size = size;
  return true;
}

/* Reads into the rest instead of the chunk, which slow clients still need. */
static size_t read_rest(int stream) {
  struct source *source = &sources[stream];
  struct rest *rest = &rests[stream];
  unsigned char header[8];
  if (!reserve(rest, sizeof header + CHUNK)) return 0;
  char *body = rest->bytes + rest->length + clients_header(header, stream, 0);
  ssize_t count = read(source->fd, body, CHUNK);
  if (count <= 0) {
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) close_source(source);
    return 0;
  }
  log_write(stream, body, (size_t)count);
  size_t header_length = clients_header(header, stream, (size_t)count);
  memcpy(rest->bytes + rest->length, header, header_length);
  rest->length += header_length + (size_t)count;
  return (size_t)count;
}

static void drain(int stream) {
  struct source *source = &sources[stream];
  /* Bounded by what a pipe can hold: a descendant may go on writing. */
  for (size_t total = 0; source->fd >= 0 && total <= PIPE_LARGE;) {
    bool behind = clients_behind();
    size_t count = behind ? read_rest(stream) : read_chunk(source);
    if (count == 0) break;
    total += count;
    if (behind) continue;
    log_write(stream, chunk, count);
    clients_offer(stream, chunk, count);
  }
}

bool output_drain(void) {
  held = false;
  for (int stream = 0; stream < STREAM_COUNT; stream++) drain(stream);
  for (int stream = 0; stream < STREAM_COUNT; stream++)
    if (rests[stream].length > 0) clients_offer_rest(stream, rests[stream].bytes, rests[stream].length);
  watch();
  return output_ended();
}

bool output_ended(void) {
  return sources[0].fd < 0 && sources[1].fd < 0;
}

void output_finish(void) {
  for (int stream = 0; stream < STREAM_COUNT; stream++)
    if (sources[stream].fd >= 0) close_source(&sources[stream]);
  log_finish();
}

static void shrink(struct source *source) {
  if (source->fd >= 0 && source->large && fcntl(source->fd, F_SETPIPE_SZ, PIPE_SMALL) >= 0) source->large = false;
}

void output_relax(void) {
  for (int stream = 0; stream < STREAM_COUNT; stream++) shrink(&sources[stream]);
  if (!clients_behind()) madvise(chunk, sizeof chunk, MADV_DONTNEED);
}
