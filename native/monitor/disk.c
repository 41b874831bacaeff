#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "lines.h"
#include "loop.h"
#include "text.h"

enum { BLOCK = 4096 };

static struct log_options options;
static int file = -1;
static int64_t file_size;
static bool torn;     /* the file's last line is cut off */
static bool refusing; /* the disk refused, and has not taken anything since */

static struct {
  _Atomic uint64_t lines;
  _Atomic int error;
  int64_t retry; /* not before this moment */
  /* News: */
  _Atomic bool begun;
  _Atomic uint64_t counted;
} lost;

/* The gzip that runs. Another monitor may take this log over meanwhile, so what names stand for is checked in the end. */
static struct {
  pthread_mutex_t lock; /* over `pid`, `ended`, `status` and `settling` */
  pid_t pid;
  bool ended, settling;
  int status;
  int64_t index; /* which rotated file it reads */
  struct stat source, target;
} gzip = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int open_file(void) {
  file = open(options.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
  if (file < 0) return errno;
  struct stat status;
  file_size = fstat(file, &status) == 0 ? status.st_size : 0;
  return 0;
}

static const char *numbered(char *name, size_t size, int64_t index, const char *suffix) {
  struct text text = text_over(name, size - 1);
  text_add(&text, options.path);
  if (index > 0) {
    text_add(&text, ".");
    text_number(&text, index);
  }
  text_add(&text, suffix);
  *text.at = '\0';
  return name;
}

static char name_from[PATH_MAX + 32], name_to[PATH_MAX + 32];

static void rename_numbered(int64_t from, int64_t to, const char *suffix) {
  rename(numbered(name_from, sizeof name_from, from, suffix), numbered(name_to, sizeof name_to, to, suffix));
}

static void unlink_numbered(int64_t index, const char *suffix) {
  unlink(numbered(name_from, sizeof name_from, index, suffix));
}

int disk_open(const struct log_options *given) {
  options = *given;
  if (options.max_files < 1) options.max_files = 1;
  if (strlen(options.path) >= PATH_MAX) return ENAMETOOLONG;
  int error = open_file();
  if (error != 0) return error;
  if (options.compress) unlink_numbered(0, ".gz.tmp");
  char last = '\n';
  int reader = open(options.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (reader >= 0) {
    if (file_size > 0 && pread(reader, &last, 1, file_size - 1) != 1) last = '\n';
    close(reader);
  }
  torn = last != '\n';
  return 0;
}

static bool exists_numbered(int64_t index, const char *suffix) {
  struct stat status;
  return stat(numbered(name_from, sizeof name_from, index, suffix), &status) == 0;
}

/* Under the lock, so that its end is not met before its number is known. */
static void start_gzip(int in, int out) {
  static char program[] = "gzip", to_stdout[] = "-c";
  static char *arguments[] = {program, to_stdout, NULL};
  pthread_mutex_lock(&gzip.lock);
  pid_t pid = child_start(&(struct child){.arguments = arguments, .in = in, .out = out, .err = -1, .patient = true});
  if (pid > 0) gzip.pid = pid;
  pthread_mutex_unlock(&gzip.lock);
}

/* Compresses the oldest rotated file that is not compressed yet, one at a time. */
static void compress_next(void) {
  if (gzip.pid != 0 || !options.compress) return;
  int64_t index = options.max_files - 1;
  while (index > 0 && !exists_numbered(index, "")) index--;
  if (index == 0) return;
  int in = open(numbered(name_from, sizeof name_from, index, ""), O_RDONLY | O_CLOEXEC);
  int out = open(numbered(name_to, sizeof name_to, 0, ".gz.tmp"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  gzip.index = index;
  if (in >= 0 && out >= 0 && fstat(in, &gzip.source) == 0 && fstat(out, &gzip.target) == 0) start_gzip(in, out);
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  if (gzip.pid == 0) options.compress = false;
}

static bool is_file(const char *name, const struct stat *known) {
  struct stat status;
  return stat(name, &status) == 0 && status.st_ino == known->st_ino && status.st_dev == known->st_dev;
}

/* Puts the compressed file in the plain one's place, with its time: readers know it again by that. */
static void replace_by_gzip(const char *compressed) {
  if (!is_file(numbered(name_from, sizeof name_from, gzip.index, ""), &gzip.source)) return;
  const struct timespec times[2] = {gzip.source.st_atim, gzip.source.st_mtim};
  utimensat(AT_FDCWD, compressed, times, 0);
  if (rename(compressed, numbered(name_to, sizeof name_to, gzip.index, ".gz")) == 0) unlink(name_from);
}

bool disk_child_ended(pid_t pid, int status) {
  pthread_mutex_lock(&gzip.lock);
  bool ours = gzip.pid != 0 && pid == gzip.pid;
  if (ours) {
    gzip.ended = true;
    gzip.status = status;
  }
  pthread_mutex_unlock(&gzip.lock);
  return ours;
}

bool disk_busy(void) {
  pthread_mutex_lock(&gzip.lock);
  bool busy = gzip.pid != 0 || gzip.settling;
  pthread_mutex_unlock(&gzip.lock);
  return busy;
}

/* Takes note of its end: what follows is still to be done. False when it has not ended. */
static bool take_end(void) {
  pthread_mutex_lock(&gzip.lock);
  bool ended = gzip.ended;
  if (ended) gzip.pid = 0;
  gzip.ended = false;
  gzip.settling = ended;
  pthread_mutex_unlock(&gzip.lock);
  return ended;
}

static void settled(void) {
  pthread_mutex_lock(&gzip.lock);
  gzip.settling = false;
  pthread_mutex_unlock(&gzip.lock);
}

void disk_settle(void) {
  static char compressed[PATH_MAX + 32];
  if (!take_end()) return;
  numbered(compressed, sizeof compressed, 0, ".gz.tmp");
  if (is_file(compressed, &gzip.target)) {
    if (gzip.status == 0 && gzip.index < options.max_files) replace_by_gzip(compressed);
    unlink(compressed);
    if (gzip.status != 0) options.compress = false; /* no gzip here: leave the files as they are */
  }
  compress_next();
  settled();
}

static void rotate(void) {
  int64_t last = options.max_files - 1;
  if (last == 0) {
    unlink(options.path);
  } else {
    unlink_numbered(last, "");
    unlink_numbered(last, ".gz");
    for (int64_t index = last - 1; index > 0; index--) {
      rename_numbered(index, index + 1, "");
      rename_numbered(index, index + 1, ".gz");
    }
    rename_numbered(0, 1, "");
    if (gzip.pid != 0) gzip.index++;
  }
  close(file);
  file = -1;
  file_size = 0;
  torn = false;
  if (open_file() == 0) compress_next();
}

/* Returns 0, or why not all of it is in the file. */
static int append(const char *bytes, size_t length) {
  if (file < 0) {
    int error = open_file();
    if (error != 0) return error;
  }
  if (torn) {
    if (write(file, "\n", 1) != 1) return errno;
    torn = false;
    file_size++;
  }
  while (length > 0) {
    ssize_t count = write(file, bytes, length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : EIO;
    bytes += count;
    length -= (size_t)count;
    file_size += count;
    torn = bytes[-1] != '\n';
  }
  return 0;
}

static uint64_t count_lines(const char *bytes, size_t length) {
  uint64_t lines = 0;
  const char *end = bytes + length;
  while (bytes < end && (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL) {
    lines++;
    bytes++;
  }
  return lines;
}

bool disk_has_gap(void) {
  return atomic_load(&lost.lines) > 0;
}

void disk_lose(uint64_t lines, int error) {
  atomic_store(&lost.error, error);
  if (atomic_fetch_add(&lost.lines, lines) == 0) atomic_store(&lost.begun, true);
}

static size_t gap_line(char *line, uint64_t lines, int error) {
  struct tail tail;
  char message[256], *at = line;
  bool ended;
  struct text text = text_over(message, sizeof message);
  const char *reason = error == 0 ? "the disk could not keep up" : strerrordesc_np(error);
  text_add(&text, "[gantry] ");
  text_number(&text, (int64_t)lines);
  text_add(&text, lines == 1 ? " line is missing here: " : " lines are missing here: ");
  text_add(&text, reason == NULL ? "unknown error" : reason);
  text_add(&text, "\n");
  lines_tail(&tail, STREAM_STDERR);
  lines_begin(&at, message, text_length(&text), &ended);
  return (size_t)(lines_end(at, &tail) - line);
}

/* Whether a disk that was full takes so many bytes again, and a line that tells of it. */
static bool has_room(size_t length) {
  struct statvfs disk;
  if (!refusing || atomic_load(&lost.error) != ENOSPC || file < 0 || fstatvfs(file, &disk) != 0) return false;
  return disk.f_bavail * disk.f_frsize >= length + BLOCK;
}

/* Says in the log how many lines are missing here, if some are and it is time for it. `length`: of what follows. */
static void tell_gap(size_t length, bool now) {
  static char line[512 * JSON_GROWTH + TAIL_ROOM];
  uint64_t lines = atomic_load(&lost.lines);
  if (lines == 0 || (!now && loop_now() < lost.retry && !has_room(length))) return;
  lost.retry = loop_now() + DISK_RETRY_MS;
  refusing = append(line, gap_line(line, lines, atomic_load(&lost.error))) != 0;
  if (refusing) return;
  atomic_fetch_sub(&lost.lines, lines);
  atomic_fetch_add(&lost.counted, lines);
}

/* The lines up to where the file would grow too long; the first one goes in any case into an empty file. */
static size_t fitting(const char *lines, size_t length) {
  if (options.max_size <= 0 || file_size + (int64_t)length <= options.max_size) return length;
  int64_t room = options.max_size - file_size;
  const char *feed = room <= 0 ? NULL : memrchr(lines, '\n', (size_t)room);
  if (feed != NULL) return (size_t)(feed - lines) + 1;
  return file_size > 0 ? 0 : (size_t)((const char *)memchr(lines, '\n', length) - lines) + 1;
}

static void append_or_lose(const char *lines, size_t length) {
  off_t start = file_size + (torn ? 1 : 0);
  int error = refusing ? atomic_load(&lost.error) : append(lines, length);
  if (error == 0) return;
  size_t written = !refusing && file_size > start ? (size_t)(file_size - start) : 0;
  refusing = true;
  disk_lose(count_lines(lines + written, length - written), error);
}

void disk_write(const char *lines, size_t length, bool last) {
  tell_gap(length, last);
  while (length > 0) {
    size_t part = fitting(lines, length);
    if (part == 0) {
      rotate();
      part = fitting(lines, length);
    }
    if (part == 0) part = length; /* it can't be rotated */
    append_or_lose(lines, part);
    lines += part;
    length -= part;
  }
  if (last) tell_gap(0, true);
}

void disk_position(uint64_t *generation, uint64_t *offset) {
  struct stat status;
  bool known = file >= 0 && fstat(file, &status) == 0;
  *generation = known ? status.st_ino : 0;
  *offset = known ? (uint64_t)status.st_size : 0;
}

bool disk_news(struct log_news *news) {
  bool begun = atomic_exchange(&lost.begun, false);
  *news = (struct log_news){.error = atomic_load(&lost.error), .lines = atomic_exchange(&lost.counted, 0)};
  return begun || news->lines > 0;
}
