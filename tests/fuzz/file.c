/*
 * Fuzzing setpassword-file: the whole of backends/file.c, from main to its end, on a file system made here.
 *
 * Input: 2 bytes (which file, how the program is called), 2 for the length of the record,
 * the record, then the file; where it is the system's shadow, /etc/passwd is its second half.
 *
 * A change has to be of the first line with that name, whose old password was right, and
 * of nothing but its hash (and, in a line of shadow's form, of the day); whatever else
 * happens, the file stays as it is. crypt(3) is one of 16 results here, so that a fuzzer finds right passwords.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define CHECK(c, what) do { if (!(c)) { fprintf(stderr, "WRONG: %s (exit %d)\nfile: %.*s\nnew: %.*s\n", what, code, (int)file_size, file_data, (int)made_size, made); abort(); } } while (0)

enum { FILE_FD = 10, PASSWD_FD, LOCK_FD, NEW_FD, FOLDER_FD, MAX = 1 << 17 };

static jmp_buf at_exit;
static int code, renamed, executed, fd3_at_next;
static const char *file_path;
static uint8_t file_data[MAX], passwd_data[MAX], made[MAX];
static const uint8_t *record_data;
static size_t file_size, passwd_size, made_size, record_size, record_at, at[20];
static char next_record[2048];
static size_t next_size;

/* The setting up to the last $, or of the oldest schemes so many bytes, and a letter for the password. */
static char *fake_crypt(const char *key, const char *setting)
{
	static char result[1024];
	static const char letters[] = "abcdefghijklmnop";
	const char *dollar = strrchr(setting, '$');
	size_t n = strlen(setting), keep;
	unsigned sum = 7;
	for (; *key; key++)
		sum = sum * 31 + (unsigned char)*key;
	if (n > 900 || strpbrk(setting, ":\n") || n < 2)
		return "*0";
	keep = dollar ? (size_t)(dollar - setting) + 1 : *setting == '_' ? 9 : 2;
	if (keep > n)
		return "*0";
	memcpy(result, setting, keep);
	memset(result + keep, letters[(sum ^ sum >> 8) % 16], 11);
	result[keep + 11] = 0;
	return result;
}

static int fd_of(const char *path)
{
	if (!strcmp(path, file_path) || !strcmp(path, strrchr(file_path, '/') + 1))
		return FILE_FD;
	if (!strcmp(path, "/etc/passwd"))
		return PASSWD_FD;
	if (strstr(path, ".poppass"))
		return NEW_FD;
	return strstr(path, ".lock") || strstr(path, ".pwd.lock") ? LOCK_FD : strstr(path, "/.") ? FOLDER_FD : -1;
}

static int fake_open(const char *path)
{
	int fd = fd_of(path);
	if (fd < 0)
		errno = ENOENT;
	else
		at[fd] = 0;
	return fd;
}

static int fake_stat(int fd, struct stat *st)
{
	memset(st, 0, sizeof *st);
	st->st_mode = S_IFREG | 0640;
	st->st_ino = (ino_t)fd;
	st->st_size = (off_t)(fd == FILE_FD ? file_size : fd == NEW_FD ? made_size : 0);
	st->st_mtim.tv_sec = fd == FILE_FD ? 1000 : 2000;
	return 0;
}

/* Two folders: / and /etc */
static int fake_stat_path(const char *path, struct stat *st)
{
	fake_stat(strstr(path, "etc") ? 1 : 2, st);
	return 0;
}

static ssize_t fake_pread(int fd, void *buf, size_t n, off_t from)
{
	const uint8_t *data = fd == 3 ? record_data : fd == FILE_FD ? file_data : fd == PASSWD_FD ? passwd_data : 0;
	size_t size = fd == 3 ? record_size : fd == FILE_FD ? file_size : passwd_size;
	CHECK(data, "reads from another descriptor");
	if (n > 700 && from % 3 == 1)
		n = 700;
	if ((size_t)from > size)
		return 0;
	if (n > size - (size_t)from)
		n = size - (size_t)from;
	memcpy(buf, data + from, n);
	return (ssize_t)n;
}

static ssize_t fake_read(int fd, void *buf, size_t n)
{
	ssize_t r = fake_pread(fd, buf, n, (off_t)at[fd]);
	at[fd] += (size_t)r;
	return r;
}

static ssize_t fake_write(int fd, const void *buf, size_t n)
{
	if (fd == 1 || fd == 2) {
		const char *p = buf;
		CHECK(n <= 200 && p[n - 1] == '\n', "a write that is no line");
		for (size_t i = 0; i + 1 < n; i++)
			CHECK(p[i] >= 32 && p[i] < 127, "a byte in a line");
		return (ssize_t)n;
	}
	if (fd == 4) {
		memcpy(next_record + next_size, buf, n);
		next_size += n;
		return (ssize_t)n;
	}
	CHECK(fd == NEW_FD && !renamed, "writes to another file");
	CHECK(made_size + n <= sizeof made, "writes for ever");
	memcpy(made + made_size, buf, n);
	made_size += n;
	return (ssize_t)n;
}

static _Noreturn void fake_exit(int c)
{
	code = c;
	longjmp(at_exit, 1);
}

static int fake_pipe(int *p)
{
	p[0] = 3;
	p[1] = 4;
	return 0;
}

static int fake_execv(void)
{
	executed = 1;
	fake_exit(1);
}

static int fake_rename(const char *from, const char *to)
{
	CHECK(fd_of(from) == NEW_FD && fd_of(to) == FILE_FD, "renames another file");
	renamed = 1;
	return 0;
}

static int no_link(void)
{
	errno = EINVAL;
	return -1;
}

static int no_attribute(void)
{
	errno = ENODATA;
	return -1;
}

static ssize_t fake_getrandom(uint8_t *p, size_t n)
{
	memset(p, 0x5b, n);
	return (ssize_t)n;
}

#define crypt(k, s)		fake_crypt(k, s)
#define open(p, ...)		fake_open(p)
#define openat(d, p, ...)	fake_open(p)
#define read(f, b, n)		fake_read(f, b, n)
#define pread(f, b, n, o)	fake_pread(f, b, n, o)
#define write(f, b, n)		fake_write(f, b, n)
#define lseek(f, o, w)		((off_t)made_size)
#define fallocate(f, m, o, n)	0
#define close(f)		0
#define fcntl(f, ...)		0
#define flock(f, o)		0
#define fstat(f, s)		fake_stat(f, s)
#define fstatat(d, p, s, f)	fake_stat(fd_of(p), s)
#define fstatfs(f, s)		(memset(s, 0, sizeof *(s)), 0)
#define stat(p, s)		fake_stat_path(p, s)
#define readlink(p, b, n)	no_link()
#define fsync(f)		0
#define renameat(a, b, c, d)	fake_rename(b, d)
#define unlinkat(d, p, f)	0
#define futimens(f, t)		0
#define fchmod(f, m)		0
#define fchown(f, u, g)		0
#define fgetxattr(f, n, v, s)	no_attribute()
#define fsetxattr(f, n, v, s, x)	0
#define getrandom(p, n, f)	fake_getrandom(p, n)
#define pipe(p)			fake_pipe(p)
#define execv(p, a)		fake_execv()
#define alarm(n)		0
#define sigaction(s, n, o)	((void)(n), (void)(o), 0)
#define sigprocmask(h, n, o)	0
#define prctl(...)		0
#define getrlimit(r, l)		0
#define setrlimit(r, l)		0
#define kill(p, s)		0
#define getpid()		4242
#define poll(p, n, t)		1
#define time(t)			((time_t)20000 * 86400)
#define _exit(c)		fake_exit(c)
#define SETTER			1
#define main			file_main
#include "../../backends/file.c"
#undef main

static const uint8_t *end_of(const uint8_t *p, const uint8_t *end, int c)
{
	const uint8_t *q = memchr(p, c, (size_t)(end - p));
	return q ? q : end;
}

/* The name's first line; its field 2 from *from to *to. */
static int find_line(const char *name, const uint8_t **from, const uint8_t **to, const uint8_t **eol)
{
	const uint8_t *end = file_data + file_size;
	size_t n = strlen(name);
	for (const uint8_t *p = file_data; p < end; p = *eol + 1) {
		*eol = end_of(p, end, '\n');
		if ((size_t)(*eol - p) > n && !memcmp(p, name, n) && p[n] == ':') {
			*from = p + n + 1;
			*to = end_of(*from, *eol, ':');
			if (*to == *eol && *to > *from && (*to)[-1] == '\r' && *eol < end)
				--*to;
			else if (*to == *eol && *eol == end && *to > *from && (*to)[-1] == '\r')
				--*to;
			return 1;
		}
		if (*eol == end)
			break;
	}
	return 0;
}

/* A hash from the file or of ours: does that password fit it? */
static int fits(const uint8_t *from, size_t n, const char *password)
{
	static char field[MAX];
	memcpy(field, from, n);
	field[n] = 0;
	char *hash = *field == '{' && strchr(field, '}') ? strchr(field, '}') + 1 : field;
	return !strcmp(fake_crypt(password, hash), hash);
}

static void check_change(const char *name, const char *old, const char *new)
{
	const uint8_t *from, *to, *eol, *p = made, *end = made + made_size, *rest;
	CHECK(find_line(name, &from, &to, &eol), "a name that is not there");
	CHECK(fits(from, (size_t)(to - from), old), "a wrong password");
	CHECK(strlen(new) >= 1 && *old, "an empty password");
	size_t head = (size_t)(from - file_data);
	CHECK(made_size >= head && !memcmp(made, file_data, head), "what stood before");
	p += head;
	rest = end_of(p, end, *to == ':' && to < eol ? ':' : '\n');
	if (rest > p && rest[-1] == '\r')
		rest--;
	CHECK(fits(p, (size_t)(rest - p), new), "the new password");
	size_t left = file_size - (size_t)(to - file_data);
	if ((size_t)(end - rest) == left && !memcmp(rest, to, left))
		return;
	/* Or with another day. */
	CHECK(*to == ':' && to < eol, "what stood behind");
	const uint8_t *day = end_of(to + 1, eol, ':'), *new_day = end_of(rest + 1, end, ':');
	CHECK(new_day - rest == 6 && !memcmp(rest, ":20000", 6), "the day");
	left = file_size - (size_t)(day - file_data);
	CHECK((size_t)(end - new_day) == left && !memcmp(new_day, day, left), "what stood behind the day");
}

static void reset(void)
{
	memset(&secret, 0, sizeof secret);
	record_len = decoys = 0;
	kind = OTHER;
	drop_domain = uid_asked = new_is_ours = 0;
	min_uid = MINUID;
	min_len = MINLEN;
	folder = -1;
	strcpy(lock_path, LOCK_FILE);
	lock_name = lock_path;
	code = renamed = executed = 0;
	made_size = next_size = 0;
	memset(at, 0, sizeof at);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char name[RECORD_MAX + 1];
	static char *calls[][9] = {
		{ "s", "-f", 0, "-m1", 0 }, { "s", "-f", 0, "-m1", "/next", 0 }, { "s", "-f", 0, "-dm1", "-u5", 0 }, { "s", "-f", 0, 0 },
	};
	static const char *const files[] = { "/f", "/etc/shadow", "/etc/passwd", "/f" };
	if (n < 4 || n > 60000)
		return 0;
	char **argv = calls[data[1] % 4];
	file_path = argv[2] = (char *)files[data[0] % 4];
	record_size = data[2] | (data[3] & 3) << 8;
	if (record_size > n - 4)
		record_size = n - 4;
	record_data = data + 4;
	file_size = n - 4 - record_size;
	memcpy(file_data, record_data + record_size, file_size);
	if (data[0] % 4 == 1) {
		passwd_size = file_size / 2;
		file_size -= passwd_size;
		memcpy(passwd_data, file_data + file_size, passwd_size);
	}
	if (data[0] % 4 == 2)	/* the file is the passwd file, too */
		memcpy(passwd_data, file_data, passwd_size = file_size);
	reset();
	int argc = 0;
	while (argv[argc])
		argc++;
	if (!setjmp(at_exit))
		file_main(argc, argv);
	CHECK(code == 0 || code == 1 || code == 2 || code == 111, "another exit code");
	CHECK((code == 0) == renamed, "success without a change, or a change without");
	const char *p = (const char *)&secret;
	CHECK(!*p && !memcmp(p, p + 1, sizeof secret - 1), "memory that is not wiped");
	if (executed)
		CHECK(next_size == record_size && !memcmp(next_record, record_data, record_size), "another record for the next program");
	if (!renamed)
		return 0;
	const char *r = (const char *)record_data, *old = r + strlen(r) + 1, *new = old + strlen(old) + 2;
	CHECK(record_size <= RECORD_MAX && (size_t)(new + strlen(new) + 1 - r) == record_size && new[-1] == 0, "a malformed record");
	snprintf(name, sizeof name, "%s", r);
	if (data[1] % 4 == 2 && strchr(name, '@'))
		*strchr(name, '@') = 0;
	CHECK(*name && *name != '#' && strcmp(name, "root") && !strpbrk(name, ":\n\r\t"), "a name that must not be");
	check_change(name, old, new);
	return 0;
}
