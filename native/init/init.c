/*
 * gantry-init: process 1 of a container with --init. `gantry-init [--] COMMAND ARGUMENTS…` runs the command as its child
 * in the terminal's foreground, passes signals on to it, reaps whatever dies, and ends with the command's exit code, or
 * 128 + n when signal n ended it; 127 when the command is not found, 126 when it can't be run.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a fault of our own raises, and what the terminal does to background writers: not for the child. */
static const int own_signals[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS};

static void say(const char *text) {
  (void)!write(2, text, strlen(text));
}

static _Noreturn void fail(const char *command, int error) {
  const char *reason = strerrordesc_np(error);
  say("gantry-init: ");
  say(command);
  say(": ");
  say(reason == NULL ? "unknown error" : reason);
  say("\n");
  _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

/* A process group of its own in the foreground, so that Ctrl-C reaches the command and what it starts, once. */
static void take_foreground(void) {
  setpgid(0, 0);
  tcsetpgrp(0, getpgrp()); /* fails without a terminal, which is fine */
}

static _Noreturn void become(char **command, const sigset_t *mask) {
  take_foreground(); /* SIGTTOU is still blocked */
  sigprocmask(SIG_SETMASK, mask, NULL);
  execvp(command[0], command);
  fail(command[0], errno);
}

/* The child's wait status once it ended; -1 while it runs. */
static int reap(pid_t child) {
  int result = -1, status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
    if (pid == child) result = status;
  return result;
}

static int serve(pid_t child, const sigset_t *signals) {
  for (;;) {
    siginfo_t info;
    int number = sigwaitinfo(signals, &info);
    if (number < 0) continue;
    if (number != SIGCHLD) {
      kill(child, number);
      continue;
    }
    int status = reap(child);
    if (status != -1) return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
}

int main(int count, char **arguments) {
  char **command = arguments + 1;
  if (count > 1 && strcmp(*command, "--") == 0) command++;
  if (*command == NULL) {
    say("gantry-init: no command\n");
    return 127;
  }
  if (getpid() != 1) prctl(PR_SET_CHILD_SUBREAPER, 1);
  sigset_t signals, before;
  sigfillset(&signals);
  for (size_t i = 0; i < sizeof own_signals / sizeof *own_signals; i++) sigdelset(&signals, own_signals[i]);
  sigprocmask(SIG_SETMASK, &signals, &before);
  pid_t child = fork();
  if (child < 0) fail(command[0], errno);
  if (child == 0) become(command, &before);
  /* Blocked for the child's sake; nothing stops us by them. */
  sigdelset(&signals, SIGTTIN);
  sigdelset(&signals, SIGTTOU);
  return serve(child, &signals);
}
