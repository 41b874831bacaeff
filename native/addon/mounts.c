/* Mounts: mount(2), umount2(2), and overlays by the mount API of fsopen(2), which has no limit on the number of layers. */
#include "addon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> of this glibc can't be included together. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);

/* mount(source, target, type, flags, data) */
static napi_value do_mount(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *source = arg_string(&call, 0), *target = arg_string(&call, 1), *type = arg_string(&call, 2);
  unsigned long flags = (unsigned long)arg_int(&call, 3);
  char *data = arg_string(&call, 4);
  int result = call.failed ? 0 : mount(source, target, type, flags, data);
  napi_value value = result < 0 ? throw_errno(env, errno, "mount", target) : value_undefined(env);
  free(source);
  free(target);
  free(type);
  free(data);
  return value;
}

/* unmount(target, flags) */
static napi_value do_unmount(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *target = arg_string(&call, 0);
  int flags = (int)arg_int(&call, 1);
  int result = call.failed ? 0 : umount2(target, flags);
  napi_value value = result < 0 ? throw_errno(env, errno, "umount2", target) : value_undefined(env);
  free(target);
  return value;
}

/* An unmount that runs on the thread pool: the last one of an overlay waits until its whole file system is written. */
struct unmount_work {
  napi_async_work work;
  napi_deferred deferred;
  char *target;
  int flags;
  int error;
};

static void unmount_execute(napi_env env, void *data) {
  (void)env;
  struct unmount_work *work = data;
  work->error = umount2(work->target, work->flags) < 0 ? errno : 0;
}

static void unmount_complete(napi_env env, napi_status status, void *data) {
  struct unmount_work *work = data;
  if (status != napi_ok) work->error = ECANCELED;
  if (work->error == 0) napi_resolve_deferred(env, work->deferred, value_undefined(env));
  else napi_reject_deferred(env, work->deferred, system_error(env, work->error, "umount2", work->target));
  napi_delete_async_work(env, work->work);
  free(work->target);
  free(work);
}

/* unmountAside(target, flags): Promise<void> */
static napi_value unmount_aside(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *target = arg_string(&call, 0);
  int flags = (int)arg_int(&call, 1);
  if (call.failed) {
    free(target);
    return value_undefined(env);
  }
  struct unmount_work *work = calloc(1, sizeof *work);
  if (work == NULL) {
    free(target);
    return throw_errno(env, ENOMEM, "umount2", NULL);
  }
  work->target = target;
  work->flags = flags;
  napi_value promise, name;
  napi_create_promise(env, &work->deferred, &promise);
  napi_create_string_utf8(env, "unmountAside", NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, unmount_execute, unmount_complete, work, &work->work);
  napi_queue_async_work(env, work->work);
  return promise;
}

static int set_string(int fs, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

/*
 * Notes that overlay would leave in the upper folder, and follow when an archive brings them: never, whatever the
 * kernel's defaults are. A kernel that does not know one of them has no such notes either.
 */
static void set_plain(int fs) {
  set_string(fs, "redirect_dir", "nofollow");
  set_string(fs, "metacopy", "off");
  set_string(fs, "index", "off");
}

/* The errno of the step that failed is left in errno, its name in *step. */
static int overlay(char **lower, const char *upper, const char *work, const char *target, bool read_only,
                   bool is_volatile, const char **step) {
  int fs = -1, mounted = -1, result = -1;
  *step = "fsopen";
  if ((fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC)) < 0) goto out;
  *step = "fsconfig lowerdir+";
  for (size_t i = 0; lower[i] != NULL; i++)
    if (set_string(fs, "lowerdir+", lower[i]) < 0) goto out;
  *step = "fsconfig upperdir";
  if (upper != NULL && (set_string(fs, "upperdir", upper) < 0 || set_string(fs, "workdir", work) < 0)) goto out;
  set_plain(fs);
  *step = "fsconfig volatile";
  if (is_volatile && syscall(SYS_fsconfig, fs, FSCONFIG_SET_FLAG, "volatile", NULL, 0) < 0) goto out;
  *step = "fsconfig create";
  if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0) goto out;
  *step = "fsmount";
  if ((mounted = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, read_only ? MOUNT_ATTR_RDONLY : 0)) < 0) goto out;
  *step = "move_mount";
  if (syscall(SYS_move_mount, mounted, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) < 0) goto out;
  result = 0;
out:;
  int error = errno;
  if (mounted >= 0) close(mounted);
  if (fs >= 0) close(fs);
  errno = error;
  return result;
}

/* mountOverlay(lower[], upper, work, target, readOnly, volatile) */
static napi_value mount_overlay(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char **lower = arg_strings(&call, 0);
  char *upper = arg_string(&call, 1), *work = arg_string(&call, 2), *target = arg_string(&call, 3);
  bool read_only = arg_int(&call, 4) != 0, is_volatile = arg_int(&call, 5) != 0;
  const char *step = NULL;
  int result = call.failed ? 0 : overlay(lower, upper, work, target, read_only, is_volatile, &step);
  napi_value value = result < 0 ? throw_errno(env, errno, step, target) : value_undefined(env);
  free_strings(lower);
  free(upper);
  free(work);
  free(target);
  return value;
}

void init_mounts(napi_env env, napi_value exports) {
  static const struct function functions[] = {
      {"mount", do_mount},
      {"unmount", do_unmount},
      {"unmountAside", unmount_aside},
      {"mountOverlay", mount_overlay},
  };
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
