/*
 * Processes by posix_spawn (vfork underneath: its cost does not grow with the daemon's memory, as that of Node's own
 * spawn does: 0.12 ms against 10 ms at 550 MB), and their exits through pidfds watched by one thread.
 */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_STDIO 16

struct child {
  pid_t pid;
  int pidfd;
  int status;
  napi_threadsafe_function on_exit;
};

/* One for the whole process; the thread starts with the first child and ends with the process. */
static int watcher = -1;
static pthread_once_t watcher_once = PTHREAD_ONCE_INIT;
static int watcher_error;

static void *watch(void *unused) {
  (void)unused;
  struct epoll_event events[64];
  for (;;) {
    int count = epoll_wait(watcher, events, 64, -1);
    for (int i = 0; i < count; i++) {
      struct child *child = events[i].data.ptr;
      int status = 0;
      if (waitpid(child->pid, &status, WNOHANG) == 0) continue;
      epoll_ctl(watcher, EPOLL_CTL_DEL, child->pidfd, NULL);
      close(child->pidfd);
      child->status = status;
      napi_call_threadsafe_function(child->on_exit, child, napi_tsfn_nonblocking);
    }
  }
  return NULL;
}

static void start_watcher(void) {
  watcher = epoll_create1(EPOLL_CLOEXEC);
  if (watcher < 0) {
    watcher_error = errno;
    return;
  }
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 65536);
  watcher_error = pthread_create(&thread, &attributes, watch, NULL);
  pthread_attr_destroy(&attributes);
  if (watcher_error == 0) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Calls the callback with (exit code | -1, signal | 0), on the main thread. */
static void tell_exit(napi_env env, napi_value callback, void *context, void *data) {
  (void)context;
  struct child *child = data;
  napi_threadsafe_function function = child->on_exit;
  int status = child->status;
  free(child);
  if (env != NULL) {
    napi_value arguments[2] = {
        value_int(env, WIFEXITED(status) ? WEXITSTATUS(status) : -1),
        value_int(env, WIFSIGNALED(status) ? WTERMSIG(status) : 0),
    };
    napi_call_function(env, value_undefined(env), callback, 2, arguments, NULL);
  }
  napi_release_threadsafe_function(function, napi_tsfn_release);
}

/*
 * File actions for stdio: descriptor i of the child is stdio[i] of ours, or /dev/null for -1. Sources are first moved
 * above the targets, so that no dup2 overwrites a source that is still needed.
 */
static int start(char *file, char **arguments, char **environment, const char *directory, const int *stdio,
                 size_t stdio_count, bool session, pid_t *pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  int moved[MAX_STDIO];
  int error = 0;
  for (size_t i = 0; i < stdio_count; i++) {
    moved[i] = stdio[i] < 0 ? open("/dev/null", O_RDWR | O_CLOEXEC) : fcntl(stdio[i], F_DUPFD_CLOEXEC, MAX_STDIO);
    if (moved[i] < 0) error = errno;
    else posix_spawn_file_actions_adddup2(&actions, moved[i], (int)i);
  }
  posix_spawn_file_actions_addclosefrom_np(&actions, (int)stdio_count);
  if (directory != NULL) posix_spawn_file_actions_addchdir_np(&actions, directory);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                (session ? POSIX_SPAWN_SETSID : 0)));
  if (error == 0) error = posix_spawnp(pid, file, &actions, &attributes, arguments, environment);
  for (size_t i = 0; i < stdio_count; i++)
    if (moved[i] >= 0) close(moved[i]);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return error;
}

static int watch_child(napi_env env, napi_value callback, pid_t pid, bool keep_alive) {
  struct child *child = calloc(1, sizeof *child);
  if (child == NULL) return ENOMEM;
  child->pid = pid;
  child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
  if (child->pidfd < 0) {
    free(child);
    return errno;
  }
  napi_value name;
  napi_create_string_utf8(env, "childExit", NAPI_AUTO_LENGTH, &name);
  napi_create_threadsafe_function(env, callback, NULL, name, 0, 1, NULL, NULL, NULL, tell_exit, &child->on_exit);
  if (!keep_alive) napi_unref_threadsafe_function(env, child->on_exit);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = child};
  if (epoll_ctl(watcher, EPOLL_CTL_ADD, child->pidfd, &event) < 0) return errno;
  return 0;
}

/* spawn(file, args[], env[], cwd, stdio: number[], session, onExit, keepAlive): pid; with keepAlive the event loop waits for the exit. */
static napi_value do_spawn(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *file = arg_string(&call, 0);
  char **arguments = arg_strings(&call, 1), **environment = arg_strings(&call, 2);
  char *directory = arg_string(&call, 3);
  int stdio[MAX_STDIO];
  uint32_t stdio_count = 0;
  if (!call.failed) napi_get_array_length(env, call.argv[4], &stdio_count);
  if (stdio_count > MAX_STDIO) stdio_count = MAX_STDIO;
  for (uint32_t i = 0; i < stdio_count; i++) {
    napi_value element;
    int32_t fd = -1;
    napi_get_element(env, call.argv[4], i, &element);
    napi_get_value_int32(env, element, &fd);
    stdio[i] = fd;
  }
  bool session = arg_int(&call, 5) != 0;
  bool keep_alive = arg_int(&call, 7) != 0;
  napi_value value = NULL;
  if (!call.failed) {
    pid_t pid = -1;
    pthread_once(&watcher_once, start_watcher);
    int error = watcher_error;
    if (error == 0) error = start(file, arguments, environment, directory, stdio, stdio_count, session, &pid);
    if (error == 0) error = watch_child(env, call.argv[6], pid, keep_alive);
    value = error ? throw_errno(env, error, "spawn", file) : value_int(env, pid);
  }
  free(file);
  free_strings(arguments);
  free_strings(environment);
  free(directory);
  return value;
}

/* pipe(): [readFd, writeFd], close-on-exec. */
static napi_value make_pipe(napi_env env, napi_callback_info info) {
  (void)info;
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) < 0) return throw_errno(env, errno, "pipe2", NULL);
  napi_value pair;
  napi_create_array_with_length(env, 2, &pair);
  napi_set_element(env, pair, 0, value_int(env, fds[0]));
  napi_set_element(env, pair, 1, value_int(env, fds[1]));
  return pair;
}

/* killProcess(pid, signal): unlike process.kill it takes every signal number. */
static napi_value kill_process(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  pid_t pid = (pid_t)arg_int(&call, 0);
  int signal_number = (int)arg_int(&call, 1);
  if (call.failed) return NULL;
  return kill(pid, signal_number) < 0 ? throw_errno(env, errno, "kill", NULL) : value_undefined(env);
}

void init_process(napi_env env, napi_value exports) {
  static const struct function functions[] = {
      {"spawn", do_spawn},
      {"pipe", make_pipe},
      {"killProcess", kill_process},
  };
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
