/*
 * What checkpassword-file and setpassword-file ask of the system beyond
 * system.h, in the same way: any error, any bytes, any short count.
 */
#include "system.h"

#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

/* No file is longer, so that sums of places in files do not overflow. */
#define FILE_SIZE_MAX	0x2000000000000000

/* A result of crypt(3), with its NUL: more than any has (libxcrypt: 384). */
#define CRYPT_SIZE	1024

#define ERROR_SIZE	128

/* The alarm may go off during any call (file.c); while a line of the log is written, in another state. */
static void strike(void);
static void strike_log(void);

static int any_result(void)
{
	strike();
	return succeeds();
}

int open(const char *path, int flags, ...)
{
	strlen(path);
	strike();
	return any_fd();
}

int openat(int folder, const char *path, int flags, ...)
{
	strlen(path);
	strike();
	return any_fd();
}

int fcntl(int fd, int command, ...)
{
	strike();
	return fails() ? -1 : any(0, 0x7fffffff);
}

int flock(int fd, int operation)
{
	return any_result();
}

int poll(struct pollfd *p, nfds_t n, int timeout)
{
	strike_log();
	if (fails())
		return -1;
	p->revents = (short)any(0, 0x7fff);
	return any(0, 1);
}

/*@ requires buffer: \valid((char *)buf + (0 .. count - 1));
    requires place: 0 <= offset;
    assigns ((char *)buf)[0 .. count - 1] \from indirect: fd, indirect: offset;
    assigns errno_now, \result \from indirect: fd, indirect: count, indirect: offset;
    ensures short: -1 <= \result <= count;
    ensures inside: \result <= 0 || offset + \result <= FILE_SIZE_MAX;
    ensures error: 0 <= errno_now <= 4095; */
extern ssize_t pread(int fd, void *buf, size_t count, off_t offset);

/* As the program has it: where it is in a regular file. */
/*@ assigns \result \from indirect: fd;
    ensures place: 0 <= \result <= FILE_SIZE_MAX; */
extern off_t lseek(int fd, off_t offset, int whence);

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	return succeeds();
}

static int any_stat(struct stat *st)
{
	if (fails())
		return -1;
	Frama_C_make_unknown((char *)st, sizeof *st);
	return 0;
}

int fstat(int fd, struct stat *st)
{
	return any_stat(st);
}

int stat(const char *path, struct stat *st)
{
	strlen(path);
	return any_stat(st);
}

int fstatat(int folder, const char *path, struct stat *st, int flags)
{
	strlen(path);
	return any_stat(st);
}

int fstatfs(int fd, struct statfs *fs)
{
	if (fails())
		return -1;
	Frama_C_make_unknown((char *)fs, sizeof *fs);
	return 0;
}

/*@ requires path: valid_read_string(path);
    requires buffer: \valid(buf + (0 .. size - 1));
    assigns buf[0 .. size - 1] \from indirect: path[0 ..];
    assigns errno_now, \result \from indirect: path[0 ..], indirect: size;
    ensures short: -1 <= \result <= size;
    ensures error: 0 <= errno_now <= 4095; */
extern ssize_t readlink(const char *path, char *buf, size_t size);

/*@ requires name: valid_read_string(name);
    requires buffer: \valid((char *)value + (0 .. size - 1));
    assigns ((char *)value)[0 .. size - 1] \from indirect: fd, indirect: name[0 ..];
    assigns errno_now, \result \from indirect: fd, indirect: name[0 ..], indirect: size;
    ensures short: -1 <= \result <= size;
    ensures error: 0 <= errno_now <= 4095; */
extern ssize_t fgetxattr(int fd, const char *name, void *value, size_t size);

/*@ requires name: valid_read_string(name);
    requires value: \valid_read((char *)value + (0 .. size - 1));
    assigns errno_now, \result \from indirect: fd, indirect: name[0 ..], indirect: ((char *)value)[0 .. size - 1];
    ensures -1 <= \result <= 0 <= errno_now <= 4095; */
extern int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);

int fremovexattr(int fd, const char *name)
{
	strlen(name);
	return succeeds();
}

int fchown(int fd, uid_t uid, gid_t gid)
{
	return succeeds();
}

int fchmod(int fd, mode_t mode)
{
	return succeeds();
}

int futimens(int fd, const struct timespec *times)
{
	//@ assert whole: 0 <= times[1].tv_nsec < 1000000000;
	return succeeds();
}

int fsync(int fd)
{
	return any_result();
}

int unlinkat(int folder, const char *path, int flags)
{
	strlen(path);
	return succeeds();
}

int renameat(int from_folder, const char *from, int to_folder, const char *to)
{
	strlen(from);
	strlen(to);
	return any_result();
}

int pipe(int *fds)
{
	return pipe2(fds, 0);
}

unsigned int alarm(unsigned int seconds)
{
	strike();
	return Frama_C_unsigned_int_interval(0, 0xffffffff);
}

int prctl(int what, ...)
{
	return succeeds();
}

int getrlimit(int which, struct rlimit *is)
{
	return prlimit(0, which, NULL, is);
}

int setrlimit(int which, const struct rlimit *new)
{
	return prlimit(0, which, new, NULL);
}

uid_t getuid(void)
{
	return Frama_C_unsigned_int_interval(0, 0xffffffff);
}

uid_t geteuid(void)
{
	return Frama_C_unsigned_int_interval(0, 0xffffffff);
}

gid_t getgid(void)
{
	return Frama_C_unsigned_int_interval(0, 0xffffffff);
}

gid_t getegid(void)
{
	return Frama_C_unsigned_int_interval(0, 0xffffffff);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
	if (fails())
		return -1;
	now->tv_sec = Frama_C_long_interval(-0x7fffffffffffffff, 0x7fffffffffffffff);
	now->tv_nsec = any(0, 999999999);
	return 0;
}

int nanosleep(const struct timespec *time, struct timespec *left)
{
	//@ assert whole: 0 <= time->tv_sec && 0 <= time->tv_nsec < 1000000000;
	return any_result();
}

time_t time(time_t *now)
{
	return Frama_C_long_interval(-0x7fffffffffffffff, 0x7fffffffffffffff);
}

/* As string.h does: with contracts that say what is needed here. */
#undef memmove
#undef memcpy

/*@ requires target: \valid((char *)to + (0 .. n - 1));
    requires source: \valid_read((char *)from + (0 .. n - 1));
    assigns ((char *)to)[0 .. n - 1] \from ((char *)from)[0 .. n - 1];
    ensures same: \forall integer i; 0 <= i < n ==> ((char *)to)[i] == \old(((char *)from)[i]); */
extern void move_bytes(void *to, const void *from, size_t n);
#define memmove move_bytes

/*@ requires target: \valid((char *)to + (0 .. n - 1));
    requires source: \valid_read((char *)from + (0 .. n - 1));
    requires apart: \separated((char *)to + (0 .. n - 1), (char *)from + (0 .. n - 1));
    assigns ((char *)to)[0 .. n - 1] \from ((char *)from)[0 .. n - 1];
    ensures same: \forall integer i; 0 <= i < n ==> ((char *)to)[i] == ((char *)from)[i]; */
extern void copy_bytes(void *to, const void *from, size_t n);
#define memcpy copy_bytes

/*@ requires first: \valid_read(a + (0 .. n - 1));
    requires second: \valid_read(b + (0 .. n - 1));
    assigns \result \from indirect: a[0 .. n - 1], indirect: b[0 .. n - 1]; */
extern int compare_caseless(const char *a, const char *b, size_t n);
#define strncasecmp compare_caseless

/*@ requires place: \valid_read((char *)s + (0 .. n - 1));
    assigns \result \from s, indirect: c, indirect: n, indirect: ((char *)s)[0 .. n - 1];
    ensures inside: \result == \null || ((char *)s <= (char *)\result < (char *)s + n && \base_addr(\result) == \base_addr(s));
    ensures offset: \result == \null || 0 <= (char *)\result - (char *)s < n;
    ensures valid: \result == \null || \valid_read((char *)\result);
    ensures found: \result == \null || *(char *)\result == (char)c; */
extern void *find_byte(const void *s, int c, size_t n);
#define memchr find_byte

/*@ requires string: valid_read_string(s);
    assigns \result \from s, indirect: c, indirect: s[0 ..];
    ensures inside: \result == \null || (s <= \result < s + strlen(s) && \base_addr(\result) == \base_addr(s));
    ensures offset: \result == \null || 0 <= \result - s < strlen(s);
    ensures valid: \result == \null || \valid_read(\result);
    ensures found: \result == \null || *\result == (char)c; */
extern char *find_last(const char *s, int c);
#define strrchr find_last

/*@ requires string: valid_read_string(s);
    requires set: valid_read_string(set);
    assigns \result \from s, indirect: s[0 ..], indirect: set[0 ..];
    ensures inside: \result == \null || (s <= \result && \base_addr(\result) == \base_addr(s));
    ensures valid: \result == \null || \valid_read(\result); */
extern char *find_any(const char *s, const char *set);
#define strpbrk find_any

/*@ requires buffer: \valid((char *)buf + (0 .. len - 1));
    assigns ((char *)buf)[0 .. len - 1] \from \nothing;
    assigns errno_now, \result \from indirect: len;
    ensures short: -1 <= \result <= len;
    ensures error: 0 <= errno_now <= 4095; */
extern ssize_t random_bytes(void *buf, size_t len, unsigned int flags);
#define getrandom random_bytes

static int any_mask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t is = *set;

	if (old != NULL)
		Frama_C_make_unknown((char *)old, sizeof *old);
	return succeeds();
}
#define sigprocmask any_mask

/* Any text, of any length that musl or glibc have. */
static char *error_text(int number)
{
	static char text[ERROR_SIZE];

	Frama_C_make_unknown(text, ERROR_SIZE - 1);
	return text;
}
#define strerror error_text

/* Any bytes, whatever the setting, or none. */
char *crypt(const char *key, const char *setting)
{
	static char result[CRYPT_SIZE];

	strlen(key);
	strlen(setting);
	strike();
	errno = any(0, 4095);
	if (any(0, 1))
		return NULL;
	Frama_C_make_unknown(result, CRYPT_SIZE - 1);
	return result;
}
