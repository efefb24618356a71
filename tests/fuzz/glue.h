/*
 * What the targets over bearssl_glue.c share: dice, a certificate with its key, and the system that the
 * glue sees. A target includes this, defines open and shutdown, and then includes bearssl_glue.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(c, what) do { if (!(c)) { fprintf(stderr, "WRONG: %s\n", what); abort(); } } while (0)

static uint32_t dice;
static int code;	/* what it ended with */
static jmp_buf at_exit;

static unsigned roll(unsigned sides)
{
	dice = dice * 1664525 + 1013904223;
	return (dice >> 16) % sides;
}

static const char certificate_file[] =
#include "cert.h"
;

static int fake_fstat(struct stat *st)
{
	memset(st, 0, sizeof *st);
	st->st_mode = S_IFREG | 0600;
	return 0;
}

static ssize_t fake_getrandom(void *p, size_t n)
{
	memset(p, 0x5b, n);
	return (ssize_t)n;
}

static _Noreturn void fake_exit(int c)
{
	code = c;
	longjmp(at_exit, 1);
}

/* The target's own, as are open and shutdown. */
static ssize_t fake_read(int fd, void *buf, size_t n);
static ssize_t fake_write(int fd, const void *buf, size_t n);
static int fake_poll(struct pollfd *p, int n);

#define read(f, b, n)		fake_read(f, b, n)
#define write(f, b, n)		fake_write(f, b, n)
#define send(f, b, n, x)	fake_write(f, b, n)
#define close(f)		0
#define fstat(f, s)		fake_fstat(s)
#define poll(p, n, t)		fake_poll(p, (int)(n))
#define alarm(n)		0
#define madvise(p, n, a)	0
#define getrandom(p, n, f)	fake_getrandom(p, n)
#define _exit(c)		fake_exit(c)
