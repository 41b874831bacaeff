#include "addon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct call call_begin(napi_env env, napi_callback_info info) {
  struct call call = {.env = env, .argc = MAX_ARGS};
  if (napi_get_cb_info(env, info, &call.argc, call.argv, NULL, NULL) != napi_ok) call.failed = true;
  return call;
}

static void wrong_type(struct call *call, size_t index, const char *expected) {
  if (call->failed) return;
  call->failed = true;
  char text[80];
  snprintf(text, sizeof text, "argument %zu must be %s", index, expected);
  napi_throw_type_error(call->env, "ERR_INVALID_ARG_TYPE", text);
}

bool arg_missing(struct call *call, size_t index) {
  if (index >= call->argc) return true;
  napi_valuetype type;
  napi_typeof(call->env, call->argv[index], &type);
  return type == napi_undefined || type == napi_null;
}

int64_t arg_int(struct call *call, size_t index) {
  int64_t value = 0;
  if (call->failed) return 0;
  if (index >= call->argc || napi_get_value_int64(call->env, call->argv[index], &value) != napi_ok)
    wrong_type(call, index, "a number");
  return value;
}

int64_t arg_bigint(struct call *call, size_t index) {
  int64_t value = 0;
  bool lossless = false;
  if (call->failed) return 0;
  if (index >= call->argc || napi_get_value_bigint_int64(call->env, call->argv[index], &value, &lossless) != napi_ok ||
      !lossless)
    wrong_type(call, index, "a 64-bit bigint");
  return value;
}

/* A path that need not be UTF-8 comes as a Buffer. */
static char *string_of_bytes(struct call *call, napi_value value, size_t index) {
  void *data = NULL;
  size_t length = 0;
  napi_get_buffer_info(call->env, value, &data, &length);
  char *text = length == 0 || memchr(data, 0, length) == NULL ? strndup(length == 0 ? "" : data, length) : NULL;
  if (text == NULL) wrong_type(call, index, "a path without NUL bytes");
  return text;
}

static char *string_of(struct call *call, napi_value value, size_t index) {
  bool is_buffer = false;
  if (napi_is_buffer(call->env, value, &is_buffer) == napi_ok && is_buffer) return string_of_bytes(call, value, index);
  size_t length = 0;
  if (napi_get_value_string_utf8(call->env, value, NULL, 0, &length) != napi_ok) {
    wrong_type(call, index, "a string");
    return NULL;
  }
  char *text = malloc(length + 1);
  if (text == NULL) {
    wrong_type(call, index, "a string that fits into memory");
    return NULL;
  }
  napi_get_value_string_utf8(call->env, value, text, length + 1, &length);
  if (strlen(text) != length) {
    free(text);
    wrong_type(call, index, "a string without NUL bytes");
    return NULL;
  }
  return text;
}

char *arg_string(struct call *call, size_t index) {
  if (call->failed || arg_missing(call, index)) return NULL;
  return string_of(call, call->argv[index], index);
}

void arg_bytes(struct call *call, size_t index, uint8_t **data, size_t *length) {
  *data = NULL;
  *length = 0;
  if (call->failed) return;
  bool is_buffer = false;
  if (index < call->argc) napi_is_buffer(call->env, call->argv[index], &is_buffer);
  if (!is_buffer || napi_get_buffer_info(call->env, call->argv[index], (void **)data, length) != napi_ok)
    wrong_type(call, index, "a Buffer");
}

char **arg_strings(struct call *call, size_t index) {
  if (call->failed || arg_missing(call, index)) return NULL;
  uint32_t count = 0;
  if (napi_get_array_length(call->env, call->argv[index], &count) != napi_ok) {
    wrong_type(call, index, "an array of strings");
    return NULL;
  }
  char **strings = calloc((size_t)count + 1, sizeof *strings);
  if (strings == NULL) {
    wrong_type(call, index, "an array that fits into memory");
    return NULL;
  }
  for (uint32_t i = 0; i < count; i++) {
    napi_value element;
    napi_get_element(call->env, call->argv[index], i, &element);
    strings[i] = string_of(call, element, index);
    if (strings[i] == NULL) {
      free_strings(strings);
      return NULL;
    }
  }
  return strings;
}

void free_strings(char **strings) {
  if (strings == NULL) return;
  for (size_t i = 0; strings[i] != NULL; i++) free(strings[i]);
  free(strings);
}

napi_value system_error(napi_env env, int error, const char *syscall, const char *subject) {
  const char *code = strerrorname_np(error);
  char text[512];
  snprintf(text, sizeof text, "%s: %s, %s%s%.300s%s", code ? code : "EUNKNOWN", strerror(error), syscall,
           subject ? " '" : "", subject ? subject : "", subject ? "'" : "");
  napi_value message, code_value, result;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &message);
  napi_create_string_utf8(env, code ? code : "EUNKNOWN", NAPI_AUTO_LENGTH, &code_value);
  napi_create_error(env, code_value, message, &result);
  napi_value number, name;
  napi_create_int32(env, error, &number);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &name);
  napi_set_named_property(env, result, "errno", number);
  napi_set_named_property(env, result, "syscall", name);
  return result;
}

napi_value throw_errno(napi_env env, int error, const char *syscall, const char *subject) {
  napi_throw(env, system_error(env, error, syscall, subject));
  return NULL;
}

napi_value value_int(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

napi_value value_undefined(napi_env env) {
  napi_value result;
  napi_get_undefined(env, &result);
  return result;
}

napi_value value_bytes(napi_env env, const void *data, size_t length) {
  napi_value result;
  void *copy;
  napi_create_buffer_copy(env, length, data, &copy, &result);
  return result;
}

void add_functions(napi_env env, napi_value exports, const struct function *functions, size_t count) {
  for (size_t i = 0; i < count; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].callback, NULL, &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
}

NAPI_MODULE_INIT() {
  init_datagrams(env, exports);
  init_files(env, exports);
  init_idmap(env, exports);
  init_jsonlog(env, exports);
  init_mounts(env, exports);
  init_netlink(env, exports);
  init_network(env, exports);
  init_new_files(env, exports);
  init_process(env, exports);
  init_stage(env, exports);
  init_trees(env, exports);
  init_udp(env, exports);
  return exports;
}
