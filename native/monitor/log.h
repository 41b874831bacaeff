/*
 * The log: Docker's json-file, in whole lines. One log per process. lines.h makes them, disk.h keeps them, queue.h stands between
 * the two in non-blocking mode.
 *
 * A line goes to the file when it is complete, when it reaches 16 KiB, or at the end; the rest waits as "pending".
 */
#ifndef GANTRY_LOG_H
#define GANTRY_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
  LOG_PIECE = 16384,
  LOG_ATTRIBUTES = 17 * 1024,
  LOG_BATCH = 256 * 1024, /* as many bytes of lines are written at once */
  STREAM_STDOUT = 0,
  STREAM_STDERR = 1,
  STREAM_COUNT = 2,
};

struct log_options {
  const char *path;  /* NULL: no log */
  int64_t max_size;  /* 0: never rotate */
  int64_t max_files; /* at least 1 */
  bool compress;
  const char *attributes; /* a JSON object that every line carries, of at most LOG_ATTRIBUTES bytes; or NULL */
  int64_t buffer;         /* more than 0: bytes that may wait for the disk; then lines are given up. Otherwise the task waits. */
};

/* Lines are being lost, or were. */
struct log_news {
  int error;      /* 0: the disk was too slow */
  uint64_t lines; /* so many of which the log tells; 0: of none yet */
};

/* Opens the file for appending; returns 0 or an errno. */
int log_open(const struct log_options *options);
/* Writes the lines that these bytes complete. When it returns they are in the file, or in the buffer. */
void log_write(int stream, const char *bytes, size_t length);
/* The bytes of the stream that no line in the file holds yet. */
const char *log_pending(int stream, size_t *length);
/* Inode and size of the current file when all that was written is in it; zeros without a log. */
void log_position(uint64_t *generation, uint64_t *offset);
/* Writes what is pending. */
void log_finish(void);
/* Tells of an ended child; true when it was the log's gzip. */
bool log_child_ended(pid_t pid, int status);
/* Whether a gzip runs. Its end may be settled by another thread: ask again soon. */
bool log_busy(void);
/* Something to tell about lost lines, once each time. */
bool log_news(struct log_news *news);
/* Gives the buffers' memory back. */
void log_relax(void);

#endif
