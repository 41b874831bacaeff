/*
 * A tree with further folders and files mounted in it, seen by one thread of ours alone: its mount namespace has nothing else in it, and
 * is gone with the thread, also when we are killed.
 */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STACK = 128 * 1024 };

struct stage {
  char *root;
  char **sources, **parts, **targets, **modes; /* parts: a path inside the source, or ""; modes: "ro" or "rw", and "flat" behind it */
  sem_t ready, leave;
  pthread_t thread;
  int fd; /* of the tree's root; -1 after a failure */
  int error;
  const char *step;
  napi_async_work work;
  napi_deferred deferred;
};

static int open_in(int root, const char *path) {
  struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, root, path, &how, sizeof how);
}

static int make_file(int folder, const char *name) {
  int file = openat(folder, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0755);
  if (file < 0) return -1;
  close(file);
  return 0;
}

/* Makes what is missing of a path in the root: folders, and at its end a folder or an empty file. Returns 0 or -1. */
static int make_place(int root, const char *path, bool is_folder) {
  char name[4096];
  int folder = -1, result = 0;
  for (const char *at = path; result == 0 && *at != '\0';) {
    while (*at == '/') at++;
    const char *end = strchrnul(at, '/');
    if (end == at) break;
    bool last = end[strspn(end, "/")] == '\0';
    if ((size_t)(end - path) >= sizeof name) {
      errno = ENAMETOOLONG;
      result = -1;
      break;
    }
    memcpy(name, path, (size_t)(end - path));
    name[end - path] = '\0';
    int here = open_in(root, name);
    if (here < 0 && errno == ENOENT) {
      const char *own = name + (at - path);
      int parent = folder < 0 ? root : folder;
      result = last && !is_folder ? make_file(parent, own) : mkdirat(parent, own, 0755);
      if (result == 0) here = open_in(root, name);
    }
    if (here < 0) result = -1;
    int error = errno;
    if (folder >= 0) close(folder);
    errno = error;
    folder = here;
    at = end;
  }
  int error = errno;
  if (folder >= 0) close(folder);
  errno = error;
  return result;
}

static bool is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static int bind_onto(const char *source, int target, const char *mode) {
  char place[64];
  snprintf(place, sizeof place, "/proc/self/fd/%d", target);
  bool flat = strstr(mode, "flat") != NULL;
  if (mount(source, place, NULL, MS_BIND | (flat ? 0 : MS_REC), NULL) != 0) return -1;
  if (strncmp(mode, "ro", 2) != 0) return 0;
  /* The descriptor is of what is covered now; by the path we reach what covers it. */
  char path[4096];
  ssize_t length = readlink(place, path, sizeof path - 1);
  if (length < 0) return -1;
  path[length] = '\0';
  return mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
}

/* The part of a source, links followed inside the source alone, also while somebody changes them. */
static int open_part(const char *source, const char *part) {
  int folder = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return -1;
  int fd = open_in(folder, part);
  int error = errno;
  close(folder);
  errno = error;
  return fd;
}

static int bind_one(struct stage *stage, int root, const char *source, size_t i) {
  int target = make_place(root, stage->targets[i], is_folder(source)) == 0 ? open_in(root, stage->targets[i]) : -1;
  if (target < 0) return -1;
  stage->step = "mount";
  int result = bind_onto(source, target, stage->modes[i]);
  int error = errno;
  close(target);
  errno = error;
  return result;
}

static int bind_all(struct stage *stage, int root) {
  for (size_t i = 0; stage->sources[i] != NULL; i++) {
    stage->step = "openat2";
    char source[64];
    bool whole = stage->parts[i][0] == '\0';
    int part = whole ? -1 : open_part(stage->sources[i], stage->parts[i]);
    if (!whole && part < 0) return -1;
    snprintf(source, sizeof source, "/proc/self/fd/%d", part);
    int result = bind_one(stage, root, whole ? stage->sources[i] : source, i);
    int error = errno;
    if (part >= 0) close(part);
    errno = error;
    if (result != 0) return -1;
  }
  return 0;
}

static int build(struct stage *stage) {
  stage->step = "unshare";
  if (unshare(CLONE_NEWNS) != 0) return -1;
  stage->step = "mount";
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return -1;
  if (mount(stage->root, stage->root, NULL, MS_BIND, NULL) != 0) return -1;
  stage->step = "open";
  int root = open(stage->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return -1;
  if (bind_all(stage, root) == 0) {
    stage->step = "pivot_root";
    if (fchdir(root) == 0 && syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0) return root;
  }
  int error = errno;
  close(root);
  errno = error;
  return -1;
}

static void *stage_thread(void *argument) {
  struct stage *stage = argument;
  stage->fd = build(stage);
  if (stage->fd < 0) stage->error = errno;
  sem_post(&stage->ready);
  while (sem_wait(&stage->leave) != 0 && errno == EINTR) {}
  return NULL;
}

static int start(struct stage *stage) {
  pthread_attr_t attributes;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  int error = pthread_create(&stage->thread, &attributes, stage_thread, stage);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error;
}

static void free_stage(struct stage *stage) {
  free(stage->root);
  if (stage->sources != NULL) free_strings(stage->sources);
  if (stage->parts != NULL) free_strings(stage->parts);
  if (stage->targets != NULL) free_strings(stage->targets);
  if (stage->modes != NULL) free_strings(stage->modes);
  sem_destroy(&stage->ready);
  sem_destroy(&stage->leave);
  free(stage);
}

static void leave(struct stage *stage) {
  sem_post(&stage->leave);
  pthread_join(stage->thread, NULL);
}

static void open_execute(napi_env env, void *data) {
  (void)env;
  struct stage *stage = data;
  while (sem_wait(&stage->ready) != 0 && errno == EINTR) {}
  if (stage->fd < 0) leave(stage);
}

static void open_complete(napi_env env, napi_status status, void *data) {
  (void)status;
  struct stage *stage = data;
  napi_deferred deferred = stage->deferred;
  napi_delete_async_work(env, stage->work);
  if (stage->fd < 0) {
    napi_reject_deferred(env, deferred, system_error(env, stage->error, stage->step, stage->root));
    free_stage(stage);
    return;
  }
  napi_value pair;
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, value_int(env, stage->fd));
  napi_set_element(env, pair, 1, value_int(env, (int64_t)(intptr_t)stage));
  napi_resolve_deferred(env, deferred, pair);
}

static napi_value queue(napi_env env, struct stage *stage, napi_async_execute_callback execute,
                        napi_async_complete_callback complete) {
  napi_value promise, name;
  napi_create_promise(env, &stage->deferred, &promise);
  napi_create_string_utf8(env, "stage", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, execute, complete, stage, &stage->work);
  napi_queue_async_work(env, stage->work);
  return promise;
}

/* openStage(root, sources, parts, targets, modes): Promise<[rootFd, stage]>; targets are paths in the root, made where they are missing. */
static napi_value open_stage(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  struct stage *stage = calloc(1, sizeof *stage);
  if (stage == NULL) return throw_errno(env, ENOMEM, "calloc", NULL);
  sem_init(&stage->ready, 0, 0);
  sem_init(&stage->leave, 0, 0);
  stage->fd = -1;
  stage->root = arg_string(&call, 0);
  stage->sources = call.failed ? NULL : arg_strings(&call, 1);
  stage->parts = call.failed ? NULL : arg_strings(&call, 2);
  stage->targets = call.failed ? NULL : arg_strings(&call, 3);
  stage->modes = call.failed ? NULL : arg_strings(&call, 4);
  int error = call.failed ? 0 : start(stage);
  if (!call.failed && error == 0) return queue(env, stage, open_execute, open_complete);
  free_stage(stage);
  return call.failed ? NULL : throw_errno(env, error, "pthread_create", NULL);
}

static void close_execute(napi_env env, void *data) {
  (void)env;
  struct stage *stage = data;
  close(stage->fd);
  leave(stage);
}

static void close_complete(napi_env env, napi_status status, void *data) {
  (void)status;
  struct stage *stage = data;
  napi_resolve_deferred(env, stage->deferred, value_undefined(env));
  napi_delete_async_work(env, stage->work);
  free_stage(stage);
}

/* closeStage(stage): Promise<void>; once for each that was opened. Nothing is mounted any more when it resolves. */
static napi_value close_stage(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int64_t handle = arg_int(&call, 0);
  if (call.failed) return NULL;
  return queue(env, (struct stage *)(intptr_t)handle, close_execute, close_complete);
}

void init_stage(napi_env env, napi_value exports) {
  static const struct function functions[] = {{"openStage", open_stage}, {"closeStage", close_stage}};
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
