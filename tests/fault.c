/*
 * fault JOBS FOLDER PROGRAMS USERS	sessions under faults, a line of standard input each, JOBS at once
 *
 * Each is a whole session over TCP: the server and the file programs in PROGRAMS,
 * a copy of USERS (where alice has the password OLD below), and one fault. A line:
 *
 *	SESSION PLACE FAULT
 *
 * SESSION: good, wrong (the old password is), refused (the new one is too short),
 * slow (a set chain that has to be killed), tls (good, over TLS: FOLDER/crt and FOLDER/key, by openssl)
 * PLACE: server, relay (of TLS), checker, setter, or "all" for the server with all its children
 * FAULT: what strace's inject takes ("write:error=EIO:when=2"; with "@PATH" at its end, calls on PATH only),
 * "short CALL N" (short.c), or "none"; trace puts all calls into FOLDER/PLACE.trace
 *
 * Whatever the fault, these have to hold:
 *	every reply is one of the known lines, one to a command, and each belongs to its command
 *	a connection that closes without a last line has a line in the log
 *	"changed" comes when the new password is in the file, "not changed" when the old one is and stays,
 *	and it always is one of the two, with everything else in the file as it was
 *	a wrong password is never accepted, a refused one never set
 *	no password is in a reply or in the log, each line of which is a line of ours
 *	the exit code is 0, or 111 if no session began (100 if a certificate cannot be read); no child is left
 *	after a fault in the setter the next change succeeds and no other file is left
 *
 * Prints a line and the evidence for each session that breaks one, then
 * "SESSIONS sessions, HIT with their fault, BAD bad".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define OLD	"Old-Secret-1"
#define NEW	"New-Secret-2"
#define WRONG	"Bad-Secret-3"
#define SHORT	"Sh-ort4"
#define BYE	"200 Bye."
#define CHANGED	"200 Password changed, thank-you."
#define ASK_NEW	"200 Your new password please."
#define TEMPORARY	"500 Temporary failure, "
#define TIMEOUT	"500 Timeout, closing connection."
#define HOST	"mail.example.org"

enum { REPLY_WAIT = 15000, LEFTOVER_WAIT = 5000, BACKSTOP = 60, FILE_MAX = 65536, ARGS = 40 };

static const char *folder, *programs, *users;
static char self_folder[4096];

/* The replies that a step may get besides its good one. */
static const char *const bad_replies[] = {
	"500 Old password is incorrect or user not found.",
	"500 Password change failed.",
	"500 Password change failed: too short (minimum 8)",
	TEMPORARY "password not changed.",
	TEMPORARY "the password may or may not have changed.",
	TIMEOUT,
	"500 Server configuration error.",
};

struct session {
	char kind[16], place[16], fault[200];
	char dir[4000], file[4100];
	char log[FILE_MAX], seen[FILE_MAX];
	size_t seen_len;
	int sock, status, closed, step;
	int tls;
	pid_t helper;
	char last[1000];
	char why[500];
};

static void bad(struct session *s, const char *format, ...)
{
	va_list args;
	if (*s->why)
		return;
	va_start(args, format);
	vsnprintf(s->why, sizeof s->why, format, args);
	va_end(args);
}

static size_t slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);
	if (fd >= 0)
		close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

static void spill(const char *path, const char *buf, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, buf, n) != (ssize_t)n)
		exit(99);
	close(fd);
}

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000L + t.tv_nsec / 1000000;
}

/* ---- the file ---- */

/* Runs one of the file programs on a record; its exit code. */
static int file_program(const char *name, const char *file, const char *record, size_t n)
{
	char path[4200];
	int p[2], status;
	snprintf(path, sizeof path, "%s/%s", programs, name);
	if (pipe2(p, O_CLOEXEC) || write(p[1], record, n) != (ssize_t)n)
		exit(99);
	close(p[1]);
	pid_t pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(null, 1);
		dup2(null, 2);
		if (p[0] != 3)
			dup2(p[0], 3);
		else
			fcntl(3, F_SETFD, 0);
		execl(path, name, "-f", file, (char *)0);
		_exit(127);
	}
	close(p[0]);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

enum stored { STORED_OLD, STORED_NEW, STORED_DAMAGED };

/* Equal but for alice's field 2. */
static int same_rest(const char *a, const char *b)
{
	const char *x = strstr(a, "\nalice:"), *y = strstr(b, "\nalice:");
	if (!x || !y || x - a != y - b || memcmp(a, b, (size_t)(x - a)))
		return 0;
	x = strchr(x + 7, ':');
	y = strchr(y + 7, ':');
	return x && y && !strcmp(x, y);
}

static enum stored stored(const char *file)
{
	static char was[FILE_MAX], is[FILE_MAX];
	static const char record[] = "alice\0" NEW "\0\0";
	slurp(users, was, sizeof was);
	slurp(file, is, sizeof is);
	if (!strcmp(was, is))
		return STORED_OLD;
	if (!same_rest(was, is) || file_program("checkpassword-file", file, record, sizeof record))
		return STORED_DAMAGED;
	return STORED_NEW;
}

static void judge_file(struct session *s, const char *when)
{
	enum stored is = stored(s->file);
	if (is == STORED_DAMAGED)
		bad(s, "%s: the file is damaged", when);
	else if (!strcmp(s->last, CHANGED) && is != STORED_NEW)
		bad(s, "%s: it said \"%s\" and the file has the old password", when, s->last);
	else if (*s->last == '5' && !strstr(s->last, "may or may not") && strcmp(s->last, TIMEOUT) &&
	    is != STORED_OLD)
		bad(s, "%s: it said \"%s\" and the file has the new password", when, s->last);
	else if (strcmp(s->kind, "good") && !s->tls && is != STORED_OLD)
		bad(s, "%s: a session of kind %s changed the password", when, s->kind);
}

/* ---- the session ---- */

/* One line into last, without its end; 0 when the server has closed. */
static int get_line(struct session *s)
{
	size_t start = s->seen_len;
	for (long end = now() + REPLY_WAIT;;) {
		struct pollfd p = { s->sock, POLLIN, 0 };
		int left = (int)(end - now());
		if (poll(&p, 1, left > 0 ? left : 0) < 1) {
			bad(s, "step %d: no reply", s->step);
			return 0;
		}
		ssize_t n = s->seen_len < sizeof s->seen - 1 ? read(s->sock, s->seen + s->seen_len, 1) : -1;
		if (n < 0 && !s->tls)
			bad(s, "step %d: %s", s->step, errno == ECONNRESET ? "reset" : strerror(errno));
		if (n == 0 && s->seen_len > start)
			bad(s, "step %d: half a line", s->step);
		if (n <= 0)
			return 0;
		if (s->seen[s->seen_len++] == '\n')
			break;
	}
	size_t n = s->seen_len - start;
	if (n < 2 || n > sizeof s->last || s->seen[s->seen_len - 2] != '\r') {
		bad(s, "step %d: a line without CR LF", s->step);
		return 0;
	}
	memcpy(s->last, s->seen + start, n - 2);
	s->last[n - 2] = 0;
	return 1;
}

static int is_known(const char *reply)
{
	for (size_t i = 0; i < sizeof bad_replies / sizeof *bad_replies; i++)
		if (!strcmp(bad_replies[i], reply))
			return 1;
	return 0;
}

/* Sends a command and takes its reply; false when the session is over. */
static int step(struct session *s, const char *command, const char *argument, const char *want)
{
	char text[400];
	int n = snprintf(text, sizeof text, "%s%s\r\n", command, argument);
	s->step++;
	if (*command && send(s->sock, text, (size_t)n, MSG_NOSIGNAL) != n && errno != EPIPE && errno != ECONNRESET)
		bad(s, "step %d: cannot send", s->step);
	if (!get_line(s)) {
		s->closed = 1;
		return 0;
	}
	if (!strcmp(s->last, want))
		return 1;
	if (!is_known(s->last))
		bad(s, "step %d: reply \"%s\"", s->step, s->last);
	return 0;
}

static void converse(struct session *s)
{
	int wrong = !strcmp(s->kind, "wrong");
	const char *new = strcmp(s->kind, "refused") ? NEW : SHORT;
	if (!step(s, "", "", "200 " HOST " hello, who are you?") ||
	    !step(s, "user ", "alice", "200 Your password please."))
		return;
	if (!step(s, "pass ", wrong ? WRONG : OLD, ASK_NEW))
		return;
	if (wrong)
		bad(s, "a wrong password was accepted");
	int changed = step(s, "newpass ", new, CHANGED);
	judge_file(s, "at the reply");
	if (!changed)
		return;
	char kept[sizeof s->last];
	memcpy(kept, s->last, sizeof kept);
	if (!step(s, "quit", "", BYE) && !s->closed && strcmp(s->last, TIMEOUT))
		bad(s, "\"%s\" after a change", s->last);
	memcpy(s->last, kept, sizeof kept);
}

/* What is still to come: nothing, or that the server does not wait for another command. */
static void drain(struct session *s)
{
	static const char timeout[] = TIMEOUT "\r\n";
	char c[sizeof timeout];
	struct pollfd p = { s->sock, POLLIN, 0 };
	if (!s->tls)	/* openssl would not wait for what is still to come */
		shutdown(s->sock, SHUT_WR);
	if (s->closed)
		return;
	int n = poll(&p, 1, REPLY_WAIT);
	ssize_t r = n > 0 ? read(s->sock, c, sizeof c) : -1;
	if (r == sizeof timeout - 1 && !memcmp(c, timeout, sizeof timeout - 1))
		return;
	if (n < 1)
		bad(s, "the connection stays open");
	else if (r > 0)
		bad(s, "more text after \"%s\"", s->last);
	else if (r < 0 && !s->tls)
		bad(s, "after \"%s\": %s", s->last, strerror(errno));
}

/* ---- the processes ---- */

static const char *format(const char *f, ...)
{
	char *text;
	va_list args;
	va_start(args, f);
	if (vasprintf(&text, f, args) < 0)
		exit(99);
	va_end(args);
	return text;
}

/* CALL:error=NAME:when=N or "short CALL N" as short.c wants it. */
static size_t in_relay(const char *fault, const char **a)
{
	char call[50], error[50] = "", n[50];
	if (sscanf(fault, "short %49s %49s", call, n) != 2 && sscanf(fault, "%49[^:]:error=%49[^:]:when=%49s", call, error, n) != 3)
		exit(99);
	a[0] = format("%s", call);
	a[1] = format("%s%s%s", n, *error ? ":" : "", error);
	return 2;
}

/* The words that put a program under the fault. */
static size_t under_fault(const struct session *s, const char **a)
{
	char call[100], *at;
	const char *fault = format("%s", s->fault);
	size_t n = 0;
	if (!strcmp(fault, "none"))
		return 0;
	if (!strcmp(s->place, "relay") && strcmp(fault, "trace")) {
		a[n++] = format("%s/short", self_folder);
		a[n++] = "-w";
		a[n++] = "-r";
		return n + in_relay(fault, a + n);
	}
	if (!strncmp(fault, "short ", 6)) {
		a[n++] = format("%s/short", self_folder);
		a[n++] = "-w";
		at = strchr(fault + 6, ' ');
		if (!at)
			exit(99);
		*at = 0;
		a[n++] = fault + 6;
		a[n++] = at + 1;
		return n;
	}
	a[n++] = "/usr/bin/strace";
	a[n++] = "-qq";
	a[n++] = "-o";
	a[n++] = strcmp(fault, "trace") ? format("%s/strace", s->dir) : format("%s/%s-%s.trace", folder, s->kind, s->place);
	if (!strcmp(s->place, "all") || !strcmp(s->place, "relay"))
		a[n++] = "-f";
	if (!strcmp(fault, "trace"))
		return n;
	if ((at = strchr(fault, '@'))) {
		*at++ = 0;
		a[n++] = "-P";
		a[n++] = at;
	}
	snprintf(call, sizeof call, "%.*s", (int)strcspn(fault, ":"), fault);
	a[n++] = "-e";
	a[n++] = format("trace=%s", call);
	a[n++] = "-e";
	a[n++] = format("inject=%s", fault);
	return n;
}

static void put_program(const struct session *s, const char *place, const char *program, const char **a, size_t *n)
{
	if (!strcmp(s->place, place) || (!strcmp(place, "server") && (!strcmp(s->place, "all") || !strcmp(s->place, "relay"))))
		*n += under_fault(s, a + *n);
	a[(*n)++] = format("%s/%s", programs, program);
}

static void run_server(const struct session *s, int sock)
{
	static const struct rlimit few = { 200, 200 };
	const char *argv[ARGS], *set[ARGS], *command = "PASSWORD_COMMAND=";
	size_t n = 0, words = 0;
	if (!strcmp(s->kind, "slow"))
		command = "PASSWORD_COMMAND=/bin/sleep 60";
	else {
		put_program(s, "setter", "setpassword-file", set, &words);
		for (size_t i = 0; i < words; i++)
			command = format("%s'%s' ", command, set[i]);
		command = format("%s-f '%s'", command, s->file);
	}
	put_program(s, "server", "qmail-poppass", argv, &n);
	argv[n++] = HOST;
	put_program(s, "checker", "checkpassword-file", argv, &n);
	argv[n++] = "-f";
	argv[n++] = s->file;
	argv[n] = 0;
	char *env[] = { (char *)command, "LC_ALL=C", 0, 0, 0 };
	if (s->tls) {
		env[2] = (char *)format("CERTFILE=%s/crt", folder);
		env[3] = (char *)format("KEYFILE=%s/key", folder);
	}
	int log = open(format("%s/log", s->dir), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(sock, 0);
	dup2(sock, 1);
	dup2(log, 2);
	signal(SIGPIPE, SIG_DFL);
	prlimit(0, RLIMIT_NOFILE, &few, 0);	/* it may have to close them one by one, under strace */
	execve(argv[0], (char **)argv, env);
	_exit(126);
}

/* Plain text at the other end of the socket that it returns. */
static int start_tls(struct session *s, int port)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) || (s->helper = fork()) < 0)
		exit(99);
	if (!s->helper) {
		dup2(pair[1], 0);
		dup2(pair[1], 1);
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
		execlp("openssl", "openssl", "s_client", "-quiet", "-connect", format("127.0.0.1:%d", port), (char *)0);
		_exit(127);
	}
	close(pair[1]);
	return pair[0];
}

static void end_tls(struct session *s)
{
	if (!s->helper)
		return;
	kill(s->helper, SIGKILL);
	waitpid(s->helper, 0, 0);
}

static pid_t start(struct session *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(l, (void *)&a, len) || listen(l, 1) || getsockname(l, (void *)&a, &len))
		exit(99);
	s->sock = s->tls ? start_tls(s, ntohs(a.sin_port)) : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (!s->tls && connect(s->sock, (void *)&a, len))
		exit(99);
	int theirs = accept4(l, 0, 0, SOCK_CLOEXEC);
	close(l);
	pid_t pid = fork();
	if (!pid)
		run_server(s, theirs);
	close(theirs);
	return pid;
}

/* The server's end, and after it that of all it left behind, which is a fault if it takes long. */
static void wait_for_all(struct session *s, pid_t server)
{
	long end = now() + REPLY_WAIT;
	int status, ended = 0;
	for (;;) {
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid < 0)
			return;
		if (pid == server) {
			s->status = status;
			ended = 1;
			end = now() + LEFTOVER_WAIT;
		}
		if (now() > end) {
			bad(s, ended ? "a child is left" : "the server does not end");
			return;
		}
		if (!pid)
			poll(0, 0, 3);
	}
}

/* ---- the judgement ---- */

static void judge_log(struct session *s)
{
	static const char *const words[] = { "qmail-poppass[", "checkpassword-file[", "setpassword-file[" };
	static const char *const secrets[] = { OLD, NEW, WRONG, SHORT };
	for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
		if (strstr(s->log, secrets[i]) || strstr(s->seen, secrets[i]))
			bad(s, "%s is in the output", secrets[i]);
	for (char *p = s->log, *nl; *p; p = nl + 1) {
		int known = 0;
		if (!(nl = strchr(p, '\n'))) {
			bad(s, "the log ends without a newline");
			return;
		}
		for (size_t i = 0; i < sizeof words / sizeof *words; i++)
			known |= !strncmp(p, words[i], strlen(words[i]));
		if (!known && strncmp(p, "short: ", 7))
			bad(s, "a line in the log that is none: %.*s", (int)(nl - p), p);
		if (nl - p >= 200)
			bad(s, "a line in the log is too long");
	}
}

static void judge_end(struct session *s)
{
	int began = s->seen_len > 0;
	int over = *s->last == '5' || (!strcmp(s->last, CHANGED) && !s->closed);
	if (!over && !strstr(s->log, "qmail-poppass["))
		bad(s, "closed without a last line and nothing in the log");
	if (!WIFEXITED(s->status))
		bad(s, "the server was killed by signal %d", WTERMSIG(s->status));
	else if (WEXITSTATUS(s->status) && (began || (WEXITSTATUS(s->status) != 111 && !(s->tls && WEXITSTATUS(s->status) == 100))))
		bad(s, "exit code %d", WEXITSTATUS(s->status));
}

/* Whatever happened to it, the setter works the next time. */
static void try_again(struct session *s)
{
	static const char records[2][33] = { "alice\0" OLD "\0\0Another-5", "alice\0" NEW "\0\0Another-5" };
	int i = stored(s->file) == STORED_NEW;
	int code = file_program("setpassword-file", s->file, records[i], 5 + 1 + 12 + 1 + 1 + 9 + 1);
	if (code)
		bad(s, "the next change fails: %d", code);
	if (!access(format("%s.poppass", s->file), F_OK))
		bad(s, "users.poppass is left");
}

static int was_hit(const struct session *s)
{
	static char text[FILE_MAX];
	if (!strncmp(s->fault, "short ", 6) || !strcmp(s->place, "relay"))
		return strstr(s->log, "short: done") != 0;
	slurp(format("%s/strace", s->dir), text, sizeof text);
	return strstr(text, "INJECTED") || strstr(text, "killed by") || strstr(text, "unfinished");
}

/* ---- one and all ---- */

enum { HIT = 1, BAD = 2 };

static void clean(const char *dir)
{
	static const char *const names[] = { "users", "users.lock", "users.poppass", "log", "strace" };
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unlink(format("%s/%s", dir, names[i]));
	rmdir(dir);
}

static int run(struct session *s)
{
	static char text[FILE_MAX];
	clean(s->dir);
	mkdir(s->dir, 0700);
	snprintf(s->file, sizeof s->file, "%s/users", s->dir);
	spill(s->file, text, slurp(users, text, sizeof text));
	pid_t server = start(s);
	converse(s);
	drain(s);
	end_tls(s);
	wait_for_all(s, server);
	slurp(format("%s/log", s->dir), s->log, sizeof s->log);
	judge_file(s, "at the end");
	judge_log(s);
	judge_end(s);
	if (!strcmp(s->place, "setter"))
		try_again(s);
	if (*s->why)
		printf("%s %s %s: %s\n  replies: %s\n  log: %s\n  status: %x\n", s->kind, s->place, s->fault, s->why, s->seen, s->log, (unsigned)s->status);
	fflush(stdout);
	return (was_hit(s) ? HIT : 0) | (*s->why ? BAD : 0);
}

/* In a process of its own, which adopts what the server leaves behind. */
static void begin(const char *line, int number)
{
	static struct session s;
	if (fork())
		return;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(BACKSTOP);
	if (sscanf(line, "%15s %15s %199[^\n]", s.kind, s.place, s.fault) != 3)
		exit(99);
	snprintf(s.dir, sizeof s.dir, "%s/%d", folder, number);
	s.tls = !strcmp(s.kind, "tls");
	int result = run(&s);
	if (!(result & BAD))
		clean(s.dir);
	_exit(result);	/* exit() would wind the shared standard input back */
}

int main(int argc, char **argv)
{
	static char line[4096];
	int running = 0, sessions = 0, hit = 0, wrong = 0, status;
	if (argc != 5)
		return 2;
	folder = argv[2];
	programs = argv[3];
	users = argv[4];
	signal(SIGPIPE, SIG_IGN);
	ssize_t n = readlink("/proc/self/exe", self_folder, sizeof self_folder - 1);
	self_folder[n > 0 ? n : 0] = 0;
	*strrchr(self_folder, '/') = 0;
	for (int more = 1; more || running;) {
		if (more && running < atoi(argv[1])) {
			more = fgets(line, sizeof line, stdin) != 0;
			if (more) {
				begin(line, sessions++);
				running++;
			}
			continue;
		}
		if (wait(&status) < 0)
			return 2;
		running--;
		if (!WIFEXITED(status) || WEXITSTATUS(status) > (HIT | BAD)) {
			printf("a session did not end: %x\n", (unsigned)status);
			wrong++;
			continue;
		}
		hit += (WEXITSTATUS(status) & HIT) != 0;
		wrong += (WEXITSTATUS(status) & BAD) != 0;
	}
	printf("%d sessions, %d with their fault, %d bad\n", sessions, hit, wrong);
	return wrong != 0;
}
