/* Many small new files, made by the thread pool while JavaScript reads the next ones. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "newfile.h"

/* Of each file in `fields`: length of its data, mode, chmod, uid, gid, atime, mtime; the last two in nanoseconds. */
#define FIELDS 7

struct batch {
  napi_async_work work;
  napi_deferred deferred;
  /* One block: fields, data, paths, each path ended by NUL. */
  int64_t *fields;
  uint8_t *data;
  char *paths;
  size_t count, data_length;
  const char *step, *failed;
  int error;
};

static void make_files(napi_env env, void *given) {
  (void)env;
  struct batch *batch = given;
  const char *path = batch->paths;
  size_t at = 0;
  for (size_t i = 0; i < batch->count; i++, path += strlen(path) + 1) {
    const int64_t *field = batch->fields + i * FIELDS;
    struct new_file file = {
        .data = batch->data + at,
        .length = (size_t)field[0],
        .mode = (mode_t)field[1],
        .chmod = field[2],
        .uid = field[3],
        .gid = field[4],
        .times = {timespec_of(field[5]), timespec_of(field[6])},
    };
    at += file.length;
    if (write_new_file(path, &file, &batch->step) == 0) continue;
    batch->error = errno;
    batch->failed = path;
    return;
  }
}

static void files_made(napi_env env, napi_status status, void *given) {
  struct batch *batch = given;
  if (status == napi_ok && batch->error == 0) napi_resolve_deferred(env, batch->deferred, value_undefined(env));
  else
    napi_reject_deferred(env, batch->deferred,
                         system_error(env, status == napi_ok ? batch->error : ECANCELED, batch->step, batch->failed));
  napi_delete_async_work(env, batch->work);
  free(batch->fields);
  free(batch);
}

/* False when the fields do not add up to the data, or the paths to the files. */
static bool is_whole(const struct batch *batch, size_t paths_length) {
  size_t total = 0, paths = 0;
  for (size_t i = 0; i < batch->count; i++) {
    int64_t length = batch->fields[i * FIELDS];
    if (length < 0 || (size_t)length > batch->data_length - total) return false;
    total += (size_t)length;
  }
  for (size_t i = 0; i < paths_length; i++) paths += batch->paths[i] == '\0';
  return paths == batch->count && (paths_length == 0 || batch->paths[paths_length - 1] == '\0');
}

/* createFiles(fields, data, paths): Promise<void>; all are copied. Ends with the first that fails. */
static napi_value create_files(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  uint8_t *fields, *data, *paths;
  size_t fields_length, data_length, paths_length;
  arg_bytes(&call, 0, &fields, &fields_length);
  arg_bytes(&call, 1, &data, &data_length);
  arg_bytes(&call, 2, &paths, &paths_length);
  if (call.failed) return NULL;
  struct batch *batch = calloc(1, sizeof *batch);
  uint8_t *block = malloc(fields_length + data_length + paths_length + 1);
  if (batch == NULL || block == NULL) {
    free(batch);
    free(block);
    return throw_errno(env, ENOMEM, "malloc", NULL);
  }
  memcpy(block, fields, fields_length);
  memcpy(block + fields_length, data, data_length);
  memcpy(block + fields_length + data_length, paths, paths_length);
  batch->fields = (int64_t *)(void *)block;
  batch->data = block + fields_length;
  batch->paths = (char *)block + fields_length + data_length;
  batch->count = fields_length / (FIELDS * sizeof(int64_t));
  batch->data_length = data_length;
  batch->step = "open";
  if (!is_whole(batch, paths_length)) {
    free(block);
    free(batch);
    return throw_errno(env, EINVAL, "createFiles", NULL);
  }
  napi_value promise, name;
  napi_create_promise(env, &batch->deferred, &promise);
  napi_create_string_utf8(env, "createFiles", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, make_files, files_made, batch, &batch->work);
  napi_queue_async_work(env, batch->work);
  return promise;
}

void init_new_files(napi_env env, napi_value exports) {
  static const struct function functions[] = {{"createFiles", create_files}};
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
