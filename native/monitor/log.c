#include "log.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "disk.h"
#include "json.h"
#include "lines.h"
#include "queue.h"

/* How long a client that attaches, and the task's end, wait for a disk that does not keep up. Milliseconds. */
enum { ATTACH_PATIENCE = 1000, END_PATIENCE = 10 * 1000 };

static struct log_options options;
static _Alignas(4096) char buffer[LOG_BATCH];
static _Alignas(4096) char pending[STREAM_COUNT][LOG_PIECE];
static size_t pending_length[STREAM_COUNT];

int log_open(const struct log_options *given) {
  options = *given;
  if (options.path == NULL) return 0;
  if (options.attributes != NULL && strlen(options.attributes) > LOG_ATTRIBUTES) return E2BIG;
  lines_open(options.attributes);
  int error = disk_open(&options);
  return error == 0 && options.buffer > 0 ? queue_open((size_t)options.buffer) : error;
}

static void flush(char *end) {
  size_t length = (size_t)(end - buffer);
  if (length == 0) return;
  if (options.buffer > 0)
    queue_put(buffer, length);
  else
    disk_write(buffer, length, false);
}

/* Where the next line goes: at the buffer's start again when there may be no room for it. */
static char *next_line(char *end) {
  if (buffer + LOG_BATCH - end >= LINE_ROOM) return end;
  flush(end);
  return buffer;
}

/* Adds one piece of text, a line feed at its end included, as a line of the log. */
static char *add_piece(char *at, const char *bytes, size_t length, const struct tail *tail) {
  bool ended;
  lines_begin(&at, bytes, length, &ended);
  return next_line(lines_end(at, tail));
}

/* Completes the pending line with the first of these bytes; returns how many it took. */
static size_t fill_pending(int stream, const char *bytes, size_t length, const struct tail *tail, char **at) {
  char *line = pending[stream];
  size_t have = pending_length[stream];
  size_t take = length < LOG_PIECE - have ? length : LOG_PIECE - have;
  const char *feed = memchr(bytes, '\n', take);
  if (feed != NULL) take = (size_t)(feed - bytes) + 1;
  memcpy(line + have, bytes, take);
  have += take;
  if (feed == NULL && have < LOG_PIECE) {
    pending_length[stream] = have;
    return take;
  }
  size_t whole = feed != NULL ? have : utf8_whole(line, have);
  *at = add_piece(*at, line, whole, tail);
  memmove(line, line + whole, have - whole);
  pending_length[stream] = have - whole;
  return take;
}

void log_write(int stream, const char *bytes, size_t length) {
  if (options.path == NULL) return;
  struct tail tail;
  lines_tail(&tail, stream);
  char *at = buffer;
  while (length > 0) {
    size_t used;
    if (pending_length[stream] > 0) {
      used = fill_pending(stream, bytes, length, &tail, &at);
    } else {
      bool ended;
      char *end = at;
      size_t limit = length < LOG_PIECE ? length : LOG_PIECE;
      used = lines_begin(&end, bytes, limit, &ended);
      if (ended)
        at = next_line(lines_end(end, &tail));
      else
        used = fill_pending(stream, bytes, limit, &tail, &at);
    }
    bytes += used;
    length -= used;
  }
  flush(at);
}

const char *log_pending(int stream, size_t *length) {
  *length = pending_length[stream];
  return pending[stream];
}

void log_position(uint64_t *generation, uint64_t *offset) {
  if (options.buffer > 0) queue_settle(ATTACH_PATIENCE, false);
  disk_position(generation, offset);
}

void log_finish(void) {
  if (options.path == NULL) return;
  for (int stream = 0; stream < STREAM_COUNT; stream++) {
    if (pending_length[stream] == 0) continue;
    struct tail tail;
    lines_tail(&tail, stream);
    flush(add_piece(buffer, pending[stream], pending_length[stream], &tail));
    pending_length[stream] = 0;
  }
  if (options.buffer > 0)
    queue_settle(END_PATIENCE, true);
  else
    disk_write(buffer, 0, true);
}

bool log_child_ended(pid_t pid, int status) {
  if (!disk_child_ended(pid, status)) return false;
  if (options.buffer > 0)
    queue_wake();
  else
    disk_settle();
  return true;
}

bool log_busy(void) {
  return disk_busy();
}

bool log_news(struct log_news *news) {
  return disk_news(news);
}

void log_relax(void) {
  madvise(buffer, sizeof buffer, MADV_DONTNEED);
  if (pending_length[0] == 0 && pending_length[1] == 0) madvise(pending, sizeof pending, MADV_DONTNEED);
  if (options.buffer > 0) queue_relax();
}
