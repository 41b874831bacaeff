/*
 * gantry-mount: one call to the kernel that may wait for another machine, in a process of its own: the engine goes on, and can end it.
 * Standard input: the engine's pid, what to do and its words, each ended by a zero byte:
 *   PID mount SOURCE TARGET TYPE FLAGS DATA
 *   PID unmount TARGET FLAGS
 *   PID look FOLDER                          ENOTEMPTY when there is something in it
 * Options may hold a password, which nobody must read in the arguments. Standard output: the errno in decimal, 0 when it is done.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MAX_WORDS 8

static char input[65536];
static char *words[MAX_WORDS];

static size_t read_words(void) {
  size_t length = 0, count = 0;
  for (ssize_t got; (got = read(0, input + length, sizeof input - length)) > 0;) length += (size_t)got;
  if (length == 0 || input[length - 1] != '\0') return 0;
  for (char *word = input; word < input + length && count < MAX_WORDS; word += strlen(word) + 1) words[count++] = word;
  return count;
}

static int look(const char *path) {
  DIR *folder = opendir(path);
  if (folder == NULL) return errno;
  errno = 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) return ENOTEMPTY;
  return errno;
}

static int act(size_t count) {
  const char *what = count < 2 ? "" : words[1];
  if (strcmp(what, "mount") == 0 && count == 7)
    return mount(words[2], words[3], words[4], strtoul(words[5], NULL, 10), words[6]) < 0 ? errno : 0;
  if (strcmp(what, "unmount") == 0 && count == 4)
    return umount2(words[2], atoi(words[3])) < 0 ? errno : 0;
  if (strcmp(what, "look") == 0 && count == 3) return look(words[2]);
  return EINVAL;
}

int main(void) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  size_t count = read_words();
  /* The engine was gone before the signal for that was ordered: nobody would hear of a mount. */
  if (count == 0 || getppid() != atoi(words[0])) return 1;
  printf("%d\n", act(count));
  return 0;
}
