/*
 * Fuzzing a session: the whole of poppass.c, from main to its end, on a system made here.
 *
 * Input: 8 bytes that decide what the system and the chains do (struct plan), one byte
 * for the length of what the chains print, that text, and then what the client sends.
 *
 * A second, independent and much simpler reading of the protocol (expect_session) says
 * what the client has to see and which records the chains have to get, byte by byte.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define VERSION	"fuzz"
#define HOST	"mail.example.org"
#define CHILD	4711
#define PIPE	50	/* and 51: what the chain prints */
#define RECORD	60	/* and 61 */
#define CHAINS	600	/* more than the longest input can ask for */

struct plan {
	uint8_t seed, socket, outcome[4], faults, end;
};

/* ---- the system ---- */

static jmp_buf at_exit, at_exec;
static struct plan plan;
static const uint8_t *text, *input;
static size_t text_size, input_size, at, text_at;
static uint32_t dice;
static int in_child, child_runs, killed, chains, broken_pipe, timed_out, exit_code, pipe_open, record_sent, over, expired_at_end;
static size_t at_end;
static char out[1 << 16], log_text[1 << 16], pending[600];
static size_t out_size, log_size, pending_size;
static struct { char record[600]; size_t size; int set; } ran[CHAINS];

#define CHECK(c, what) do { if (!(c)) bug(what); } while (0)

static void show(const char *what, const char *p, size_t n)
{
	fprintf(stderr, "%s:\n", what);
	for (size_t i = 0; i < n; i++)
		if (p[i] == '\n' || (p[i] >= 32 && p[i] < 127))
			fputc(p[i], stderr);
		else
			fprintf(stderr, "\\x%02x", (unsigned char)p[i]);
	fputc('\n', stderr);
}

static _Noreturn void bug(const char *what)
{
	fprintf(stderr, "WRONG: %s\n", what);
	show("sent by the client", (const char *)input, input_size);
	show("seen by the client", out, out_size);
	show("log", log_text, log_size);
	abort();
}

static unsigned roll(unsigned sides)
{
	dice = dice * 1664525 + 1013904223;
	return (dice >> 16) % sides;
}

/* One in so many calls, if this plan has faults. */
static int fault(unsigned in)
{
	return (plan.faults & 1) && roll(in) == 0;
}

static int outcome(void)
{
	return plan.outcome[(chains - 1) % 4] % 8;
}

static ssize_t fake_read(int fd, void *buf, size_t n)
{
	if (fault(9)) {
		errno = roll(2) ? EINTR : EAGAIN;
		return -1;
	}
	CHECK(fd == 0 || (fd == PIPE && pipe_open), "reads from another descriptor");
	const uint8_t *from = fd == 0 ? input : text;
	size_t size = fd == 0 ? input_size : text_size, *pos = fd == 0 ? &at : &text_at;
	size_t max = plan.seed % 4 == 0 ? n : 1 + roll(plan.seed % 4 == 1 ? 3 : 200);
	if (n > max)
		n = max;
	if (n > size - *pos)
		n = size - *pos;
	memcpy(buf, from + *pos, n);
	*pos += n;
	return (ssize_t)n;
}

static void check_log(const char *p, size_t n)
{
	CHECK(n <= 200 && n > 0 && p[n - 1] == '\n', "a write to the log is no line");
	CHECK(n > 20 && !memcmp(p, "qmail-poppass[4242]: ", 21), "a line in the log begins otherwise");
	for (size_t i = 0; i + 1 < n; i++)
		CHECK(p[i] >= 32 && p[i] < 127, "a control or 8-bit byte in the log");
	int quotes = 0;
	for (size_t i = 0; i < n; i++)
		quotes += p[i] == '"';
	CHECK(quotes % 2 == 0, "a quote in the log does not end");
}

static ssize_t fake_write(int fd, const void *buf, size_t n)
{
	if (in_child && fd == RECORD + 1) {
		CHECK(n <= sizeof pending, "record too long");
		memcpy(pending, buf, n);
		pending_size = n;
		record_sent = 1;
		return (ssize_t)n;
	}
	CHECK(fd == 1 || fd == 2, "writes to another descriptor");
	CHECK(!in_child || fd == 2, "a child writes to the client");
	if (fd == 2) {
		check_log(buf, n);
		if (log_size + n < sizeof log_text) {
			memcpy(log_text + log_size, buf, n);
			log_size += n;
		}
		return (ssize_t)n;
	}
	if (fault(13)) {
		errno = roll(2) ? EINTR : EAGAIN;
		return -1;
	}
	if (broken_pipe || ((plan.faults & 2) && roll(17) == 0)) {
		broken_pipe = 1;
		errno = EPIPE;
		return -1;
	}
	if (fault(7) && n > 1)
		n = 1 + roll((unsigned)n - 1);
	CHECK(out_size + n < sizeof out, "too many replies");
	memcpy(out + out_size, buf, n);
	out_size += n;
	return (ssize_t)n;
}

static ssize_t fake_send(int fd, const void *buf, size_t n, int flags)
{
	(void)flags;
	CHECK(plan.socket & 1, "sends to what is no socket");
	return fake_write(fd, buf, n);
}

static long expire(long *left)
{
	left[0] = left[1] = 0;
	return 0;
}

/* Nothing here takes time but what runs out of it. */
static long fake_ppoll(struct pollfd *p, int n, long *left)
{
	if (n == 3) {
		p[0].revents = p[1].revents = p[2].revents = 0;
		return 0;
	}
	/* A look without a wait is not interrupted. */
	if ((left[0] != 0 || left[1] != 0) && fault(11)) {
		errno = roll(2) ? EINTR : EAGAIN;
		return -1;
	}
	p->revents = p->events;
	if (p->fd == 1 || p->fd == 2)
		return 1;
	if (p->fd == 0) {
		if (at < input_size ? (plan.faults & 4) && roll(40) == 0 : plan.end & 1) {
			timed_out = 1;
			return expire(left);
		}
		return 1;
	}
	if (p->fd == PIPE && (left[0] != 0 || left[1] != 0 || text_at < text_size)) {
		if (text_at == text_size)
			p->revents = POLLHUP;
		return 1;
	}
	if (child_runs && (outcome() != 4 || killed)) {
		errno = EINTR;
		return -1;
	}
	return expire(left);
}

static int fake_open(const char *path, int flags)
{
	(void)path, (void)flags;
	return in_child ? 0 : 3;
}

static long fake_syscall(long number, ...)
{
	va_list args;
	va_start(args, number);
	if (number == SYS_ppoll) {
		struct pollfd *p = va_arg(args, struct pollfd *);
		int n = va_arg(args, int);
		long *left = va_arg(args, long *);
		va_end(args);
		return fake_ppoll(p, n, left);
	}
	if (number == SYS_openat) {
		va_end(args);
		return fake_open("/dev/null", O_RDWR);
	}
	if (number == SYS_pipe2) {
		int *p = va_arg(args, int *);
		va_end(args);
		if (!in_child && fault(31)) {
			errno = EMFILE;
			return -1;
		}
		p[0] = in_child ? RECORD : PIPE;
		p[1] = p[0] + 1;
		pipe_open |= !in_child;
		return 0;
	}
	va_end(args);
	return 0;
}

/* What is read from here on is dropped. */
static void end_session(void)
{
	CHECK(!over, "ends twice");
	over = 1;
	at_end = at;
	expired_at_end = timed_out;
}

static int fake_close(int fd)
{
	if (!in_child && fd == PIPE)
		pipe_open = 0;
	if (!in_child && fd == 1)
		end_session();
	return 0;
}

static int fake_shutdown(void)
{
	end_session();
	return 0;
}

/* The child goes on in the parent's place until its exec or exit, as with vfork. */
static void begin_child(void)
{
	CHECK(!child_runs, "two chains at once");
	CHECK(chains < CHAINS, "too many chains");
	in_child = 1;
	record_sent = killed = 0;
	text_at = 0;
	chains++;
}

static int no_fork(void)
{
	if (!fault(23))
		return 0;
	errno = EAGAIN;
	return 1;
}

#define fake_vfork()	(no_fork() ? -1 : setjmp(at_exec) ? CHILD : (begin_child(), 0))

static int fake_execv(const char *path, char *const argv[])
{
	CHECK(in_child && record_sent, "exec without a record");
	CHECK(argv[0] == path, "another program");
	ran[chains - 1].size = pending_size;
	memcpy(ran[chains - 1].record, pending, pending_size);
	ran[chains - 1].set = !strcmp(path, "/set");
	CHECK(ran[chains - 1].set || !strcmp(path, "/check"), "another program");
	if (outcome() == 5) {
		errno = ENOENT;
		return -1;
	}
	in_child = 0;
	child_runs = 1;
	longjmp(at_exec, 1);
}

static _Noreturn void fake_exit(int code)
{
	if (in_child) {
		CHECK(code == 111, "a child exits otherwise");
		in_child = 0;
		child_runs = 1;
		longjmp(at_exec, 1);
	}
	exit_code = code;
	longjmp(at_exit, 1);
}

static pid_t fake_waitpid(pid_t pid, int *status, int flags)
{
	static const int statuses[] = { 0, 1 << 8, 111 << 8, 11, 9, 111 << 8, 0, 127 << 8 };
	CHECK(pid == CHILD && (flags & WNOHANG), "waits for another child, or for ever");
	if (!child_runs || (outcome() == 4 && !killed))
		return 0;
	*status = statuses[outcome()];
	child_runs = 0;
	return pid;
}

static int fake_kill(pid_t pid, int sig)
{
	CHECK(sig == SIGKILL && (pid == CHILD || pid == -CHILD) && child_runs, "kills another");
	killed = 1;
	return 0;
}

static int fake_getpeername(int fd, struct sockaddr *a, socklen_t *n)
{
	(void)fd;
	if (!(plan.socket & 1)) {
		errno = ENOTSOCK;
		return -1;
	}
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	memcpy(a, &in, sizeof in);
	*n = sizeof in;
	return 0;
}

static int fake_getsockopt(int fd)
{
	(void)fd;
	errno = ENOTSOCK;
	return -1;
}

static void fake_getitimer(struct itimerval *t);

#define read(fd, buf, n)	fake_read(fd, buf, n)
#define write(fd, buf, n)	fake_write(fd, buf, n)
#define send(fd, buf, n, f)	fake_send(fd, buf, n, f)
#define syscall(...)		fake_syscall(__VA_ARGS__)
#define open(path, ...)		fake_open(path, __VA_ARGS__)
#define close(fd)		fake_close(fd)
#define dup2(a, b)		(b)
#define vfork()			fake_vfork()
#define fork()			fake_vfork()
#define execv(path, argv)	fake_execv(path, argv)
#define _exit(code)		fake_exit(code)
#define waitpid(p, s, f)	fake_waitpid(p, s, f)
#define kill(p, s)		fake_kill(p, s)
#define getpeername(f, a, n)	fake_getpeername(f, a, n)
#define getsockopt(f, l, o, v, n)	fake_getsockopt(f)
#define shutdown(fd, how)	fake_shutdown()
#define setsid()		0
#define getpid()		4242
#define prlimit(p, r, n, o)	0
#define sigaction(s, n, o)	((void)(n), 0)
#define sigprocmask(h, n, o)	0
#define setitimer(w, n, o)	((void)(n), 0)
#define getitimer(w, t)		fake_getitimer(t)
#define main			poppass_main
#include "../../poppass.c"
#undef main
#undef read
#undef write

/* No time passes in work. */
static void fake_getitimer(struct itimerval *t)
{
	long ms = session_left + (BACKSTOP - SESSION_TIMEOUT) * 1000L;
	*t = (struct itimerval){ .it_value = { ms / 1000, ms % 1000 * 1000 } };
}

/* ---- what has to come of it ---- */

static char want[1 << 16];
static size_t want_size;

static void expect(const char *line)
{
	want_size += (size_t)snprintf(want + want_size, sizeof want - want_size, "%s\r\n", line);
}

static const char *const missing[] = { "500 Username required.", "500 Password required.", "500 New password required." };

/* The part of the printed text that the user is to see. */
static void expect_refusal(const char *old, size_t old_size, const char *new, size_t new_size)
{
	char line[1000] = "500 Password change failed: ";
	const uint8_t *p = text, *end = memchr(text, '\n', text_size);
	if (!end)
		end = text + text_size;
	if (end > p && end[-1] == '\r')
		end--;
	if (end - p >= 4 && p[0] >= '0' && p[0] <= '9' && p[1] >= '0' && p[1] <= '9' && p[2] >= '0' && p[2] <= '9' &&
	    (p[3] == ' ' || p[3] == '-'))
		p += 4;
	size_t n = (size_t)(end - p), all = (size_t)(end - text);
	if (n == 0 || memmem(text, all, old, old_size) || memmem(text, all, new, new_size)) {
		expect("500 Password change failed.");
		return;
	}
	char *to = line + strlen(line);
	for (size_t i = 0; i < n && i < REASON_MAX; i++)
		*to++ = (char)(p[i] >= 32 && p[i] < 127 ? p[i] : '?');
	*to = 0;
	expect(line);
}

static int is_word(const char *line, size_t n, const char *word)
{
	return n >= strlen(word) && !strncasecmp(line, word, strlen(word));
}

/* How far the session of the model has come. */
static struct {
	const char *field[3];
	size_t size[3];
	int due, errors, wrong, run;
} model;

/* The model's next line and its length without line end; 0 where the session ends instead. */
static int next_model_line(const char **p, const char **line, size_t *n)
{
	const char *end = (const char *)input + at_end, *nl = memchr(*p, '\n', (size_t)(end - *p));
	*line = *p;
	*n = nl ? (size_t)(nl - *p) : 0;
	if (nl && *n > 0 && nl[-1] == '\r')
		--*n;
	if (nl ? *n > LINE_MAX || nl - *p >= LINE_MAX + 2 : end - *p >= LINE_MAX + 2) {
		expect("500 Line too long.");
		return 0;
	}
	if (!nl) {
		if (expired_at_end)
			expect("500 Timeout, closing connection.");
		return 0;
	}
	*p = nl + 1;
	return 1;
}

static int has_model_control(const char *line, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)line[i] < 32 && line[i] != '\t') || line[i] == 127)
			return 1;
	return 0;
}

/* Takes the argument of what is due; else what is wrong with the line. */
static const char *take_model_field(const char *line, size_t n)
{
	static const char *const words[] = { "user ", "pass ", "newpass " };
	const char *word = words[model.due];
	size_t typed = 4;
	if (!is_word(line, n, word) || n == strlen(word))
		return missing[model.due];
	model.field[model.due] = line + strlen(word);
	model.size[model.due] = n - strlen(word);
	for (int i = 0; i <= model.due; i++)
		typed += model.size[i];
	return typed > 512 ? "500 Name and passwords too long." : 0;
}

static void check_record(void)
{
	char record[600], *to = record;
	for (int i = 0; i <= model.due; i++) {
		memcpy(to, model.field[i], model.size[i]);
		to += model.size[i];
		*to++ = 0;
		if (i == 1)
			*to++ = 0;
	}
	if (model.due == 1)
		*to++ = 0;
	CHECK(ran[model.run].size == (size_t)(to - record) && !memcmp(ran[model.run].record, record, ran[model.run].size), "a chain got what was not typed");
	CHECK(ran[model.run].set == (model.due == 2), "the other chain ran");
}

static int expect_denial(void)
{
	if (model.due == 2) {
		expect_refusal(model.field[1], model.size[1], model.field[2], model.size[2]);
		return 0;
	}
	expect("500 Old password is incorrect or user not found.");
	model.due = 0;
	return ++model.wrong < MAX_TRIES;
}

/* What the chain that is due does, and whether the session goes on. */
static int expect_chain(void)
{
	if (model.run == chains) {	/* the system had no pipe or process to give */
		CHECK(plan.faults & 1, "a chain that should run did not");
		expect("500 Temporary failure, password not changed.");
		return 0;
	}
	check_record();
	switch (plan.outcome[model.run++ % 4] % 8) {
	case 0:
	case 6:
		expect(model.due == 1 ? "200 Your new password please." : "200 Password changed, thank-you.");
		model.due = model.due == 1 ? 2 : 0;
		return 1;
	case 1:
	case 7:
		return expect_denial();
	case 3:
	case 4:
		expect(model.due == 2 ? "500 Temporary failure, the password may or may not have changed." :
		    "500 Temporary failure, password not changed.");
		return 0;
	}
	expect("500 Temporary failure, password not changed.");
	return 0;
}

/* Whether the session goes on after this line. */
static int expect_line(const char *line, size_t n)
{
	const char *mistake = has_model_control(line, n) ? "500 Control character in command." : 0;
	if (!mistake && n == 4 && is_word(line, n, "quit")) {
		expect("200 Bye.");
		return 0;
	}
	if (!mistake)
		mistake = take_model_field(line, n);
	if (mistake) {
		expect(mistake);
		model.due = 0;
		return ++model.errors < MAX_ERRORS;
	}
	if (model.due > 0)
		return expect_chain();
	expect("200 Your password please.");
	model.due = 1;
	return 1;
}

static void expect_session(void)
{
	const char *p = (const char *)input, *line;
	size_t n;
	memset(&model, 0, sizeof model);
	want_size = 0;
	expect("200 " HOST " hello, who are you?");
	while (next_model_line(&p, &line, &n) && expect_line(line, n))
		;
}

/* ^[2-5][0-9][0-9] [ -~]*\r\n$ */
static void check_replies(void)
{
	for (const char *p = out, *nl; p < out + out_size; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(out + out_size - p));
		if (!nl) {
			CHECK(broken_pipe, "a reply without an end");
			return;
		}
		CHECK(nl - p >= 5 && p[0] >= '2' && p[0] <= '5' && p[1] >= '0' && p[1] <= '9' && p[2] >= '0' && p[2] <= '9' && p[3] == ' ', "no code");
		for (const char *q = p; q < nl - 1; q++)
			CHECK(*q >= 32 && *q < 127, "a byte in a reply");
		CHECK(nl[-1] == '\r' && nl - p < 999, "the end of a reply");
	}
}

/* Was it typed as (a part of) a name, too? That is logged. */
static int in_a_name(const char *word, size_t n)
{
	const char *p = (const char *)input, *end = p + input_size;
	for (const char *nl; p < end; p = nl + 1) {
		nl = memchr(p, '\n', (size_t)(end - p));
		if (!nl)
			return 0;
		if (nl - p >= 4 && !strncasecmp(p, "user", 4) && memmem(p, (size_t)(nl - p), word, n))
			return 1;
	}
	return 0;
}

/* Passwords that stand for themselves are not in the log, nor left in memory. */
static void check_secrets(void)
{
	for (int i = 0; i < chains; i++) {
		const char *name = ran[i].record, *old = name + strlen(name) + 1, *new = old + strlen(old) + 2;
		const char *words[] = { old, ran[i].set ? new : "" };
		for (int w = 0; w < 2; w++) {
			size_t n = strlen(words[w]);
			if (n < 8 || strstr(name, words[w]) || memmem(text, text_size, words[w], n))
				continue;
			CHECK(in_a_name(words[w], n) || !memmem(log_text, log_size, words[w], n) ||
			    strstr("qmail-poppass[4242]: PASSWORD_COMMAND checkprogram", words[w]), "a password in the log");
		}
	}
	const char *p = (const char *)&secret;
	CHECK(!*p && !memcmp(p, p + 1, sizeof secret - 1), "memory that is not wiped at the end");
}

static void reset(void)
{
	memset(&secret, 0, sizeof secret);
	in_len = line_len = record_len = text_len = 0;
	room = 0;
	gone = is_socket = tls_asked = mistakes = tries = 0;
	session_left = SESSION_TIMEOUT * 1000L;
	memcpy(address, "local", 6);
	in_child = child_runs = killed = chains = broken_pipe = timed_out = pipe_open = over = 0;
	exit_code = -1;
	at = text_at = out_size = log_size = 0;
	memset(ran, 0, sizeof ran);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char *argv[] = { "qmail-poppass", HOST, "/check", "a", NULL };
	static char *env[] = { "PASSWORD_COMMAND=/set b", NULL };
	if (n < sizeof plan + 1 || n > 1 << 15)
		return 0;
	memcpy(&plan, data, sizeof plan);
	text = data + sizeof plan + 1;
	text_size = data[sizeof plan];
	if (text_size > n - sizeof plan - 1)
		text_size = n - sizeof plan - 1;
	input = text + text_size;
	input_size = n - sizeof plan - 1 - text_size;
	dice = plan.seed * 2654435761u + 1;
	reset();
	environ = env;
	if (!setjmp(at_exit))
		poppass_main(4, argv);
	CHECK(exit_code == 0, "another exit code");
	CHECK(!child_runs || killed, "a chain is left");
	CHECK(over, "the sending side is not shut");
	check_replies();
	check_secrets();
	expect_session();
	CHECK(out_size <= want_size && !memcmp(out, want, out_size), "another reply");
	CHECK(broken_pipe || out_size == want_size, "a reply is missing");
	return 0;
}
