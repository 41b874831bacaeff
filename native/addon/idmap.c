/* Binds whose owners are seen through a mapping: mount_setattr(2) with MOUNT_ATTR_IDMAP, and the user namespace that it wants. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILD_STACK = 16 * 1024, PRIVATE = 1 << 18 /* MS_PRIVATE; its header and <linux/mount.h> can't be included together */ };

/* Only there for its namespace; shares our memory, so it makes raw calls and nothing else. */
static int hold_namespace(void *unused) {
  (void)unused;
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  for (;;) syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
  return 0;
}

static int write_proc(pid_t pid, const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t written = write(fd, text, strlen(text));
  int error = errno;
  close(fd);
  errno = error;
  return written < 0 ? -1 : 0;
}

/* A descriptor of a user namespace with these maps, or -1. */
static int open_userns(const char *uids, const char *gids, const char **step) {
  *step = "clone";
  char *stack = malloc(CHILD_STACK);
  if (stack == NULL) return -1;
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t pid = clone(hold_namespace, stack + CHILD_STACK, CLONE_VM | CLONE_NEWUSER, NULL);
  int fd = -1, error = errno;
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (pid > 0) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/ns/user", (int)pid);
    *step = "uid_map";
    if (write_proc(pid, "uid_map", uids) == 0) {
      *step = "gid_map";
      if (write_proc(pid, "gid_map", gids) == 0) {
        *step = "open";
        fd = open(path, O_RDONLY | O_CLOEXEC);
      }
    }
    error = errno;
    kill(pid, SIGKILL);
    while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR) {}
  }
  free(stack);
  errno = error;
  return fd;
}

static int bind_mapped(const char *source, const char *target, int userns, bool recursive, const char **step) {
  unsigned deep = recursive ? AT_RECURSIVE : 0;
  *step = "open_tree";
  int tree = (int)syscall(SYS_open_tree, AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | deep);
  if (tree < 0) return -1;
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_IDMAP, .propagation = PRIVATE, .userns_fd = (uint64_t)userns};
  *step = "mount_setattr";
  int result = (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | deep, &attributes, sizeof attributes);
  if (result == 0) {
    *step = "move_mount";
    result = (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH);
  }
  int error = errno;
  close(tree);
  errno = error;
  return result;
}

/* bindMapped(source, target, uidMap, gidMap, recursive); maps as in user_namespaces(7), what the files hold first */
static napi_value do_bind_mapped(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *source = arg_string(&call, 0), *target = arg_string(&call, 1);
  char *uids = arg_string(&call, 2), *gids = arg_string(&call, 3);
  bool recursive = arg_int(&call, 4) != 0;
  napi_value value = NULL;
  if (!call.failed) {
    const char *step = NULL;
    int userns = open_userns(uids, gids, &step);
    int result = userns < 0 ? -1 : bind_mapped(source, target, userns, recursive, &step);
    value = result < 0 ? throw_errno(env, errno, step, source) : value_undefined(env);
    if (userns >= 0) close(userns);
  }
  free(source);
  free(target);
  free(uids);
  free(gids);
  return value;
}

void init_idmap(napi_env env, napi_value exports) {
  static const struct function functions[] = {{"bindMapped", do_bind_mapped}};
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
