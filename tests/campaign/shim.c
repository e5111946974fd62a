/* Stands between the agent and its kernel: lets system calls fail, shifts the clock, and records what goes to disk.
 *
 * Loaded with LD_PRELOAD; shim.py has the other side, the order of classes and calls, and the control page. Only files
 * of the outbox, files of the PBX and TCP sockets are touched, never what the interpreter itself needs. What is
 * recorded are the changes of the outbox's files, in their order, and what was synced, for power.py.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { NONE = -1, OUTBOX, PBX, SOCKET, CLASSES };
enum { OPEN, READ, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, STAT, LIST, CONNECT, SEND, RECEIVE, CALLS };
#define FILES 4096
#define NAME 88

struct rule { int32_t error; uint32_t per_million; };
struct step { int64_t since, ahead; };
struct control {
    int64_t number; /* of steps */
    uint64_t seed, drawn;
    struct rule rules[CLASSES][CALLS];
    uint32_t failed[CLASSES][CALLS];
    struct step steps[]; /* since when the clock is so much ahead, in nanoseconds; the first counts from ever */
};
struct change { char what; char pad[3]; uint32_t length; int64_t offset; char name[NAME], other[NAME]; };

static struct control still, *control = &still;
static const size_t PAGE = 4096;
static const char *prefixes[2];
static int recording = -1, quiet = 1;
static struct { signed char class; char name[NAME]; } files[FILES];

#define REAL(name) ({ static __typeof__(name) *real_; if (!real_) real_ = dlsym(RTLD_NEXT, #name); real_; })

__attribute__((constructor)) static void begin(void) {
    for (int n = 0; n < FILES; n++) files[n].class = NONE;
    const char *path = getenv("SHIM_CONTROL"), *record = getenv("SHIM_RECORD");
    int handle = path ? REAL(open)(path, O_RDWR | O_CLOEXEC) : -1;
    if (handle >= 0) {
        void *page = mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
        if (page != MAP_FAILED) control = page;
        REAL(close)(handle);
    }
    prefixes[OUTBOX] = getenv("SHIM_OUTBOX");
    prefixes[PBX] = getenv("SHIM_PBX");
    quiet = getenv("SHIM_QUIET") != 0;
    if (record && *record && !quiet) recording = REAL(open)(record, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

static int class_of(const char *path) {
    for (int n = 0; path && n < 2; n++)
        if (prefixes[n] && !strncmp(path, prefixes[n], strlen(prefixes[n]))) return n;
    return NONE;
}

static int class_at(int handle) { return handle >= 0 && handle < FILES ? files[handle].class : NONE; }

static const char *base(const char *path) { const char *slash = strrchr(path, '/'); return slash ? slash + 1 : path; }

static uint64_t drawn(void) {
    uint64_t z = control->seed + 0x9e3779b97f4a7c15u * __atomic_add_fetch(&control->drawn, 1, __ATOMIC_RELAXED);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Whether this call is to fail; errno says with what. */
static int fails(int class, int call) {
    if (class == NONE || quiet) return 0;
    struct rule rule = control->rules[class][call];
    if (!rule.per_million || drawn() % 1000000 >= rule.per_million) return 0;
    __atomic_add_fetch(&control->failed[class][call], 1, __ATOMIC_RELAXED);
    errno = rule.error;
    return 1;
}

/* By how much the clock was ahead, in nanoseconds, when the kernel's showed this. */
static int64_t ahead(int64_t then) {
    int64_t number = __atomic_load_n(&control->number, __ATOMIC_ACQUIRE);
    while (number > 1 && control->steps[number - 1].since > then) number--;
    return number ? control->steps[number - 1].ahead : 0;
}

/* A file's time, as it would be had the kernel's clock been set. */
#define SHIFT(seconds, nanoseconds)                                                                                    \
    do {                                                                                                               \
        int64_t then_ = (seconds) * 1000000000 + (nanoseconds);                                                        \
        then_ += ahead(then_);                                                                                         \
        (seconds) = then_ / 1000000000, (nanoseconds) = then_ % 1000000000;                                            \
    } while (0)

static void record(char what, const char *name, const char *other, const void *data, size_t length, off_t offset) {
    if (recording < 0 || !*name) return;
    int kept = errno;
    struct change *change = calloc(1, sizeof *change + (data ? length : 0));
    change->what = what, change->length = length, change->offset = offset;
    strncpy(change->name, name, NAME - 1);
    strncpy(change->other, other, NAME - 1);
    if (data) memcpy(change + 1, data, length);
    if (REAL(write)(recording, change, sizeof *change + (data ? length : 0)) < 0) abort();
    free(change);
    errno = kept;
}

/* Files. */

static int opened(int handle, const char *path, int flags) {
    if (handle < 0 || handle >= FILES) return handle;
    files[handle].class = class_of(path);
    files[handle].name[0] = 0;
    if (files[handle].class == OUTBOX) {
        strncpy(files[handle].name, base(path), NAME - 1);
        if (flags & O_CREAT) record('C', files[handle].name, "", 0, 0, 0);
        if (flags & O_TRUNC) record('T', files[handle].name, "", 0, 0, 0);
    }
    return handle;
}

static int refused(const char *path, int flags) {
    int class = class_of(path);
    if (class == NONE) return 0;
    int error = control->rules[class][OPEN].error, there = !REAL(access)(path, F_OK);
    /* What is full or read-only may be read; a full disk opens what is there; and what is there can't be made anew. */
    if (error == EROFS && ((flags & O_ACCMODE) == O_RDONLY || (there && flags & O_EXCL))) return 0;
    if (error == ENOSPC && (there || !(flags & O_CREAT))) return 0;
    return fails(class, OPEN);
}

#define OPENS(the_call)                                                                                                \
    int the_call(const char *path, int flags, ...) {                                                                   \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                        \
        va_end(more);                                                                                                  \
        return refused(path, flags) ? -1 : opened(REAL(the_call)(path, flags, mode), path, flags);                     \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(the_call)                                                                                             \
    int the_call(int at, const char *path, int flags, ...) {                                                           \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                        \
        va_end(more);                                                                                                  \
        return refused(path, flags) ? -1 : opened(REAL(the_call)(at, path, flags, mode), path, flags);                 \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

int close(int handle) {
    if (handle >= 0 && handle < FILES) files[handle].class = NONE;
    return REAL(close)(handle);
}

static int reading(int handle) { int class = class_at(handle); return fails(class, class == SOCKET ? RECEIVE : READ); }

ssize_t read(int handle, void *data, size_t length) { return reading(handle) ? -1 : REAL(read)(handle, data, length); }

#define READS_AT(the_call, offset_t)                                                                                   \
    ssize_t the_call(int handle, void *data, size_t length, offset_t at) {                                             \
        return reading(handle) ? -1 : REAL(the_call)(handle, data, length, at);                                        \
    }
READS_AT(pread, off_t)
READS_AT(pread64, off64_t)

/* How much of it to write: nothing where that is to fail, and of a full disk now and then what still fits. */
static size_t fitting(int handle, size_t length) {
    int class = class_at(handle);
    if (!fails(class, class == SOCKET ? SEND : WRITE)) return length;
    return errno == ENOSPC && drawn() % 2 ? length / 2 : 0;
}

ssize_t write(int handle, const void *data, size_t length) {
    size_t fits = fitting(handle, length);
    if (length && !fits) return -1;
    ssize_t done = REAL(write)(handle, data, fits);
    if (done > 0 && class_at(handle) == OUTBOX)
        record('W', files[handle].name, "", data, done, lseek(handle, 0, SEEK_CUR) - done);
    return done;
}

#define WRITES_AT(the_call, offset_t)                                                                                  \
    ssize_t the_call(int handle, const void *data, size_t length, offset_t at) {                                       \
        size_t fits = fitting(handle, length);                                                                         \
        if (length && !fits) return -1;                                                                                \
        ssize_t done = REAL(the_call)(handle, data, fits, at);                                                         \
        if (done > 0 && class_at(handle) == OUTBOX) record('W', files[handle].name, "", data, done, at);               \
        return done;                                                                                                   \
    }
WRITES_AT(pwrite, off_t)
WRITES_AT(pwrite64, off64_t)

/* What is recorded by now is on disk then. What is written while it goes on need not be. */
#define SYNCS(the_call)                                                                                                \
    int the_call(int handle) {                                                                                         \
        if (fails(class_at(handle), SYNC)) return -1;                                                                  \
        if (class_at(handle) == OUTBOX) record('S', files[handle].name, "", 0, 0, 0);                                  \
        return REAL(the_call)(handle);                                                                                 \
    }
SYNCS(fsync)
SYNCS(fdatasync)

#define TRUNCATES(the_call, offset_t)                                                                                  \
    int the_call(int handle, offset_t length) {                                                                        \
        if (fails(class_at(handle), TRUNCATE)) return -1;                                                              \
        int done = REAL(the_call)(handle, length);                                                                     \
        if (!done && class_at(handle) == OUTBOX) record('T', files[handle].name, "", 0, 0, length);                    \
        return done;                                                                                                   \
    }
TRUNCATES(ftruncate, off_t)
TRUNCATES(ftruncate64, off64_t)

int rename(const char *from, const char *to) {
    if (fails(class_of(from), RENAME)) return -1;
    int done = REAL(rename)(from, to);
    if (!done && class_of(from) == OUTBOX) record('R', base(from), base(to), 0, 0, 0);
    return done;
}

int unlink(const char *path) {
    if (fails(class_of(path), UNLINK)) return -1;
    int done = REAL(unlink)(path);
    if (!done && class_of(path) == OUTBOX) record('U', base(path), "", 0, 0, 0);
    return done;
}

#define STATS(the_call, declared, given, class)                                                                        \
    int the_call declared {                                                                                            \
        int of = class;                                                                                                \
        if (fails(of, STAT)) return -1;                                                                                \
        int done = REAL(the_call) given;                                                                               \
        if (!done && of != NONE) {                                                                                     \
            SHIFT(found->st_atim.tv_sec, found->st_atim.tv_nsec);                                                      \
            SHIFT(found->st_mtim.tv_sec, found->st_mtim.tv_nsec);                                                      \
            SHIFT(found->st_ctim.tv_sec, found->st_ctim.tv_nsec);                                                      \
        }                                                                                                              \
        return done;                                                                                                   \
    }
STATS(stat, (const char *path, struct stat *found), (path, found), class_of(path))
STATS(stat64, (const char *path, struct stat64 *found), (path, found), class_of(path))
STATS(lstat, (const char *path, struct stat *found), (path, found), class_of(path))
STATS(lstat64, (const char *path, struct stat64 *found), (path, found), class_of(path))
STATS(fstat, (int handle, struct stat *found), (handle, found), class_at(handle))
STATS(fstat64, (int handle, struct stat64 *found), (handle, found), class_at(handle))
STATS(fstatat, (int at, const char *path, struct stat *found, int how), (at, path, found, how), class_of(path))
STATS(fstatat64, (int at, const char *path, struct stat64 *found, int how), (at, path, found, how), class_of(path))

int statx(int at, const char *path, int flags, unsigned mask, struct statx *found) {
    int of = *path ? class_of(path) : class_at(at);
    if (fails(of, STAT)) return -1;
    int done = REAL(statx)(at, path, flags, mask, found);
    if (!done && of != NONE) {
        SHIFT(found->stx_mtime.tv_sec, found->stx_mtime.tv_nsec);
        SHIFT(found->stx_ctime.tv_sec, found->stx_ctime.tv_nsec);
        SHIFT(found->stx_btime.tv_sec, found->stx_btime.tv_nsec);
    }
    return done;
}

DIR *opendir(const char *path) { return fails(class_of(path), LIST) ? 0 : REAL(opendir)(path); }

int access(const char *path, int mode) {
    int class = class_of(path);
    if (class != NONE && mode & R_OK && control->rules[class][OPEN].error == EACCES && fails(class, OPEN)) return -1;
    return REAL(access)(path, mode);
}

/* Sockets. */

int socket(int domain, int type, int protocol) {
    int tcp = (domain == AF_INET || domain == AF_INET6) && (type & 0xff) == SOCK_STREAM;
    if (tcp && fails(SOCKET, OPEN)) return -1;
    int handle = REAL(socket)(domain, type, protocol);
    if (handle >= 0 && handle < FILES) files[handle].class = tcp ? SOCKET : NONE;
    return handle;
}

int connect(int handle, const struct sockaddr *to, socklen_t length) {
    return fails(class_at(handle), CONNECT) ? -1 : REAL(connect)(handle, to, length);
}

ssize_t send(int handle, const void *data, size_t length, int flags) {
    return fails(class_at(handle), SEND) ? -1 : REAL(send)(handle, data, length, flags);
}

ssize_t recv(int handle, void *data, size_t length, int flags) {
    return fails(class_at(handle), RECEIVE) ? -1 : REAL(recv)(handle, data, length, flags);
}

/* The time of day. */

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = REAL(clock_gettime)(clock, now);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        SHIFT(now->tv_sec, now->tv_nsec);
    }
    return done;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec, now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *found) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (found) *found = exact.tv_sec;
    return exact.tv_sec;
}
