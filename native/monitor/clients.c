#include "clients.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "input.h"
#include "log.h"
#include "loop.h"
#include "output.h"
#include "wire.h"

enum { MAX_CLIENTS = 256, REQUEST_MS = 10 * 1000, LEAVE_MS = 5 * 1000, HEADER = 8 };

/* LEAVING: all output was sent and its end; what it still sends is dropped until it closes, so that it sees no error. */
enum kind { FREE, ASKING, WATCHING, ATTACHED, LEAVING };

struct client {
  int fd;
  uint8_t kind;
  bool input;       /* attached with input */
  uint8_t unwanted; /* attached: a bit per stream */
  bool ended;       /* it sends no more */
  bool watched;     /* in the epoll, */
  uint32_t events;  /* for these */
  uint8_t received; /* of `request` */
  union {
    struct frame frame;
    char bytes[FRAME_SIZE];
  } request;
  size_t taken;     /* of what is on offer */
  int64_t deadline; /* ASKING: for the request; ATTACHED and behind: to take something; LEAVING: to close; or INT64_MAX */
};

static struct client clients[MAX_CLIENTS];
static size_t used; /* all above are free */
static size_t attached_behind;
static int listener = -1;
static bool listening;
static struct client_options options;
static const struct task_actions *actions;
static bool over;

/* On offer: a header, a chunk, and at the end what is left of either stream. Who is not behind has `taken` all of it. */
struct segment {
  const char *bytes;
  size_t length;
  int stream;
};
enum { HEAD, CHUNK, REST, SEGMENTS = REST + STREAM_COUNT };
static struct segment offer[SEGMENTS];
static unsigned char header[HEADER];

static size_t offered(void) {
  size_t total = 0;
  for (size_t i = 0; i < SEGMENTS; i++) total += offer[i].length;
  return total;
}

static bool wants(const struct client *client, int stream) {
  return (client->unwanted & 1 << stream) == 0;
}

/* Passes over what the client does not want, up to something that it does. */
static void skip(struct client *client) {
  size_t end = 0;
  for (size_t i = 0; i < SEGMENTS; i++) {
    end += offer[i].length;
    if (client->taken >= end) continue;
    if (wants(client, offer[i].stream)) return;
    client->taken = end;
  }
}

int clients_listen(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "m.sock"};
  unlink(address.sun_path);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return errno;
  mode_t mask = umask(0177);
  int error = bind(listener, (struct sockaddr *)&address, sizeof address) == 0 && listen(listener, 1024) == 0 ? 0 : errno;
  umask(mask);
  return error;
}

void clients_open(const struct client_options *given, const struct task_actions *given_actions) {
  options = *given;
  actions = given_actions;
  loop_add(listener, EPOLLIN, TAG_LISTENER);
  listening = true;
}

static bool is_behind(const struct client *client) {
  return client->kind == ATTACHED && client->taken < offered();
}

/* Which events matter now. A client that sent its end stays watched for nothing but its hang-up. */
static void watch(struct client *client) {
  bool reading = !client->ended && !(client->kind == ATTACHED && client->input && input_blocked());
  uint32_t events = (reading ? EPOLLIN : 0) | (is_behind(client) ? EPOLLOUT : 0);
  bool wanted = reading || client->ended || is_behind(client);
  uint32_t tag = TAG_CLIENT + (uint32_t)(client - clients);
  if (wanted && !client->watched) loop_add(client->fd, events, tag);
  if (wanted && client->watched && events != client->events) loop_change(client->fd, events, tag);
  if (!wanted && client->watched) loop_remove(client->fd);
  client->watched = wanted;
  client->events = events;
}

static void caught_up(struct client *client) {
  client->deadline = INT64_MAX;
  if (--attached_behind == 0) output_resume();
}

static void input_gone(struct client *client) {
  if (!client->input) return;
  client->input = false;
  if (options.input_once) input_close();
}

static void drop(struct client *client) {
  bool behind = is_behind(client);
  close(client->fd);
  if (!listening) loop_add(listener, EPOLLIN, TAG_LISTENER);
  listening = true;
  client->kind = FREE;
  input_gone(client);
  if (behind) caught_up(client);
  while (used > 0 && clients[used - 1].kind == FREE) used--;
}

static void leave(struct client *client) {
  shutdown(client->fd, SHUT_WR);
  input_gone(client);
  client->kind = LEAVING;
  client->deadline = loop_now() + LEAVE_MS;
  watch(client);
}

/* Sends what the client has not taken, as far as its socket takes it. */
static void push(struct client *client) {
  struct iovec parts[SEGMENTS];
  size_t count = 0, end = 0;
  for (size_t i = 0; i < SEGMENTS; i++) {
    end += offer[i].length;
    if (client->taken >= end) continue;
    if (!wants(client, offer[i].stream)) break;
    size_t left = end - client->taken < offer[i].length ? end - client->taken : offer[i].length;
    parts[count++] = (struct iovec){.iov_base = (char *)(uintptr_t)offer[i].bytes + offer[i].length - left, .iov_len = left};
  }
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
  ssize_t sent = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) {
    drop(client);
    return;
  }
  if (sent > 0) {
    client->taken += (size_t)sent;
    skip(client);
    client->deadline = loop_now() + options.stall_ms;
  }
  if (!is_behind(client)) {
    caught_up(client);
    if (over) {
      leave(client);
      return;
    }
  }
  watch(client);
}

size_t clients_header(unsigned char into[8], int stream, size_t length) {
  if (!options.framed) return 0;
  memset(into, 0, HEADER);
  into[0] = stream == STREAM_STDERR ? 2 : 1;
  for (int i = 0; i < 4; i++) into[4 + i] = (unsigned char)(length >> (24 - 8 * i));
  return HEADER;
}

/* Everyone who had taken all before may have something to take now. */
static void push_all(size_t before) {
  int64_t deadline = loop_now() + options.stall_ms;
  for (size_t i = 0; i < used; i++) {
    struct client *client = &clients[i];
    if (client->kind != ATTACHED || client->taken < before) continue;
    skip(client);
    if (!is_behind(client)) continue;
    client->deadline = deadline;
    attached_behind++;
  }
  for (size_t i = 0; i < used; i++)
    if (is_behind(&clients[i])) push(&clients[i]);
}

void clients_offer(int stream, const char *bytes, size_t length) {
  if (used == 0) return;
  memset(offer, 0, sizeof offer);
  offer[HEAD] = (struct segment){(const char *)header, clients_header(header, stream, length), stream};
  offer[CHUNK] = (struct segment){bytes, length, stream};
  for (size_t i = 0; i < used; i++) clients[i].taken = 0;
  push_all(0);
}

void clients_offer_rest(int stream, const char *bytes, size_t length) {
  size_t before = offered();
  offer[REST + stream] = (struct segment){bytes, length, stream};
  push_all(before);
}

bool clients_behind(void) {
  return attached_behind > 0;
}

static void send_frame(struct client *client, const struct frame *frame, const char *payload) {
  struct iovec parts[2] = {{.iov_base = (void *)(uintptr_t)frame, .iov_len = sizeof *frame},
                           {.iov_base = (void *)(uintptr_t)payload, .iov_len = frame->length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  /* A few hundred bytes fit into any socket whose client reads its replies; one that does not has lost its place. */
  if (sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)(sizeof *frame + frame->length))
    shutdown(client->fd, SHUT_RDWR);
}

static void reply(struct client *client, int error, const char *payload, size_t length) {
  struct frame frame = {.op = OP_REPLY, .magic = WIRE_MAGIC, .a = (uint32_t)error, .length = (uint32_t)length};
  send_frame(client, &frame, payload);
}

/* Sends the line that no log holds yet, so that log and stream fit together. */
static void send_pending(struct client *client) {
  for (int stream = 0; stream < STREAM_COUNT; stream++) {
    unsigned char own[HEADER];
    size_t length;
    const char *bytes = log_pending(stream, &length);
    if (length == 0 || !wants(client, stream)) continue;
    struct iovec parts[2] = {{.iov_base = own, .iov_len = clients_header(own, stream, length)},
                             {.iov_base = (void *)(uintptr_t)bytes, .iov_len = length}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) shutdown(client->fd, SHUT_RDWR);
  }
}

static void attach(struct client *client, uint8_t flags) {
  uint64_t position[2];
  log_position(&position[0], &position[1]);
  reply(client, 0, (const char *)position, sizeof position);
  client->kind = ATTACHED;
  client->deadline = INT64_MAX;
  client->taken = offered();
  client->input = (flags & ATTACH_INPUT) != 0 && !over;
  client->unwanted = (uint8_t)(((flags & ATTACH_NO_STDOUT) != 0 ? 1 << STREAM_STDOUT : 0) |
                               ((flags & ATTACH_NO_STDERR) != 0 ? 1 << STREAM_STDERR : 0));
  if ((flags & ATTACH_PENDING) != 0 && !over) send_pending(client);
  if (over) leave(client);
}

static void tell_state(struct client *client) {
  char state[4096 + 256];
  size_t length = actions->state(state, sizeof state);
  client->kind = WATCHING;
  client->deadline = INT64_MAX;
  reply(client, 0, state, length);
}

static void answer(struct client *client) {
  const struct frame *request = &client->request.frame;
  int error = 0;
  client->deadline = loop_now() + REQUEST_MS;
  switch (request->op) {
    case OP_ATTACH:
      attach(client, request->flags);
      return;
    case OP_WATCH:
      tell_state(client);
      return;
    case OP_KILL:
      error = actions->kill(request->a);
      break;
    case OP_RESIZE:
      error = actions->resize(request->a, request->b);
      break;
    case OP_CLOSE_INPUT:
      input_close();
      break;
    case OP_PROCEED:
      actions->proceed();
      break;
    default:
      error = EINVAL;
  }
  reply(client, error, NULL, 0);
}

static void receive_request(struct client *client) {
  ssize_t count = recv(client->fd, client->request.bytes + client->received, FRAME_SIZE - client->received, MSG_DONTWAIT);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) client->received += (uint8_t)count;
  if (count <= 0 || (client->received == FRAME_SIZE && client->request.frame.magic != WIRE_MAGIC)) {
    drop(client);
  } else if (client->received == FRAME_SIZE) {
    client->received = 0;
    answer(client);
    if (client->kind != FREE) watch(client);
  }
}

static void attached_event(struct client *client, uint32_t events) {
  if ((events & EPOLLOUT) != 0 && is_behind(client)) push(client);
  if (client->kind != ATTACHED) return;
  if (client->ended && (events & (EPOLLHUP | EPOLLERR)) != 0) {
    drop(client);
    return;
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || client->ended || (client->input && input_blocked())) return;
  if (input_from(client->fd, client->input) == INPUT_ENDED) {
    client->ended = true;
    input_gone(client);
  }
  if (input_blocked()) {
    for (size_t i = 0; i < used; i++)
      if (clients[i].kind == ATTACHED) watch(&clients[i]);
  } else {
    watch(client);
  }
}

static void leaving_event(struct client *client) {
  if (client->ended || input_from(client->fd, false) == INPUT_ENDED) drop(client);
}

void clients_event(size_t index, uint32_t events) {
  struct client *client = &clients[index];
  if (client->kind == ATTACHED)
    attached_event(client, events);
  else if (client->kind == LEAVING)
    leaving_event(client);
  else if (client->kind != FREE)
    receive_request(client);
}

void clients_input_ready(void) {
  for (size_t i = 0; i < used; i++)
    if (clients[i].kind == ATTACHED) watch(&clients[i]);
}

/* A free place; when there is none, that of the request that waits longest; NULL when all are in earnest. */
static struct client *place(void) {
  struct client *oldest = NULL;
  for (size_t i = 0; i < MAX_CLIENTS; i++) {
    struct client *client = &clients[i];
    if (client->kind == FREE) return client;
    if (client->kind == ASKING && (oldest == NULL || client->deadline < oldest->deadline)) oldest = client;
  }
  if (oldest != NULL) drop(oldest);
  return oldest;
}

void clients_accept(void) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    /* Out of descriptors: the rest waits until someone leaves. */
    listening = errno != EMFILE && errno != ENFILE && errno != ENOMEM;
    if (!listening) loop_remove(listener);
    return;
  }
  struct client *client = place();
  if (client == NULL) {
    close(fd);
    return;
  }
  size_t index = (size_t)(client - clients);
  *client = (struct client){.fd = fd, .kind = ASKING, .deadline = loop_now() + REQUEST_MS};
  if (index >= used) used = index + 1;
  watch(client);
}

void clients_tell(const struct frame *event, const char *payload) {
  for (size_t i = 0; i < used; i++)
    if (clients[i].kind == WATCHING) send_frame(&clients[i], event, payload);
}

void clients_end(void) {
  over = true;
  for (size_t i = used; i-- > 0;)
    if (clients[i].kind == ATTACHED && !is_behind(&clients[i])) leave(&clients[i]);
}

bool clients_waiting(void) {
  for (size_t i = 0; i < used; i++)
    if (clients[i].kind == ATTACHED || clients[i].kind == LEAVING) return true;
  return false;
}

int64_t clients_deadline(void) {
  int64_t next = INT64_MAX;
  for (size_t i = 0; i < used; i++)
    if (clients[i].kind != FREE && clients[i].deadline < next) next = clients[i].deadline;
  return next;
}

void clients_expire(int64_t now) {
  for (size_t i = used; i-- > 0;)
    if (i < used && clients[i].kind != FREE && clients[i].deadline <= now) drop(&clients[i]);
}
