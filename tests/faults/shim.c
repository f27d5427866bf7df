// Preloaded into a program on Linux with glibc: makes calls of the system or of malloc fail. The
// program arms it by the functions of shim.h, or the environment does from the first file on that
// is opened (CLI11, which reads the command line before, takes memory in functions of noexcept):
//   LOCKSTEP_FAULT="CALL N HOW"  the Nth call fails: write, fsync, rename, link, open, close,
//                                ftruncate, read or malloc; HOW is a number of errno, 0 for a
//                                short transfer, or -1 for this and all later calls of malloc
//   LOCKSTEP_FAULT_LOG=PATH      a file that is made if one has
#define _GNU_SOURCE
#include "shim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static const char* const kNames[] = {"none", "write", "fsync",     "rename", "link",
                                     "open", "close", "ftruncate", "read",   "malloc"};

static int armed;
static long nth;
static int how;
static long calls;
static long hits;
static long live;
static const char* log_path;
static int has_begun;  // and the environment has not been read

void fault_arm(enum fault_call call, long number, int effect) {
  nth = number;
  how = effect;
  calls = 0;
  hits = 0;
  armed = (int)call;
}

long fault_disarm(void) {
  armed = 0;
  return hits;
}

long fault_live_blocks(void) { return __atomic_load_n(&live, __ATOMIC_RELAXED); }

static int is_due(enum fault_call call) {
  if (armed != (int)call) return 0;
  const long now = __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
  if (how == FAULT_FROM_THEN_ON ? now < nth : now != nth) return 0;
  __atomic_add_fetch(&hits, 1, __ATOMIC_RELAXED);
  if (log_path != NULL) {
    const long file = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT, 0600);
    syscall(SYS_close, file);
  }
  return 1;
}

// Whether a call fails; a short transfer is none of these.
static int fails(enum fault_call call) {
  if (!is_due(call) || how == FAULT_SHORT) return 0;
  errno = how;
  return 1;
}

// Of a transfer: how many of `count` bytes; -1 if it fails.
static ssize_t allowed(enum fault_call call, int file, size_t count) {
  if (file <= STDERR_FILENO || !is_due(call)) return (ssize_t)count;
  errno = how;
  return how != FAULT_SHORT ? -1 : (ssize_t)(count > 1 ? count / 2 : count);
}

ssize_t write(int file, const void* bytes, size_t count) {
  const ssize_t size = allowed(FAULT_WRITE, file, count);
  return size < 0 ? -1 : syscall(SYS_write, file, bytes, size);
}
ssize_t pwrite(int file, const void* bytes, size_t count, off_t at) {
  const ssize_t size = allowed(FAULT_WRITE, file, count);
  return size < 0 ? -1 : syscall(SYS_pwrite64, file, bytes, size, at);
}
ssize_t read(int file, void* bytes, size_t count) {
  const ssize_t size = allowed(FAULT_READ, file, count);
  return size < 0 ? -1 : syscall(SYS_read, file, bytes, size);
}
ssize_t pread(int file, void* bytes, size_t count, off_t at) {
  const ssize_t size = allowed(FAULT_READ, file, count);
  return size < 0 ? -1 : syscall(SYS_pread64, file, bytes, size, at);
}
// Nothing that runs sees a difference, and there are thousands.
int fsync(int file) {
  (void)file;
  return fails(FAULT_FSYNC) ? -1 : 0;
}
int ftruncate(int file, off_t size) {
  return fails(FAULT_FTRUNCATE) ? -1 : (int)syscall(SYS_ftruncate, file, size);
}
int rename(const char* from, const char* to) {
  return fails(FAULT_RENAME) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) {
  return fails(FAULT_LINK) ? -1 : (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}
int link(const char* from, const char* to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }
int close(int file) {
  const int failed = file > STDERR_FILENO && fails(FAULT_CLOSE);
  const int error = errno;
  const int result = (int)syscall(SYS_close, file);
  if (!failed) return result;
  errno = error;
  return -1;
}

static void arm_by_environment(void);

static int open_file(int folder, const char* path, int flags, mode_t mode) {
  arm_by_environment();
  return fails(FAULT_OPEN) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

// The mode, if there is one, behind `flags`.
#define OPEN(name, folder, ...)                  \
  int name(__VA_ARGS__, int flags, ...) {        \
    mode_t mode = 0;                             \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {  \
      va_list rest;                              \
      va_start(rest, flags);                     \
      mode = va_arg(rest, mode_t);               \
      va_end(rest);                              \
    }                                            \
    return open_file(folder, path, flags, mode); \
  }
OPEN(open, AT_FDCWD, const char* path)
OPEN(openat, folder, int folder, const char* path)

// The names of calls with offsets of 64 bits, which these have.
_Static_assert(sizeof(off_t) == 8, "the shim is for systems of 64 bits");
#define ALIAS(of) __attribute__((alias(#of)))
ssize_t pwrite64(int, const void*, size_t, off_t) ALIAS(pwrite);
ssize_t pread64(int, void*, size_t, off_t) ALIAS(pread);
int ftruncate64(int, off_t) ALIAS(ftruncate);
int open64(const char*, int, ...) ALIAS(open);
int openat64(int, const char*, int, ...) ALIAS(openat);

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
extern void __libc_free(void*);

static void* counted(void* block) {
  if (block != NULL) __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
  return block;
}

static int has_no_memory(void) {
  if (!is_due(FAULT_MALLOC)) return 0;
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) { return has_no_memory() ? NULL : counted(__libc_malloc(size)); }
void* calloc(size_t count, size_t size) {
  return has_no_memory() ? NULL : counted(__libc_calloc(count, size));
}
void* realloc(void* block, size_t size) {
  if (has_no_memory()) return NULL;
  void* const result = __libc_realloc(block, size);
  return block == NULL ? counted(result) : result;
}
void* memalign(size_t alignment, size_t size) {
  return has_no_memory() ? NULL : counted(__libc_memalign(alignment, size));
}
void* aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
int posix_memalign(void** block, size_t alignment, size_t size) {
  void* const made = memalign(alignment, size);
  if (made == NULL) return ENOMEM;
  *block = made;
  return 0;
}
void free(void* block) {
  if (block != NULL) __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
  __libc_free(block);
}

static void arm_by_environment(void) {
  const char* const text = has_begun ? getenv("LOCKSTEP_FAULT") : NULL;
  has_begun = 0;
  if (text == NULL) return;
  const size_t length = strcspn(text, " ");
  for (int call = FAULT_WRITE; call <= FAULT_MALLOC; ++call) {
    if (strlen(kNames[call]) != length || strncmp(kNames[call], text, length) != 0) continue;
    char* end = NULL;
    const long number = strtol(text + length, &end, 10);
    log_path = getenv("LOCKSTEP_FAULT_LOG");
    fault_arm((enum fault_call)call, number, (int)strtol(end, NULL, 10));
    return;
  }
  abort();
}

typedef int (*main_function)(int, char**, char**);
static main_function real_main;

static int begun_main(int count, char** arguments, char** environment) {
  has_begun = 1;
  return real_main(count, arguments, environment);
}

// What libraries do before `main` is not ours.
int __libc_start_main(main_function of, int count, char** arguments, void (*init)(void),
                      void (*end)(void), void (*end_of_loader)(void), void* stack) {
  int (*start)(main_function, int, char**, void (*)(void), void (*)(void), void (*)(void), void*);
  *(void**)&start = dlsym(RTLD_NEXT, "__libc_start_main");
  real_main = of;
  return start(begun_main, count, arguments, init, end, end_of_loader, stack);
}
