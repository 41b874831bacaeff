/*
 * The connections to m.sock, whoever makes them: requests, watchers of the exit, attached streams.
 *
 * Output is offered to all attached clients in lock-step: a chunk stays where it is until each of them took it, and no
 * more is read meanwhile. So there is no queue, a client loses nothing, and the task waits for the slowest. One that
 * takes nothing at all for `stall_ms` is cut off.
 */
#ifndef GANTRY_CLIENTS_H
#define GANTRY_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire.h"

/* What clients ask for that is not about connections. Each returns 0 or an errno. */
struct task_actions {
  int (*kill)(uint32_t signal);
  int (*resize)(uint32_t rows, uint32_t columns);
  void (*proceed)(void);
  /* Writes the state in JSON; returns its length. */
  size_t (*state)(char *into, size_t size);
};

struct client_options {
  bool framed;     /* 8-byte headers in the output */
  bool input_once; /* the first client with input that goes away closes it */
  int64_t stall_ms;
};

/* Listens on m.sock in the current folder, only for its owner; 0 or an errno. */
int clients_listen(void);
void clients_open(const struct client_options *options, const struct task_actions *actions);
void clients_accept(void);
void clients_event(size_t index, uint32_t events);

/* Offers output; `bytes` must stay until clients_behind() is false. Only when it is. */
void clients_offer(int stream, const char *bytes, size_t length);
/* Offers a stream's last bytes, headers already in them, after what was offered before; they stay until the end. */
void clients_offer_rest(int stream, const char *bytes, size_t length);
bool clients_behind(void);
/* The 8 bytes before a chunk on a connection; how many there are. */
size_t clients_header(unsigned char header[8], int stream, size_t length);

/* Sends an event to the watchers. */
void clients_tell(const struct frame *event, const char *payload);
/* No more output comes: closes the attached ones as soon as they took all. */
void clients_end(void);
/* Whether an attached client has not taken all and closed yet. */
bool clients_waiting(void);
void clients_input_ready(void);

/* The next moment at which clients_expire has something to do; INT64_MAX: none. */
int64_t clients_deadline(void);
void clients_expire(int64_t now);

#endif
