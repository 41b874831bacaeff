/* Child processes: the OCI runtime, and gzip. */
#ifndef GANTRY_CHILD_H
#define GANTRY_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
  char **arguments;  /* NULL-terminated; the first is searched in PATH */
  int in, out, err;  /* descriptors, -1 for /dev/null */
  bool hide_unified; /* see hide_unified() */
  bool sealed;       /* run a sealed copy of it where possible: see sealed.h */
  bool group;        /* in a process group of its own, to be killed with what it starts */
  bool patient;      /* whoever else wants the processor goes first */
  bool urgent;       /* it goes first, and what it starts does not */
};

/* Starts it with default signal handling; the pid, or a negative errno. What fails after that is printed to `err`, exit code 127. */
pid_t child_start(const struct child *child);

/* Kills and reaps every child of this process, also those that become its children meanwhile. Gives up after 2 s. */
void children_end(void);

/*
 * Moves this process into a mount namespace of its own in which an empty folder covers /sys/fs/cgroup/unified: crun refuses the
 * hybrid layout of cgroups otherwise. Other mounts keep their propagation, the host's tree stays. 0 or an errno.
 */
int hide_unified(void);

/* All signals at their defaults and none blocked, as a program expects to be started. */
void restore_signals(void);

#endif
