/*
 * The log's files: whole lines are appended, rotated by size, compressed by gzip.
 *
 * What a full disk refuses is lost and counted. As soon as something can be written again a line on stderr says at its place
 * how many lines are missing, and later ones begin on a line of their own.
 *
 * In non-blocking mode one thread calls disk_write and disk_settle; the others may be called from any.
 */
#ifndef GANTRY_DISK_H
#define GANTRY_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "log.h"

/* How long a disk that refused is left alone when it can't be seen whether it has room again: a gap that is told costs a line too. */
enum { DISK_RETRY_MS = 100 };

/* Opens the file for appending; returns 0 or an errno. */
int disk_open(const struct log_options *options);
/* Appends whole lines. `last`: nothing comes after them. */
void disk_write(const char *lines, size_t length, bool last);
/* Whether lines are missing of which the log does not tell yet. */
bool disk_has_gap(void);
/* Counts lines that were given up before they came here; `error` says why. */
void disk_lose(uint64_t lines, int error);
/* Inode and size of the current file; zeros without a log. */
void disk_position(uint64_t *generation, uint64_t *offset);
/* Tells of an ended child; true when it was the gzip: then disk_settle puts its file in place. */
bool disk_child_ended(pid_t pid, int status);
void disk_settle(void);
/* Whether a gzip runs or is to be settled. */
bool disk_busy(void);
/* What is new about lost lines; see struct log_news. */
bool disk_news(struct log_news *news);

#endif
