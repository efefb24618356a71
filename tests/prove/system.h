/*
 * The system as the analyser is to see it: every call may fail with any error,
 * or give any result, any bytes and any short count that the kernel could.
 * What a call demands of its caller is a "requires"; so a buffer that is too
 * small for its length is an alarm, whatever the kernel would have written.
 *
 * Calls without a body here do exactly what their contract says.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include FRAMAC_BUILTIN_H

int errno_now;

static int any(int min, int max)
{
	return Frama_C_interval(min, max);
}

/* Whether a call fails; if so, with any error. */
static int fails(void)
{
	if (any(0, 1))
		return 0;
	errno = any(1, 4095);
	return 1;
}

static int any_fd(void)
{
	return fails() ? -1 : any(0, 1048576);
}

static int succeeds(void)
{
	return fails() ? -1 : 0;
}

/*@ requires buffer: \valid((char *)buf + (0 .. count - 1));
    assigns ((char *)buf)[0 .. count - 1] \from indirect: fd;
    assigns errno_now, \result \from indirect: fd, indirect: count;
    ensures short: -1 <= \result <= count;
    ensures error: 0 <= errno_now <= 4095; */
extern ssize_t read(int fd, void *buf, size_t count);

/*@ requires buffer: \valid_read((char *)buf + (0 .. count - 1));
    assigns errno_now, \result \from indirect: fd, indirect: count, indirect: ((char *)buf)[0 .. count - 1];
    ensures short: -1 <= \result <= count;
    ensures error: 0 <= errno_now <= 4095; */
extern ssize_t write(int fd, const void *buf, size_t count);

/*@ assigns \nothing;
    ensures \false; */
extern void _exit(int code);

/* Where an array of strings must be whole: read as the kernel does. */
static void read_strings(char *const *s)
{
	size_t i;

	//@ loop unroll 64;
	for (i = 0; s[i] != NULL; i++)
		strlen(s[i]);
}

int close(int fd)
{
	return succeeds();
}


/* A socket's own write: what there is room for, or EAGAIN. */
/*@ requires buffer: \valid_read((char *)buf + (0 .. count - 1));
    assigns errno_now, \result \from indirect: fd, indirect: count, indirect: ((char *)buf)[0 .. count - 1];
    ensures short: -1 <= \result <= count;
    ensures error: 0 <= errno_now <= 4095; */
extern ssize_t send(int fd, const void *buf, size_t count, int flags);

int pipe2(int *fds, int flags)
{
	if (fails())
		return -1;
	fds[0] = any_fd();
	fds[1] = any_fd();
	return 0;
}

int dup2(int from, int to)
{
	return fails() ? -1 : to;
}

pid_t setsid(void)
{
	return fails() ? -1 : any(1, 0x3fffffff);
}

pid_t getpid(void)
{
	return any(1, 0x3fffffff);
}

int execv(const char *path, char *const *argv)
{
	strlen(path);
	read_strings(argv);
	errno = any(1, 4095);
	return -1;
}

int access(const char *path, int mode)
{
	strlen(path);
	return succeeds();
}

int kill(pid_t pid, int number)
{
	//@ assert never_everybody: pid > 1 || pid < -1;
	return succeeds();
}

/* The status is written where a child has ended, and only there. */
pid_t waitpid(pid_t pid, int *status, int flags)
{
	//@ assert one_child: pid > 0;
	if (fails())
		return -1;
	if (flags != 0 && any(0, 1))
		return 0;
	*status = any(0, 0xffff);
	return pid;
}

int shutdown(int fd, int how)
{
	return succeeds();
}

int socket(int domain, int type, int protocol)
{
	return any_fd();
}

/*@ requires address: \valid_read((char *)address + (0 .. len - 1));
    assigns errno_now, \result \from indirect: ((char *)address)[0 .. len - 1];
    ensures -1 <= \result <= 0 <= errno_now <= 4095; */
extern int connect(int fd, const struct sockaddr *address, socklen_t len);

/* Any bytes, and any length: the kernel tells the whole one where it did not fit. */
int getpeername(int fd, struct sockaddr *address, socklen_t *len)
{
	if (fails())
		return -1;
	Frama_C_make_unknown((char *)address, *len);
	*len = Frama_C_unsigned_int_interval(0, 4096);
	return 0;
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (fails())
		return -1;
	Frama_C_make_unknown(value, *len);
	*len = Frama_C_unsigned_int_interval(0, 4096);
	return 0;
}

ssize_t getrandom(void *buf, size_t len, unsigned int flags)
{
	if (fails())
		return -1;
	Frama_C_make_unknown(buf, len);
	return any(0, 1) ? (int)len : any(0, (int)len - 1);
}

int prlimit(pid_t pid, int which, const struct rlimit *new, struct rlimit *old)
{
	struct rlimit is;

	if (new != NULL)
		is = *new;
	if (fails())
		return -1;
	if (old != NULL) {
		old->rlim_cur = Frama_C_unsigned_long_interval(0, RLIM_INFINITY);
		old->rlim_max = Frama_C_unsigned_long_interval(0, RLIM_INFINITY);
	}
	return 0;
}

int setitimer(int which, const struct itimerval *new, struct itimerval *old)
{
	//@ assert whole: 0 <= new->it_value.tv_usec < 1000000 && 0 <= new->it_value.tv_sec;
	return succeeds();
}

/* Cannot fail for a timer that exists. */
/*@ requires place: \valid(now);
    assigns *now \from \nothing;
    ensures filled: \initialized(now) && \initialized(&now->it_value.tv_sec) && \initialized(&now->it_value.tv_usec);
    ensures whole: 0 <= now->it_value.tv_sec <= 3600 && 0 <= now->it_value.tv_usec < 1000000; */
extern int getitimer(int which, struct itimerval *now);

int sigemptyset(sigset_t *set)
{
	memset(set, 0, sizeof *set);
	return 0;
}

int sigaddset(sigset_t *set, int number)
{
	//@ assert number: 1 <= number < 65;
	set->__bits[0] |= 1UL << (number - 1);
	return 0;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *old)
{
	sigset_t is = *set;

	//@ assert not_asked: old == \null;
	return succeeds();
}
