/*
 * Preloaded into a process: writes down what it does to the files of one database, and lets chosen calls fail.
 *
 * CRASH_FILE    path of the database; its -wal, -shm and -journal and their directory are watched too
 * CRASH_TRACE   where to write: this path, a dot and the process id
 * CRASH_MARKS   a file whose writes are marks of the program under test (an acknowledgement)
 * CRASH_FAULT   optional: a file of one struct fault, mapped shared, through which another process arms a fault
 *
 * A record is a struct head and its data. Calls that change a file are made under one lock and written down in their
 * order. A sync is not: its begin and its end are two records, for what is written between them is not under it.
 * Files are told apart by inode, never by name. What this cannot model (a shared writable mapping, fallocate ...) is
 * written down as 'X', and the replay refuses it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

struct head {
    uint32_t operation;
    uint32_t length; /* of the data that follow */
    uint64_t inode;
    int64_t a;
    int64_t b;
};

enum { ONCE = 1, FROM_NOW_ON = 2, SHORT = 3, SHORT_THEN_FULL = 4 };

struct fault {
    uint32_t armed;
    uint32_t calls; /* made since it was armed */
    uint32_t at;    /* the call that fails, from 1; 0: none, only count */
    uint32_t error;
    uint32_t mode;
    uint32_t fired; /* how many calls failed */
    uint32_t first; /* the operation of the first that did */
    uint32_t only;  /* the operation that is counted and may fail; 0: any */
};

enum { MOST = 4096, NOT_OURS = 0, DATA = 1, MARKS = 2, SHARED_MEMORY = 3, DIRECTORY = 4 };

static struct {
    uint64_t inode;
    int kind;
} table[MOST];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *database, *marks, *output;
static char directory[4096];
static struct fault *fault;
static int out = -1;
static int64_t syncs;

/* found at the first call: a library may open a file before our constructor has run */
#define REAL(result, name, ...) \
    typedef result type_##name(__VA_ARGS__); \
    static type_##name *find_##name(void) { \
        static type_##name *found; \
        if (found == NULL) *(void **)(&found) = dlsym(RTLD_NEXT, #name); \
        return found; \
    }

REAL(int, open, const char *, int, ...)
REAL(int, open64, const char *, int, ...)
REAL(int, close, int)
REAL(ssize_t, write, int, const void *, size_t)
REAL(ssize_t, pwrite, int, const void *, size_t, off_t)
REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)
REAL(ssize_t, writev, int, const struct iovec *, int)
REAL(int, ftruncate, int, off_t)
REAL(int, ftruncate64, int, off64_t)
REAL(int, fsync, int)
REAL(int, fdatasync, int)
REAL(int, unlink, const char *)
REAL(int, rename, const char *, const char *)
REAL(void *, mmap, void *, size_t, int, int, int, off_t)
REAL(void *, mmap64, void *, size_t, int, int, int, off64_t)
REAL(int, fallocate, int, int, off_t, off_t)
REAL(int, posix_fallocate, int, off_t, off_t)
REAL(int, sync_file_range, int, off64_t, off64_t, unsigned int)

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void after_fork(void) { pthread_mutex_unlock(&lock); }
static void in_child(void) {
    if (out >= 0) syscall(SYS_close, out);
    out = -1;
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void begin(void) {
    database = getenv("CRASH_FILE");
    marks = getenv("CRASH_MARKS");
    output = getenv("CRASH_TRACE");
    if (database != NULL) {
        snprintf(directory, sizeof directory, "%s", database);
        char *slash = strrchr(directory, '/');
        if (slash != NULL) *slash = 0;
    }
    const char *armed = getenv("CRASH_FAULT");
    if (armed != NULL) {
        int file = (int)syscall(SYS_openat, AT_FDCWD, armed, O_RDWR, 0);
        void *mapped = find_mmap()(NULL, sizeof(struct fault), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped != MAP_FAILED) fault = mapped;
        syscall(SYS_close, file);
    }
    pthread_atfork(before_fork, after_fork, in_child);
}

static int kind_of_path(const char *path) {
    if (database == NULL || path == NULL) return NOT_OURS;
    if (marks != NULL && strcmp(path, marks) == 0) return MARKS;
    if (strcmp(path, directory) == 0) return DIRECTORY;
    size_t length = strlen(database);
    if (strncmp(path, database, length) != 0) return NOT_OURS;
    const char *rest = path + length;
    if (*rest == 0 || strcmp(rest, "-wal") == 0 || strcmp(rest, "-journal") == 0) return DATA;
    return strcmp(rest, "-shm") == 0 ? SHARED_MEMORY : NOT_OURS;
}

static int kind_of(int file) { return file >= 0 && file < MOST ? table[file].kind : NOT_OURS; }

static void put(char operation, uint64_t inode, int64_t a, int64_t b, const void *data, size_t length) {
    if (output == NULL) return;
    if (out < 0) {
        char name[4200];
        snprintf(name, sizeof name, "%s.%d", output, (int)getpid());
        out = (int)syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    struct head head = {(uint32_t)operation, (uint32_t)length, inode, a, b};
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)(uintptr_t)data, length}};
    /* a trace that cannot be written is no trace */
    if (syscall(SYS_writev, out, parts, 2) != (ssize_t)(sizeof head + length)) abort();
}

/* Say whether this call is to fail; *length may be cut instead. Under the lock. */
static int failing(char operation, uint64_t inode, size_t *length) {
    if (fault == NULL || !fault->armed) return 0;
    if (fault->only != 0 && fault->only != (uint32_t)operation) return 0;
    uint32_t call = ++fault->calls;
    if (fault->at == 0 || call < fault->at) return 0;
    int error = (int)fault->error;
    /* SQLite keeps to itself that a directory cannot be opened or synced: unless that is what is tried, it is no failure
     * that a program could know of */
    int kept_quiet = operation == 'D' && fault->only != 'D';
    if (fault->mode == SHORT || fault->mode == SHORT_THEN_FULL) {
        if (call == fault->at) {
            if (length == NULL || *length < 2) return 0;
            *length /= 2;
            error = 0;
        } else if (fault->mode == SHORT || call != fault->at + 1 || fault->fired == 0) {
            return 0;
        }
    } else if (fault->mode == ONCE && call != fault->at) {
        return 0;
    }
    if (!kept_quiet && fault->fired++ == 0) fault->first = (uint32_t)operation;
    put('F', inode, operation, error, NULL, 0);
    if (error != 0) errno = error;
    return error != 0;
}

static int opened(int file, int kind, int flags, int existed, const char *path) {
    struct stat found;
    if (file >= 0 && file < MOST && fstat(file, &found) == 0) {
        table[file].inode = (uint64_t)found.st_ino;
        table[file].kind = kind;
        put('O', (uint64_t)found.st_ino, flags, existed ? 0 : 1, path, strlen(path));
        if ((flags & O_TRUNC) != 0 && existed) put('T', (uint64_t)found.st_ino, 0, 0, NULL, 0);
    }
    return file;
}

static int watched_open(const char *path, int flags, mode_t mode, type_open *real) {
    int kind = kind_of_path(path);
    if (kind == NOT_OURS) return real(path, flags, mode);
    pthread_mutex_lock(&lock);
    int existed = access(path, F_OK) == 0;
    int file = kind != MARKS && failing(kind == DIRECTORY ? 'D' : 'O', 0, NULL) ? -1 : real(path, flags, mode);
    int result = opened(file, kind, flags, existed, path);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

#define WITH_MODE \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { \
        va_list rest; \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
    }

int open(const char *path, int flags, ...) { WITH_MODE return watched_open(path, flags, mode, find_open()); }
int open64(const char *path, int flags, ...) { WITH_MODE return watched_open(path, flags, mode, find_open64()); }
int creat(const char *path, mode_t mode) {
    return watched_open(path, O_CREAT | O_WRONLY | O_TRUNC, mode, find_open());
}
int openat(int at, const char *path, int flags, ...) {
    WITH_MODE
    if (kind_of_path(path) != NOT_OURS) return watched_open(path, flags, mode, find_open());
    return (int)syscall(SYS_openat, at, path, flags, mode);
}

int close(int file) {
    if (kind_of(file) == NOT_OURS) return find_close()(file);
    pthread_mutex_lock(&lock);
    table[file].kind = NOT_OURS;
    int result = find_close()(file);
    pthread_mutex_unlock(&lock);
    return result;
}

static ssize_t watched_write(int file, const void *data, size_t length, int64_t offset) {
    pthread_mutex_lock(&lock);
    int kind = table[file].kind;
    ssize_t done = -1;
    if (offset < 0) offset = lseek(file, 0, SEEK_CUR);
    if (offset >= 0 && (fcntl(file, F_GETFL) & O_APPEND) != 0) {
        struct stat found;
        if (fstat(file, &found) == 0) offset = found.st_size;
    }
    if (kind == MARKS || !failing('W', table[file].inode, &length)) {
        done = kind == DATA || kind == SHARED_MEMORY ? find_pwrite()(file, data, length, offset)
                                                      : find_write()(file, data, length);
        if (done > 0) put(kind == MARKS ? 'A' : 'W', table[file].inode, offset, kind, data, (size_t)done);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

ssize_t write(int file, const void *data, size_t length) {
    if (kind_of(file) == NOT_OURS) return find_write()(file, data, length);
    ssize_t done = watched_write(file, data, length, -1);
    /* what was written by place did not move the file's own */
    if (done > 0 && kind_of(file) != MARKS) lseek(file, done, SEEK_CUR);
    return done;
}
ssize_t pwrite(int file, const void *data, size_t length, off_t offset) {
    if (kind_of(file) == NOT_OURS) return find_pwrite()(file, data, length, offset);
    return watched_write(file, data, length, offset);
}
ssize_t pwrite64(int file, const void *data, size_t length, off64_t offset) {
    if (kind_of(file) == NOT_OURS) return find_pwrite64()(file, data, length, offset);
    return watched_write(file, data, length, offset);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
    if (kind_of(file) == NOT_OURS) return find_writev()(file, parts, count);
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t done = write(file, parts[i].iov_base, parts[i].iov_len);
        if (done < 0) return sum > 0 ? sum : done;
        sum += done;
        if ((size_t)done < parts[i].iov_len) break;
    }
    return sum;
}

static int watched_truncate(int file, int64_t length) {
    pthread_mutex_lock(&lock);
    int result = failing('T', table[file].inode, NULL) ? -1 : find_ftruncate64()(file, length);
    if (result == 0) put('T', table[file].inode, length, table[file].kind, NULL, 0);
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int ftruncate(int file, off_t length) {
    return kind_of(file) == NOT_OURS ? find_ftruncate()(file, length) : watched_truncate(file, length);
}
int ftruncate64(int file, off64_t length) {
    return kind_of(file) == NOT_OURS ? find_ftruncate64()(file, length) : watched_truncate(file, length);
}

static int watched_sync(int file, int (*real)(int)) {
    pthread_mutex_lock(&lock);
    uint64_t inode = table[file].inode;
    int64_t number = ++syncs;
    put('S', inode, number, 0, NULL, 0);
    int refused = failing(table[file].kind == DIRECTORY ? 'D' : 'S', inode, NULL);
    int error = errno;
    pthread_mutex_unlock(&lock);
    int result = -1;
    if (!refused) {
        result = real(file);
        error = errno;
    }
    pthread_mutex_lock(&lock);
    put('s', inode, number, result == 0 ? 0 : error, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int fsync(int file) { return kind_of(file) == NOT_OURS ? find_fsync()(file) : watched_sync(file, find_fsync()); }
int fdatasync(int file) {
    return kind_of(file) == NOT_OURS ? find_fdatasync()(file) : watched_sync(file, find_fdatasync());
}

int unlink(const char *path) {
    int kind = kind_of_path(path);
    if (kind != DATA) return find_unlink()(path);
    pthread_mutex_lock(&lock);
    struct stat found;
    uint64_t inode = stat(path, &found) == 0 ? (uint64_t)found.st_ino : 0;
    int result = failing('U', inode, NULL) ? -1 : find_unlink()(path);
    if (result == 0) put('U', inode, 0, 0, path, strlen(path));
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
int rename(const char *from, const char *to) {
    if (kind_of_path(from) != NOT_OURS || kind_of_path(to) != NOT_OURS) {
        pthread_mutex_lock(&lock);
        put('X', 0, 'R', 0, NULL, 0);
        pthread_mutex_unlock(&lock);
    }
    return find_rename()(from, to);
}

static void unmodelled(int file, char operation) {
    if (kind_of(file) != DATA) return;
    pthread_mutex_lock(&lock);
    put('X', table[file].inode, operation, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
}
void *mmap(void *at, size_t length, int protection, int flags, int file, off_t offset) {
    if (file >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) unmodelled(file, 'M');
    return find_mmap()(at, length, protection, flags, file, offset);
}
void *mmap64(void *at, size_t length, int protection, int flags, int file, off64_t offset) {
    if (file >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE)) unmodelled(file, 'M');
    return find_mmap64()(at, length, protection, flags, file, offset);
}
int fallocate(int file, int mode, off_t offset, off_t length) {
    unmodelled(file, 'f');
    return find_fallocate()(file, mode, offset, length);
}
int posix_fallocate(int file, off_t offset, off_t length) {
    unmodelled(file, 'f');
    return find_posix_fallocate()(file, offset, length);
}
/* promises nothing about what survives, so there is nothing to model; SQLite does not use it */
int sync_file_range(int file, off64_t offset, off64_t length, unsigned int flags) {
    unmodelled(file, 'r');
    return find_sync_file_range()(file, offset, length, flags);
}
