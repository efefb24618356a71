/*
 * trace count FILE PROGRAM [ARG ...]	writes to FILE how many instructions it took
 * trace kill MICROSECONDS PROGRAM [ARG ...]	kills it after so long; exit code 137 if it still ran
 *
 * Else it exits as the program does.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t start(char **argv, int traced)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	if (traced && ptrace(PTRACE_TRACEME, 0, 0, 0))
		_exit(125);
	execv(*argv, argv);
	_exit(127);
}

/* Stopped at its exec and after every instruction. */
static int count(const char *path, char **argv)
{
	unsigned long steps = 0;
	int status;
	pid_t pid = start(argv, 1);

	while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status)) {
		int sig = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, sig))
			break;
		steps++;
	}
	FILE *f = fopen(path, "w");
	if (!f)
		return 126;
	int failed = fprintf(f, "%lu\n", steps) < 0;
	return fclose(f) || failed ? 126 : status;
}

static int killed(const char *microseconds, char **argv)
{
	long us = atol(microseconds);
	struct timespec ts = { us / 1000000, us % 1000000 * 1000 };
	int status;
	pid_t pid = start(argv, 0);

	nanosleep(&ts, 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return status;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	int status = strcmp(argv[1], "count") ? killed(argv[2], argv + 3) : count(argv[2], argv + 3);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
