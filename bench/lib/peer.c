/*
 * Both ends of what bench/network-traffic.ts measures, without a language's own pauses in it.
 *   peer sink PORT                              takes connections one after another, answers each with the bytes that it got
 *   peer source ADDRESS PORT SECONDS            prints bytes per second, as the sink counted them
 *   peer echo PORT                              sends UDP packets back
 *   peer ask ADDRESS PORT NAME TIMES PAUSE_US   asks for an address, one question after another; prints the milliseconds of each
 * A source runs on the first processor and a sink on the second, so that rounds are alike.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netdb.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 18];

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(1);
}

static void pin(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  sched_setaffinity(0, sizeof set, &set);
}

static int dial(const char *address, const char *port, int type) {
  struct addrinfo hints = {.ai_socktype = type, .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV}, *found;
  if (getaddrinfo(address, port, &hints, &found) != 0) fail(address);
  int fd = socket(found->ai_family, type, 0);
  if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0) fail(address);
  freeaddrinfo(found);
  return fd;
}

static int offer(const char *port, int type) {
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
  int fd = socket(AF_INET6, type, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) fail("bind");
  return fd;
}

static void sink(const char *port) {
  pin(1);
  int listener = offer(port, SOCK_STREAM);
  if (listen(listener, 8) < 0) fail("listen");
  for (;;) {
    int fd = accept(listener, NULL, NULL);
    long long total = 0;
    for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) total += got;
    dprintf(fd, "%lld", total);
    close(fd);
  }
}

static void source(char **argv) {
  pin(0);
  int fd = dial(argv[0], argv[1], SOCK_STREAM);
  double start = seconds(), end = start + atof(argv[2]);
  while (seconds() < end)
    if (write(fd, buffer, sizeof buffer) < 0) fail("write");
  shutdown(fd, SHUT_WR);
  ssize_t got = read(fd, buffer, 63);
  if (got <= 0) fail("read");
  buffer[got] = 0;
  printf("%f\n", atof(buffer) / (seconds() - start));
}

static void echo(const char *port) {
  int fd = offer(port, SOCK_DGRAM);
  for (;;) {
    struct sockaddr_storage from;
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (struct sockaddr *)&from, &size);
    sendto(fd, buffer, got, 0, (struct sockaddr *)&from, size);
  }
}

static void ask(char **argv) {
  int times = atoi(argv[3]), pause = atoi(argv[4]), length = 12;
  unsigned char query[300] = {0, 0, 1, 0, 0, 1}, answer[600];
  query[length++] = strlen(argv[2]);
  memcpy(query + length, argv[2], strlen(argv[2]));
  length += strlen(argv[2]) + 1;
  query[length + 1] = query[length + 3] = 1;
  length += 4;
  int fd = dial(argv[0], argv[1], SOCK_DGRAM);
  double *taken = calloc(times, sizeof *taken);
  for (int i = 0; i < times; i++) {
    query[0] = i >> 8;
    query[1] = i;
    double start = seconds();
    if (send(fd, query, length, 0) < 0 || recv(fd, answer, sizeof answer, 0) < length) fail("ask");
    taken[i] = seconds() - start;
    if (pause > 0) usleep(pause);
  }
  for (int i = 0; i < times; i++) printf("%f\n", taken[i] * 1e3);
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "sink") == 0) sink(argv[2]);
  else if (argc == 5 && strcmp(argv[1], "source") == 0) source(argv + 2);
  else if (argc == 3 && strcmp(argv[1], "echo") == 0) echo(argv[2]);
  else if (argc == 7 && strcmp(argv[1], "ask") == 0) ask(argv + 2);
  else return 2;
}
