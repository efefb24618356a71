/*
 * client [OPTION ...] STEP ... -- SERVER [ARG ...]	starts the server itself and talks to it
 * client -c IP:PORT STEP ...				talks to one that listens
 * client -p						prints a free TCP port
 *
 *	-m MODE	pipe (the default), pair (Unix socket pair), unix, tcp, tcp6, tcp46 (IPv4 on an IPv6 socket)
 *	-2	the server's fd 2 is the connection too, as under inetd
 *	-b	the smallest buffers in the server's direction to us
 *	-g	the client is gone before the server starts
 *	-l FILE	the server's fd 2 is a pipe that keeps writes apart: each has to be one line; they end up in FILE
 *
 * Each argument is a step. Text in C: and S: is taken as it is, elsewhere \r \n \t \0 \\ \xHH are bytes.
 *
 *	C: TEXT		send the text and CR LF
 *	S: TEXT		the next line is this, and ends in CR LF
 *	S*		the next line is anything
 *	send TEXT	send these bytes
 *	slowly TEXT	send them one by one in packets of their own
 *	times N TEXT	send them N times; that the server has closed is no error; leaves off after 5 s without progress
 *	trickle MS TEXT	send a byte every MS milliseconds until the server has something to say or closes; over and over
 *	eof		the server has closed, without another byte and without a reset
 *	silent MS	it sends nothing for so long
 *	wait MS		do nothing
 *	mark		the clock starts (also at the start of the session)
 *	took LOW HIGH	milliseconds since the last mark
 *	shut		close the sending side
 *	close		close it all
 *	reset		the same by a TCP reset
 *	kill N		send a signal to the server
 *	pid FILE	write its process number
 *	run COMMAND	by the shell, with SERVER_PID in its environment; it must succeed
 *	gone LOW HIGH	the server ends so many milliseconds after the last mark
 *	exit N		it ends with this code (0 is checked at the end of the steps anyway)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unescape.h"

enum { READ_WAIT = 20000, SEND_WAIT = 5000, END_WAIT = 30000, BACKSTOP = 120, SMALL = 4096, PACKET = 4096, LOG_MAX = 200 };

static const char *mode = "pipe", *connect_to, *log_file;
static int stderr_too, small, leave;
static int in = -1, out = -1;		/* our ends; the same socket or two pipes */
static int log_pipe[2] = { -1, -1 };
static pid_t server;
static int server_code = -1, checked_code;
static long marked, ended;
static char buffer[65536];
static size_t have;
static int step_number;
static const char *step_text;

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

static void show(const char *what, const char *p, size_t n)
{
	printf("  %s\"", what);
	for (size_t i = 0; i < n && i < 300; i++) {
		unsigned char c = (unsigned char)p[i];
		if (c < 32 || c > 126 || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	printf("\"%s\n", n > 300 ? "..." : "");
}

static _Noreturn void fail(const char *why)
{
	printf("client: step %d, \"%.200s\": %s\n", step_number, step_text ? step_text : "", why);
	if (have)
		show("unread: ", buffer, have);
	fflush(stdout);
	if (server > 0 && server_code < 0) {
		kill(server, SIGKILL);
		waitpid(server, 0, 0);
	}
	exit(1);
}

static void need(int good, const char *what)
{
	static char text[200];
	if (good)
		return;
	snprintf(text, sizeof text, "%s: %s", what, strerror(errno));
	fail(text);
}

/* ---- the connection ---- */

static void tiny(int fd)
{
	int size = 1;
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
}

static socklen_t address(struct sockaddr_storage *a, int family)
{
	memset(a, 0, sizeof *a);
	a->ss_family = (sa_family_t)family;
	if (family == AF_UNIX) {
		struct sockaddr_un *u = (void *)a;
		snprintf(u->sun_path, sizeof u->sun_path, "/tmp/poppass-client.%ld", (long)getpid());
		return sizeof *u;
	}
	if (family == AF_INET) {
		((struct sockaddr_in *)a)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(struct sockaddr_in);
	}
	((struct sockaddr_in6 *)a)->sin6_addr = strcmp(mode, "tcp46") ? in6addr_loopback : in6addr_any;
	return sizeof(struct sockaddr_in6);
}

/* Both ends of a connection as a listener makes it: [0] is ours. */
static void listen_and_connect(int family, int ends[2])
{
	struct sockaddr_storage a;
	socklen_t len = address(&a, family), got = sizeof a;
	int off = 0, l = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(l >= 0, "socket");
	if (family == AF_INET6)
		setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
	need(!bind(l, (void *)&a, len) && !listen(l, 1), "bind");
	need(!getsockname(l, (void *)&a, &got), "getsockname");
	if (!strcmp(mode, "tcp46")) {
		in_port_t port = ((struct sockaddr_in6 *)&a)->sin6_port;
		family = AF_INET;
		len = address(&a, family);
		((struct sockaddr_in *)&a)->sin_port = port;
	}
	ends[0] = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(ends[0] >= 0, "socket");
	if (small)
		tiny(ends[0]);
	need(!connect(ends[0], (void *)&a, len), "connect");
	ends[1] = accept4(l, 0, 0, SOCK_CLOEXEC);
	need(ends[1] >= 0, "accept");
	close(l);
	if (family == AF_UNIX)
		unlink(((struct sockaddr_un *)&a)->sun_path);
}

static int family_of(const char *m)
{
	return !strcmp(m, "tcp") ? AF_INET : !strcmp(m, "unix") ? AF_UNIX : AF_INET6;
}

/* theirs[0] is what the server reads. */
static void make_connection(int theirs[2])
{
	int a[2], b[2];
	if (!strcmp(mode, "pipe")) {
		need(!pipe2(a, O_CLOEXEC) && !pipe2(b, O_CLOEXEC), "pipe");
		if (small)
			fcntl(b[1], F_SETPIPE_SZ, SMALL);
		theirs[0] = a[0], out = a[1];
		in = b[0], theirs[1] = b[1];
		return;
	}
	if (!strcmp(mode, "pair"))
		need(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), "socketpair");
	else
		listen_and_connect(family_of(mode), a);
	if (small)
		tiny(a[1]);
	in = out = a[0];
	theirs[0] = theirs[1] = a[1];
}

static void hang_up(int reset)
{
	struct linger l = { 1, 0 };
	if (reset)
		setsockopt(out, SOL_SOCKET, SO_LINGER, &l, sizeof l);
	close(out);
	if (in != out)
		close(in);
	in = out = -1;
}

static void start_server(char **argv)
{
	int theirs[2];
	make_connection(theirs);
	if (log_file)
		need(!pipe2(log_pipe, O_DIRECT | O_CLOEXEC), "pipe");
	if (leave)
		hang_up(1);
	server = fork();
	need(server >= 0, "fork");
	if (!server) {
		int t0 = fcntl(theirs[0], F_DUPFD, 10), t1 = fcntl(theirs[1], F_DUPFD, 10);
		if (dup2(t0, 0) || dup2(t1, 1) != 1)
			_exit(126);
		if (stderr_too || log_file)
			dup2(stderr_too ? t1 : log_pipe[1], 2);
		close(t0);
		close(t1);
		signal(SIGPIPE, SIG_DFL);
		execvp(*argv, argv);
		_exit(126);
	}
	close(theirs[0]);
	if (theirs[0] != theirs[1])
		close(theirs[1]);
	if (log_file)
		close(log_pipe[1]);
}

static void connect_tcp(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	char host[64];
	snprintf(host, sizeof host, "%s", connect_to);
	char *colon = strrchr(host, ':');
	need(colon != 0, "address");
	*colon = 0;
	int six = strchr(host, ':') != 0;
	a.sin_port = a6.sin6_port = htons((uint16_t)atoi(colon + 1));
	need(inet_pton(six ? AF_INET6 : AF_INET, host, six ? (void *)&a6.sin6_addr : (void *)&a.sin_addr) == 1, host);
	in = out = socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	need(!connect(in, six ? (void *)&a6 : (void *)&a, six ? sizeof a6 : sizeof a), "connect");
}

static int print_port(void)
{
	struct sockaddr_storage a;
	socklen_t len = address(&a, AF_INET);
	int s = socket(AF_INET, SOCK_STREAM, 0);
	need(!bind(s, (void *)&a, len) && !getsockname(s, (void *)&a, &len), "bind");
	printf("%d\n", ntohs(((struct sockaddr_in *)&a)->sin_port));
	return 0;
}

/* ---- sending and receiving ---- */

/* 0 if the other side is gone or takes nothing for so long. */
static int send_all(const char *p, size_t n, int wait)
{
	while (n) {
		struct pollfd f = { out, POLLOUT, 0 };
		if (poll(&f, 1, wait) < 1)
			return 0;
		size_t chunk = in == out ? n : n < 512 ? n : 512;	/* a blocking pipe takes that much once it polls writable */
		ssize_t r = in == out ? send(out, p, chunk, MSG_DONTWAIT | MSG_NOSIGNAL) : write(out, p, chunk);
		if (r < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (r <= 0)
			return 0;
		p += r;
		n -= (size_t)r;
	}
	return 1;
}

static void must_send(const char *p, size_t n)
{
	if (!send_all(p, n, READ_WAIT))
		fail("cannot send");
}

/* Bytes read, 0 at the end, -1 on a reset, -2 when nothing came. */
static int receive(int wait)
{
	struct pollfd f = { in, POLLIN, 0 };
	if (have == sizeof buffer)
		fail("reply too long");
	if (poll(&f, 1, wait) < 1)
		return -2;
	ssize_t r = read(in, buffer + have, sizeof buffer - have);
	if (r > 0)
		have += (size_t)r;
	return (int)r;
}

static void step_line(const char *want)
{
	char *nl;
	while (!(nl = memchr(buffer, '\n', have))) {
		int r = receive(READ_WAIT);
		if (r <= 0)
			fail(r == 0 ? "end of file" : r == -1 ? "reset" : "nothing came");
	}
	size_t n = (size_t)(nl - buffer) + 1;
	if (want && (n != strlen(want) + 2 || memcmp(buffer, want, n - 2) || buffer[n - 2] != '\r')) {
		show("want: ", want, strlen(want));
		fail("another line");
	}
	have -= n;
	memmove(buffer, buffer + n, have);
}

static void step_eof(void)
{
	int r = have ? 1 : receive(READ_WAIT);
	if (r)
		fail(r == -1 ? "reset instead of end of file" : r == -2 ? "still open" : "more text");
}

static void step_silent(int ms)
{
	int r = have ? 1 : receive(ms);
	if (r != -2)
		fail(r > 0 ? "text" : "closed");
}

static void step_send(const char *text, int slowly)
{
	static char bytes[65536];
	size_t n = unescape(text, bytes, sizeof bytes);
	if (!slowly) {
		must_send(bytes, n);
		return;
	}
	int on = 1;
	setsockopt(out, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	for (size_t i = 0; i < n; i++) {
		must_send(bytes + i, 1);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, 0);
	}
}

static void step_times(const char *args)
{
	static char bytes[65536];
	char *text;
	long times = strtol(args, &text, 10);
	size_t n = unescape(text + (*text == ' '), bytes, sizeof bytes);
	while (times-- && send_all(bytes, n, SEND_WAIT))
		;
}

static void step_trickle(const char *args)
{
	static char bytes[65536];
	char *text;
	int ms = (int)strtol(args, &text, 10);
	size_t n = unescape(text + (*text == ' '), bytes, sizeof bytes);
	for (size_t i = 0; send_all(bytes + i, 1, SEND_WAIT) && receive(ms) == -2; i = i + 1 < n ? i + 1 : 0)
		;
}

/* ---- the server's end ---- */

static void server_end(int wait)
{
	int status;
	if (server_code >= 0)
		return;
	for (long end = now() + wait;;) {
		pid_t r = waitpid(server, &status, WNOHANG);
		need(r >= 0, "waitpid");
		if (r)
			break;
		if (now() > end)
			fail("the server does not end");
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, 0);
	}
	ended = now();
	server_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void step_exit(int code)
{
	char text[60];
	server_end(END_WAIT);
	checked_code = 1;
	snprintf(text, sizeof text, "the server's exit code is %d", server_code);
	if (server_code != code)
		fail(text);
}

static void within(long elapsed, const char *range)
{
	char text[60], *rest;
	long low = strtol(range, &rest, 10), high = strtol(rest, 0, 10);
	snprintf(text, sizeof text, "after %ld ms", elapsed);
	if (elapsed < low || elapsed > high)
		fail(text);
}

static void step_pid(const char *path)
{
	FILE *f = fopen(path, "w");
	need(f != 0, path);
	fprintf(f, "%ld\n", (long)server);
	fclose(f);
}

static void step_run(const char *command)
{
	char pid[20];
	snprintf(pid, sizeof pid, "%ld", (long)server);
	setenv("SERVER_PID", pid, 1);
	fflush(stdout);
	if (system(command))
		fail("it failed");
}

/* Every write to the log is one line, short enough. */
static void collect_log(void)
{
	static char line[PACKET];
	FILE *f = fopen(log_file, "w");
	need(f != 0, log_file);
	fcntl(log_pipe[0], F_SETFL, O_NONBLOCK);
	for (ssize_t n; (n = read(log_pipe[0], line, sizeof line)) > 0;) {
		fwrite(line, 1, (size_t)n, f);
		if (memchr(line, '\n', (size_t)n) != line + n - 1 || n > LOG_MAX) {
			show("written: ", line, (size_t)n);
			fail("a write to the log is not one line of 200 bytes at most");
		}
	}
	fclose(f);
}

/* ---- the script ---- */

enum { LINE, EXPECT, ANY, SEND, SLOWLY, TIMES, TRICKLE, AT_EOF, SILENT, WAIT, MARK, TOOK, SHUT, CLOSE, RESET, KILL, PID, RUN, GONE, EXIT };

static const struct { const char *word; int step; } steps[] = {
	{ "C:", LINE }, { "S:", EXPECT }, { "S*", ANY }, { "send", SEND }, { "slowly", SLOWLY }, { "times", TIMES },
	{ "trickle", TRICKLE }, { "eof", AT_EOF }, { "silent", SILENT }, { "wait", WAIT }, { "mark", MARK },
	{ "took", TOOK }, { "shut", SHUT }, { "close", CLOSE }, { "reset", RESET }, { "kill", KILL }, { "pid", PID },
	{ "run", RUN }, { "gone", GONE }, { "exit", EXIT },
};

static void step_command(const char *text)
{
	must_send(text, strlen(text));
	must_send("\r\n", 2);
}

static void perform(int step, const char *arg)
{
	switch (step) {
	case LINE: step_command(arg); break;
	case EXPECT: step_line(arg); break;
	case ANY: step_line(0); break;
	case SEND: step_send(arg, 0); break;
	case SLOWLY: step_send(arg, 1); break;
	case TIMES: step_times(arg); break;
	case TRICKLE: step_trickle(arg); break;
	case AT_EOF: step_eof(); break;
	case SILENT: step_silent(atoi(arg)); break;
	case WAIT: poll(0, 0, atoi(arg)); break;
	case MARK: marked = now(); break;
	case TOOK: within(now() - marked, arg); break;
	case SHUT: in == out ? shutdown(out, SHUT_WR) : close(out); break;
	case CLOSE: hang_up(0); break;
	case RESET: hang_up(1); break;
	case KILL: kill(server, atoi(arg)); break;
	case PID: step_pid(arg); break;
	case RUN: step_run(arg); break;
	case GONE: server_end(END_WAIT); within(ended - marked, arg); break;
	case EXIT: step_exit(atoi(arg)); break;
	}
}

static void play(const char *text)
{
	size_t n = strcspn(text, " ");
	step_number++;
	step_text = text;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
		if (strlen(steps[i].word) == n && !memcmp(steps[i].word, text, n)) {
			perform(steps[i].step, text + n + (text[n] == ' '));
			return;
		}
	fail("no such step");
}

static char **options(char **argv)
{
	for (; *argv && **argv == '-' && strcmp(*argv, "--"); argv++)
		switch (argv[0][1]) {
		case 'm': mode = *++argv; break;
		case 'c': connect_to = *++argv; break;
		case 'l': log_file = *++argv; break;
		case '2': stderr_too = 1; break;
		case 'b': small = 1; break;
		case 'g': leave = 1; break;
		case 'p': exit(print_port());
		default: fail("bad option");
		}
	return argv;
}

int main(int argc, char **argv)
{
	(void)argc;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	alarm(BACKSTOP);
	char **script = options(argv + 1), **end = script;
	while (*end && strcmp(*end, "--"))
		end++;
	if (connect_to)
		connect_tcp();
	else if (*end && end[1])
		start_server(end + 1);
	else
		fail("no server");
	marked = now();
	while (script < end)
		play(*script++);
	step_text = "the end";
	if (out >= 0)
		hang_up(0);
	if (server && !checked_code)
		step_exit(0);
	if (log_file)
		collect_log();
	return 0;
}
