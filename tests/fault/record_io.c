/* Preloaded into a program (LD_PRELOAD), writes down in their order all calls that change files
 * below SAFELIGHT_RECORD_FOLDER, with their bytes, into the file SAFELIGHT_RECORD_LOG: see
 * disk_model.h. Calls happen one at a time. With SAFELIGHT_FAIL_SYNC=n every n-th sync of a log of
 * SQLite ("-wal") fails, as on a failing disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

enum { kMostFds = 1024, kLogFd = 900 };

/* What stands before the path and the bytes of each record. */
struct Head {
  int32_t kind, fd;
  int64_t offset;
  uint32_t path_bytes, data_bytes;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static const char* folder;
static int log_fd = -1, syncs, fail_every;
static char paths[kMostFds][512]; /* of open files below the folder; empty for others */

__attribute__((constructor)) static void start(void) {
  const char* log = getenv("SAFELIGHT_RECORD_LOG");
  const char* fail = getenv("SAFELIGHT_FAIL_SYNC");
  folder = getenv("SAFELIGHT_RECORD_FOLDER");
  if (log == NULL || folder == NULL) return;
  fail_every = fail == NULL ? 0 : atoi(fail);
  REAL(open);
  const int fd = real(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  log_fd = fcntl(fd, F_DUPFD_CLOEXEC, kLogFd);
  close(fd);
}

static void put(const void* data, size_t bytes) {
  REAL(write);
  const char* next = data;
  while (bytes > 0) {
    const ssize_t done = real(log_fd, next, bytes);
    if (done <= 0) abort();
    next += done;
    bytes -= (size_t)done;
  }
}

static void record(char kind, int fd, int64_t offset, const char* path, const void* data,
                   size_t bytes) {
  const struct Head head = {kind, fd, offset, (uint32_t)strlen(path), (uint32_t)bytes};
  put(&head, sizeof(head));
  put(path, head.path_bytes);
  put(data, bytes);
}

static int below(const char* path) {
  return log_fd >= 0 && strncmp(path, folder, strlen(folder)) == 0;
}
static int watched(int fd) {
  return log_fd >= 0 && fd >= 0 && fd < kMostFds && paths[fd][0] != '\0';
}

/* Notes a moment of the program among the calls. */
EXPORT void safelight_note(const char* text) {
  pthread_mutex_lock(&mutex);
  if (log_fd >= 0) record('N', -1, 0, text, "", 0);
  pthread_mutex_unlock(&mutex);
}

static int opened(int fd, const char* path, int flags) {
  if (fd < 0 || fd >= kMostFds) return fd;
  strncpy(paths[fd], path, sizeof(paths[fd]) - 1);
  record('O', fd, (flags & O_TRUNC) != 0, path, "", 0);
  return fd;
}

#define OPEN(name)                                                    \
  EXPORT int name(const char* path, int flags, ...) {                 \
    REAL(name);                                                       \
    va_list rest;                                                     \
    va_start(rest, flags);                                            \
    const mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                                     \
    if (!below(path)) return real(path, flags, mode);                 \
    pthread_mutex_lock(&mutex);                                       \
    const int fd = opened(real(path, flags, mode), path, flags);      \
    pthread_mutex_unlock(&mutex);                                     \
    return fd;                                                        \
  }
OPEN(open)
OPEN(open64)

#define MKOSTEMP(name)                                     \
  EXPORT int name(char* path, int flags) {                 \
    REAL(name);                                            \
    if (!below(path)) return real(path, flags);            \
    pthread_mutex_lock(&mutex);                            \
    const int fd = real(path, flags); /* makes the name */ \
    opened(fd, path, flags);                               \
    pthread_mutex_unlock(&mutex);                          \
    return fd;                                             \
  }
MKOSTEMP(mkostemp)
MKOSTEMP(mkostemp64)

EXPORT int close(int fd) {
  REAL(close);
  if (!watched(fd)) return real(fd);
  pthread_mutex_lock(&mutex);
  paths[fd][0] = '\0';
  record('C', fd, 0, "", "", 0);
  const int done = real(fd);
  pthread_mutex_unlock(&mutex);
  return done;
}

EXPORT ssize_t write(int fd, const void* data, size_t bytes) {
  REAL(write);
  if (!watched(fd)) return real(fd, data, bytes);
  pthread_mutex_lock(&mutex);
  const off_t at = lseek(fd, 0, SEEK_CUR);
  const ssize_t done = real(fd, data, bytes);
  if (done > 0) record('W', fd, at, "", data, (size_t)done);
  pthread_mutex_unlock(&mutex);
  return done;
}

#define PWRITE(name, offset)                                               \
  EXPORT ssize_t name(int fd, const void* data, size_t bytes, offset at) { \
    REAL(name);                                                            \
    if (!watched(fd)) return real(fd, data, bytes, at);                    \
    pthread_mutex_lock(&mutex);                                            \
    const ssize_t done = real(fd, data, bytes, at);                        \
    if (done > 0) record('W', fd, at, "", data, (size_t)done);             \
    pthread_mutex_unlock(&mutex);                                          \
    return done;                                                           \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define FTRUNCATE(name, offset)                      \
  EXPORT int name(int fd, offset size) {             \
    REAL(name);                                      \
    if (!watched(fd)) return real(fd, size);         \
    pthread_mutex_lock(&mutex);                      \
    const int done = real(fd, size);                 \
    if (done == 0) record('T', fd, size, "", "", 0); \
    pthread_mutex_unlock(&mutex);                    \
    return done;                                     \
  }
FTRUNCATE(ftruncate, off_t)
FTRUNCATE(ftruncate64, off64_t)

static int fails(int fd) {
  const size_t length = strlen(paths[fd]);
  if (fail_every == 0 || length < 4 || strcmp(paths[fd] + length - 4, "-wal") != 0) return 0;
  return ++syncs % fail_every == 0;
}

#define SYNC(name)                                \
  EXPORT int name(int fd) {                       \
    REAL(name);                                   \
    if (!watched(fd)) return real(fd);            \
    pthread_mutex_lock(&mutex);                   \
    const int failed = fails(fd);                 \
    const int done = failed ? -1 : real(fd);      \
    if (done == 0) record('S', fd, 0, "", "", 0); \
    if (failed) record('F', fd, 0, "", "", 0);    \
    pthread_mutex_unlock(&mutex);                 \
    if (failed) errno = EIO;                      \
    return done;                                  \
  }
SYNC(fsync)
SYNC(fdatasync)

EXPORT int mkdir(const char* path, mode_t mode) {
  REAL(mkdir);
  if (!below(path)) return real(path, mode);
  pthread_mutex_lock(&mutex);
  const int done = real(path, mode);
  const int cause = errno;
  if (done == 0) record('D', -1, 0, path, "", 0);
  pthread_mutex_unlock(&mutex);
  errno = cause;
  return done;
}

EXPORT int rename(const char* from, const char* to) {
  REAL(rename);
  if (!below(from)) return real(from, to);
  pthread_mutex_lock(&mutex);
  const int done = real(from, to);
  if (done == 0) record('R', -1, 0, from, to, strlen(to));
  pthread_mutex_unlock(&mutex);
  return done;
}

EXPORT int unlink(const char* path) {
  REAL(unlink);
  if (!below(path)) return real(path);
  pthread_mutex_lock(&mutex);
  const int done = real(path);
  const int cause = errno;
  if (done == 0) record('U', -1, 0, path, "", 0);
  pthread_mutex_unlock(&mutex);
  errno = cause;
  return done;
}
