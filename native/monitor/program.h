/* This program's own pages. */
#ifndef GANTRY_PROGRAM_H
#define GANTRY_PROGRAM_H

/*
 * Unmaps its code and constants, which come back from the page cache as they are needed: a monitor that waits keeps a fifth of its pages.
 * They cost some 10 faults when something happens.
 */
void program_relax(void);

#endif
