/*
 * once [-n SESSIONS] [-r ROUNDS] [-s] [-i FILE] PROGRAM [-- PROGRAM]...
 *
 * Runs whole processes, no listener. The programs take turns session by session, each time
 * beginning with another, so that what disturbs the machine disturbs all of them alike; a
 * round is SESSIONS of each. A PROGRAM is [-3 FILE] PATH ARGUMENT...; "--" before the first.
 *
 * FILE is the whole standard input, written into a pipe (-s: a socket that is also the
 * standard output) before the start; the file of -3 is what descriptor 3 holds.
 * Written for each round and program: "round program cpu wall maxrss errors", times in
 * microseconds a session (wait4's user and system time, waited-for children included),
 * memory in kilobytes. With -i a session that does not give five lines "200 ..." is an error;
 * so is any exit code but 0.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PROGRAMS_MAX = 16, FILE_MAX = 4096, REPLIES = 5, SESSION_MAX = 120 };

struct program {
	char **argv;
	char record[FILE_MAX];
	size_t record_length;
	int has_record;
};

static struct program programs[PROGRAMS_MAX];
static size_t program_count;
static char input[FILE_MAX];
static size_t input_length;
static int has_input, over_socket;

struct cost {
	double cpu, wall;
	long maxrss;
	int errors;
};

static void die(const char *what)
{
	fprintf(stderr, "once: %s: %s\n", what, strerror(errno));
	exit(111);
}

static size_t load_file(const char *path, char *to)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd == -1 ? -1 : read(fd, to, FILE_MAX);

	if (n == -1)
		die(path);
	close(fd);
	return n;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static double micros(struct timeval t)
{
	return t.tv_sec * 1e6 + t.tv_usec;
}

/* theirs: what the program reads from and writes to; ours: where its replies arrive. */
static void open_stdio(int theirs[2], int *ours)
{
	int in[2], out[2];

	if (over_socket) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) == -1)
			die("socketpair");
		theirs[0] = theirs[1] = in[0];
		*ours = in[1];
		if (write(in[1], input, input_length) != (ssize_t)input_length)
			die("write");
		shutdown(in[1], SHUT_WR);
		return;
	}
	if (pipe2(in, O_CLOEXEC) == -1 || pipe2(out, O_CLOEXEC) == -1)
		die("pipe");
	if (write(in[1], input, input_length) != (ssize_t)input_length)
		die("write");
	close(in[1]);
	theirs[0] = in[0];
	theirs[1] = out[1];
	*ours = out[0];
}

static int open_record(const struct program *p)
{
	int fds[2];

	if (!p->has_record)
		return -1;
	if (pipe2(fds, O_CLOEXEC) == -1)
		die("pipe");
	if (write(fds[1], p->record, p->record_length) != (ssize_t)p->record_length)
		die("write");
	close(fds[1]);
	return fds[0];
}

static pid_t start(const struct program *p, const int stdio[2], int record)
{
	pid_t child = vfork();

	if (child == -1)
		die("vfork");
	if (child > 0)
		return child;
	dup2(stdio[0], 0);
	dup2(stdio[1], 1);
	if (record == 3)
		fcntl(3, F_SETFD, 0);
	else if (record != -1)
		dup2(record, 3);
	execv(p->argv[0], p->argv);
	_exit(127);
}

static int replies_are_wrong(int fd)
{
	char text[FILE_MAX], *line = text;
	size_t length = 0;
	ssize_t n;
	int good = 0;

	while ((n = read(fd, text + length, sizeof text - 1 - length)) > 0)
		length += n;
	text[length] = 0;
	while (strncmp(line, "200 ", 4) == 0 && (line = strchr(line, '\n')) != NULL) {
		good++;
		line++;
	}
	return has_input && (good != REPLIES || !line || *line);
}

static void run_session(const struct program *p, struct cost *c)
{
	int stdio[2], ours, record, status;
	struct rusage used;
	double begin;
	pid_t child;

	open_stdio(stdio, &ours);
	record = open_record(p);
	begin = now();
	alarm(SESSION_MAX);
	child = start(p, stdio, record);
	close(stdio[0]);
	if (stdio[1] != stdio[0])
		close(stdio[1]);
	if (record != -1)
		close(record);
	if (wait4(child, &status, 0, &used) == -1)
		die("wait4");
	c->wall += now() - begin;
	c->cpu += micros(used.ru_utime) + micros(used.ru_stime);
	if (used.ru_maxrss > c->maxrss)
		c->maxrss = used.ru_maxrss;
	if (replies_are_wrong(ours) || status != 0)
		c->errors++;
	close(ours);
}

static void parse_programs(char **argv)
{
	struct program *p;

	while (*argv) {
		if (program_count == PROGRAMS_MAX) {
			errno = E2BIG;
			die("programs");
		}
		p = &programs[program_count++];
		if (strcmp(*argv, "-3") == 0 && argv[1] && argv[2]) {
			p->record_length = load_file(argv[1], p->record);
			p->has_record = 1;
			argv += 2;
		}
		p->argv = argv;
		while (*argv && strcmp(*argv, "--") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
}

static int run_round(int round, int sessions)
{
	struct cost costs[PROGRAMS_MAX] = {{0, 0, 0, 0}};
	int i, errors = 0;
	size_t k;

	for (i = 0; i < sessions; i++)
		for (k = 0; k < program_count; k++) {
			size_t which = (k + i) % program_count;

			run_session(&programs[which], &costs[which]);
		}
	for (k = 0; k < program_count; k++) {
		printf("%d %zu %.1f %.1f %ld %d\n", round, k, costs[k].cpu / sessions,
			costs[k].wall / sessions, costs[k].maxrss, costs[k].errors);
		errors += costs[k].errors;
	}
	return errors;
}

int main(int argc, char **argv)
{
	int option, round, errors = 0, sessions = 50, rounds = 5;

	while ((option = getopt(argc, argv, "+n:r:si:")) != -1)
		switch (option) {
		case 'n': sessions = atoi(optarg); break;
		case 'r': rounds = atoi(optarg); break;
		case 's': over_socket = 1; break;
		case 'i': input_length = load_file(optarg, input); has_input = 1; break;
		default: return 100;
		}
	parse_programs(argv + optind);
	if (program_count == 0 || sessions < 1 || rounds < 1) {
		fprintf(stderr, "usage: once [-n sessions] [-r rounds] [-s] [-i file] program ... [-- program ...]\n");
		return 100;
	}
	for (round = 0; round < rounds; round++)
		errors += run_round(round, sessions);
	return errors ? 1 : 0;
}
