/* Fails the n-th write to a file below a folder, and as many after it as it is told to.
 *
 * Preloaded, so that it stands before the C library's own functions for DuckDB and Arrow, too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[4096];
static atomic_long before, failures;
static int error;

/* Lets `skipped` writes below `below` succeed, and has the next `count` end with `number`. */
void shim_arm(const char *below, long skipped, long count, int number) {
    atomic_store(&failures, 0);
    snprintf(folder, sizeof folder, "%s", below);
    error = number;
    atomic_store(&before, skipped);
    atomic_store(&failures, count);
}

/* How many failures are left. */
long shim_left(void) { return atomic_load(&failures); }

static int fails(int file) {
    char link[64], path[4096];
    if (atomic_load(&failures) <= 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0) return 0;
    if (atomic_fetch_sub(&before, 1) > 0) return 0;
    if (atomic_fetch_sub(&failures, 1) <= 0) return 0;
    errno = error;
    return 1;
}

#define NEXT(type, name) \
    static type next; \
    if (!next) next = (type)dlsym(RTLD_NEXT, name)

typedef ssize_t (*write_t)(int, const void *, size_t);
typedef ssize_t (*pwrite_t)(int, const void *, size_t, off_t);
typedef ssize_t (*writev_t)(int, const struct iovec *, int);
typedef int (*fsync_t)(int);
typedef int (*ftruncate_t)(int, off_t);

ssize_t write(int file, const void *bytes, size_t n) {
    NEXT(write_t, "write");
    return fails(file) ? -1 : next(file, bytes, n);
}

ssize_t pwrite(int file, const void *bytes, size_t n, off_t place) {
    NEXT(pwrite_t, "pwrite");
    return fails(file) ? -1 : next(file, bytes, n, place);
}

ssize_t pwrite64(int file, const void *bytes, size_t n, off64_t place) {
    NEXT(pwrite_t, "pwrite64");
    return fails(file) ? -1 : next(file, bytes, n, place);
}

ssize_t writev(int file, const struct iovec *parts, int n) {
    NEXT(writev_t, "writev");
    return fails(file) ? -1 : next(file, parts, n);
}

int fsync(int file) {
    NEXT(fsync_t, "fsync");
    return fails(file) ? -1 : next(file);
}

int ftruncate64(int file, off64_t length) {
    NEXT(ftruncate_t, "ftruncate64");
    return fails(file) ? -1 : next(file, length);
}
