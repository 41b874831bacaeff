/* Whole trees, on the thread pool: what one takes on the disk, its removal, syncfs(2). No link is followed, no mount point entered. */
#include "addon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders held open at once. What lies deeper is not counted, and is moved up before it is removed. */
#define MAX_DEPTH 512
#define OPEN_FOLDER (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct inodes {
  ino_t *slots;
  size_t capacity, count;
};

struct work {
  napi_async_work work;
  napi_deferred deferred;
  const char *syscall;
  char *path;
  int error;
  /* Results of a count. */
  bool has_counts;
  int64_t bytes, allocated, entries;
  struct inodes seen;
  dev_t device;
  /* Of a removal. */
  int root;
  unsigned moved;
};

/* True when the inode is new; without memory it is counted again. */
static bool add_inode(struct inodes *set, ino_t inode) {
  if (set->count * 2 >= set->capacity) {
    size_t capacity = set->capacity == 0 ? 64 : set->capacity * 2;
    ino_t *slots = calloc(capacity, sizeof *slots);
    if (slots == NULL) return true;
    for (size_t i = 0; i < set->capacity; i++) {
      if (set->slots[i] == 0) continue;
      size_t at = (size_t)(set->slots[i] * 0x9E3779B97F4A7C15ull) & (capacity - 1);
      while (slots[at] != 0) at = (at + 1) & (capacity - 1);
      slots[at] = set->slots[i];
    }
    free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
  }
  size_t at = (size_t)(inode * 0x9E3779B97F4A7C15ull) & (set->capacity - 1);
  while (set->slots[at] != 0) {
    if (set->slots[at] == inode) return false;
    at = (at + 1) & (set->capacity - 1);
  }
  set->slots[at] = inode;
  set->count++;
  return true;
}

static bool is_dots(const char *name) {
  return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static void count_folder(struct work *work, int fd, int depth) {
  DIR *folder = fdopendir(fd);
  if (folder == NULL) {
    close(fd);
    return;
  }
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    struct stat stats;
    if (is_dots(entry->d_name) || fstatat(fd, entry->d_name, &stats, AT_SYMLINK_NOFOLLOW) < 0) continue;
    if (stats.st_dev != work->device) continue;
    bool is_folder = S_ISDIR(stats.st_mode);
    if (!is_folder && stats.st_nlink > 1 && !add_inode(&work->seen, stats.st_ino)) continue;
    work->entries++;
    work->allocated += (int64_t)stats.st_blocks * 512;
    if (!is_folder) work->bytes += stats.st_size;
    int child = is_folder && depth < MAX_DEPTH ? openat(fd, entry->d_name, OPEN_FOLDER) : -1;
    if (child >= 0) count_folder(work, child, depth + 1);
  }
  closedir(folder);
}

static void count_execute(napi_env env, void *data) {
  (void)env;
  struct work *work = data;
  int fd = open(work->path, OPEN_FOLDER);
  struct stat stats;
  if (fd < 0 || fstat(fd, &stats) < 0) {
    work->error = errno;
    if (fd >= 0) close(fd);
    return;
  }
  work->device = stats.st_dev;
  work->allocated = (int64_t)stats.st_blocks * 512;
  count_folder(work, fd, 0);
  free(work->seen.slots);
}

static int remove_entry(struct work *work, int fd, const char *name, int depth);

static int empty_folder(struct work *work, int fd, int depth) {
  DIR *folder = fdopendir(fd);
  if (folder == NULL) {
    int error = errno;
    close(fd);
    return error;
  }
  int result = 0;
  for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
    int error = is_dots(entry->d_name) ? 0 : remove_entry(work, fd, entry->d_name, depth);
    if (error != 0 && result == 0) result = error;
  }
  closedir(folder);
  return result;
}

static int remove_entry(struct work *work, int fd, const char *name, int depth) {
  if (unlinkat(fd, name, 0) == 0 || errno == ENOENT) return 0;
  int refusal = errno;
  if (refusal != EISDIR && refusal != EPERM) return refusal;
  if (unlinkat(fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return 0;
  if (errno != ENOTEMPTY && errno != EEXIST) return errno == ENOTDIR ? refusal : errno;
  if (depth >= MAX_DEPTH) {
    char up[64];
    snprintf(up, sizeof up, ".gantry-removed-%u", work->moved++);
    return renameat(fd, name, work->root, up) < 0 ? errno : 0;
  }
  int child = openat(fd, name, OPEN_FOLDER);
  if (child < 0) return errno == ENOENT ? 0 : errno;
  int error = empty_folder(work, child, depth + 1);
  if (error != 0) return error;
  return unlinkat(fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? errno : 0;
}

static void remove_execute(napi_env env, void *data) {
  (void)env;
  struct work *work = data;
  work->root = open(work->path, OPEN_FOLDER);
  if (work->root < 0) {
    if (errno == ENOENT) return;
    work->error = errno == ENOTDIR || errno == ELOOP ? (unlink(work->path) < 0 ? errno : 0) : errno;
    return;
  }
  unsigned before;
  do {
    before = work->moved;
    int copy = fcntl(work->root, F_DUPFD_CLOEXEC, 0);
    work->error = copy < 0 ? errno : empty_folder(work, copy, 0);
    if (copy >= 0) lseek(work->root, 0, SEEK_SET);
  } while (work->error == 0 && work->moved != before);
  close(work->root);
  if (work->error == 0 && rmdir(work->path) < 0 && errno != ENOENT) work->error = errno;
}

static void sync_execute(napi_env env, void *data) {
  (void)env;
  struct work *work = data;
  int fd = open(work->path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || syncfs(fd) < 0) work->error = errno;
  if (fd >= 0) close(fd);
}

static void complete(napi_env env, napi_status status, void *data) {
  struct work *work = data;
  if (status != napi_ok) work->error = ECANCELED;
  if (work->error != 0) {
    napi_reject_deferred(env, work->deferred, system_error(env, work->error, work->syscall, work->path));
  } else if (work->has_counts) {
    napi_value counts;
    napi_create_array_with_length(env, 3, &counts);
    napi_set_element(env, counts, 0, value_int(env, work->bytes));
    napi_set_element(env, counts, 1, value_int(env, work->allocated));
    napi_set_element(env, counts, 2, value_int(env, work->entries));
    napi_resolve_deferred(env, work->deferred, counts);
  } else {
    napi_resolve_deferred(env, work->deferred, value_undefined(env));
  }
  napi_delete_async_work(env, work->work);
  free(work->path);
  free(work);
}

/* function(path): Promise */
static napi_value start(napi_env env, napi_callback_info info, const char *syscall, napi_async_execute_callback execute) {
  struct call call = call_begin(env, info);
  char *path = arg_string(&call, 0);
  struct work *work = call.failed ? NULL : calloc(1, sizeof *work);
  if (work == NULL) {
    free(path);
    return call.failed ? value_undefined(env) : throw_errno(env, ENOMEM, syscall, NULL);
  }
  work->path = path;
  work->syscall = syscall;
  work->has_counts = execute == count_execute;
  napi_value promise, name;
  napi_create_promise(env, &work->deferred, &promise);
  napi_create_string_utf8(env, syscall, NAPI_AUTO_LENGTH, &name);
  napi_create_async_work(env, NULL, name, execute, complete, work, &work->work);
  napi_queue_async_work(env, work->work);
  return promise;
}

/* countTree(path): Promise<[bytes, allocated, entries]> */
static napi_value count_tree(napi_env env, napi_callback_info info) {
  return start(env, info, "open", count_execute);
}

/* removeTree(path): Promise<void> */
static napi_value remove_tree(napi_env env, napi_callback_info info) {
  return start(env, info, "unlinkat", remove_execute);
}

/* syncFileSystem(path): Promise<void> */
static napi_value sync_file_system(napi_env env, napi_callback_info info) {
  return start(env, info, "syncfs", sync_execute);
}

void init_trees(napi_env env, napi_value exports) {
  static const struct function functions[] = {
      {"countTree", count_tree},
      {"removeTree", remove_tree},
      {"syncFileSystem", sync_file_system},
  };
  add_functions(env, exports, functions, sizeof functions / sizeof *functions);
}
