#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "child.h"
#include "json.h"
#include "text.h"

enum {
  LINE_ROOM = LOG_PIECE * JSON_GROWTH + JSON_SLACK + LOG_ATTRIBUTES + 128, /* the longest line with its frame */
  BUFFER = 256 * 1024,
};

static struct log_options options;
static int file = -1;
static int64_t file_size;
static bool torn; /* the file's last line is cut off */

/* The gzip that runs. Another monitor may take this log over meanwhile, so what names stand for is checked in the end. */
static pid_t gzip_pid;
static int64_t gzip_index; /* which rotated file it reads */
static struct stat gzip_source, gzip_target;

static _Alignas(4096) char buffer[BUFFER];
static _Alignas(4096) char pending[STREAM_COUNT][LOG_PIECE];
static size_t pending_length[STREAM_COUNT];

static const char HEAD[] = "{\"log\":\"";

/* What follows the text of each line of one batch: the stamp is made once per batch. */
struct tail {
  const char *bytes;
  size_t length;
};

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

int log_open(const struct log_options *given) {
  options = *given;
  if (options.path == NULL) return 0;
  if (options.max_files < 1) options.max_files = 1;
  if (strlen(options.path) >= PATH_MAX) return ENAMETOOLONG;
  if (options.attributes != NULL && strlen(options.attributes) > LOG_ATTRIBUTES) return E2BIG;
  int error = open_file();
  if (error != 0) return error;
  if (options.compress) unlink_numbered(0, ".gz.tmp");
  char last = '\n';
  int reader = open(options.path, O_RDONLY | O_CLOEXEC);
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

/* Compresses the oldest rotated file that is not compressed yet, one at a time. */
static void compress_next(void) {
  if (gzip_pid != 0 || !options.compress) return;
  int64_t index = options.max_files - 1;
  while (index > 0 && !exists_numbered(index, "")) index--;
  if (index == 0) return;
  int in = open(numbered(name_from, sizeof name_from, index, ""), O_RDONLY | O_CLOEXEC);
  int out = open(numbered(name_to, sizeof name_to, 0, ".gz.tmp"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  static char gzip[] = "gzip", to_stdout[] = "-c";
  static char *arguments[] = {gzip, to_stdout, NULL};
  if (in >= 0 && out >= 0 && fstat(in, &gzip_source) == 0 && fstat(out, &gzip_target) == 0) {
    pid_t pid = child_start(&(struct child){.arguments = arguments, .in = in, .out = out, .err = -1, .patient = true});
    if (pid > 0) {
      gzip_pid = pid;
      gzip_index = index;
    }
  }
  if (in >= 0) close(in);
  if (out >= 0) close(out);
  if (gzip_pid == 0) options.compress = false;
}

static bool is_file(const char *name, const struct stat *known) {
  struct stat status;
  return stat(name, &status) == 0 && status.st_ino == known->st_ino && status.st_dev == known->st_dev;
}

/* Puts the compressed file in the plain one's place, with its time: readers know it again by that. */
static void replace_by_gzip(const char *compressed) {
  if (!is_file(numbered(name_from, sizeof name_from, gzip_index, ""), &gzip_source)) return;
  const struct timespec times[2] = {gzip_source.st_atim, gzip_source.st_mtim};
  utimensat(AT_FDCWD, compressed, times, 0);
  if (rename(compressed, numbered(name_to, sizeof name_to, gzip_index, ".gz")) == 0) unlink(name_from);
}

bool log_child_ended(pid_t pid, int status) {
  if (gzip_pid == 0 || pid != gzip_pid) return false;
  gzip_pid = 0;
  static char compressed[PATH_MAX + 32];
  numbered(compressed, sizeof compressed, 0, ".gz.tmp");
  if (!is_file(compressed, &gzip_target)) return true;
  if (status == 0 && gzip_index < options.max_files) replace_by_gzip(compressed);
  unlink(compressed);
  if (status != 0) options.compress = false; /* no gzip here: leave the files as they are */
  compress_next();
  return true;
}

bool log_busy(void) {
  return gzip_pid != 0;
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
    if (gzip_pid != 0) gzip_index++;
  }
  close(file);
  torn = false;
  if (open_file() == 0) compress_next();
}

static void write_out(const char *bytes, size_t length) {
  if (length == 0) return;
  if (file < 0 && open_file() != 0) return;
  if (torn) {
    if (write(file, "\n", 1) != 1) return;
    torn = false;
    file_size++;
  }
  while (length > 0) {
    ssize_t count = write(file, bytes, length);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    bytes += count;
    length -= (size_t)count;
    file_size += count;
    torn = bytes[-1] != '\n';
  }
}

static char *put(char *at, const char *bytes, size_t length) {
  memcpy(at, bytes, length);
  return at + length;
}

static struct tail tail_of(int stream) {
  static char bytes[LOG_ATTRIBUTES + 128];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  struct text text = text_over(bytes, sizeof bytes);
  text_add(&text, stream == STREAM_STDERR ? "\",\"stream\":\"stderr\"" : "\",\"stream\":\"stdout\"");
  if (options.attributes != NULL) {
    text_add(&text, ",\"attrs\":");
    text_add(&text, options.attributes);
  }
  text_add(&text, ",\"time\":\"");
  text_time(&text, now);
  text_add(&text, "\"}\n");
  return (struct tail){bytes, text_length(&text)};
}

/* The end of the buffer's lines after the one from `line` to `end` was added, which may rotate the file first. */
static char *line_added(char *line, char *end) {
  int64_t before = file_size + (line - buffer), length = end - line;
  if (options.max_size > 0 && before > 0 && before + length > options.max_size) {
    write_out(buffer, (size_t)(line - buffer));
    rotate();
    memmove(buffer, line, (size_t)length);
    end = buffer + length;
  }
  if (buffer + BUFFER - end >= LINE_ROOM) return end;
  write_out(buffer, (size_t)(end - buffer));
  return buffer;
}

/* Adds one piece of text, a line feed at its end included, as a line of the log. */
static char *add_piece(char *at, const char *bytes, size_t length, const struct tail *tail) {
  bool ended;
  char *end = put(at, HEAD, sizeof HEAD - 1);
  json_line(&end, bytes, length, &ended);
  return line_added(at, put(end, tail->bytes, tail->length));
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
  struct tail tail = tail_of(stream);
  char *at = buffer;
  while (length > 0) {
    size_t used;
    if (pending_length[stream] > 0) {
      used = fill_pending(stream, bytes, length, &tail, &at);
    } else {
      bool ended;
      size_t limit = length < LOG_PIECE ? length : LOG_PIECE;
      char *end = put(at, HEAD, sizeof HEAD - 1);
      used = json_line(&end, bytes, limit, &ended);
      if (ended)
        at = line_added(at, put(end, tail.bytes, tail.length));
      else
        used = fill_pending(stream, bytes, limit, &tail, &at);
    }
    bytes += used;
    length -= used;
  }
  write_out(buffer, (size_t)(at - buffer));
}

const char *log_pending(int stream, size_t *length) {
  *length = pending_length[stream];
  return pending[stream];
}

void log_position(uint64_t *generation, uint64_t *offset) {
  struct stat status;
  bool known = file >= 0 && fstat(file, &status) == 0;
  *generation = known ? status.st_ino : 0;
  *offset = known ? (uint64_t)status.st_size : 0;
}

void log_finish(void) {
  if (options.path == NULL) return;
  for (int stream = 0; stream < STREAM_COUNT; stream++) {
    if (pending_length[stream] == 0) continue;
    struct tail tail = tail_of(stream);
    char *end = add_piece(buffer, pending[stream], pending_length[stream], &tail);
    write_out(buffer, (size_t)(end - buffer));
    pending_length[stream] = 0;
  }
}

void log_relax(void) {
  madvise(buffer, sizeof buffer, MADV_DONTNEED);
  if (pending_length[0] == 0 && pending_length[1] == 0) madvise(pending, sizeof pending, MADV_DONTNEED);
}
