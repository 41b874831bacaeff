/*
 * SCTP to try a way with, over one-to-one sockets.
 *   sctp serve PORT          at every address: takes messages until one says "end", and answers with the caller's address and how many bytes came
 *   sctp hold PORT           takes the port and waits
 *   sctp ask ADDRESS PORT    sends 40 messages of 1200 bytes and prints the answer; fails with the error's text
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { MESSAGES = 40, LENGTH = 1200 };

static _Noreturn void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(1);
}

static int listening(int port, int backlog) {
  struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
  int fd = socket(AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
  if (fd < 0) fail("socket");
  if (bind(fd, (struct sockaddr *)&here, sizeof here) < 0) fail("bind");
  if (backlog > 0 && listen(fd, backlog) < 0) fail("listen");
  puts("ready");
  fflush(stdout);
  return fd;
}

static void answer(int fd, const struct sockaddr_in6 *caller) {
  char message[LENGTH], text[128], name[INET6_ADDRSTRLEN];
  long total = 0;
  for (ssize_t got; (got = recv(fd, message, sizeof message, 0)) > 0; total += got)
    if (got == 3) break;
  inet_ntop(AF_INET6, &caller->sin6_addr, name, sizeof name);
  const char *plain = strncmp(name, "::ffff:", 7) == 0 ? name + 7 : name;
  int length = snprintf(text, sizeof text, "%s %ld", plain, total);
  send(fd, text, (size_t)length, MSG_NOSIGNAL);
  close(fd);
}

static _Noreturn void serve(int port) {
  int fd = listening(port, 8);
  for (;;) {
    struct sockaddr_in6 caller;
    socklen_t length = sizeof caller;
    int client = accept(fd, (struct sockaddr *)&caller, &length);
    if (client >= 0) answer(client, &caller);
  }
}

static void ask(const char *address, int port) {
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
  struct sockaddr_in6 there = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};
  int is_four = inet_pton(AF_INET, address, &four.sin_addr) == 1;
  if (!is_four && inet_pton(AF_INET6, address, &there.sin6_addr) != 1) fail(address);
  int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM, IPPROTO_SCTP);
  struct timeval patience = {.tv_sec = 20};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  int failed = is_four ? connect(fd, (struct sockaddr *)&four, sizeof four) : connect(fd, (struct sockaddr *)&there, sizeof there);
  if (failed < 0) fail("connect");
  char message[LENGTH] = {0};
  for (int i = 0; i < MESSAGES; i++)
    if (send(fd, message, sizeof message, MSG_NOSIGNAL) < 0) fail("send");
  if (send(fd, "end", 3, MSG_NOSIGNAL) < 0) fail("send");
  ssize_t got = recv(fd, message, sizeof message - 1, 0);
  if (got < 0) fail("recv");
  printf("%.*s\n", (int)got, message);
}

int main(int count, char **words) {
  if (count == 3 && strcmp(words[1], "serve") == 0) serve(atoi(words[2]));
  if (count == 3 && strcmp(words[1], "hold") == 0) {
    listening(atoi(words[2]), 0);
    pause();
  }
  if (count != 4 || strcmp(words[1], "ask") != 0) return 2;
  ask(words[2], atoi(words[3]));
  return 0;
}
