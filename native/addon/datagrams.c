/* Datagrams to unix sockets, which Node can't send. */
#include "addon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* sendUnixDatagram(fd, path, bytes): never waits; throws EAGAIN instead. */
static napi_value send_unix_datagram(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int fd = (int)arg_int(&call, 0);
  char *path = arg_string(&call, 1);
  uint8_t *data = NULL;
  size_t length = 0;
  arg_bytes(&call, 2, &data, &length);
  napi_value value = NULL;
  if (!call.failed) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error = path == NULL ? EINVAL : strlen(path) >= sizeof address.sun_path ? ENAMETOOLONG : 0;
    if (error == 0) {
      memcpy(address.sun_path, path, strlen(path));
      if (sendto(fd, data, length, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof address) < 0) error = errno;
    }
    value = error == 0 ? value_undefined(env) : throw_errno(env, error, "sendto", path);
  }
  free(path);
  return value;
}

void init_datagrams(napi_env env, napi_value exports) {
  static const struct function functions[] = {{"sendUnixDatagram", send_unix_datagram}};
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
