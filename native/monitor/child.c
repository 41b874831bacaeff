#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sealed.h"

static const char UNIFIED[] = "/sys/fs/cgroup/unified";

int hide_unified(void) {
  if (unshare(CLONE_NEWNS) != 0) return errno;
  /* Peers of the mount, the host's among them, must not get what is mounted on it: cut that tie first. */
  if (mount(NULL, UNIFIED, NULL, MS_PRIVATE, NULL) != 0) return errno == EINVAL || errno == ENOENT ? 0 : errno;
  /* Covered and not unmounted: below it lies a folder of the host, in which crun would leave a folder of each container. */
  if (mount("tmpfs", UNIFIED, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=755,size=64k") != 0) return errno;
  return 0;
}

/* By the system call itself: the library hides the two signals that it uses, which posix_spawn leaves ignored. */
void restore_signals(void) {
  static const struct {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
  } standard;
  for (int number = 1; number <= 64; number++) syscall(SYS_rt_sigaction, number, &standard, NULL, sizeof standard.mask);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

static void fail(const char *what, int error) {
  const char *reason = strerrordesc_np(error);
  if (reason == NULL) reason = "unknown error";
  (void)!write(2, what, strlen(what));
  (void)!write(2, ": ", 2);
  (void)!write(2, reason, strlen(reason));
  (void)!write(2, "\n", 1);
  _exit(127);
}

/* Where the engine may; its children are scheduled as usual. */
static void hurry(void) {
  const struct sched_param lowest = {.sched_priority = 1};
  sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &lowest);
}

/* In the child, which shares our memory until it executes: nothing here may change what the parent relies on. */
static void become(const struct child *child, int null, int program) {
  const int wanted[] = {child->in, child->out, child->err};
  for (int i = 0; i < 3; i++)
    if (dup2(wanted[i] < 0 ? null : wanted[i], i) < 0) _exit(127);
  restore_signals();
  if (child->group) setpgid(0, 0);
  if (child->patient) setpriority(PRIO_PROCESS, 0, 10);
  if (child->urgent) hurry();
  int error = child->hide_unified ? hide_unified() : 0;
  if (error != 0) fail("hiding /sys/fs/cgroup/unified", error);
  if (program >= 0) execveat(program, "", child->arguments, environ, AT_EMPTY_PATH);
  execvp(child->arguments[0], child->arguments);
  fail(child->arguments[0], errno);
}

pid_t child_start(const struct child *child) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return -errno;
  int program = child->sealed ? sealed_copy(child->arguments[0]) : -1;
  /* All signals blocked meanwhile: none is handled on the shared stack. */
  sigset_t all, before;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &before);
  pid_t pid = vfork();
  if (pid == 0) become(child, null, program);
  int error = errno;
  sigprocmask(SIG_SETMASK, &before, NULL);
  close(null);
  if (program >= 0) close(program);
  return pid < 0 ? -error : pid;
}

/* The pids of a line like "12 345 ", as many as are whole. */
static void kill_listed(const char *at, const char *end) {
  while (at < end) {
    pid_t pid = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) pid = pid * 10 + (*at - '0');
    if (pid > 0 && at < end) kill(pid, SIGKILL);
    at++;
  }
}

static void kill_children(void) {
  char list[4096];
  int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  ssize_t length = read(fd, list, sizeof list);
  close(fd);
  if (length > 0) kill_listed(list, list + length);
}

void children_end(void) {
  for (int tries = 0; tries < 2000; tries++) {
    pid_t pid = waitpid(-1, NULL, WNOHANG);
    if (pid < 0 && errno != EINTR) return;
    if (pid != 0) continue;
    kill_children();
    usleep(1000);
  }
}
