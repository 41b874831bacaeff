/* Files: device nodes, times, extended attributes, paths that stay inside a root, clones, locks. */
#include "addon.h"
#include "newfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

/* makeNode(path, mode, major, minor) */
static napi_value make_node(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0);
  mode_t mode = (mode_t)arg_int(&call, 1);
  unsigned major_number = (unsigned)arg_int(&call, 2), minor_number = (unsigned)arg_int(&call, 3);
  int result = call.failed ? 0 : mknod(path, mode, makedev(major_number, minor_number));
  napi_value value = result < 0 ? throw_errno(env, errno, "mknod", path) : value_undefined(env);
  free(path);
  return value;
}

struct timespec timespec_of(int64_t nanoseconds) {
  struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
  if (time.tv_nsec < 0) {
    time.tv_sec -= 1;
    time.tv_nsec += 1000000000;
  }
  return time;
}

/* setTimes(path, atimeNs, mtimeNs): nanoseconds since the epoch as bigint; does not follow a link. */
static napi_value set_times(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0);
  struct timespec times[2] = {timespec_of(arg_bigint(&call, 1)), timespec_of(arg_bigint(&call, 2))};
  int result = call.failed ? 0 : utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
  napi_value value = result < 0 ? throw_errno(env, errno, "utimensat", path) : value_undefined(env);
  free(path);
  return value;
}

int write_new_file(const char *path, const struct new_file *file, const char **step) {
  *step = "open";
  int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, file->mode);
  if (fd < 0) return -1;
  int result = -1;
  *step = "write";
  for (size_t written = 0; written < file->length;) {
    ssize_t count = write(fd, file->data + written, file->length - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) goto out;
    written += (size_t)count;
  }
  *step = "fchown";
  if (file->uid >= 0 && fchown(fd, (uid_t)file->uid, (gid_t)file->gid) < 0) goto out;
  *step = "fchmod";
  if (file->chmod >= 0 && fchmod(fd, (mode_t)file->chmod) < 0) goto out;
  *step = "futimens";
  result = futimens(fd, file->times);
out:;
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

/* createFile(path, data, mode, chmod, uid, gid, atimeNs, mtimeNs) */
static napi_value create_file(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  struct new_file file = {0};
  char *path = arg_string(&call, 0);
  uint8_t *data;
  arg_bytes(&call, 1, &data, &file.length);
  file.data = data;
  file.mode = (mode_t)arg_int(&call, 2);
  file.chmod = arg_int(&call, 3);
  file.uid = arg_int(&call, 4);
  file.gid = arg_int(&call, 5);
  file.times[0] = timespec_of(arg_bigint(&call, 6));
  file.times[1] = timespec_of(arg_bigint(&call, 7));
  const char *step = NULL;
  int result = call.failed ? 0 : write_new_file(path, &file, &step);
  napi_value value = result < 0 ? throw_errno(env, errno, step, path) : value_undefined(env);
  free(path);
  return value;
}

/* listXattrs(path): the names, NUL-terminated, in one Buffer. */
static napi_value list_xattrs(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0);
  if (call.failed) return NULL;
  char small[4096], *names = small;
  ssize_t length = llistxattr(path, names, sizeof small);
  if (length < 0 && errno == ERANGE) {
    names = malloc(65536);
    length = names == NULL ? -1 : llistxattr(path, names, 65536);
  }
  napi_value value = length < 0 ? throw_errno(env, errno, "llistxattr", path) : value_bytes(env, names, (size_t)length);
  if (names != small) free(names);
  free(path);
  return value;
}

/* getXattr(path, name): Buffer, or undefined when there is none. */
static napi_value get_xattr(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0), *name = arg_string(&call, 1);
  napi_value value = NULL;
  if (!call.failed) {
    char small[1024], *data = small;
    ssize_t length = lgetxattr(path, name, data, sizeof small);
    if (length < 0 && errno == ERANGE) {
      data = malloc(65536);
      length = data == NULL ? -1 : lgetxattr(path, name, data, 65536);
    }
    if (length >= 0) value = value_bytes(env, data, (size_t)length);
    else if (errno == ENODATA) value = value_undefined(env);
    else throw_errno(env, errno, "lgetxattr", path);
    if (data != small) free(data);
  }
  free(path);
  free(name);
  return value;
}

/* setXattr(path, name, value) */
static napi_value set_xattr(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0), *name = arg_string(&call, 1);
  uint8_t *data;
  size_t length;
  arg_bytes(&call, 2, &data, &length);
  int result = call.failed ? 0 : lsetxattr(path, name, data, length, 0);
  napi_value value = result < 0 ? throw_errno(env, errno, "lsetxattr", path) : value_undefined(env);
  free(path);
  free(name);
  return value;
}

/* removeXattr(path, name) */
static napi_value remove_xattr(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0), *name = arg_string(&call, 1);
  int result = call.failed ? 0 : lremovexattr(path, name);
  napi_value value = result < 0 ? throw_errno(env, errno, "lremovexattr", path) : value_undefined(env);
  free(path);
  free(name);
  return value;
}

/* openAt2(rootFd, path, flags, mode, resolve): fd */
static napi_value open_at2(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int root = (int)arg_int(&call, 0);
  char *path = arg_string(&call, 1);
  struct open_how how = {
      .flags = (uint64_t)arg_int(&call, 2) | O_CLOEXEC,
      .mode = (uint64_t)arg_int(&call, 3),
      .resolve = (uint64_t)arg_int(&call, 4),
  };
  if (call.failed) return NULL;
  long fd;
  /* EAGAIN: a rename or mount raced with a ".." of the walk; the kernel asks to try again (openat2(2)). */
  int attempts = 0;
  do fd = syscall(SYS_openat2, root, path, &how, sizeof how);
  while (fd < 0 && errno == EAGAIN && ++attempts < 64);
  napi_value value = fd < 0 ? throw_errno(env, errno, "openat2", path) : value_int(env, fd);
  free(path);
  return value;
}

/* Whether a copy of the file must take extended attributes along, or may: more names than are looked at. */
static bool has_kept_xattrs(int fd) {
  char names[1024];
  ssize_t length = flistxattr(fd, names, sizeof names);
  if (length < 0) return errno == ERANGE;
  for (const char *name = names; name < names + length; name += strlen(name) + 1)
    if (strncmp(name, "user.", 5) == 0 || strcmp(name, "security.capability") == 0) return true;
  return false;
}

/* The file's bytes; -1 (errno set) on failure; -2 for what is not that simple. */
static ssize_t read_plain_file(int folder, const char *name, uint8_t *into, size_t size) {
  int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return -1;
  struct stat stats;
  ssize_t result = -2;
  if (fstat(fd, &stats) < 0) result = -1;
  else if (S_ISREG(stats.st_mode) && stats.st_size < (off_t)size && !has_kept_xattrs(fd)) {
    size_t filled = 0;
    ssize_t count;
    do {
      count = read(fd, into + filled, size - filled);
      if (count > 0) filled += (size_t)count;
    } while ((count > 0 && filled < size) || (count < 0 && errno == EINTR));
    if (count < 0) result = -1;
    else if (filled < size) result = (ssize_t)filled;
  }
  int error = errno;
  close(fd);
  errno = error;
  return result;
}

/* readPlainFile(folderFd, name, into): how many bytes the file has; -1 when it is no file, does not fit, or has attributes to keep. */
static napi_value read_plain_file_in(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int folder = (int)arg_int(&call, 0);
  char *name = arg_string(&call, 1);
  uint8_t *into;
  size_t size;
  arg_bytes(&call, 2, &into, &size);
  ssize_t result = call.failed ? -2 : read_plain_file(folder, name, into, size);
  napi_value value = result == -1 ? throw_errno(env, errno, "open", name) : value_int(env, result < 0 ? -1 : result);
  free(name);
  return value;
}

/* cloneFile(sourceFd, targetFd): false where the file system can't share blocks. */
static napi_value clone_file(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int source = (int)arg_int(&call, 0), target = (int)arg_int(&call, 1);
  if (call.failed) return NULL;
  bool cloned = ioctl(target, FICLONE, source) == 0;
  if (!cloned && errno != EOPNOTSUPP && errno != EXDEV && errno != EINVAL && errno != ENOTTY && errno != ENOSYS)
    return throw_errno(env, errno, "ioctl FICLONE", NULL);
  napi_value value;
  napi_get_boolean(env, cloned, &value);
  return value;
}

/* spreadFolders(path): the folders that are made in it lie apart from each other; false where the file system knows no such wish. */
static napi_value spread_folders(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0);
  int flags = 0;
  int fd = call.failed ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  bool spread = fd >= 0 && ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0;
  flags |= FS_TOPDIR_FL;
  spread = spread && ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
  if (fd >= 0) close(fd);
  free(path);
  napi_value value;
  napi_get_boolean(env, spread, &value);
  return value;
}

/* copyRange(sourceFd, targetFd, length): bytes copied from the current offsets; 0 at the end of the source. */
static napi_value copy_range(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int source = (int)arg_int(&call, 0), target = (int)arg_int(&call, 1);
  size_t length = (size_t)arg_int(&call, 2);
  if (call.failed) return NULL;
  ssize_t copied = copy_file_range(source, NULL, target, NULL, length, 0);
  return copied < 0 ? throw_errno(env, errno, "copy_file_range", NULL) : value_int(env, copied);
}

/* tryLock(fd): takes an exclusive flock; false when another holds it. */
static napi_value try_lock(napi_env env, napi_callback_info info) {
  struct call call = call_begin(env, info);
  int fd = (int)arg_int(&call, 0);
  if (call.failed) return NULL;
  bool locked = flock(fd, LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) return throw_errno(env, errno, "flock", NULL);
  napi_value value;
  napi_get_boolean(env, locked, &value);
  return value;
}

void init_files(napi_env env, napi_value exports) {
  static const struct function functions[] = {
      {"makeNode", make_node},       {"setTimes", set_times},     {"listXattrs", list_xattrs},
      {"getXattr", get_xattr},       {"setXattr", set_xattr},     {"removeXattr", remove_xattr},
      {"openAt2", open_at2},         {"cloneFile", clone_file},   {"copyRange", copy_range},
      {"tryLock", try_lock},         {"createFile", create_file}, {"readPlainFile", read_plain_file_in},
      {"spreadFolders", spread_folders},
  };
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
