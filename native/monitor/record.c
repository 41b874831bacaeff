#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "json.h"
#include "text.h"

static void add_exit(struct text *text, const struct record *record) {
  bool signalled = WIFSIGNALED(record->status);
  text_add(text, ",\"exitCode\":");
  text_number(text, signalled ? 128 + WTERMSIG(record->status) : WEXITSTATUS(record->status));
  if (signalled) {
    text_add(text, ",\"signal\":");
    text_number(text, WTERMSIG(record->status));
  }
  text_add(text, record->oom_killed ? ",\"oomKilled\":true" : ",\"oomKilled\":false");
  text_add(text, ",\"finishedAt\":\"");
  text_time(text, record->finished);
  text_add(text, "\"");
}

static void add_path(struct text *text, const char *path) {
  size_t length = strlen(path);
  bool ended;
  if (length * JSON_GROWTH + JSON_SLACK + 32 > (size_t)(text->end - text->at)) return;
  text_add(text, ",\"oomFile\":\"");
  json_line(&text->at, path, length, &ended);
  text_add(text, "\"");
}

size_t record_json(const struct record *record, bool with_oom_file, char *into, size_t size) {
  struct text text = text_over(into, size);
  text_add(&text, "{\"pid\":");
  text_number(&text, record->pid);
  text_add(&text, ",\"startedAt\":\"");
  text_time(&text, record->started);
  text_add(&text, "\"");
  if (record->ended) add_exit(&text, record);
  if (with_oom_file && record->oom_file != NULL) add_path(&text, record->oom_file);
  text_add(&text, "}");
  return text_length(&text);
}

static int write_file(const struct record *record) {
  char json[512];
  size_t length = record_json(record, false, json, sizeof json);
  /* Of one length always: what stands there already is written over, which a full disk allows. */
  memset(json + length, ' ', sizeof json - length);
  int fd = open("exit.tmp", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  int error = write(fd, json, sizeof json) == sizeof json ? 0 : EIO;
  close(fd);
  return error;
}

int record_prepare(const struct record *record) {
  return write_file(record);
}

int record_save(const struct record *record) {
  int error = write_file(record);
  if (error == 0 && rename("exit.tmp", "exit") != 0) error = errno;
  return error;
}
