#include "launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "text.h"

static const char CONSOLE[] = "console.sock", PID_FILE[] = "pid";

static char message[8192];

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

/* Waits for the runtime's end, taking the terminal when it comes; the wait status. */
static int wait_for_runtime(const struct options *options, pid_t runtime, int signals, int listener, int *terminal) {
  for (;;) {
    struct pollfd ready[2] = {{.fd = signals, .events = POLLIN}, {.fd = *terminal < 0 ? listener : -1, .events = POLLIN}};
    if (poll(ready, 2, -1) < 0 && errno != EINTR) return -1;
    if (ready[1].revents != 0) take_console(options, listener, terminal);
    if (ready[0].revents == 0) continue;
    struct signalfd_siginfo info;
    (void)!read(signals, &info, sizeof info);
    int status;
    if (waitpid(runtime, &status, WNOHANG) == runtime) return status;
  }
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

/* The end of what the runtime printed, which fits into a pipe. */
static size_t read_printed(int fd, char *into, size_t size) {
  size_t length = 0;
  for (;;) {
    if (length == size) {
      memmove(into, into + size / 2, size - size / 2);
      length = size - size / 2;
    }
    ssize_t count = read(fd, into + length, size - length);
    if (count <= 0) return length;
    length += (size_t)count;
  }
}

static pid_t read_pid(void) {
  char digits[24];
  size_t length = read_tail(PID_FILE, digits, sizeof digits - 1);
  while (length > 0 && (digits[length - 1] < '0' || digits[length - 1] > '9')) length--;
  digits[length] = '\0';
  int64_t pid;
  return parse_number(digits, &pid) && pid > 0 && pid <= 4194304 ? (pid_t)pid : 0;
}

/*
 * A failed runtime may leave a process of the container to us, its subreaper, as crun's exec does. Unreaped it would keep the
 * container's pid namespace from ending, for as long as the machine's process 1 takes to look. Gives it 50 ms to end.
 */
static void reap_leftovers(void) {
  for (int tries = 0; tries < 50; tries++) {
    pid_t pid = waitpid(-1, NULL, WNOHANG);
    if (pid < 0 && errno != EINTR) return;
    if (pid == 0) usleep(1000);
  }
}

static struct launched runtime_failed(const struct options *options, int status, int err) {
  reap_leftovers();
  struct launched result = failed("", 0);
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  result.message_length = options->runtime_log == NULL ? 0 : read_tail(options->runtime_log, message, sizeof message);
  if (result.message_length == 0) result.message_length = read_printed(err, message, sizeof message);
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
  });
  if (runtime < 0) return failed("starting the runtime", -runtime);
  close_fd(&pipes->in[0]);
  close_fd(&pipes->out[1]);
  close_fd(&pipes->err[1]);
  int terminal = -1;
  int status = wait_for_runtime(options, runtime, signals, listener, &terminal);
  if (listener >= 0 && terminal < 0) take_console(options, listener, &terminal);
  not_blocking(pipes->out[0]);
  not_blocking(pipes->err[0]);
  not_blocking(pipes->in[1]);
  not_blocking(terminal);
  struct launched result = {.input = pipes->in[1], .out = pipes->out[0], .err = pipes->err[0]};
  if (status != 0) {
    result = runtime_failed(options, status, pipes->err[0]);
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
