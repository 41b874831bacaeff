/* A whole new file in one go; files.c. */
#ifndef GANTRY_NEWFILE_H
#define GANTRY_NEWFILE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

/* What is to be done to a new file before it is closed; -1 in chmod and uid: nothing. */
struct new_file {
  const uint8_t *data;
  size_t length;
  mode_t mode;
  int64_t chmod, uid, gid;
  struct timespec times[2];
};

struct timespec timespec_of(int64_t nanoseconds);
/* -1 on failure: the errno of the step that failed is left in errno, its name in *step. */
int write_new_file(const char *path, const struct new_file *file, const char **step);

#endif
