/*
 * UDP sockets that are answered from one buffer into another. Node's own make a buffer of 64 KiB, an address object and two requests
 * for each packet: 90 µs of processor time, and a collection of the young generation for each 400 packets.
 */
#include "addon.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

/* Of one turn of the event loop, so that who floods one socket keeps nobody else waiting. */
#define PACKETS_AT_ONCE 16

struct server {
  uv_poll_t poll;
  napi_env env;
  napi_async_context context;
  napi_ref callback, buffers[2];
  uint8_t *in, *out;
  size_t in_size, out_size;
  int fd;
};

static void close_server(struct server *server);

static void send_to(int fd, const uint8_t *data, size_t length, uint32_t host, uint16_t port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(host)};
  sendto(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&to, sizeof to);
}

/* The callback's answer: how many bytes of the second buffer go back to the sender; 0: none. Negative when it threw. */
static int64_t call_back(struct server *server, ssize_t length, uint32_t host, uint16_t port) {
  napi_env env = server->env;
  napi_value callback, global, result, argv[3];
  napi_get_reference_value(env, server->callback, &callback);
  napi_get_global(env, &global);
  napi_create_uint32(env, (uint32_t)length, &argv[0]);
  napi_create_uint32(env, host, &argv[1]);
  napi_create_uint32(env, port, &argv[2]);
  int64_t answer = 0;
  napi_status status = napi_make_callback(env, server->context, global, callback, 3, argv, &result);
  if (status == napi_ok) napi_get_value_int64(env, result, &answer);
  if (status != napi_pending_exception) return answer;
  napi_value error;
  napi_get_and_clear_last_exception(env, &error);
  napi_fatal_exception(env, error);
  return -1;
}

static bool serve_one(struct server *server) {
  struct sockaddr_in from;
  socklen_t size = sizeof from;
  ssize_t length = recvfrom(server->fd, server->in, server->in_size, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
  if (length < 0) return errno == EINTR;
  uint32_t host = ntohl(from.sin_addr.s_addr);
  uint16_t port = ntohs(from.sin_port);
  napi_handle_scope scope;
  napi_open_handle_scope(server->env, &scope);
  int64_t answer = call_back(server, length, host, port);
  napi_close_handle_scope(server->env, scope);
  if (server->fd < 0 || answer < 0) return false;
  if (answer > 0 && (size_t)answer <= server->out_size) send_to(server->fd, server->out, (size_t)answer, host, port);
  return true;
}

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  struct server *server = poll->data;
  for (int left = PACKETS_AT_ONCE; left > 0 && server->fd >= 0 && serve_one(server); left--) {}
}

static void on_env_exit(void *data) {
  close_server(data);
}

static void on_closed(uv_handle_t *handle) {
  free(handle->data);
}

/* What the callback still reads of it stays until the loop's next turn. */
static void close_server(struct server *server) {
  if (server->fd < 0) return;
  napi_remove_env_cleanup_hook(server->env, on_env_exit, server);
  uv_poll_stop(&server->poll);
  close(server->fd);
  server->fd = -1;
  napi_async_destroy(server->env, server->context);
  napi_delete_reference(server->env, server->callback);
  for (int i = 0; i < 2; i++) napi_delete_reference(server->env, server->buffers[i]);
  uv_close((uv_handle_t *)&server->poll, on_closed);
}

static int watch(struct server *server) {
  uv_loop_t *loop;
  if (napi_get_uv_event_loop(server->env, &loop) != napi_ok) return EINVAL;
  int error = uv_poll_init(loop, &server->poll, server->fd);
  if (error != 0) return -error;
  server->poll.data = server;
  uv_unref((uv_handle_t *)&server->poll);
  uv_poll_start(&server->poll, UV_READABLE, on_readable);
  return 0;
}

/*
 * serveUdp(fd, in, out, onPacket(length, host, port)): owns the descriptor from now on, and keeps no process alive. What onPacket
 * returns is sent back out of `out`. IPv4; hosts are numbers.
 */
static napi_value serve_udp(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  struct server wanted = {.env = env, .fd = (int)arg_int(&call, 0)};
  arg_bytes(&call, 1, &wanted.in, &wanted.in_size);
  arg_bytes(&call, 2, &wanted.out, &wanted.out_size);
  if (call.failed) return NULL;
  struct server *server = malloc(sizeof *server);
  if (server == NULL) return throw_errno(env, ENOMEM, "malloc", NULL);
  *server = wanted;
  int error = watch(server);
  if (error != 0) {
    free(server);
    return throw_errno(env, error, "epoll_ctl", NULL);
  }
  napi_value name, value;
  napi_create_string_utf8(env, "udp", NAPI_AUTO_LENGTH, &name);
  napi_async_init(env, NULL, name, &server->context);
  napi_create_reference(env, call.argv[3], 1, &server->callback);
  for (int i = 0; i < 2; i++) napi_create_reference(env, call.argv[1 + i], 1, &server->buffers[i]);
  napi_add_env_cleanup_hook(env, on_env_exit, server);
  napi_create_external(env, server, NULL, NULL, &value);
  return value;
}

static struct server *arg_server(struct call *call) {
  void *server = NULL;
  if (call->argc < 1 || napi_get_value_external(call->env, call->argv[0], &server) != napi_ok) call->failed = true;
  return server;
}

/* sendUdp(server, bytes, host, port): lost when the socket has no room, as datagrams are. */
static napi_value send_udp(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  struct server *server = arg_server(&call);
  uint8_t *data;
  size_t length;
  arg_bytes(&call, 1, &data, &length);
  uint32_t host = (uint32_t)arg_int(&call, 2);
  uint16_t port = (uint16_t)arg_int(&call, 3);
  if (!call.failed) send_to(server->fd, data, length, host, port);
  return value_undefined(env);
}

/* closeUdp(server): the last call with it. */
static napi_value close_udp(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  struct server *server = arg_server(&call);
  if (!call.failed) close_server(server);
  return value_undefined(env);
}

void init_udp(napi_env env, napi_value exports) {
  static const struct function functions[] = {{"serveUdp", serve_udp}, {"sendUdp", send_udp}, {"closeUdp", close_udp}};
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
