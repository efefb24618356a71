/*
 * odd [OPTION ...] PROGRAM [ARG ...]: runs it in unusual circumstances.
 *
 *	-c N	fd N is closed
 *	-o N	fd N is open (a file without a name that can be read and written)
 *	-i N	signal N is ignored
 *	-b N	signal N is blocked
 *	-a	an alarm of 1000 seconds runs
 *	-f	fd 2 is a pipe that is full and nobody reads
 *	-u N	uid and gid N
 *	-n N	at most N open descriptors
 *	-h	a child exists that has ended, and another that has not
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static sigset_t blocked;

static void check(int good, const char *what)
{
	if (good)
		return;
	perror(what);
	exit(125);
}

static void full_stderr(void)
{
	int p[2], keep;
	char block[4096] = "";
	check(!pipe(p), "pipe");
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	while (write(p[1], block, sizeof block) > 0)
		;
	while (write(p[1], block, 1) > 0)
		;
	fcntl(p[1], F_SETFL, 0);
	/* The read end has to stay open somewhere: in a child. */
	keep = fork();
	check(keep >= 0, "fork");
	if (!keep) {
		close(0);
		close(1);
		close(2);
		close(p[1]);
		alarm(60);
		pause();
		_exit(0);
	}
	close(p[0]);
	check(dup2(p[1], 2) == 2, "dup2");
	close(p[1]);
}

static void children(void)
{
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		check(pid >= 0, "fork");
		if (!pid) {
			if (i) {
				close(0);
				close(1);
				sleep(20);
			}
			_exit(3);
		}
	}
	usleep(50000);
}

static void identity(const char *id)
{
	gid_t n = (gid_t)atol(id);
	check(!setgroups(0, 0) && !setresgid(n, n, n) && !setresuid(n, n, n), "setresuid");
}

static void open_at(int n)
{
	int fd = memfd_create("odd", 0);
	check(fd >= 0, "memfd_create");
	if (fd == n)
		return;
	check(dup2(fd, n) == n, "dup2");
	close(fd);
}

int main(int argc, char **argv)
{
	int opt;
	struct rlimit files;
	sigemptyset(&blocked);
	while ((opt = getopt(argc, argv, "+c:o:i:b:afu:n:h")) != -1)
		switch (opt) {
		case 'c': close(atoi(optarg)); break;
		case 'o': open_at(atoi(optarg)); break;
		case 'i': signal(atoi(optarg), SIG_IGN); break;
		case 'b': sigaddset(&blocked, atoi(optarg)); break;
		case 'a': alarm(1000); break;
		case 'f': full_stderr(); break;
		case 'u': identity(optarg); break;
		case 'n':
			files.rlim_cur = files.rlim_max = (rlim_t)atol(optarg);
			check(!setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
			break;
		case 'h': children(); break;
		default: return 125;
		}
	check(optind < argc, "program");
	sigprocmask(SIG_BLOCK, &blocked, 0);
	execvp(argv[optind], argv + optind);
	check(0, argv[optind]);
}
