/*
 * escape PID NUMBER: makes the process, which sleeps in a system call, do another one, with
 * arguments of zero, as somebody would who has taken it over. Prints "killed N" (the signal),
 * "returned N" or "exited N". Exit code 0, 2 where this machine cannot.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__

int main(int argc, char **argv)
{
	struct user_regs_struct r, mine;
	int status;
	if (argc < 3)
		return 2;
	pid_t pid = atoi(argv[1]);
	alarm(20);
	if (ptrace(PTRACE_ATTACH, pid, 0, 0) || waitpid(pid, &status, 0) < 0 || ptrace(PTRACE_GETREGS, pid, 0, &r)) {
		perror("escape");
		return 2;
	}
	/* It stopped behind the instruction "syscall", of two bytes: do that again. */
	mine = r;
	mine.rip -= 2;
	mine.rax = atol(argv[2]);
	mine.orig_rax = -1;
	mine.rdi = mine.rsi = mine.rdx = mine.r10 = 0;
	if (ptrace(PTRACE_SETREGS, pid, 0, &mine) || ptrace(PTRACE_SINGLESTEP, pid, 0, 0) || waitpid(pid, &status, 0) < 0) {
		perror("escape");
		return 2;
	}
	if (WIFSIGNALED(status))
		printf("killed %d\n", WTERMSIG(status));
	else if (WIFEXITED(status))
		printf("exited %d\n", WEXITSTATUS(status));
	else if (WSTOPSIG(status) == 31)
		printf("killed 31\n");
	else if (ptrace(PTRACE_GETREGS, pid, 0, &mine) == 0)
		printf("returned %lld\n", (long long)mine.rax);
	ptrace(PTRACE_SETREGS, pid, 0, &r);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	return 0;
}

#else

int main(void)
{
	return 2;
}

#endif
