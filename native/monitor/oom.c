#include "oom.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "loop.h"
#include "text.h"

/* A kill that was announced is looked for this often. */
enum { LOOKS = 20, PAUSE_MS = 25 };

static const char *path;
static int watcher = -1;
static int64_t known, deadline = INT64_MAX;
static int looks;

/* How many kills the file counts; -1 when it can't be read. */
static int64_t count_kills(const char *file) {
  static const char key[] = "oom_kill ";
  char content[1024];
  int fd = file == NULL ? -1 : open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t length = read(fd, content, sizeof content - 1);
  close(fd);
  if (length <= 0) return -1;
  content[length] = '\0';
  for (char *line = content; line != NULL; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    if (strncmp(line, key, sizeof key - 1) != 0) continue;
    char *number = line + sizeof key - 1, *end = strchr(number, '\n');
    if (end != NULL) *end = '\0';
    int64_t count;
    return parse_number(number, &count) ? count : -1;
  }
  return -1;
}

bool oom_killed(const char *file) {
  return count_kills(file) > 0;
}

/* "<eventfd> <descriptor of memory.oom_control>" into cgroup.event_control beside it. */
static int watch_v1(void) {
  static char control_path[PATH_MAX];
  char line[48];
  const char *slash = strrchr(path, '/');
  struct text name = text_over(control_path, sizeof control_path - 1), text = text_over(line, sizeof line);
  text_bytes(&name, path, (size_t)(slash - path) + 1);
  text_add(&name, "cgroup.event_control");
  int file = open(path, O_RDONLY | O_CLOEXEC);
  int control = open(control_path, O_WRONLY | O_CLOEXEC);
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  text_number(&text, fd);
  text_add(&text, " ");
  text_number(&text, file);
  bool watched = file >= 0 && control >= 0 && fd >= 0 && write(control, line, text_length(&text)) > 0;
  if (file >= 0) close(file);
  if (control >= 0) close(control);
  if (!watched && fd >= 0) close(fd);
  return watched ? fd : -1;
}

static int watch_v2(void) {
  int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (fd < 0 || inotify_add_watch(fd, path, IN_MODIFY) >= 0) return fd;
  close(fd);
  return -1;
}

void oom_open(const char *file) {
  const char *slash = file == NULL ? NULL : strrchr(file, '/');
  if (slash == NULL || strlen(file) + sizeof "cgroup.event_control" >= PATH_MAX) return;
  path = file;
  known = count_kills(path);
  watcher = strcmp(slash + 1, "memory.events") == 0 ? watch_v2() : watch_v1();
  if (watcher >= 0) loop_add(watcher, EPOLLIN, TAG_OOM);
}

void oom_event(void) {
  char events[512];
  while (read(watcher, events, sizeof events) > 0) {}
  looks = LOOKS;
  deadline = 0;
}

int64_t oom_deadline(void) {
  return deadline;
}

static bool has_grown(int64_t count) {
  if (count <= known) return false;
  known = count;
  deadline = INT64_MAX;
  return true;
}

bool oom_news(int64_t now) {
  if (now < deadline) return false;
  int64_t count = count_kills(path);
  /* When the cgroup is gone, so is what there was to see. */
  deadline = count < 0 || --looks <= 0 ? INT64_MAX : now + PAUSE_MS;
  return has_grown(count);
}

bool oom_last_news(void) {
  return has_grown(count_kills(path));
}
