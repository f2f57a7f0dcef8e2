/* Stands between a program and the C library, and lets the n-th write, sync or read of a file fail.
 *
 * FI_MATCH  part of the path of the files that are meant
 * FI_OP     pwrite, fsync (fdatasync too) or pread
 * FI_AT     the number of the call that fails, from 1; FI_COUNT how many fail from there on
 * FI_ERR    the errno that it fails with
 * FI_TORN   a write stops after so many bytes and the process ends at once
 * FI_NOSYNC syncs do nothing at all, as on a disk that lies
 * FI_MARK   a file that is made when the fault comes
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static long at = -1, count = 1, torn = -1, error_number = EIO;
static int lies;
static const char *match, *op, *mark;
static atomic_long calls;
static int (*real_fdatasync)(int), (*real_fsync)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static ssize_t (*real_pread)(int, void *, size_t, off64_t);

static long number(const char *name, long otherwise) {
    const char *text = getenv(name);
    return text ? atol(text) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
    at = number("FI_AT", -1);
    count = number("FI_COUNT", 1);
    torn = number("FI_TORN", -1);
    error_number = number("FI_ERR", EIO);
    lies = getenv("FI_NOSYNC") != NULL;
    match = getenv("FI_MATCH");
    op = getenv("FI_OP");
    mark = getenv("FI_MARK");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_pread = dlsym(RTLD_NEXT, "pread64");
}

static int is_meant(int fd) {
    char link[64], path[4096];
    if (!match) return 1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, match) != NULL;
}

static int fails(int fd, const char *what) {
    if (!op || strcmp(op, what) || !is_meant(fd)) return 0;
    long call = atomic_fetch_add(&calls, 1) + 1;
    if (at < 1 || call < at || call >= at + count) return 0;
    if (mark) {
        int file = open(mark, O_CREAT | O_WRONLY, 0600);
        if (file >= 0) close(file);
    }
    errno = error_number;
    return 1;
}

int fdatasync(int fd) {
    if (fails(fd, "fsync")) return -1;
    return lies ? 0 : real_fdatasync(fd);
}

int fsync(int fd) {
    if (fails(fd, "fsync")) return -1;
    return lies ? 0 : real_fsync(fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t place) {
    if (!fails(fd, "pwrite")) return real_pwrite(fd, bytes, size, place);
    if (torn >= 0) {
        real_pwrite(fd, bytes, (size_t)torn < size ? (size_t)torn : size, place);
        _exit(137);
    }
    errno = error_number;
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t place) {
    return pwrite64(fd, bytes, size, place);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t place) {
    return fails(fd, "pread") ? -1 : real_pread(fd, bytes, size, place);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t place) {
    return pread64(fd, bytes, size, place);
}
