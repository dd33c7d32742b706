/* A list under a lock that fork() takes, so that a child finds it whole; what the
 * handlers do in the child (close, unlock) may be done there. */
#include "store/held.h"

#include <pthread.h>
#include <stddef.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rfl_held *first;

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void in_parent(void) { pthread_mutex_unlock(&lock); }
static void in_child(void) {
  for (struct rfl_held *h = first; h; h = h->next) {
    close(h->fd);
    h->fd = -1;
  }
  first = NULL;
  pthread_mutex_unlock(&lock);
}

/* Without memory for the handlers children keep their copies; nothing else is lost. */
static void watch_forks(void) { pthread_atfork(before_fork, in_parent, in_child); }

void rfl_held_add(struct rfl_held *h, int fd) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  pthread_mutex_lock(&lock);
  *h = (struct rfl_held){.fd = fd, .next = first};
  first = h;
  pthread_mutex_unlock(&lock);
}

int rfl_held_drop(struct rfl_held *h) {
  pthread_mutex_lock(&lock);
  struct rfl_held **at = &first;
  while (*at && *at != h) at = &(*at)->next;
  if (*at) *at = h->next;
  int fd = h->fd;
  pthread_mutex_unlock(&lock);
  return fd;
}
