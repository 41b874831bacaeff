/*
 * What travels over m.sock and the report pipe: frames of 16 bytes, little-endian, with a payload where `length` says so.
 * src/runtime/monitor-wire.ts is the other side.
 *
 * A client sends requests and gets one reply ('=') to each, in order; `a` is an errno, 0 for success. After the reply to
 * ATTACH the connection carries output one way and input the other, without frames of ours. After WATCH come events.
 */
#ifndef GANTRY_WIRE_H
#define GANTRY_WIRE_H

#include <stdint.h>

enum { FRAME_SIZE = 16, WIRE_MAGIC = 0x4721 };

struct frame {
  uint8_t op;
  uint8_t flags;
  uint16_t magic;
  uint32_t a;
  uint32_t b;
  uint32_t length;
};
_Static_assert(sizeof(struct frame) == FRAME_SIZE, "a frame has no padding");

enum operation {
  OP_ATTACH = 'A',      /* flags; the reply's payload: generation and offset of the log, 8 bytes each */
  OP_WATCH = 'W',       /* the reply's payload: the task's state in JSON; then OP_EXIT (again, if it was) and OP_RELEASED */
  OP_KILL = 'K',        /* a: the signal */
  OP_RESIZE = 'R',      /* a: rows, b: columns */
  OP_CLOSE_INPUT = 'C', /* closes standard input */
  OP_PROCEED = 'P',     /* ends the hold */
  OP_REPLY = '=',
  OP_STARTED = 's',  /* the task's state in JSON */
  OP_FAILED = 'f',   /* a: the runtime's exit code, b: its signal; the payload: what it said */
  OP_EXIT = 'x',     /* the exit record in JSON */
  OP_RELEASED = 'r', /* the cleanup is done */
  OP_OOM = 'o',      /* the kernel killed a process of the task's for want of memory */
  OP_LOST = 'l',     /* lines of the log: a: why, an errno or 0 for a slow disk; b: how many, 0 when it begins */
};

enum { ATTACH_INPUT = 1, ATTACH_PENDING = 2, ATTACH_NO_STDOUT = 4, ATTACH_NO_STDERR = 8 };

#endif
