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

static int set_string(int fs, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, key, value, 0);
}

/* The errno of the step that failed is left in errno, its name in *step. */
static int overlay(char **lower, const char *upper, const char *work, const char *target, bool read_only,
                   const char **step) {
  int fs = -1, mounted = -1, result = -1;
  *step = "fsopen";
  if ((fs = (int)syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC)) < 0) goto out;
  *step = "fsconfig lowerdir+";
  for (size_t i = 0; lower[i] != NULL; i++)
    if (set_string(fs, "lowerdir+", lower[i]) < 0) goto out;
  *step = "fsconfig upperdir";
  if (upper != NULL && (set_string(fs, "upperdir", upper) < 0 || set_string(fs, "workdir", work) < 0)) goto out;
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

/* mountOverlay(lower[], upper, work, target, readOnly) */
static napi_value mount_overlay(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char **lower = arg_strings(&call, 0);
  char *upper = arg_string(&call, 1), *work = arg_string(&call, 2), *target = arg_string(&call, 3);
  bool read_only = arg_int(&call, 4) != 0;
  const char *step = NULL;
  int result = call.failed ? 0 : overlay(lower, upper, work, target, read_only, &step);
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
      {"mountOverlay", mount_overlay},
  };
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
