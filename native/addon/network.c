/* Network namespaces: made, and entered for sockets and files. */
#include "addon.h"
#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Runs in a thread of its own: the namespace of Node's threads never changes. The calls of one job are one step. */
struct job {
  int (*run)(struct job *);
  const char *path;
  int family, type, protocol;
  const struct sockaddr *address;
  socklen_t address_length;
  const char *file, *text;
  struct bytes *content;
  const char *step;
  int error, result;
};

static void *job_thread(void *argument) {
  struct job *job = argument;
  job->result = job->run(job);
  if (job->result < 0) job->error = errno;
  return NULL;
}

/* All signals are blocked in the thread, so that Node's handlers never run in it. */
static int in_thread(struct job *job) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 131072);
  job->step = "pthread_create";
  int error = pthread_create(&thread, &attributes, job_thread, job);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error != 0) {
    job->error = error;
    return -1;
  }
  pthread_join(thread, NULL);
  return job->result;
}

static int make_namespace(struct job *job) {
  char self[64];
  snprintf(self, sizeof self, "/proc/self/task/%ld/ns/net", syscall(SYS_gettid));
  job->step = "open";
  int file = open(job->path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0444);
  if (file < 0) return -1;
  close(file);
  job->step = "unshare";
  int result = unshare(CLONE_NEWNET);
  if (result == 0) {
    job->step = "mount";
    result = mount(self, job->path, NULL, MS_BIND, NULL);
  }
  if (result < 0) {
    int error = errno;
    unlink(job->path);
    errno = error;
  }
  return result;
}

/* The thread is in the namespace afterwards. */
static int enter(struct job *job) {
  job->step = "open";
  int ns = open(job->path, O_RDONLY | O_CLOEXEC);
  if (ns < 0) return -1;
  job->step = "setns";
  int result = setns(ns, CLONE_NEWNET);
  int error = errno;
  close(ns);
  errno = error;
  return result;
}

/* A socket of the job's kind, bound when it has an address; only IPv6 addresses of their own kind. */
static int make_socket(struct job *job) {
  job->step = "socket";
  int fd = socket(job->family, job->type | SOCK_CLOEXEC, job->protocol);
  if (fd < 0 || job->address == NULL) return fd;
  int on = 1, result = 0;
  job->step = "setsockopt";
  if (job->family == AF_INET6) result = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (result == 0 && job->type == SOCK_STREAM) result = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (result == 0) {
    job->step = "bind";
    result = bind(fd, job->address, job->address_length);
  }
  if (result == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static int socket_inside(struct job *job) {
  return enter(job) < 0 ? -1 : make_socket(job);
}

/* What /proc/sys/net shows is of the namespace of the thread that opens it. */
static int write_inside(struct job *job) {
  if (enter(job) < 0) return -1;
  job->step = "open";
  int file = open(job->file, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -1;
  job->step = "write";
  int result = write(file, job->text, strlen(job->text)) < 0 ? -1 : 0;
  int error = errno;
  close(file);
  errno = error;
  return result;
}

static int read_inside(struct job *job) {
  if (enter(job) < 0) return -1;
  job->step = "open";
  int file = open(job->file, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  job->step = "read";
  uint8_t buffer[16384];
  ssize_t count;
  while ((count = read(file, buffer, sizeof buffer)) > 0 && append(job->content, buffer, (size_t)count)) continue;
  int error = count > 0 ? ENOMEM : errno;
  close(file);
  errno = error;
  return count == 0 ? 0 : -1;
}

struct namespace_work {
  napi_async_work work;
  napi_deferred deferred;
  struct job job;
  char *path;
  int result;
};

static void namespace_execute(napi_env env, void *data) {
  (void)env;
  struct namespace_work *work = data;
  work->result = in_thread(&work->job);
}

static void namespace_complete(napi_env env, napi_status status, void *data) {
  struct namespace_work *work = data;
  if (status == napi_ok && work->result >= 0) napi_resolve_deferred(env, work->deferred, value_undefined(env));
  else
    napi_reject_deferred(env, work->deferred,
                         system_error(env, work->job.error ? work->job.error : ECANCELED, work->job.step, work->path));
  napi_delete_async_work(env, work->work);
  free(work->path);
  free(work);
}

/* createNetns(path): Promise<void>; on the thread pool, because a new namespace costs the kernel up to a millisecond. */
static napi_value create_netns(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0);
  if (call.failed || path == NULL) return NULL;
  struct namespace_work *work = calloc(1, sizeof *work);
  if (work == NULL) {
    free(path);
    return throw_errno(env, ENOMEM, "calloc", NULL);
  }
  work->path = path;
  work->job = (struct job){.run = make_namespace, .path = path};
  napi_value promise, name;
  napi_create_promise(env, &work->deferred, &promise);
  napi_create_string_utf8(env, "createNetns", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, namespace_execute, namespace_complete, work, &work->work);
  napi_queue_async_work(env, work->work);
  return promise;
}

static napi_value finish_socket(napi_env env, struct job *job, char *path) {
  int fd;
  if (path == NULL) {
    fd = make_socket(job);
    job->error = errno;
  } else {
    fd = in_thread(job);
  }
  napi_value value = fd < 0 ? throw_errno(env, job->error, job->step, path) : value_int(env, fd);
  free(path);
  return value;
}

/* openSocket(netnsPath | null, family, type, protocol): fd */
static napi_value open_socket(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0);
  struct job job = {
      .run = socket_inside,
      .path = path,
      .family = (int)arg_int(&call, 1),
      .type = (int)arg_int(&call, 2),
      .protocol = (int)arg_int(&call, 3),
  };
  if (call.failed) {
    free(path);
    return NULL;
  }
  return finish_socket(env, &job, path);
}

/* bindSocket(netnsPath | null, type, protocol, address, port): fd. Address: 4 or 16 bytes in network order. */
static napi_value bind_socket(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0);
  int type = (int)arg_int(&call, 1), protocol = (int)arg_int(&call, 2);
  uint8_t *bytes = NULL;
  size_t length = 0;
  arg_bytes(&call, 3, &bytes, &length);
  uint16_t port = (uint16_t)arg_int(&call, 4);
  if (call.failed) {
    free(path);
    return NULL;
  }
  if (length != 4 && length != 16) {
    free(path);
    return throw_errno(env, EAFNOSUPPORT, "bind", NULL);
  }
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(port)};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  memcpy(length == 4 ? (void *)&four.sin_addr : (void *)&six.sin6_addr, bytes, length);
  struct job job = {
      .run = socket_inside,
      .path = path,
      .family = length == 4 ? AF_INET : AF_INET6,
      .type = type,
      .protocol = protocol,
      .address = length == 4 ? (struct sockaddr *)&four : (struct sockaddr *)&six,
      .address_length = length == 4 ? sizeof four : sizeof six,
  };
  return finish_socket(env, &job, path);
}

/* writeFileInside(netnsPath, file, text) */
static napi_value write_file_inside(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0), *file = arg_string(&call, 1), *text = arg_string(&call, 2);
  napi_value value = NULL;
  if (!call.failed && path != NULL && file != NULL && text != NULL) {
    struct job job = {.run = write_inside, .path = path, .file = file, .text = text};
    value = in_thread(&job) < 0 ? throw_errno(env, job.error, job.step, file) : value_undefined(env);
  }
  free(path);
  free(file);
  free(text);
  return value;
}

/* readFileInside(netnsPath, file): Buffer */
static napi_value read_file_inside(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0), *file = arg_string(&call, 1);
  napi_value value = NULL;
  if (!call.failed && path != NULL && file != NULL) {
    struct bytes content = {0};
    struct job job = {.run = read_inside, .path = path, .file = file, .content = &content};
    value = in_thread(&job) < 0 ? throw_errno(env, job.error, job.step, file)
                                : value_bytes(env, content.data, content.length);
    free(content.data);
  }
  free(path);
  free(file);
  return value;
}

void init_network(napi_env env, napi_value exports) {
  static const struct function functions[] = {
      {"createNetns", create_netns},
      {"openSocket", open_socket},
      {"bindSocket", bind_socket},
      {"writeFileInside", write_file_inside},
      {"readFileInside", read_file_inside},
  };
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
