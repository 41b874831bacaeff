/*
 * gantry-monitor: the parent of one container's main process, or of one exec.
 *
 *   gantry-monitor run --dir DIR … --launch N WORDS… [--cleanup N WORDS…]     see options.h
 *   gantry-monitor runtime [--hide-unified] -- WORDS…                         runs WORDS as `run` would run the launch
 *
 * Life: listen on DIR/m.sock; run the launch (an OCI runtime with --detach and --pid-file pid) and report the pid or what
 * the runtime said; serve; when the process ends: log the rest, write DIR/exit, tell everyone, run the cleanup, tell, end.
 * It is the process's parent (as subreaper), so a signal sent through it can't hit another process.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "clients.h"
#include "input.h"
#include "launch.h"
#include "log.h"
#include "loop.h"
#include "oom.h"
#include "options.h"
#include "output.h"
#include "program.h"
#include "record.h"
#include "wire.h"

enum {
  HOLD_MS = 10 * 1000,
  GRACE_MS = 100, /* for descendants that outlive the process with its output in their hands */
  RELAX_MS = 1000,
  NEWS_MS = 10 * 1000,
  BUSY_MS = 20, /* between looks at a log that is still being put in order */
  UNKNOWN_STATUS = 255 << 8,
};

static struct options options;
static struct record record;
static int signals = -1, terminal = -1;
static enum { RUNNING, DRAINING, ENDED, RELEASED } phase;
static pid_t cleanup_pid;
static bool held;
static int64_t hold_deadline = INT64_MAX, grace_deadline = INT64_MAX, relax_deadline = INT64_MAX, cleanup_deadline = INT64_MAX;

static void report_frame(const struct frame *frame, const char *payload) {
  if (options.report < 0) return;
  static char bytes[FRAME_SIZE + 8192];
  memcpy(bytes, frame, sizeof *frame);
  memcpy(bytes + sizeof *frame, payload, frame->length);
  (void)!write(options.report, bytes, sizeof *frame + frame->length);
}

static void report(uint8_t op, uint32_t a, uint32_t b, const char *payload, size_t length) {
  report_frame(&(struct frame){.op = op, .magic = WIRE_MAGIC, .a = a, .b = b, .length = (uint32_t)length}, payload);
}

static void tell_frame(const struct frame *frame, const char *payload) {
  report_frame(frame, payload);
  clients_tell(frame, payload);
}

static void tell(uint8_t op, const char *payload, size_t length) {
  tell_frame(&(struct frame){.op = op, .magic = WIRE_MAGIC, .length = (uint32_t)length}, payload);
}

/* At once when it begins, and then every now and then. */
static void tell_lost_lines(bool now) {
  static int64_t next;
  struct log_news news;
  if ((!now && loop_now() < next) || !log_news(&news)) return;
  next = loop_now() + NEWS_MS;
  uint32_t lines = news.lines > UINT32_MAX ? UINT32_MAX : (uint32_t)news.lines;
  tell_frame(&(struct frame){.op = OP_LOST, .magic = WIRE_MAGIC, .a = (uint32_t)news.error, .b = lines}, "");
}

static void released(void) {
  phase = RELEASED;
  cleanup_deadline = INT64_MAX;
  tell(OP_RELEASED, "", 0);
}

static void clean_up(void) {
  if (options.cleanup == NULL) {
    released();
    return;
  }
  pid_t pid = child_start(&(struct child){.arguments = options.cleanup,
                                          .in = -1,
                                          .out = -1,
                                          .err = -1,
                                          .hide_unified = options.hide_unified,
                                          .sealed = true,
                                          .group = true});
  if (pid <= 0) return released();
  cleanup_pid = pid;
  cleanup_deadline = loop_now() + options.runtime_ms;
}

/* The output is complete: the end is told. The record comes first, so that it is there for whoever hears of the end. */
static void end(void) {
  phase = ENDED;
  grace_deadline = INT64_MAX;
  output_finish();
  tell_lost_lines(true);
  input_close();
  record.ended = true;
  record_save(&record);
  char json[512];
  tell(OP_EXIT, json, record_json(&record, false, json, sizeof json));
  clients_end();
  clean_up();
}

static void drain(void) {
  phase = DRAINING;
  if (output_drain())
    end();
  else
    grace_deadline = loop_now() + GRACE_MS;
}

static void process_ended(int status) {
  clock_gettime(CLOCK_REALTIME, &record.finished);
  record.status = status;
  record.oom_killed = oom_killed(options.oom_file);
  record.ended = true;
  if (oom_last_news()) tell(OP_OOM, "", 0);
  if (!held) drain();
}

static void proceed(void) {
  if (!held) return;
  held = false;
  hold_deadline = INT64_MAX;
  if (options.report >= 0) loop_remove(options.report);
  if (record.ended)
    drain();
  else
    output_proceed();
}

static void reap(void) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) > 0) {}
  for (;;) {
    int status;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    /* Without any child the process is not below us (any more), whatever the runtime said: its end can't be seen. */
    if (pid < 0 && errno == ECHILD && !record.ended) process_ended(UNKNOWN_STATUS);
    if (pid <= 0) return;
    if (pid == record.pid && !record.ended) {
      process_ended(status);
    } else if (pid == cleanup_pid && phase == ENDED) {
      released();
    } else {
      log_child_ended(pid, status);
    }
  }
}

/* Its end is met by reap(). */
static void kill_cleanup(void) {
  cleanup_deadline = INT64_MAX;
  kill(-cleanup_pid, SIGKILL);
}

static int do_kill(uint32_t number) {
  if (record.ended) return ESRCH;
  return kill(record.pid, (int)number) == 0 ? 0 : errno;
}

static int do_resize(uint32_t rows, uint32_t columns) {
  if (terminal < 0) return ENOTTY;
  if (output_ended()) return ESRCH;
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
  return ioctl(terminal, TIOCSWINSZ, &size) == 0 ? 0 : errno;
}

static size_t state(char *into, size_t size) {
  struct record shown = record;
  shown.ended = phase >= ENDED;
  return record_json(&shown, true, into, size);
}

static void handle(uint32_t tag, uint32_t events) {
  if (tag >= TAG_CLIENT)
    clients_event(tag - TAG_CLIENT, events);
  else if (tag >= TAG_OUTPUT)
    output_event((int)(tag - TAG_OUTPUT));
  else if (tag == TAG_SIGNAL)
    reap();
  else if (tag == TAG_LISTENER)
    clients_accept();
  else if (tag == TAG_INPUT)
    input_event();
  else if (tag == TAG_OOM)
    oom_event();
  else if (tag == TAG_REPORT)
    proceed(); /* whoever asked for the hold is gone */
  if (phase == DRAINING && output_ended()) end();
  relax_deadline = 0;
}

static int64_t earliest(int64_t a, int64_t b) {
  return a < b ? a : b;
}

static void relax(int64_t now) {
  if (relax_deadline == 0) relax_deadline = now + RELAX_MS;
  if (now < relax_deadline) return;
  relax_deadline = INT64_MAX;
  output_relax();
  input_relax();
  log_relax();
  program_relax();
}

static void expire(int64_t now) {
  if (now >= hold_deadline) proceed();
  if (now >= grace_deadline) end();
  if (now >= cleanup_deadline) kill_cleanup();
  if (oom_news(now)) tell(OP_OOM, "", 0);
  clients_expire(now);
  relax(now);
}

static void serve(void) {
  while (phase != RELEASED || clients_waiting() || log_busy()) {
    int64_t deadline = earliest(earliest(hold_deadline, grace_deadline), earliest(relax_deadline, clients_deadline()));
    deadline = earliest(deadline, earliest(oom_deadline(), cleanup_deadline));
    if (phase == RELEASED && log_busy()) deadline = earliest(deadline, loop_now() + BUSY_MS);
    loop_wait(deadline, handle);
    expire(loop_now());
    tell_lost_lines(false);
  }
}

/* Blocks SIGCHLD for the signal descriptor and ignores what would end us: only the task's end does. */
static void take_signals(void) {
  static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
  struct sigaction action = {.sa_handler = SIG_IGN};
  for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) sigaction(ignored[i], &action, NULL);
  action.sa_handler = SIG_DFL;
  sigaction(SIGCHLD, &action, NULL);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_SETMASK, &child, NULL);
  signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Descriptors 0 to 2 exist, the report's is kept, everything else is closed. */
static void take_descriptors(void) {
  int fd;
  do fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < 3);
  if (fd >= 3) close(fd);
  unsigned keep = options.report >= 3 ? (unsigned)options.report : 2;
  if (keep > 3) close_range(3, keep - 1, 0);
  close_range(keep + 1, UINT_MAX, 0);
  if (options.report >= 3) {
    fcntl(options.report, F_SETFD, FD_CLOEXEC);
    fcntl(options.report, F_SETFL, O_NONBLOCK);
  }
}

static _Noreturn void give_up(const char *what, int error) {
  static char message[512];
  const char *reason = strerrordesc_np(error);
  size_t length = 0;
  const char *parts[] = {what, ": ", reason == NULL ? "unknown error" : reason};
  for (size_t i = 0; i < 3; i++)
    for (const char *at = parts[i]; *at != '\0' && length < sizeof message; at++) message[length++] = *at;
  report(OP_FAILED, 125, 0, message, length);
  _exit(125);
}

/* Whether the one who wants the report is gone: then nothing is started any more. */
static bool orphaned(void) {
  if (options.report < 0) return false;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = 0};
  epoll_ctl(epoll, EPOLL_CTL_ADD, options.report, &event);
  bool gone = epoll_wait(epoll, &event, 1, 0) == 1;
  close(epoll);
  return gone;
}

static void prepare(void) {
  take_descriptors();
  setsid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  take_signals();
  if (chdir(options.directory) != 0) give_up("opening the bundle", errno);
  unlink("exit");
  int error = clients_listen();
  if (error != 0) give_up("listening on m.sock", error);
  error = log_open(&options.log);
  if (error != 0) give_up("opening the log", error);
}

static void spare_from_oom(void) {
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  (void)!write(fd, "-998", 4);
  close(fd);
}

static void start(void) {
  struct launched launched = launch(&options, signals);
  if (launched.pid == 0) {
    report(OP_FAILED, (uint32_t)launched.code, (uint32_t)launched.signal, launched.message, launched.message_length);
    _exit(1);
  }
  spare_from_oom();
  record.pid = launched.pid;
  record.oom_file = options.oom_file;
  clock_gettime(CLOCK_REALTIME, &record.started);
  record_prepare(&record);
  char json[512];
  report(OP_STARTED, 0, 0, json, record_json(&record, false, json, sizeof json));
  if (options.terminal) terminal = launched.out;
  held = options.hold;
  loop_open();
  loop_add(signals, EPOLLIN, TAG_SIGNAL);
  if (held && options.report >= 0) loop_add(options.report, 0, TAG_REPORT);
  if (held) hold_deadline = loop_now() + HOLD_MS;
  oom_open(options.oom_file);
  input_open(launched.input);
  output_open(launched.out, launched.err, held);
  static const struct task_actions actions = {.kill = do_kill, .resize = do_resize, .proceed = proceed, .state = state};
  clients_open(&(struct client_options){.framed = !options.terminal,
                                        .input_once = options.input_once && !options.terminal,
                                        .stall_ms = options.stall_ms},
               &actions);
  relax_deadline = 0;
}

static int run(char **arguments) {
  options = parse_options(arguments);
  prepare();
  if (orphaned()) return 1;
  start();
  reap();
  serve();
  return 0;
}

static int run_runtime(char **words) {
  bool hide = *words != NULL && strcmp(*words, "--hide-unified") == 0;
  if (hide) words++;
  if (*words != NULL && strcmp(*words, "--") == 0) words++;
  if (*words == NULL) usage("no command", "");
  int error = hide ? hide_unified() : 0;
  if (error != 0) usage("hiding /sys/fs/cgroup/unified: ", strerrordesc_np(error));
  execvp(*words, words);
  usage("can't run ", *words);
}

int main(int count, char **arguments) {
  if (count >= 2 && strcmp(arguments[1], "run") == 0) return run(arguments + 2);
  if (count >= 2 && strcmp(arguments[1], "runtime") == 0) return run_runtime(arguments + 2);
  usage("expected `run` or `runtime`", "");
}
