/*
 * qmail-poppass - lets a mail user change a password from across the network
 *
 * A super-server accepts the connection and runs one process like this one:
 *
 *	super-server (tcpsvd, tcpserver, s6, systemd, xinetd, inetd)
 *	  `- qmail-poppass	fd 0 and 1: the client, or with TLS the relay
 *	       |		fd 2: the log
 *	       |- TLS relay	bearssl_glue.c; plain text crosses, see there
 *	       |- check chain	at "pass": is the old password right?
 *	       |		fd 3: NAME \0 OLD \0 \0 \0
 *	       `- set chain	at "newpass": set the new one
 *				fd 3: NAME \0 OLD \0 \0 NEW \0
 *				fd 1: why it refused, one line for the user
 *
 * This process runs as root or as the service's user, since the chains need
 * that. It never looks at a password file itself: a chain's exit status is
 * its verdict (0 accepts, 111 is trouble, any other refuses).
 *
 * The conversation, CRLF on every line, one reply to each command:
 *
 *	S: 200 HOSTNAME hello, who are you?
 *	C: user NAME			S: 200 Your password please.
 *	C: pass OLD			S: 200 Your new password please.
 *	C: newpass NEW			S: 200 Password changed, thank-you.
 *	C: quit				S: 200 Bye.
 *
 * Whatever goes wrong gets one line "500 ..." and, where a chain was asked
 * in vain, costs FAIL_DELAY seconds: the super-server's limit of connections
 * makes that the price of guessing. No memory is allocated, every wait has an
 * end, and what is secret lives in one struct that every way out wipes.
 */
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <netinet/in.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "bearssl_glue.h"

#define EXIT_CONFIG	100
#define EXIT_TEMPORARY	111
#define RECORD_FD	3

/* Of what a chain prints: its code, what is shown, and room for a password that begins in that. */
#define CODE_LEN	4
#define TEXT_MAX	(CODE_LEN + REASON_MAX + RECORD_MAX)
#define REPLY_MAX	(64 + (HOSTNAME_MAX > REASON_MAX ? HOSTNAME_MAX : REASON_MAX))
#define ADDRESS_MAX	INET6_ADDRSTRLEN
#define MOMENT		50000000	/* nanoseconds */
#define VARIABLE_MAX	32
#define LINE_SIZE	(REPLY_MAX > LOG_MAX ? REPLY_MAX : LOG_MAX)
#define FDS_MAX		65536
#define PIPE_ROOM	4096	/* a page, and PIPE_BUF */
#define UNKNOWN_SOCKET	UINT64_MAX

/* The longest session: no line is read after SESSION_TIMEOUT, but the last one may run a chain. */
#define BACKSTOP	(SESSION_TIMEOUT + HANDSHAKE_TIMEOUT + CHAIN_TIMEOUT + KILL_WAIT + \
			FAIL_DELAY + CLOSE_WAIT + 4 * WRITE_TIMEOUT + 30)

#define STRING(x)	#x
#define NUMERAL(x)	STRING(x)
#define TEMPORARY	NUMERAL(TEMPFAIL_CODE) " Temporary failure, "

_Static_assert(REPLY_MAX < 1000, "clients read a line into 1000 bytes");
_Static_assert(RECORD_MAX <= 4096, "the record must fit the smallest pipe");
_Static_assert(LOG_MAX >= LOG_NAME_MAX + ADDRESS_MAX + 70, "address and name must fit a log line");
_Static_assert(TEMPFAIL_CODE >= 400 && TEMPFAIL_CODE <= 599, "a failure is 4xx or 5xx");

enum wake { EXPIRED, READY, ENDED, SIGNALLED };	/* ENDED: closed, nothing left to read */
enum verdict { ACCEPTED, REFUSED, TROUBLE, LOST };	/* LOST: nobody knows what it did */
enum due { USER, PASS, NEWPASS };

struct chain {
	const char *label;	/* its name in the log */
	char **argv;
};

/* All that must not outlive its use. */
static struct {
	char in[LINE_MAX + 2];	/* received, not yet obeyed; begins with a line */
	char record[RECORD_MAX];	/* for fd 3: the fields so far, zeros behind */
	char text[TEXT_MAX];	/* what the chain printed first */
	char scrap[512];	/* what is read to be dropped */
} secret;

static size_t in_len, line_len, record_len, text_len;
static size_t field_at[NEWPASS + 1];	/* where in the record each begins */

static struct chain check = { "checkprogram", NULL };
static struct chain set = { "PASSWORD_COMMAND", NULL };

static char address[ADDRESS_MAX] = "local";
static const char *syslog_priority = "";	/* of fd 2, where that is /dev/log */
static pid_t self;
static int gone;	/* the client closed, or takes no replies */
static int is_socket;	/* is fd 0, and so fd 1 unless it shows otherwise */
static size_t room;	/* what fits into fd 1, a pipe, without a wait */
static int tls_asked;
static int mistakes, tries;
static long session_left = SESSION_TIMEOUT * 1000L;	/* milliseconds */
static sigset_t too_large;	/* blocked in a wait: SIGXFSZ */

extern char **environ;

/* The C library's own of these are several times as large, and size counts here */

static const char *find(const char *s, char c, size_t len)
{
	for (; len > 0; s++, len--)
		if (*s == c)
			return s;
	return NULL;
}

/* How much of s is word, in small letters, in any case: all of word, or 0. */
static size_t begins(const char *s, const char *word)
{
	size_t n;

	for (n = 0; word[n] != '\0'; n++)
		if ((s[n] | 0x20) != word[n])
			return 0;
	return n;
}

/* Where in the environment a variable is; NULL where it is not set. */
static char **look_up(const char *name)
{
	char **entry;
	size_t n;

	for (entry = environ; *entry != NULL; entry++) {
		for (n = 0; name[n] != '\0' && (*entry)[n] == name[n]; n++)
			;
		if (name[n] == '\0' && (*entry)[n] == '=')
			return entry;
	}
	return NULL;
}

/* A variable's value; NULL where it is not set. */
static const char *variable(const char *name)
{
	char **entry = look_up(name);

	if (entry == NULL)
		return NULL;
	return *entry + strlen(name) + 1;
}

/* Waiting and writing */

/* How long a wait may still take: the form that ppoll(2) has in the kernel. */
struct left {
	long seconds, nanoseconds;
};

static long milliseconds(const struct left *left)
{
	return left->seconds * 1000 + left->nanoseconds / 1000000;
}

static void set_left(struct left *left, long ms)
{
	left->seconds = ms / 1000;
	left->nanoseconds = ms % 1000 * 1000000;
}

/*
 * Who always has something for us keeps us from waiting, and the time that we
 * work goes uncounted: of that the alarm's timer knows.
 */
static void count_work(struct left *left)
{
	struct itimerval timer;
	long work;

	getitimer(ITIMER_REAL, &timer);
	work = session_left + (BACKSTOP - SESSION_TIMEOUT) * 1000L -
	    timer.it_value.tv_sec * 1000 - timer.it_value.tv_usec / 1000;
	session_left -= work;
	set_left(left, milliseconds(left) - work);
}

/*
 * The one place that waits: until fd is ready, a signal came (a child ended),
 * or no time is left. fd -1 waits for the other two. Linux itself counts left
 * down, which only the bare system call shows: so there is no need for a clock,
 * nor for one that is right, and here alone a session spends its time.
 */
static enum wake await(int fd, short events, struct left *left)
{
	static unsigned int busy;
	struct pollfd p = { .fd = fd, .events = events };
	long before = milliseconds(left);
	long n = syscall(SYS_ppoll, &p, 1, left, &too_large, _NSIG / 8);

	session_left -= before - milliseconds(left);
	if (n > 0 && ++busy % 256 == 0)
		count_work(left);
	if (n > 0)
		return p.revents == POLLHUP ? ENDED : READY;
	return n < 0 && (errno == EINTR || errno == EAGAIN) ? SIGNALLED : EXPIRED;
}

static void delay(int seconds)
{
	struct left left = { seconds, 0 };

	while (await(-1, 0, &left) != EXPIRED)
		;
}

/* A socket is asked not to wait; whatever else the client is, write_all() knows that it will not. */
static ssize_t write_some(int fd, const char *buf, size_t len)
{
	if (fd == 1 && is_socket)
		return send(fd, buf, len, MSG_DONTWAIT);
	return write(fd, buf, len);
}

/*
 * The one place that writes to the client and the log: 0, or -1 with errno. A pipe that is
 * ready takes PIPE_ROOM bytes, whatever their portions; into the log others write, too.
 */
static int write_all(int fd, const char *buf, size_t len)
{
	struct left left = { WRITE_TIMEOUT, 0 };
	int ask = fd != 1 || (!is_socket && room < len);
	enum wake wake;
	ssize_t n;

	while (len > 0) {
		wake = ask ? await(fd, POLLOUT, &left) : READY;
		if (wake == SIGNALLED)
			continue;
		if (ask && fd == 1)
			room = PIPE_ROOM;
		errno = ETIMEDOUT;
		n = wake != EXPIRED ? write_some(fd, buf, len) : -1;
		if (n > 0) {
			buf += n;
			len -= (size_t)n;
			room -= room < (size_t)n ? room : (size_t)n;
		} else if (errno == EAGAIN || errno == ENOTSOCK) {
			is_socket &= errno == EAGAIN;
			ask = 1;
		} else if (errno != EINTR)
			return -1;
	}
	return 0;
}

/* Lines, for the client, the log and the terminal: built here, one at a time, and written whole */

static char line[LINE_SIZE];
static size_t line_at, line_max;

static void begin(size_t max)
{
	line_at = 0;
	line_max = max;
}

/* What does not fit is left out. */
static void put_byte(char c)
{
	if (line_at < line_max)
		line[line_at++] = c;
}

static void put(const char *s)
{
	while (*s != '\0')
		put_byte(*s++);
}

static const char hex_digits[] = "0123456789abcdef";

static void put_number(unsigned int n, unsigned int base)
{
	char digits[12];
	char *p = digits + sizeof digits - 1;

	*p = '\0';
	do
		*--p = hex_digits[n % base];
	while ((n /= base) != 0);
	put(p);
}

static int is_printable(char c)
{
	return c >= 0x20 && c < 0x7f;
}

/* So that no quote ends early and no line breaks: at most room bytes, then dots if that cut it. */
static void put_escaped(const char *s, size_t room)
{
	size_t n;

	for (; *s != '\0'; s++) {
		n = !is_printable(*s) || *s == '"' || *s == '\\' ? 4 : 1;
		if (n > room) {
			put("...");
			return;
		}
		room -= n;
		if (n == 1) {
			put_byte(*s);
			continue;
		}
		put("\\x");
		put_byte(hex_digits[(unsigned char)*s >> 4]);
		put_byte(hex_digits[*s & 15]);
	}
}

/* The log: note() begins an event, logged() ends and writes it */

static void note(const char *event)
{
	begin(LOG_MAX - 1);
	put(syslog_priority);
	put("qmail-poppass[");
	put_number((unsigned int)self, 10);
	put("]: ");
	put(event);
	put(" rhost=");
	put(address);
	if (record_len == 0)
		return;
	put(" user=\"");
	put_escaped(secret.record, LOG_NAME_MAX);
	put("\"");
}

static void note_status(int status)
{
	put(" status=");
	put_number((unsigned int)status, 10);
}

/* The last part of an event: gets all the room but what dots and a tail need. */
static void put_rest(const char *text, size_t tail)
{
	size_t used = line_at + sizeof "..." - 1 + tail;

	put_escaped(text, used < line_max ? line_max - used : 0);
}

/* A log that takes nothing must not stop a password change, and there is nobody to tell. */
static void logged(void)
{
	line_max = LOG_MAX;
	put("\n");
	write_all(2, line, line_at);
}

static void log_what(const char *event, const char *what)
{
	note(event);
	put(" what=\"");
	put_rest(what, 1);
	put("\"");
	logged();
}

static void log_number(const char *event, const char *what, const char *how, int number)
{
	note(event);
	put(" what=\"");
	put_rest(what, strlen(how) + sizeof "4095\"" - 1);
	put(how);
	put_number((unsigned int)number, 10);
	put("\"");
	logged();
}

static void log_warning(const char *what)
{
	log_what("warning", what);
}

static void log_error(const char *event, const char *action)
{
	int error = errno;

	log_number(event, action, error == ENOENT ? ": no such file, error " :
	    error == EACCES ? ": permission denied, error " : ": error ", error);
}

static int write_line(const char *a, const char *b, const char *c, const char *end)
{
	begin(sizeof line - 2);
	put(a);
	put(b);
	put(c);
	line_max = sizeof line;
	put(end);
	return write_all(1, line, line_at);
}

static void reply3(const char *a, const char *b, const char *c)
{
	if (gone || write_line(a, b, c, "\r\n") == 0)
		return;
	gone = 1;
	log_error("closed", "write to client");
}

static void reply(const char *text)
{
	reply3(text, "", "");
}

/* Reads what there is on fd 0; 0 at its end, which is noted. */
static size_t receive(char *buf, size_t size)
{
	ssize_t n = read(0, buf, size);

	if (n > 0)
		return (size_t)n;
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n < 0)
		log_error("closed", "read from client");
	gone = 1;
	return 0;
}

/*
 * Closing on unread input would send a reset, which may overtake our reply:
 * so shut our side first and read on until the client has closed its own.
 * hold is for how many seconds the slot stays taken even when it has.
 */
static _Noreturn void leave(int code, int hold)
{
	struct left left = { hold > CLOSE_WAIT ? hold : CLOSE_WAIT, 0 };
	enum wake wake;
	const char *why;

	explicit_bzero(&secret, sizeof secret);
	record_len = 0;
	if (!is_socket || shutdown(1, SHUT_WR) == -1)
		close(1);
	while ((!gone || hold > 0) && (wake = await(gone ? -1 : 0, POLLIN, &left)) != EXPIRED)
		if (wake == ENDED)
			gone = 1;
		else if (wake == READY) {
			receive(secret.scrap, sizeof secret.scrap);
			explicit_bzero(secret.scrap, sizeof secret.scrap);
		}
	if ((why = tls_end()) != NULL)
		log_what("tls failed", why);
	_exit(code);
}

static _Noreturn void hang_up(const char *text, const char *what)
{
	log_what("closed", what);
	reply(text);
	leave(0, 0);
}

static _Noreturn void fail_config(const char *what)
{
	log_what("config error", what);
	if (!tls_asked)
		reply("500 Server configuration error.");
	leave(EXIT_CONFIG, 0);
}

/* Chains */

/* The C library's pipe2, and its open, have 200 bytes more, for kernels from before 2008. */
static int make_pipe(int fd[2], int flags)
{
	return (int)syscall(SYS_pipe2, fd, flags);
}

/* The lowest free descriptor, made to give nothing, also where no /dev is mounted. */
static int open_null(void)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR);
	int empty[2];

	if (fd >= 0 || make_pipe(empty, 0) == -1)
		return fd;
	close(empty[1]);
	return empty[0];
}

/*
 * The child of vfork: shares our memory until exec, so it changes nothing in
 * it that we still need. The record fits the pipe, so this write never waits,
 * and all that is not placed on 0 to 3 goes away at exec.
 */
static _Noreturn void become(const struct chain *chain, size_t len, int out)
{
	int record[2];
	sigset_t none;

	sigemptyset(&none);
	if (dup2(RECORD_FD, 0) == -1 || dup2(out, 1) == -1 ||
	    make_pipe(record, O_CLOEXEC) == -1 ||
	    write(record[1], secret.record, len) != (ssize_t)len ||
	    dup2(record[0], RECORD_FD) == -1 ||
	    setsid() == -1 ||
	    sigprocmask(SIG_SETMASK, &none, NULL) == -1)
		log_error("trouble", chain->label);
	else {
		execv(chain->argv[0], chain->argv);
		log_error("trouble", chain->argv[0]);
	}
	_exit(EXIT_TEMPORARY);
}

/* Keeps the beginning of what the chain prints and drops the rest; false at its end. */
static int take_text(int out)
{
	ssize_t n;

	if (text_len < sizeof secret.text) {
		n = read(out, secret.text + text_len, sizeof secret.text - text_len);
		if (n > 0)
			text_len += (size_t)n;
	} else
		n = read(out, secret.scrap, sizeof secret.scrap);
	return n > 0 || (n == -1 && (errno == EINTR || errno == EAGAIN));
}

/*
 * False if the chain's first process has not ended by then. SIGCHLD is blocked
 * but while we wait, so none is lost; yet none comes through as long as a
 * grandchild never lets the pipe run dry, hence the look after each read.
 * Most chains end at once and print little: for a moment their end alone is
 * waited for, since the closing of the pipe would wake us once more.
 */
static int reap(pid_t pid, int out, int seconds, int *status)
{
	struct left moment = { 0, MOMENT }, left = { seconds, 0 };
	enum wake wake;

	while (await(-1, 0, &moment) != EXPIRED)
		if (waitpid(pid, status, WNOHANG) == pid)
			return 1;
	while ((wake = await(out, POLLIN, &left)) != EXPIRED)
		if (wake == ENDED || (wake == READY && !take_text(out)))
			out = -1;
		else if (waitpid(pid, status, WNOHANG) == pid)
			return 1;
	return waitpid(pid, status, WNOHANG) == pid;
}

/* What its pipe still holds, without waiting for grandchildren that keep it open. */
static void take_rest(int out)
{
	struct left none = { 0, 0 };

	while (text_len < sizeof secret.text && await(out, POLLIN, &none) == READY && take_text(out))
		;
}

static enum verdict judge(const struct chain *chain, int status, int *code)
{
	if (WIFSIGNALED(status)) {
		log_number("trouble", chain->label, " signal ", WTERMSIG(status));
		return LOST;
	}
	*code = WEXITSTATUS(status);
	if (*code == 0)
		return ACCEPTED;
	if (*code != EXIT_TEMPORARY)
		return REFUSED;
	log_number("trouble", chain->label, " exit ", *code);
	return TROUBLE;
}

/* Kills the chain's whole session, while its first process, not yet reaped, keeps the number. */
static enum verdict kill_chain(const struct chain *chain, pid_t pid, int out, int *code)
{
	int status;

	if (kill(-pid, SIGKILL) == -1)
		kill(pid, SIGKILL);
	if (!reap(pid, out, KILL_WAIT, &status)) {
		log_number("trouble", chain->label, " could not be killed after ", CHAIN_TIMEOUT);
		return LOST;
	}
	if (!WIFSIGNALED(status))
		return judge(chain, status, code);
	log_number("trouble", chain->label, " killed after ", CHAIN_TIMEOUT);
	return LOST;
}

/* The pipe for what the chain prints. A null descriptor keeps RECORD_FD free for its record. */
static int open_pipe(int out[2])
{
	static int reserved;

	if (!reserved && open_null() != RECORD_FD)
		return -1;
	reserved = 1;
	return make_pipe(out, O_CLOEXEC);
}

/* The one place that runs a chain. code is its exit status where there is one. */
static enum verdict run(const struct chain *chain, size_t len, int *code)
{
	enum verdict verdict;
	int out[2], status;
	pid_t pid;

	text_len = 0;
	if (open_pipe(out) == -1) {
		log_error("trouble", "pipe");
		return TROUBLE;
	}
	pid = vfork();
	if (pid == 0)
		become(chain, len, out[1]);
	if (pid == -1)
		log_error("trouble", "fork");
	close(out[1]);
	if (pid == -1)
		verdict = TROUBLE;
	else if (reap(pid, out[0], CHAIN_TIMEOUT, &status))
		verdict = judge(chain, status, code);
	else
		verdict = kill_chain(chain, pid, out[0], code);
	if (verdict == REFUSED)
		take_rest(out[0]);
	else
		explicit_bzero(secret.text, sizeof secret.text);
	explicit_bzero(secret.scrap, sizeof secret.scrap);
	close(out[0]);
	return verdict;
}

/* Commands: each handler is called with its argument in the record, and tells what is due next */

static void forget(void)
{
	explicit_bzero(secret.record, sizeof secret.record);
	explicit_bzero(secret.text, sizeof secret.text);
	record_len = text_len = 0;
}

static enum due got_name(void)
{
	reply("200 Your password please.");
	return PASS;
}

static enum due wrong_password(int code)
{
	note("auth failed");
	if (code != 1)
		note_status(code);
	logged();
	forget();
	delay(FAIL_DELAY);
	reply("500 Old password is incorrect or user not found.");
	if (++tries >= MAX_TRIES)
		leave(0, 0);
	return USER;
}

static _Noreturn void give_up(const char *text)
{
	reply3(TEMPORARY, text, "");
	leave(0, FAIL_DELAY);
}

/* The record still lacks its last two fields, which are empty here: two of the zeros behind it. */
static enum due got_old(void)
{
	int code = 0;

	switch (run(&check, record_len + 2, &code)) {
	case ACCEPTED:
		reply("200 Your new password please.");
		return NEWPASS;
	case REFUSED:
		return wrong_password(code);
	case TROUBLE:
	case LOST:
		break;
	}
	give_up("password not changed.");
}

static int contains(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (; len >= n; text++, len--)
		if (memcmp(text, word, n) == 0)
			return 1;
	return 0;
}

static size_t code_length(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < 3; i++)
		if (i >= len || s[i] < '0' || s[i] > '9')
			return 0;
	return len > 3 && (s[3] == ' ' || s[3] == '-') ? CODE_LEN : 0;
}

/* The chain's first line, fit for the user; empty if it would show a password. */
static const char *reason(void)
{
	static char shown[REASON_MAX + 1];
	const char *old = secret.record + field_at[PASS];
	const char *new = secret.record + field_at[NEWPASS];
	const char *end = find(secret.text, '\n', text_len);
	size_t len = end != NULL ? (size_t)(end - secret.text) : text_len;
	size_t i, skip;

	if (len > 0 && secret.text[len - 1] == '\r')
		len--;
	if (contains(secret.text, len, old) || contains(secret.text, len, new))
		len = 0;
	skip = code_length(secret.text, len);
	len -= skip;
	if (len > REASON_MAX)
		len = REASON_MAX;
	for (i = 0; i < len; i++)
		shown[i] = is_printable(secret.text[skip + i]) ? secret.text[skip + i] : '?';
	shown[i] = '\0';
	return shown;
}

static _Noreturn void refuse(int code)
{
	const char *why = reason();

	note("change refused");
	note_status(code);
	if (*why != '\0') {
		put(" reason=\"");
		put_rest(why, 1);
		put("\"");
	}
	logged();
	reply3("500 Password change failed", *why != '\0' ? ": " : ".", why);
	leave(0, FAIL_DELAY);
}

static enum due got_new(void)
{
	int code = 0;

	switch (run(&set, record_len, &code)) {
	case ACCEPTED:
		note("changed");
		logged();
		forget();
		reply("200 Password changed, thank-you.");
		return USER;
	case REFUSED:
		refuse(code);
	case TROUBLE:
		give_up("password not changed.");
	case LOST:
		break;
	}
	give_up("the password may or may not have changed.");
}

/* One row for each thing that can be due. */
static const struct command {
	const char *keyword;
	const char *missing;
	enum due (*obey)(void);
} commands[] = {
	[USER] = { "user", "500 Username required.", got_name },
	[PASS] = { "pass", "500 Password required.", got_old },
	[NEWPASS] = { "newpass", "500 New password required.", got_new },
};

/* Lines from the client */

static void fill(struct left *left)
{
	switch (await(0, POLLIN, left)) {
	case EXPIRED:
		hang_up("500 Timeout, closing connection.", "timeout");
	case SIGNALLED:
		return;
	case ENDED:
	case READY:
		in_len += receive(secret.in + in_len, sizeof secret.in - in_len);
	}
}

/*
 * Returns the length of the next line, without its end. What ends without one
 * is dropped: a connection that is cut must not set half a password.
 */
static size_t next_line(void)
{
	struct left left = { IDLE_TIMEOUT, 0 };
	const char *lf;
	size_t len;

	if (session_left <= 0)
		hang_up("500 Timeout, closing connection.", "timeout");
	if (session_left < IDLE_TIMEOUT * 1000L)
		set_left(&left, session_left);
	while ((lf = find(secret.in, '\n', in_len)) == NULL) {
		if (in_len == sizeof secret.in)
			hang_up("500 Line too long.", "line too long");
		if (gone)
			leave(0, 0);
		fill(&left);
	}
	len = (size_t)(lf - secret.in);
	line_len = len + 1;
	if (len > 0 && secret.in[len - 1] == '\r')
		len--;
	if (len > LINE_MAX)
		hang_up("500 Line too long.", "line too long");
	return len;
}

static void drop_line(void)
{
	in_len -= line_len;
	memmove(secret.in, secret.in + line_len, in_len);
	explicit_bzero(secret.in + in_len, sizeof secret.in - in_len);
}

static enum due mistake(const char *text)
{
	drop_line();
	forget();
	if (++mistakes >= MAX_ERRORS)
		hang_up(text, "too many errors");
	reply(text);
	return USER;
}

static int has_control(const char *s, size_t len)
{
	for (; len > 0; s++, len--)
		if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
			return 1;
	return 0;
}

/* Where the argument begins if the line is this command with one, else 0. */
static size_t argument(const char *keyword, size_t len)
{
	size_t n = begins(secret.in, keyword);

	return n > 0 && len > n + 1 && secret.in[n] == ' ' ? n + 1 : 0;
}

/* Adds a field to the record; false if name, passwords and four NULs are too long for it. */
static int add_field(enum due due, const char *s, size_t len)
{
	if (record_len + len + 4 > RECORD_MAX + (size_t)due)
		return 0;
	if (due == NEWPASS)
		secret.record[record_len++] = '\0';
	field_at[due] = record_len;
	memcpy(secret.record + record_len, s, len);
	record_len += len;
	secret.record[record_len++] = '\0';
	return 1;
}

/* The line is dropped before its handler runs: a chain may take its time. */
static enum due obey(enum due due, size_t len)
{
	const struct command *command = &commands[due];
	size_t at;

	if (has_control(secret.in, len))
		return mistake("500 Control character in command.");
	if (len == 4 && begins(secret.in, "quit") > 0) {
		reply("200 Bye.");
		leave(0, 0);
	}
	at = argument(command->keyword, len);
	if (at == 0)
		return mistake(command->missing);
	if (!add_field(due, secret.in + at, len - at))
		return mistake("500 Name and passwords too long.");
	drop_line();
	return command->obey();
}

/* The client's address */

/* ::ffff:0.0.0.0; the first 12 bytes are those of every IPv4 address. */
static const unsigned char nobody[16] = { [10] = 0xff, [11] = 0xff };

/* As RFC 5952 writes it: the longest run of zeros left out. */
static void put_ipv6(const unsigned char ip[16])
{
	int i, start = 0, best = -1, longest = 1;

	for (i = 0; i < 8; i++) {
		if (ip[2 * i] != 0 || ip[2 * i + 1] != 0)
			start = i + 1;
		else if (i + 1 - start > longest) {
			longest = i + 1 - start;
			best = start;
		}
	}
	for (i = 0; i < 8; i++) {
		if (i == best) {
			put("::");
			i += longest - 1;
			continue;
		}
		if (i > 0 && (best == -1 || i != best + longest))
			put(":");
		put_number((unsigned int)ip[2 * i] << 8 | ip[2 * i + 1], 16);
	}
}

static int is_ipv4(const unsigned char ip[16])
{
	return memcmp(ip, nobody, 12) == 0;
}

static void set_address(const unsigned char ip[16])
{
	int i;

	begin(sizeof address - 1);
	if (is_ipv4(ip))
		for (i = 12; i < 16; i++) {
			put(i > 12 ? "." : "");
			put_number(ip[i], 10);
		}
	else
		put_ipv6(ip);
	memcpy(address, line, line_at);
	address[line_at] = '\0';
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int parse_ipv4(const char *s, unsigned char *ip)
{
	unsigned int n;
	int i;

	for (i = 0; i < 4; i++) {
		if (!is_digit(*s))
			return 0;
		for (n = 0; is_digit(*s) && n < 256; s++)
			n = n * 10 + (unsigned int)(*s - '0');
		if (n > 255 || *s++ != (i < 3 ? '.' : '\0'))
			return 0;
		ip[i] = (unsigned char)n;
	}
	return 1;
}

/* The value of up to four hex digits at *s, which moves behind them; -1 if there is none. */
static int parse_group(const char **s)
{
	unsigned int n = 0;
	int i;

	for (i = 0; i < 4; i++, ++*s)
		if (is_digit(**s))
			n = n << 4 | (unsigned int)(**s - '0');
		else if ((**s | 0x20) >= 'a' && (**s | 0x20) <= 'f')
			n = n << 4 | (unsigned int)((**s | 0x20) - 'a' + 10);
		else
			break;
	return i > 0 ? (int)n : -1;
}

/* Fills ip from the left; what stood behind "::" moves to the right at the end. */
static int parse_ipv6(const char *s, unsigned char ip[16])
{
	size_t at = 0, gap = 16;
	const char *group;
	int n;

	if (*s == ':' && *++s != ':')
		return 0;
	for (;;) {
		if (*s == ':') {
			if (gap < 16 || at == 16)
				return 0;
			gap = at;
			if (*++s == '\0')
				break;
		}
		group = s;
		n = parse_group(&s);
		if (*s == '.' && at <= 12 && parse_ipv4(group, ip + at)) {
			at += 4;
			break;
		}
		if (n == -1 || at == 16)
			return 0;
		ip[at++] = (unsigned char)(n >> 8);
		ip[at++] = (unsigned char)n;
		if (*s == '\0')
			break;
		if (*s++ != ':')
			return 0;
	}
	if (gap == 16)
		return at == 16;
	memmove(ip + 16 - (at - gap), ip + gap, at - gap);
	memset(ip + gap, 0, 16 - at);
	return at < 16;
}

/* s as 16 bytes, IPv4 as ::ffff:a.b.c.d; false if it is no address, or that of nobody. */
static int parse_address(const char *s, unsigned char ip[16])
{
	memcpy(ip, nobody, sizeof nobody);
	if (!parse_ipv4(s, ip + 12) && !parse_ipv6(s, ip))
		return 0;
	return memcmp(ip, nobody, sizeof nobody) != 0;
}

/* The interface in fe80::1%eth0 is left out. */
static int take_literal(const char *s, size_t len)
{
	static char literal[ADDRESS_MAX];
	unsigned char ip[16];
	size_t i;

	for (i = 0; i < len && s[i] != '%'; i++) {
		if (i == sizeof literal - 1)
			return 0;
		literal[i] = s[i];
	}
	literal[i] = '\0';
	if (!parse_address(literal, ip))
		return 0;
	set_address(ip);
	return 1;
}

/* busybox's ip:port and [ip]:port. */
static int take_with_port(const char *s)
{
	const char *end = s[0] == '[' ? find(s, ']', strlen(s)) : find(s, ':', strlen(s));

	if (s[0] == '[')
		s++;
	return end != NULL && take_literal(s, (size_t)(end - s));
}

/* Proxies and wrappers say it in the environment: that comes before the socket's own peer. */
static int take_from_environment(void)
{
	enum { WITH_PORT = 3 };
	static const char *const variables[] = {
		"TCPREMOTEIP", "TCP6REMOTEIP", "SSLREMOTEIP", [WITH_PORT] = "TCPREMOTEADDR",
		"REMOTE_ADDR", "REMOTE_HOST",
	};
	const char *value = variable("PROTO");
	size_t i;

	if (value != NULL) {
		begin(VARIABLE_MAX);
		put(value);
		put("REMOTEIP");
		line[line_at] = '\0';
		value = variable(line);
		if (value != NULL && take_literal(value, strlen(value)))
			return 1;
	}
	for (i = 0; i < sizeof variables / sizeof variables[0]; i++) {
		value = variable(variables[i]);
		if (value != NULL && (take_literal(value, strlen(value)) ||
		    (i == WITH_PORT && take_with_port(value))))
			return 1;
	}
	return 0;
}

/* Sets rhost, and ends here if the client has left already: no chain runs for it. */
static void find_address(void)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
		struct sockaddr_storage room;
	} peer = { .any = { .sa_family = AF_UNSPEC } };
	socklen_t len = sizeof peer;
	unsigned char ip[16];

	is_socket = getpeername(0, &peer.any, &len) == 0;
	if (!is_socket && errno == ENOTCONN) {
		gone = 1;
		leave(0, 0);
	}
	if (take_from_environment())
		return;
	if (peer.any.sa_family == AF_INET) {
		memcpy(ip, nobody, 12);
		memcpy(ip + 12, &peer.ipv4.sin_addr, 4);
		set_address(ip);
	} else if (peer.any.sa_family == AF_INET6)
		set_address(peer.ipv6.sin6_addr.s6_addr);
}

/* Start: descriptors, log, signals */

/* Nobody can be told but the log, if that: where it is may not yet be known. */
static _Noreturn void cannot_start(void)
{
	log_error("trouble", "start");
	_exit(EXIT_TEMPORARY);
}

/* So that no later open lands on 0, 1 or 2, and the client on no chain's descriptor. */
static void clean_descriptors(void)
{
	struct pollfd p[3] = { { .fd = 0 }, { .fd = 1 }, { .fd = 2 } };
	struct left none = { 0, 0 };
	struct rlimit limit;
	int fd;

	if (syscall(SYS_ppoll, p, 3, &none, NULL, 0) == -1)
		cannot_start();
	for (fd = 0; fd < 3; fd++)
		if ((p[fd].revents & POLLNVAL) != 0 && open_null() != fd)
			cannot_start();
	if (syscall(SYS_close_range, 3, ~0U, 0) == 0)
		return;
	if (prlimit(0, RLIMIT_NOFILE, NULL, &limit) == -1 || limit.rlim_cur > FDS_MAX)
		limit.rlim_cur = FDS_MAX;
	for (fd = 3; fd < (int)limit.rlim_cur; fd++)
		close(fd);
}

/* A number that no other socket has; 0 for what is none. */
static uint64_t socket_number(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof cookie;

	if (getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) == -1 && errno != ENOTSOCK)
		return UNKNOWN_SOCKET;
	return cookie;
}

/*
 * Under inetd fd 2 is the client: nothing of ours, nor of a chain, may be
 * written there. A kernel that cannot tell sockets apart counts as inetd.
 */
static void find_log(void)
{
	struct sockaddr_un syslog = { .sun_family = AF_UNIX, .sun_path = "/dev/log" };
	uint64_t number = socket_number(2);
	int fd;

	if (number == 0 || (number != socket_number(0) && number != socket_number(1)))
		return;
	close(2);
	fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	if (fd != -1 && connect(fd, (const struct sockaddr *)&syslog, sizeof syslog) == 0) {
		syslog_priority = "<38>";	/* auth.info */
		return;
	}
	close(2);
	if (open_null() != 2)
		cannot_start();
}

static void on_signal(int number)
{
	(void)number;
}

/*
 * SIGCHLD is let through by await() alone, so that no end of a child is missed;
 * SIGXFSZ never, so that a log file at its limit is a write that fails.
 * prctl and prlimit have no reason to fail; without them all works as well.
 */
static void protect(void)
{
	static const struct rlimit no_core = { 0, 0 };
	static const struct itimerval backstop = { .it_value.tv_sec = BACKSTOP };
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	prlimit(0, RLIMIT_CORE, &no_core, NULL);
	syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0);
	sigemptyset(&too_large);
	sigaddset(&too_large, SIGXFSZ);
	blocked = too_large;
	sigaddset(&blocked, SIGCHLD);
	if (sigaction(SIGPIPE, &action, NULL) == -1 ||
	    sigaction(SIGCHLD, &action, NULL) == -1 ||
	    sigprocmask(SIG_SETMASK, &blocked, NULL) == -1)
		cannot_start();
	action.sa_handler = SIG_DFL;
	if (sigaction(SIGALRM, &action, NULL) == -1)
		cannot_start();
	setitimer(ITIMER_REAL, &backstop, NULL);
}

/* Configuration */

static int is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Splits *s's first word off into *word and moves *s behind it; word is NULL
 * at the end of s. A word may stand in quotes of either kind. Returns what is
 * wrong, or NULL.
 */
static const char *split_word(char **s, char **word)
{
	char quote, *p = *s;

	*word = NULL;
	while (is_blank(*p))
		p++;
	if (*p == '\0')
		return NULL;
	if (*p == '"' || *p == '\'') {
		quote = *p++;
		*word = p;
		while (*p != quote)
			if (*p++ == '\0')
				return "PASSWORD_COMMAND: a quote does not end";
		*p++ = '\0';
		if (*p != '\0' && !is_blank(*p))
			return "PASSWORD_COMMAND: text right after a quote";
	} else {
		*word = p;
		while (*p != '\0' && !is_blank(*p))
			p++;
	}
	if (*p != '\0')
		*p++ = '\0';
	*s = p;
	return NULL;
}

static const char *split_command(const char *s)
{
	static char copy[COMMAND_MAX + 1], *words[MAX_ARGS + 1];
	const char *wrong;
	char *p = copy, *word;
	size_t len, n = 0;

	if (s == NULL)
		return "PASSWORD_COMMAND: not set";
	len = strlen(s);
	if (len > COMMAND_MAX)
		return "PASSWORD_COMMAND: too long";
	memcpy(copy, s, len);
	copy[len] = '\0';
	while ((wrong = split_word(&p, &word)) == NULL && word != NULL) {
		if (n == MAX_ARGS)
			return "PASSWORD_COMMAND: too long";
		words[n++] = word;
	}
	if (wrong != NULL)
		return wrong;
	if (n == 0)
		return "PASSWORD_COMMAND: empty";
	if (words[0][0] != '/')
		return "PASSWORD_COMMAND: not an absolute path";
	set.argv = words;
	return NULL;
}

/* Sets up both chains; returns what is wrong, or NULL. */
static const char *configure(int argc, char **argv)
{
	const char *hostname;
	size_t len;

	if (argc < 3)
		return "usage: [-t] hostname checkprogram [subprogram ...]";
	hostname = argv[1];
	if (hostname[0] == '-')
		return "unknown option";
	for (len = 0; len <= HOSTNAME_MAX && is_printable(hostname[len]) && hostname[len] != ' '; len++)
		;
	if (hostname[len] != '\0' || len == 0 || len > HOSTNAME_MAX)
		return "hostname: not 1 to 255 printable characters";
	if (argv[2][0] != '/')
		return "checkprogram: not an absolute path";
	check.argv = argv + 2;
	return split_command(variable("PASSWORD_COMMAND"));
}

/* Takes a variable out of the environment: no chain needs to know where the key is. */
static const char *take_variable(const char *name)
{
	const char *found = NULL;
	char **entry;

	while ((entry = look_up(name)) != NULL) {
		found = *entry + strlen(name) + 1;
		do
			entry[0] = entry[1];
		while (*entry++ != NULL);
	}
	return found;
}

/* From here on fd 0 and fd 1 speak plain text. */
static void start_tls(const char *certfile, const char *keyfile)
{
	const char *why = "";

	switch (tls_start(certfile, keyfile, log_warning, &why)) {
	case TLS_OK:
		is_socket = 1;
		return;
	case TLS_CONFIG:
		fail_config(why);
	case TLS_TROUBLE:
		log_what("trouble", why);
		leave(EXIT_TEMPORARY, 0);
	case TLS_FAILED:
		log_what("tls failed", why);
		leave(0, 0);
	}
}

/* qmail-poppass -t */

static void say(const char *a, const char *b, const char *c)
{
	if (write_line(a, b, c, "\n") == -1)
		_exit(EXIT_TEMPORARY);
}

static void say_tls(const char *what)
{
	say("tls: ", what, "");
}

/* A user that nobody has, with passwords that nobody has. */
static void invent_record(void)
{
	unsigned char random[16];
	char name[] = "poppass-test-0000000000000000";
	size_t i;

	if (getrandom(random, sizeof random, 0) != sizeof random)
		memset(random, self & 0xff, sizeof random);
	for (i = 0; i < sizeof random; i++)
		name[sizeof name - 2 - i] = (char)('a' + random[i] % 26);
	forget();
	add_field(USER, name, sizeof name - 1);
	add_field(PASS, name + 2, sizeof name - 3);
}

/* 0 if the chain refuses an invented user, as it must; else the exit code for what is wrong. */
static int try_chain(const struct chain *chain, int setting)
{
	int code = 0;

	if (access(chain->argv[0], X_OK) == -1) {
		say("wrong: ", chain->argv[0], " cannot be executed");
		return EXIT_CONFIG;
	}
	invent_record();
	if (setting)
		add_field(NEWPASS, "Zq4!invented", 12);
	switch (run(chain, setting ? record_len : record_len + 2, &code)) {
	case ACCEPTED:
		say("wrong: ", chain->label, " accepts anybody: try /bin/false at its end");
		return EXIT_CONFIG;
	case REFUSED:
		if (code == 1) {
			say("ok: ", chain->label, " refuses an invented user");
			return 0;
		}
		say("wrong: ", chain->label, ": exit code is none of 0, 1, 111");
		return EXIT_CONFIG;
	case TROUBLE:
	case LOST:
		break;
	}
	say("trouble: ", chain->label, "");
	return EXIT_TEMPORARY;
}

static int test_configuration(const char *wrong, const char *certfile, const char *keyfile)
{
	int code;

	if (wrong != NULL) {
		say("wrong: ", wrong, "");
		return EXIT_CONFIG;
	}
	if (certfile != NULL && tls_check(certfile, keyfile, say_tls) != TLS_OK)
		return EXIT_CONFIG;
	say(certfile != NULL ? "ok: TLS" : "ok: plain text", "", "");
	code = try_chain(&check, 0);
	return code != 0 ? code : try_chain(&set, 1);
}

static int is_option(const char *s, char letter)
{
	return s[0] == '-' && s[1] == letter && s[2] == '\0';
}

int main(int argc, char **argv)
{
	const char *certfile, *keyfile, *wrong;
	int testing = argc > 1 && is_option(argv[1], 't');
	enum due due = USER;

	self = getpid();
	clean_descriptors();
	if (argc == 2 && is_option(argv[1], 'V')) {
		say("qmail-poppass ", VERSION, "");
		return 0;
	}
	find_log();
	protect();
	certfile = take_variable("CERTFILE");
	keyfile = take_variable("KEYFILE");
	tls_asked = certfile != NULL || keyfile != NULL;
	find_address();
	wrong = configure(argc - testing, argv + testing);
	if (wrong == NULL && certfile == NULL && keyfile != NULL)
		wrong = "KEYFILE without CERTFILE";
	if (testing)
		return test_configuration(wrong, certfile, keyfile);
	if (wrong != NULL)
		fail_config(wrong);
	if (certfile != NULL)
		start_tls(certfile, keyfile);
	reply3("200 ", argv[1], " hello, who are you?");
	for (;;)
		due = obey(due, next_line());
}
