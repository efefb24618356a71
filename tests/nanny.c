/*
 * nanny SECONDS PROGRAM [ARG ...]   runs it with default signals; whatever comes of it dies with it
 * nanny -w SECONDS PID              sends TERM to PID when the time is up, unless PID was the parent and is gone
 *
 * The nanny adopts every orphan below it and kills all of them when the program
 * has ended, the time is up (exit code 124), or it is told to stop (TERM, or
 * the end of the shell that started it).
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TIMED_OUT = 124, STOPPED = 143, SWEEPS = 500 };

/* The parent of a process, from the text after the last ')' of its stat line. */
static long parent_of(const char *pid)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	const char *end = strrchr(text, ')');
	return end && strlen(end) > 4 ? atol(end + 4) : -1;
}

static void kill_children(void)
{
	DIR *proc = opendir("/proc");
	if (!proc)
		return;
	for (struct dirent *e; (e = readdir(proc));)
		if (isdigit((unsigned char)*e->d_name) && parent_of(e->d_name) == getpid())
			kill((pid_t)atol(e->d_name), SIGKILL);
	closedir(proc);
}

/* The grandchildren become children as their parents die, hence the rounds. */
static void sweep(void)
{
	for (int i = 0; i < SWEEPS; i++) {
		pid_t pid = waitpid(-1, 0, WNOHANG);
		if (pid < 0)
			return;
		if (pid > 0)
			continue;
		kill_children();
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, 0);
	}
}

static void run(char **argv)
{
	sigset_t none;
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, 0);
	execvp(*argv, argv);
	fprintf(stderr, "nanny: %s: %s\n", *argv, strerror(errno));
	_exit(127);
}

/* The exit code of the shell's kind, once the program itself has ended; else -1. */
static int reap(pid_t program)
{
	int status, code = -1;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (pid == program)
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return code;
}

static int await(pid_t program, const sigset_t *set, time_t seconds)
{
	struct timespec now, left;
	clock_gettime(CLOCK_MONOTONIC, &now);
	for (time_t end = now.tv_sec + seconds;;) {
		int code = program ? reap(program) : -1;
		if (code >= 0)
			return code;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec >= end)
			return TIMED_OUT;
		left = (struct timespec){ .tv_sec = end - now.tv_sec };
		int sig = sigtimedwait(set, 0, &left);
		if (sig > 0 && sig != SIGCHLD)
			return STOPPED;
	}
}

int main(int argc, char **argv)
{
	static const int signals[] = { SIGCHLD, SIGTERM, SIGINT, SIGHUP };
	sigset_t set;
	int watch = argc > 1 && !strcmp(argv[1], "-w");
	if (argc < 3 + watch) {
		fputs("usage: nanny [-w] SECONDS PROGRAM|PID [ARG ...]\n", stderr);
		return 2;
	}
	sigemptyset(&set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		signal(signals[i], SIG_DFL);
		sigaddset(&set, signals[i]);
	}
	sigprocmask(SIG_BLOCK, &set, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (watch) {
		if (await(0, &set, atol(argv[2])) == TIMED_OUT)
			kill((pid_t)atol(argv[3]), SIGTERM);
		return 0;
	}
	pid_t program = fork();
	if (program < 0)
		return 2;
	if (!program)
		run(argv + 2);
	int code = await(program, &set, atol(argv[1]));
	sweep();
	return code;
}
