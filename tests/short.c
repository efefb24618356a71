/*
 * short [-w] [-r] CALL N[:ERROR] PROGRAM [ARG ...]: its N-th call of read or write moves one byte, whatever it asked
 * for; with ERROR any call fails so instead, with N+ every later one, too
 *
 * (strace can make a call fail, but not make it do half of its work, nor reach behind a filter of system
 * calls: here a call that has to fail becomes an empty poll, which such a filter lets through.)
 * With -r it is about the first process that the program forks, qmail-poppass's relay. With -w it
 * says on standard error if that happened. Exits as the program does; 125 where this machine's registers are not known.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __x86_64__
#define CALL	orig_rax
#define COUNT	rdx
#elif defined __aarch64__
#define CALL	regs[8]
#define COUNT	regs[2]
#endif

/* The names that strace uses. */
static const struct { const char *name; long number; } calls[] = {
#define C(name)	{ #name, SYS_##name }
	C(read), C(write), C(sendto), C(recvfrom), C(pread64), C(shutdown), C(close), C(chroot), C(chdir), C(setgroups),
	C(setresgid), C(setresuid), C(getresgid), C(getresuid), C(getgroups), C(prlimit64), C(prctl), C(getppid),
	C(getpid), C(setitimer), C(rt_sigaction), C(rt_sigprocmask), C(setsockopt), C(geteuid), C(openat),
#ifdef __x86_64__
	C(poll), C(dup2), C(alarm), C(open), C(getrandom),
#endif
};

static const struct { const char *name; int number; } errors[] = {
#define E(name)	{ #name, name }
	E(EINTR), E(EAGAIN), E(ENOMEM), E(EMFILE), E(ENOSPC), E(EIO), E(EPIPE), E(ECONNRESET), E(ENOSYS), E(EPERM), E(EINVAL),
};

static long number_of(const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	return -1;
}

static int error_of(const char *name)
{
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (!strcmp(errors[i].name, name))
			return errors[i].number;
	exit(125);
}

static long number, left;	/* of the call, and how many of it are still to come */
static int error, later;

#ifdef CALL
static struct user_regs_struct before;

static int registers(int request, pid_t pid, struct user_regs_struct *regs)
{
	struct iovec all = { regs, sizeof *regs };
	return ptrace(request, pid, (void *)NT_PRSTATUS, &all) == 0;
}

/* True if this was the call, which now asks for one byte. */
static int cut(pid_t pid, struct user_regs_struct regs)
{
	if ((long)regs.COUNT < 2)
		return 0;
	regs.COUNT = 1;
	return registers(PTRACE_SETREGSET, pid, &regs);
}

/* The same, but the call is a poll of nothing; give_error() does the rest. */
static int replace(pid_t pid, struct user_regs_struct regs)
{
#ifdef __x86_64__
	before = regs;
	regs.orig_rax = SYS_poll;
	regs.rdi = regs.rsi = regs.rdx = 0;
	return registers(PTRACE_SETREGSET, pid, &regs);
#else
	exit(125);
#endif
}

static void give_error(pid_t pid)
{
#ifdef __x86_64__
	before.rax = (unsigned long)-error;
	registers(PTRACE_SETREGSET, pid, &before);
#endif
	(void)pid;
}

static int hit(pid_t pid)
{
	struct user_regs_struct regs = { 0 };
	if (left == 0 || !registers(PTRACE_GETREGSET, pid, &regs) || (long)regs.CALL != number || --left)
		return 0;
	left = later;
	return error ? replace(pid, regs) : cut(pid, regs);
}
#else
static int hit(pid_t pid)
{
	(void)pid;
	exit(125);
}
#endif

/* Goes on until the first fork; the program is let go then, and its child looked after. */
static pid_t relay_of(pid_t program)
{
	unsigned long child = 0;
	int status;
	do
		if (ptrace(PTRACE_CONT, program, 0, 0) || waitpid(program, &status, 0) != program || !WIFSTOPPED(status))
			exit(126);
	while (status >> 8 != (SIGTRAP | PTRACE_EVENT_FORK << 8));
	ptrace(PTRACE_GETEVENTMSG, program, 0, &child);
	waitpid((pid_t)child, &status, __WALL);
	ptrace(PTRACE_SETOPTIONS, (pid_t)child, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	ptrace(PTRACE_DETACH, program, 0, 0);
	return (pid_t)child;
}

/* To its end, or until nothing is left to do. */
static int follow(pid_t pid, int tell)
{
	int status = SIGSTOP << 8 | 0x7f, leaving = 0, failed = 0;
	while (WIFSTOPPED(status)) {
		int sig = WSTOPSIG(status);
		if (sig == (SIGTRAP | 0x80)) {
			if (leaving && failed)
				give_error(pid);
			failed = 0;
			if (!leaving && hit(pid)) {
				failed = error;
				if (tell)
					fputs("short: done\n", stderr);
				tell = 0;
			}
			leaving = !leaving;
		}
		sig = sig == (SIGTRAP | 0x80) || sig == SIGTRAP || sig == SIGSTOP ? 0 : sig;
		if (ptrace(left > 0 || failed ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, sig) || waitpid(pid, &status, __WALL) != pid)
			return -1;
	}
	return status;
}

int main(int argc, char **argv)
{
	int status, tell = 0, relay = 0;
	for (; argc > 1 && *argv[1] == '-'; argv++, argc--) {
		tell |= !strcmp(argv[1], "-w");
		relay |= !strcmp(argv[1], "-r");
	}
	if (argc < 4 || (number = number_of(argv[1])) < 0)
		return 125;
	char *rest;
	left = strtol(argv[2], &rest, 10);
	later = *rest == '+';
	if (rest[later] == ':')
		error = error_of(rest + later + 1);
	pid_t pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | (relay ? PTRACE_O_TRACEFORK : 0));
	if (relay) {
		follow(relay_of(pid), tell);
		waitpid(pid, &status, 0);
	} else
		status = follow(pid, tell);
	if (status == -1)
		return 126;
	if (WIFSIGNALED(status))
		raise(WTERMSIG(status));
	return WEXITSTATUS(status);
}
