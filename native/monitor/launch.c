#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "loop.h"
#include "printed.h"
#include "text.h"

static const char CONSOLE[] = "console.sock", PID_FILE[] = "pid";

/* How often a runtime that takes its time is looked at, and how long one has whose caller is gone. Milliseconds. */
enum { LOOK_MS = 250, LOOK_SOON_MS = 20, ORPHAN_MS = 10 * 1000 };

static char message[PRINTED_KEPT];

struct pipes {
  int in[2], out[2], err[2];
};

static void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static struct launched failed(const char *what, int error) {
  struct text text = text_over(message, sizeof message);
  const char *reason = strerrordesc_np(error);
  text_add(&text, what);
  if (error != 0) text_add(&text, ": ");
  if (error != 0) text_add(&text, reason == NULL ? "unknown error" : reason);
  return (struct launched){.input = -1, .out = -1, .err = -1, .code = 125, .message = message, .message_length = text_length(&text)};
}

static int make_pipes(const struct options *options, struct pipes *pipes) {
  if (pipe2(pipes->out, O_CLOEXEC) != 0 || pipe2(pipes->err, O_CLOEXEC) != 0) return errno;
  if (options->input && !options->terminal && pipe2(pipes->in, O_CLOEXEC) != 0) return errno;
  return 0;
}

static void not_blocking(int fd) {
  if (fd >= 0) fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int listen_for_console(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  memcpy(address.sun_path, CONSOLE, sizeof CONSOLE);
  unlink(CONSOLE);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0) return fd;
  return -1;
}

/* The terminal's other side that the runtime sends over the console socket; -1 when none came. */
static int receive_console(int listener) {
  int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (connection < 0) return -1;
  char byte[64];
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  struct iovec part = {.iov_base = byte, .iov_len = sizeof byte};
  struct msghdr received = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int terminal = -1;
  struct pollfd ready = {.fd = connection, .events = POLLIN};
  if (poll(&ready, 1, 5000) == 1 && recvmsg(connection, &received, MSG_CMSG_CLOEXEC) > 0) {
    struct cmsghdr *header = CMSG_FIRSTHDR(&received);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
      memcpy(&terminal, CMSG_DATA(header), sizeof terminal);
  }
  close(connection);
  return terminal;
}

static void set_size(int terminal, const struct options *options) {
  struct winsize size = {.ws_row = (unsigned short)options->rows, .ws_col = (unsigned short)options->columns};
  if (terminal >= 0 && options->rows > 0 && options->columns > 0) ioctl(terminal, TIOCSWINSZ, &size);
}

/* Takes the terminal and gives it its size before the task can look at it. */
static void take_console(const struct options *options, int listener, int *terminal) {
  *terminal = receive_console(listener);
  set_size(*terminal, options);
}

static pid_t read_pid(void);

struct waiting {
  const struct options *options;
  const struct pipes *pipes;
  pid_t runtime;
  int signals, listener, terminal;
  int report; /* -1 when nobody waits for the report any more */
  int64_t deadline;
};

/* Waits for something to happen, taking the terminal when it comes. Whether a child may have ended. */
static bool wait_a_while(struct waiting *waiting, int pause) {
  struct pollfd ready[] = {{.fd = waiting->signals, .events = POLLIN},
                           {.fd = waiting->terminal < 0 ? waiting->listener : -1, .events = POLLIN},
                           {.fd = waiting->report, .events = 0}};
  if (poll(ready, sizeof ready / sizeof *ready, pause) <= 0) return false;
  if (ready[1].revents != 0) take_console(waiting->options, waiting->listener, &waiting->terminal);
  if (ready[2].revents != 0) {
    waiting->report = -1;
    int64_t soon = loop_now() + ORPHAN_MS;
    if (soon < waiting->deadline) waiting->deadline = soon;
  }
  struct signalfd_siginfo info;
  if (ready[0].revents != 0) (void)!read(waiting->signals, &info, sizeof info);
  return ready[0].revents != 0;
}

/* The pipes of a runtime that prints a lot are kept from stopping it. Until it wrote its pid, no one else has begun. */
static bool relieve(const struct pipes *pipes) {
  bool only_runtime = read_pid() == 0;
  bool out = printed_relieve(0, pipes->out[0], only_runtime), err = printed_relieve(1, pipes->err[0], only_runtime);
  return out || err;
}

/* Waits for the runtime's end, and its status is stored; false when its time is up. */
static bool wait_for_runtime(struct waiting *waiting, int *status) {
  int64_t look = loop_now() + LOOK_MS;
  while (loop_now() < waiting->deadline) {
    int64_t until = look < waiting->deadline ? look : waiting->deadline, left = until - loop_now();
    if (wait_a_while(waiting, left < 0 ? 0 : (int)left) && waitpid(waiting->runtime, status, WNOHANG) == waiting->runtime) return true;
    if (loop_now() >= look) look = loop_now() + (relieve(waiting->pipes) ? LOOK_SOON_MS : LOOK_MS);
  }
  return false;
}

static size_t read_tail(const char *path, char *into, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return 0;
  off_t end = lseek(fd, 0, SEEK_END);
  off_t from = end > (off_t)size ? end - (off_t)size : 0;
  ssize_t count = pread(fd, into, size, from);
  close(fd);
  return count > 0 ? (size_t)count : 0;
}

static pid_t read_pid(void) {
  char digits[24];
  size_t length = read_tail(PID_FILE, digits, sizeof digits - 1);
  while (length > 0 && (digits[length - 1] < '0' || digits[length - 1] > '9')) length--;
  digits[length] = '\0';
  int64_t pid;
  return parse_number(digits, &pid) && pid > 0 && pid <= 4194304 ? (pid_t)pid : 0;
}

static struct launched runtime_failed(const struct options *options, int err) {
  /*
   * It may leave a process of the container to us, its subreaper, as crun's exec does. Unreaped it would keep the container's
   * pid namespace from ending, for as long as the machine's process 1 takes to look.
   */
  children_end();
  struct launched result = failed("", 0);
  result.message_length = options->runtime_log == NULL ? 0 : read_tail(options->runtime_log, message, sizeof message);
  if (result.message_length == 0) result.message_length = printed_end(err, message, sizeof message);
  return result;
}

static struct launched runtime_ended(const struct options *options, int status, int err) {
  struct launched result = runtime_failed(options, err);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return result;
}

/* The runtime is killed with all that it started. */
static struct launched runtime_late(const struct options *options, pid_t runtime, int err) {
  kill(-runtime, SIGKILL);
  kill(runtime, SIGKILL);
  struct launched result = runtime_failed(options, err);
  result.code = LAUNCH_LATE;
  result.signal = SIGKILL;
  return result;
}

static struct launched run(const struct options *options, int signals, struct pipes *pipes, int listener) {
  unlink(PID_FILE);
  pid_t runtime = child_start(&(struct child){
      .arguments = options->launch,
      .in = pipes->in[0],
      .out = pipes->out[1],
      .err = pipes->err[1],
      .hide_unified = options->hide_unified,
      .sealed = true,
      .group = true,
      /* crun gives an exec's terminal its size while the task begins already: on a busy machine a moment too late. */
      .urgent = options->terminal,
  });
  if (runtime < 0) return failed("starting the runtime", -runtime);
  close_fd(&pipes->in[0]);
  close_fd(&pipes->out[1]);
  close_fd(&pipes->err[1]);
  struct waiting waiting = {.options = options,
                            .pipes = pipes,
                            .runtime = runtime,
                            .signals = signals,
                            .listener = listener,
                            .terminal = -1,
                            .report = options->report,
                            .deadline = loop_now() + options->runtime_ms};
  int status = 0;
  bool in_time = wait_for_runtime(&waiting, &status);
  if (in_time && listener >= 0 && waiting.terminal < 0) take_console(options, listener, &waiting.terminal);
  int terminal = waiting.terminal;
  not_blocking(pipes->out[0]);
  not_blocking(pipes->err[0]);
  not_blocking(pipes->in[1]);
  not_blocking(terminal);
  struct launched result = {.input = pipes->in[1], .out = pipes->out[0], .err = pipes->err[0]};
  if (!in_time) {
    result = runtime_late(options, runtime, pipes->err[0]);
  } else if (status != 0) {
    result = runtime_ended(options, status, pipes->err[0]);
  } else if ((result.pid = read_pid()) == 0) {
    result = failed("the runtime left no pid", 0);
  } else if (options->terminal && terminal < 0) {
    result = failed("the runtime sent no terminal", 0);
  }
  if (options->terminal || result.pid == 0) {
    close_fd(&pipes->out[0]);
    close_fd(&pipes->err[0]);
    close_fd(&pipes->in[1]);
  }
  if (options->terminal && result.pid != 0) {
    result.out = terminal;
    result.err = -1;
    result.input = options->input ? fcntl(terminal, F_DUPFD_CLOEXEC, 3) : -1;
  }
  return result;
}

struct launched launch(const struct options *options, int signals) {
  struct pipes pipes = {.in = {-1, -1}, .out = {-1, -1}, .err = {-1, -1}};
  int error = make_pipes(options, &pipes);
  if (error != 0) return failed("making pipes", error);
  int listener = options->terminal ? listen_for_console() : -1;
  if (options->terminal && listener < 0) return failed("listening on the console socket", errno);
  struct launched result = run(options, signals, &pipes, listener);
  if (listener >= 0) {
    close(listener);
    unlink(CONSOLE);
  }
  return result;
}
