/* Requests to the kernel over a netlink socket, and all of its answers. */
#include "addon.h"
#include "bytes.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

/* How many answers the requests in a buffer will get: one message with an error code, or a dump's end, for each. */
static size_t expected_answers(const uint8_t *data, size_t length) {
  size_t count = 0;
  while (length >= sizeof(struct nlmsghdr)) {
    struct nlmsghdr header;
    memcpy(&header, data, sizeof header);
    if (header.nlmsg_len < sizeof header || header.nlmsg_len > length) return 0;
    if (header.nlmsg_flags & (NLM_F_ACK | NLM_F_DUMP)) count++;
    size_t step = NLMSG_ALIGN(header.nlmsg_len);
    if (step >= length) break;
    data += step;
    length -= step;
  }
  return count;
}

/* Sends the requests and gathers all answers; 0, or an error number with its step. The caller frees the bytes in either case. */
static int exchange(int fd, const uint8_t *request, size_t length, struct bytes *received, const char **step) {
  size_t awaited = expected_answers(request, length);
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  *step = "sendto";
  if (sendto(fd, request, length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0) return errno;
  uint8_t buffer[32768];
  *step = "recv";
  while (awaited > 0) {
    ssize_t count = recv(fd, buffer, sizeof buffer, 0);
    if (count < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    for (size_t at = 0; at + sizeof(struct nlmsghdr) <= (size_t)count;) {
      struct nlmsghdr header;
      memcpy(&header, buffer + at, sizeof header);
      if (header.nlmsg_len < sizeof header || at + header.nlmsg_len > (size_t)count) break;
      if ((header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) && awaited > 0) awaited--;
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
    if (!append(received, buffer, (size_t)count)) return ENOMEM;
  }
  return 0;
}

/* netlinkExchange(fd, requests): every request must ask for an acknowledgement or a dump. Returns all messages received. */
static napi_value netlink_exchange(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int fd = (int)arg_int(&call, 0);
  uint8_t *request;
  size_t length;
  arg_bytes(&call, 1, &request, &length);
  if (call.failed) return NULL;
  struct bytes received = {0};
  const char *step;
  int error = exchange(fd, request, length, &received, &step);
  napi_value value = error ? throw_errno(env, error, step, "netlink") : value_bytes(env, received.data, received.length);
  free(received.data);
  return value;
}

struct exchange_work {
  napi_async_work work;
  napi_deferred deferred;
  int fd, error;
  uint8_t *request;
  size_t length;
  struct bytes received;
  const char *step;
};

static void exchange_execute(napi_env env, void *data) {
  (void)env;
  struct exchange_work *work = data;
  work->error = exchange(work->fd, work->request, work->length, &work->received, &work->step);
}

static void exchange_complete(napi_env env, napi_status status, void *data) {
  struct exchange_work *work = data;
  if (status == napi_ok && work->error == 0)
    napi_resolve_deferred(env, work->deferred, value_bytes(env, work->received.data, work->received.length));
  else
    napi_reject_deferred(env, work->deferred,
                         system_error(env, work->error ? work->error : ECANCELED, work->step, "netlink"));
  napi_delete_async_work(env, work->work);
  free(work->request);
  free(work->received.data);
  free(work);
}

/* netlinkExchangeAside(fd, requests): Promise of the same, on the thread pool; the descriptor must serve nobody else meanwhile. */
static napi_value netlink_exchange_aside(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int fd = (int)arg_int(&call, 0);
  uint8_t *request;
  size_t length;
  arg_bytes(&call, 1, &request, &length);
  if (call.failed) return NULL;
  struct exchange_work *work = calloc(1, sizeof *work);
  uint8_t *copy = malloc(length ? length : 1);
  if (work == NULL || copy == NULL) {
    free(work);
    free(copy);
    return throw_errno(env, ENOMEM, "malloc", NULL);
  }
  memcpy(copy, request, length);
  *work = (struct exchange_work){.fd = fd, .request = copy, .length = length, .step = "netlink"};
  napi_value promise, name;
  napi_create_promise(env, &work->deferred, &promise);
  napi_create_string_utf8(env, "netlinkExchange", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, exchange_execute, exchange_complete, work, &work->work);
  napi_queue_async_work(env, work->work);
  return promise;
}

void init_netlink(napi_env env, napi_value exports) {
  static const struct function functions[] = {
      {"netlinkExchange", netlink_exchange},
      {"netlinkExchangeAside", netlink_exchange_aside},
  };
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
