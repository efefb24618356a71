/*
 * A chain program that does what its arguments say, one after the other:
 *
 *	record PREFIX	writes PREFIX.fd3 (the bytes of fd 3 up to its end), PREFIX.args, PREFIX.env (a line each),
 *			PREFIX.state (what it was given by the system) and, last, PREFIX.pid
 *	append FILE	appends "NAME OLD NEW" of the record, in one write
 *	accept NAME OLD	exits 1 unless this is what fd 3 says (the rest is not looked at)
 *	hide TEXT	exits 0 if the old or new password of the record is TEXT
 *	print TEXT	to standard output, with \n \r \t \0 \\ \xHH (so in err)
 *	err TEXT	to standard error
 *	old, new	prints that field of the record
 *	fill BYTES	prints so many of 'x'
 *	flood		prints for ever
 *	sleep MS
 *	until FILE	waits until it is there
 *	forever		sleeps until it is killed, TERM is not enough
 *	close		closes its standard output
 *	grandchild FILE	leaves a child with all descriptors that sleeps 3 s and then writes FILE
 *	session FILE	the same in a session of its own
 *	signal N	kills itself by this signal
 *	exec PROG ...	runs it with the rest of the arguments
 *	exit N
 *
 * Without an exit it exits 0. Nothing of it outlives 60 seconds.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "unescape.h"

enum { FDS = 1024, BACKSTOP = 60, GRANDCHILD_SLEEP = 3 };

extern char **environ;
static char **all_args;
static char record[4096];
static size_t record_size;
static unsigned alarm_left;

static FILE *create(const char *prefix, const char *suffix)
{
	char path[4096];
	snprintf(path, sizeof path, "%s%s", prefix, suffix);
	FILE *f = fopen(path, "we");
	if (!f) {
		perror(path);
		exit(99);
	}
	return f;
}

/* A record read once; later users see the same. */
static void read_record(void)
{
	static int done;
	if (done++)
		return;
	for (ssize_t n; record_size < sizeof record - 1; record_size += (size_t)n)
		if ((n = read(3, record + record_size, sizeof record - 1 - record_size)) <= 0)
			return;
}

/* Fields: 0 the name, 1 the old password, 3 the new one. */
static const char *field(int i)
{
	read_record();
	const char *p = record;
	while (i-- && p < record + record_size)
		p += strlen(p) + 1;
	return p < record + record_size ? p : "";
}

static const char *type_of(const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFCHR:
		return st->st_rdev == makedev(1, 3) ? "null" : "char";
	case S_IFIFO: return "pipe";
	case S_IFSOCK: return "socket";
	case S_IFREG: return "file";
	case S_IFDIR: return "dir";
	default: return "other";
	}
}

static void state_fds(FILE *f, int own)
{
	static const char *const access[] = { "r", "w", "rw", "?" };
	struct stat st;
	for (int fd = 0; fd < FDS; fd++)
		if (fd != own && !fstat(fd, &st))
			fprintf(f, "fd %d %s %s\n", fd, type_of(&st), access[fcntl(fd, F_GETFL) & O_ACCMODE]);
}

static void state_signals(FILE *f)
{
	struct sigaction sa;
	sigset_t mask;
	sigprocmask(SIG_SETMASK, 0, &mask);
	for (int sig = 1; sig < NSIG; sig++) {
		if (!sigaction(sig, 0, &sa) && sa.sa_handler != SIG_DFL)
			fprintf(f, "signal %d %s\n", sig, sa.sa_handler == SIG_IGN ? "ignored" : "handled");
		if (sigismember(&mask, sig) == 1)
			fprintf(f, "signal %d blocked\n", sig);
	}
}

static void state(const char *prefix)
{
	char cwd[4096];
	struct rlimit core = { 0 };
	mode_t mask = umask(0);
	FILE *f = create(prefix, ".state");
	state_fds(f, fileno(f));
	state_signals(f);
	getrlimit(RLIMIT_CORE, &core);
	fprintf(f, "cwd %s\n", getcwd(cwd, sizeof cwd) ? cwd : "?");
	fprintf(f, "umask %03o\n", (unsigned)mask);
	fprintf(f, "session %s\n", getsid(0) == getpid() ? "own" : "inherited");
	fprintf(f, "group %s\n", getpgrp() == getpid() ? "own" : "inherited");
	fprintf(f, "alarm %s\n", alarm_left ? "running" : "none");
	fprintf(f, "core %llu\n", (unsigned long long)core.rlim_cur);
	fprintf(f, "parent %ld\n", (long)getppid());
	umask(mask);
	fclose(f);
}

static void save(const char *prefix)
{
	read_record();
	state(prefix);
	FILE *f = create(prefix, ".fd3");
	fwrite(record, 1, record_size, f);
	fclose(f);
	f = create(prefix, ".args");
	for (char **p = all_args; *p; p++)
		fprintf(f, "%s\n", *p);
	fclose(f);
	f = create(prefix, ".env");
	for (char **p = environ; *p; p++)
		fprintf(f, "%s\n", *p);
	fclose(f);
	f = create(prefix, ".pid");
	fprintf(f, "%ld\n", (long)getpid());
	fclose(f);
}

static void put(int fd, const char *p, size_t n)
{
	for (ssize_t r; n; p += r, n -= (size_t)r)
		if ((r = write(fd, p, n)) <= 0)
			exit(98);
}

static void put_escaped(int fd, const char *s)
{
	char text[4096];
	put(fd, text, unescape(s, text, sizeof text));
}

static void fill(long n)
{
	char block[4096];
	memset(block, 'x', sizeof block);
	for (; n > 0; n -= (long)sizeof block)
		put(1, block, n < (long)sizeof block ? (size_t)n : sizeof block);
}

static void append(const char *path)
{
	char line[5000];
	int n = snprintf(line, sizeof line, "%s %s %s\n", field(0), field(1), field(3));
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	put(fd, line, (size_t)n);
	close(fd);
}

static void forever(void)
{
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	for (;;)
		pause();
}

static void grandchild(const char *path, int new_session)
{
	if (fork())
		return;
	if (new_session)
		setsid();
	signal(SIGHUP, SIG_IGN);
	sleep(GRANDCHILD_SLEEP);
	fclose(create(path, ""));
	_exit(0);
}

/* How many arguments the action took. */
static int act(char **a)
{
	const char *word = a[0], *arg = a[1] ? a[1] : "";
	if (!strcmp(word, "exit")) exit(atoi(arg));
	if (!strcmp(word, "forever")) forever();
	if (!strcmp(word, "flood")) for (;;) fill(1 << 20);
	if (!strcmp(word, "close")) return close(1), 0;
	if (!strcmp(word, "old")) return put(1, field(1), strlen(field(1))), 0;
	if (!strcmp(word, "new")) return put(1, field(3), strlen(field(3))), 0;
	if (!strcmp(word, "exec")) return execvp(arg, a + 1), exit(97), 0;
	if (!strcmp(word, "accept") && a[1] && a[2]) {
		if (strcmp(field(0), a[1]) || strcmp(field(1), a[2]))
			exit(1);
		return 2;
	}
	if (!strcmp(word, "hide")) {
		if (!strcmp(field(1), arg) || !strcmp(field(3), arg))
			exit(0);
	}
	else if (!strcmp(word, "record")) save(arg);
	else if (!strcmp(word, "append")) append(arg);
	else if (!strcmp(word, "print")) put_escaped(1, arg);
	else if (!strcmp(word, "err")) put_escaped(2, arg);
	else if (!strcmp(word, "fill")) fill(atol(arg));
	else if (!strcmp(word, "sleep")) usleep((useconds_t)atol(arg) * 1000);
	else if (!strcmp(word, "until")) while (access(arg, F_OK)) usleep(20000);
	else if (!strcmp(word, "grandchild")) grandchild(arg, 0);
	else if (!strcmp(word, "session")) grandchild(arg, 1);
	else if (!strcmp(word, "signal")) kill(getpid(), atoi(arg));
	else {
		dprintf(2, "stub: no action %s\n", word);
		exit(96);
	}
	return 1;
}

int main(int argc, char **argv)
{
	(void)argc;
	all_args = argv;
	alarm_left = alarm(BACKSTOP);
	for (char **a = argv + 1; *a; a++)
		a += act(a);
	return 0;
}
