/* Records what a process does to the files below a folder, in the order in which it does it.

   LD_PRELOAD this library with RECORD_ROOT (an absolute folder) and RECORD_LOG (a file elsewhere).
   A record is: operation (1 byte), length of the path (4), offset (8), length of the data (8), all
   little-endian, then the path relative to the folder and the data.

     C created   W written at offset   T cut or lengthened to offset   S synced (files and folders)
     U unlinked  R renamed, to the path in data                       M folder made              */
#define _GNU_SOURCE
#undef _FORTIFY_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096
#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static char *opened[FILES]; /* the relative path of each open file below the folder */
static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static int records = -1;

/* The path relative to the folder, "." for itself, or NULL. */
static const char *below(const char *path) {
  static __thread char full[PATH_MAX];
  const char *root = getenv("RECORD_ROOT");
  if (!root || !path) return NULL;
  if (path[0] != '/') {
    if (!getcwd(full, sizeof full / 2)) return NULL;
    strncat(full, "/", 2);
    strncat(full, path, sizeof full / 2 - 2);
    path = full;
  }
  size_t length = strlen(root);
  if (strncmp(path, root, length)) return NULL;
  if (path[length] == 0) return ".";
  return path[length] == '/' ? path + length + 1 : NULL;
}

static void record(char operation, const char *path, uint64_t offset, const void *data,
                   uint64_t size) {
  int before = errno;
  if (records < 0) {
    REAL(int, "open", const char *, int, ...);
    records = real(getenv("RECORD_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
  uint32_t length = strlen(path);
  struct iovec parts[] = {{&operation, 1}, {&length, 4}, {&offset, 8}, {&size, 8},
                          {(void *)path, length}, {(void *)data, size}};
  if (writev(records, parts, 6) < 0) abort();
  errno = before;
}

static int note_open(int handle, const char *relative, int existed, int flags) {
  if (handle < 0 || handle >= FILES) return handle;
  free(opened[handle]);
  opened[handle] = strdup(relative);
  if (!existed && (flags & O_CREAT)) record('C', relative, 0, NULL, 0);
  else if (flags & O_TRUNC) record('T', relative, 0, NULL, 0);
  return handle;
}

static int exists(const char *path) {
  struct stat found;
  return !stat(path, &found);
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    REAL(int, #name, const char *, int, ...); \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    const char *relative = below(path); \
    if (!relative) return real(path, flags, mode); \
    pthread_mutex_lock(&lock); \
    int existed = exists(path); \
    int handle = note_open(real(path, flags, mode), relative, existed, flags); \
    pthread_mutex_unlock(&lock); \
    return handle; \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int folder, const char *path, int flags, ...) { \
    REAL(int, #name, int, const char *, int, ...); \
    va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
    const char *relative = folder == AT_FDCWD || path[0] == '/' ? below(path) : NULL; \
    if (!relative) return real(folder, path, flags, mode); \
    pthread_mutex_lock(&lock); \
    int existed = exists(path); \
    int handle = note_open(real(folder, path, flags, mode), relative, existed, flags); \
    pthread_mutex_unlock(&lock); \
    return handle; \
  }
OPENAT(openat)
OPENAT(openat64)

int creat(const char *path, mode_t mode) { return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

static const char *path_of(int handle) {
  return handle >= 0 && handle < FILES ? opened[handle] : NULL;
}

int close(int handle) {
  REAL(int, "close", int);
  if (!path_of(handle)) return real(handle);
  pthread_mutex_lock(&lock);
  free(opened[handle]);
  opened[handle] = NULL;
  int result = real(handle);
  pthread_mutex_unlock(&lock);
  return result;
}

ssize_t write(int handle, const void *data, size_t size) {
  REAL(ssize_t, "write", int, const void *, size_t);
  if (!path_of(handle)) return real(handle, data, size);
  pthread_mutex_lock(&lock);
  ssize_t result = real(handle, data, size);
  if (result > 0)
    record('W', path_of(handle), lseek(handle, 0, SEEK_CUR) - result, data, result);
  pthread_mutex_unlock(&lock);
  return result;
}

#define PWRITE(name) \
  ssize_t name(int handle, const void *data, size_t size, off_t offset) { \
    REAL(ssize_t, #name, int, const void *, size_t, off_t); \
    if (!path_of(handle)) return real(handle, data, size, offset); \
    pthread_mutex_lock(&lock); \
    ssize_t result = real(handle, data, size, offset); \
    if (result > 0) record('W', path_of(handle), offset, data, result); \
    pthread_mutex_unlock(&lock); \
    return result; \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define ON_HANDLE(name, operation, parameters, arguments, offset, ...) \
  int name parameters { \
    REAL(int, #name, __VA_ARGS__); \
    if (!path_of(handle)) return real arguments; \
    pthread_mutex_lock(&lock); \
    int result = real arguments; \
    if (!result) record(operation, path_of(handle), offset, NULL, 0); \
    pthread_mutex_unlock(&lock); \
    return result; \
  }
ON_HANDLE(fsync, 'S', (int handle), (handle), 0, int)
ON_HANDLE(fdatasync, 'S', (int handle), (handle), 0, int)
ON_HANDLE(ftruncate, 'T', (int handle, off_t size), (handle, size), size, int, off_t)
ON_HANDLE(ftruncate64, 'T', (int handle, off_t size), (handle, size), size, int, off_t)

#define ON_PATH(name, operation, parameters, arguments, data, ...) \
  int name parameters { \
    REAL(int, #name, __VA_ARGS__); \
    const char *relative = below(path); \
    if (!relative) return real arguments; \
    pthread_mutex_lock(&lock); \
    int result = real arguments; \
    if (!result) { \
      char *name_below = strdup(relative); \
      const char *other = data; \
      record(operation, name_below, 0, other, other ? strlen(other) : 0); \
      free(name_below); \
    } \
    pthread_mutex_unlock(&lock); \
    return result; \
  }
ON_PATH(unlink, 'U', (const char *path), (path), NULL, const char *)
ON_PATH(mkdir, 'M', (const char *path, mode_t mode), (path, mode), NULL, const char *, mode_t)
ON_PATH(rename, 'R', (const char *path, const char *to), (path, to), below(to), const char *,
        const char *)
