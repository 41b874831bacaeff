/*
 * The system calls that Node lacks. Every function either returns its value or throws a JavaScript Error with
 * `code` ("ENOENT"), `errno` (positive) and `syscall`, the shape of Node's own system errors.
 */
#ifndef GANTRY_ADDON_H
#define GANTRY_ADDON_H

#define NAPI_VERSION 9
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAX_ARGS 8

/* The arguments of one call. Reading one of the wrong type throws a TypeError and marks the call as failed. */
struct call {
  napi_env env;
  size_t argc;
  napi_value argv[MAX_ARGS];
  bool failed;
};

struct function {
  const char *name;
  napi_callback callback;
};

struct call call_begin(napi_env env, napi_callback_info info);
bool arg_missing(struct call *call, size_t index);
int64_t arg_int(struct call *call, size_t index);
int64_t arg_bigint(struct call *call, size_t index);
/* Freed by the caller; NULL when null or undefined was given, or on failure. Embedded NUL bytes are refused. */
char *arg_string(struct call *call, size_t index);
/* Borrowed for the time of the call. */
void arg_bytes(struct call *call, size_t index, uint8_t **data, size_t *length);
/* A NULL-terminated array of strings; freed with free_strings. */
char **arg_strings(struct call *call, size_t index);
void free_strings(char **strings);

napi_value throw_errno(napi_env env, int error, const char *syscall, const char *subject);
napi_value system_error(napi_env env, int error, const char *syscall, const char *subject);
napi_value value_int(napi_env env, int64_t value);
napi_value value_undefined(napi_env env);
napi_value value_bytes(napi_env env, const void *data, size_t length);
void add_functions(napi_env env, napi_value exports, const struct function *functions, size_t count);

void init_datagrams(napi_env env, napi_value exports);
void init_files(napi_env env, napi_value exports);
void init_idmap(napi_env env, napi_value exports);
void init_jsonlog(napi_env env, napi_value exports);
void init_mounts(napi_env env, napi_value exports);
void init_netlink(napi_env env, napi_value exports);
void init_network(napi_env env, napi_value exports);
void init_new_files(napi_env env, napi_value exports);
void init_process(napi_env env, napi_value exports);
void init_stage(napi_env env, napi_value exports);
void init_trees(napi_env env, napi_value exports);
void init_udp(napi_env env, napi_value exports);

#endif
