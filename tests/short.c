/*
 * short [-w] CALL N PROGRAM [ARG ...]: its N-th call of read or write moves one byte, whatever it asked for
 *
 * (strace can make a call fail, but not make it do half of its work.) With -w
 * it says on standard error if that happened. Exits as the program does; 125 where
 * this machine's registers are not known.
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

static const struct { const char *name; long number; } calls[] = {
	{ "read", SYS_read }, { "write", SYS_write }, { "sendto", SYS_sendto }, { "recvfrom", SYS_recvfrom },
	{ "pread64", SYS_pread64 }, { "pwritev2", -1 },
};

static long number_of(const char *name)
{
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
		if (!strcmp(calls[i].name, name))
			return calls[i].number;
	return -1;
}

#ifdef CALL
/* True if this was the call, which now asks for one byte. */
static int cut(pid_t pid, long number, long *left)
{
	struct user_regs_struct regs;
	struct iovec all = { &regs, sizeof regs };
	if (ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &all) || (long)regs.CALL != number)
		return 0;
	if (--*left || (long)regs.COUNT < 2)
		return 0;
	regs.COUNT = 1;
	return !ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &all);
}
#else
static int cut(pid_t pid, long number, long *left)
{
	(void)pid, (void)number, (void)left;
	exit(125);
}
#endif

int main(int argc, char **argv)
{
	int status, entering = 1, tell = argc > 1 && !strcmp(argv[1], "-w");
	argv += tell;
	if (argc - tell < 4 || number_of(argv[1]) < 0)
		return 125;
	long number = number_of(argv[1]), left = atol(argv[2]);
	pid_t pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(argv[3], argv + 3);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	while (WIFSTOPPED(status)) {
		int sig = WSTOPSIG(status);
		if (sig == (SIGTRAP | 0x80)) {
			if (entering && left > 0 && cut(pid, number, &left) && tell)
				fputs("short: done\n", stderr);
			entering = !entering;
		}
		sig = sig == (SIGTRAP | 0x80) || sig == SIGTRAP ? 0 : sig;
		if (ptrace(left > 0 ? PTRACE_SYSCALL : PTRACE_CONT, pid, 0, sig) || waitpid(pid, &status, 0) != pid)
			return 126;
	}
	if (WIFSIGNALED(status))
		raise(WTERMSIG(status));
	return WEXITSTATUS(status);
}
