/*
 * What XNU does otherwise than Linux where HAProxy feels it, laid over a program by LD_PRELOAD.
 *
 * A socket that is on its way to another process by SCM_RIGHTS, and that its sender has closed, may be flushed by XNU's
 * garbage collector of descriptors in flight (xnu bsd/kern/uipc_usrreq.c, unp_gc). HAProxy's master hands over each
 * command for a worker that way, and a new process asks for the listening sockets that way (HAProxy src/proto_sockpair.c).
 * XNU_LOSES=3 loses one of three.
 *
 * A FIFO is a pair of local stream sockets that hold 8192 bytes together (xnu bsd/miscfs/fifofs/fifo_vnops.c, PIPSIZ): a write
 * that does not wait is short when less room is left than it wants, and fails below 512 bytes (PIPE_BUF there).
 *
 * A listening socket cannot be shut down for a while (xnu bsd/kern/uipc_socket.c, soshutdown), so a worker cannot make room: who
 * binds its address anew, since the socket was not handed over, finds it in use.
 *
 * No header is needed, so that a C compiler alone builds it.
 */
typedef unsigned long size_t;
typedef long ssize_t;
struct iovec { char *base; size_t length; };
struct msghdr { void *name; unsigned namelen; struct iovec *iov; size_t iovlen; void *control; size_t controllen; int flags; };
struct cmsghdr { size_t length; int level; int type; int fd; };
struct timespec { long seconds; long nanoseconds; };

extern void *dlsym(void *handle, const char *name);
extern char *getenv(const char *name);
extern int atoi(const char *text);
extern int fcntl(int fd, int command, ...);
extern int ioctl(int fd, unsigned long command, ...);
extern int getsockopt(int fd, int level, int name, void *value, unsigned *length);
extern int setsockopt(int fd, int level, int name, const void *value, unsigned length);
extern int open(const char *path, int flags, ...);
extern ssize_t read(int fd, void *into, size_t length);
extern int close(int fd);
int shutdown(int fd, int how);
extern ssize_t recv(int fd, void *into, size_t length, int flags);
extern int getpid(void);
extern int clock_gettime(int clock, struct timespec *now);
extern int *__errno_location(void);

#define NEXT ((void *)-1L)
#define SOL_SOCKET 1
#define SCM_RIGHTS 1
#define SO_DOMAIN 39
#define SO_ACCEPTCONN 30
#define SO_REUSEADDR 2
#define AF_UNIX 1
#define SHUT_RD 0
#define MSG_DONTWAIT 0x40
#define F_GETFL 3
#define F_GETPIPE_SZ 1032
#define O_NONBLOCK 04000
#define FIONREAD 0x541B
#define EAGAIN 11
#define ENOTCONN 107
#define PIPSIZ 8192
#define LOWEST 512

static int option(int fd, int name) {
  int value = 0;
  unsigned length = sizeof value;
  return getsockopt(fd, SOL_SOCKET, name, &value, &length) < 0 ? -1 : value;
}

static int one_in(int many) {
  struct timespec now;
  clock_gettime(1, &now);
  unsigned long mixed = (unsigned long)now.nanoseconds * 2654435761UL;
  return (mixed >> 16) % (unsigned long)many == 0;
}

/* A worker is forked by the program that was started, the master. */
static int started;
__attribute__((constructor)) static void start(void) { started = getpid(); }

ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  static ssize_t (*next)(int, struct msghdr *, int);
  if (!next) next = (ssize_t(*)(int, struct msghdr *, int))dlsym(NEXT, "recvmsg");
  ssize_t got = next(fd, message, flags);
  struct cmsghdr *handed = message->control;
  char *loses = getenv("XNU_LOSES");
  char waste[512];
  if (got < 0 || !loses || started == getpid() || !handed || message->controllen < sizeof *handed) return got;
  if (handed->level != SOL_SOCKET || handed->type != SCM_RIGHTS || option(handed->fd, SO_DOMAIN) != AF_UNIX) return got;
  if (option(handed->fd, SO_ACCEPTCONN) || !one_in(atoi(loses))) return got;
  while (recv(handed->fd, waste, sizeof waste, MSG_DONTWAIT) > 0) continue;
  shutdown(handed->fd, SHUT_RD);
  return got;
}

static int reloading(void) {
  char words[4096];
  int file = open("/proc/self/cmdline", 0);
  ssize_t length = read(file, words, sizeof words - 1);
  close(file);
  for (ssize_t at = 0; at + 4 < length; at++)
    if (words[at] == 0 && words[at + 1] == '-' && words[at + 2] == 's' && words[at + 3] == 'f') return 1;
  return 0;
}

int bind(int fd, const void *address, unsigned length) {
  static int (*next)(int, const void *, unsigned);
  if (!next) next = (int (*)(int, const void *, unsigned))dlsym(NEXT, "bind");
  int off = 0, before = option(fd, SO_REUSEADDR);
  if (option(fd, SO_DOMAIN) == AF_UNIX || !before || !reloading()) return next(fd, address, length);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof off);
  int result = next(fd, address, length);
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &before, sizeof before);
  return result;
}

int shutdown(int fd, int how) {
  static int (*next)(int, int);
  if (!next) next = (int (*)(int, int))dlsym(NEXT, "shutdown");
  if (option(fd, SO_ACCEPTCONN) != 1) return next(fd, how);
  *__errno_location() = ENOTCONN;
  return -1;
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
  static ssize_t (*next)(int, const struct iovec *, int);
  if (!next) next = (ssize_t(*)(int, const struct iovec *, int))dlsym(NEXT, "writev");
  if (count > 16 || fcntl(fd, F_GETPIPE_SZ) < 0 || !(fcntl(fd, F_GETFL) & O_NONBLOCK)) return next(fd, pieces, count);
  int used = 0;
  size_t wanted = 0, room;
  struct iovec fitting[16];
  ioctl(fd, FIONREAD, &used);
  room = used < PIPSIZ ? PIPSIZ - used : 0;
  for (int at = 0; at < count; at++) wanted += pieces[at].length;
  if (wanted > room && room < LOWEST) {
    *__errno_location() = EAGAIN;
    return -1;
  }
  for (int at = 0; at < count; at++) {
    fitting[at] = pieces[at];
    if (fitting[at].length > room) fitting[at].length = room;
    room -= fitting[at].length;
  }
  return next(fd, fitting, count);
}
