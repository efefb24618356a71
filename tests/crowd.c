/*
 * crowd PORT CLIENTS SESSIONS FIRST [SOURCE]	many clients at once, at 127.0.0.1:PORT
 * crowd -t PORT CLIENTS SESSIONS FIRST		the same over TLS, by openssl s_client
 * crowd -i PORT CONNECTIONS HOSTS		idle connections, of so many addresses (127.0.1.1 and so on; 0:
 *						of 127.0.0.1), until killed: those that are closed are opened again
 *
 * CLIENTS processes make SESSIONS sessions in all, each on an account of its own (user FIRST and so
 * on, whose password is Start-pass-1 at first). By the dice a session is a change to a new password,
 * a wrong one, cut at any byte before the end of the newpass line, slow (byte by byte), hostile (any
 * bytes), or one that leaves without a word. Each knows what has to be answered; a line for
 * each surprise. At the end "NAME PASSWORD" for each account, and "SESSIONS sessions, BAD bad".
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define HOST	"mail.example.org"
#define HELLO	"200 " HOST " hello, who are you?"

enum { WAIT = 20000, BACKSTOP = 290, TEXT = 600 };

static int tls, in = -1, out = -1, port, bad, sessions, account;
static const char *source = "127.0.0.1";
static pid_t helper;
static unsigned dice;
static char password[100] = "Start-pass-1", got[1100];
static size_t have;

static unsigned roll(unsigned sides)
{
	dice = dice * 1664525 + 1013904223;
	return (dice >> 16) % sides;
}

static int surprise(const char *what, const char *wanted)
{
	printf("user%d session %d: %s, wanted %s\n", account, sessions, what, wanted);
	bad++;
	return 0;
}

/* A connection, with SOCK_NONBLOCK one that may still be on its way; -1 if there is none. */
static int dial(const char *from, int flags)
{
	struct sockaddr_in a = { .sin_family = AF_INET }, to = { .sin_family = AF_INET, .sin_port = htons((in_port_t)port) };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
	inet_pton(AF_INET, from, &a.sin_addr);
	inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
	if (s < 0 || bind(s, (void *)&a, sizeof a) || (connect(s, (void *)&to, sizeof to) && errno != EINPROGRESS)) {
		close(s);
		return -1;
	}
	return s;
}

static int dial_tls(void)
{
	int a[2], b[2];
	char where[50];
	snprintf(where, sizeof where, "127.0.0.1:%d", port);
	if (pipe2(a, O_CLOEXEC) || pipe2(b, O_CLOEXEC))
		return 0;
	helper = fork();
	if (!helper) {
		dup2(a[0], 0);
		dup2(b[1], 1);
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
		execlp("openssl", "openssl", "s_client", "-quiet", "-connect", where, (char *)0);
		_exit(127);
	}
	close(a[0]);
	close(b[1]);
	out = a[1];
	in = b[0];
	return 1;
}

static int begin(void)
{
	have = 0;
	if (tls)
		return dial_tls();
	for (int i = 0; (in = out = dial(source, 0)) < 0; i++) {
		if (i == 100)
			return surprise(strerror(errno), "a connection");
		poll(0, 0, 50);
	}
	return 1;
}

static void end(void)
{
	close(in);
	if (out != in)
		close(out);
	in = out = -1;
	if (helper > 0) {
		kill(helper, SIGKILL);
		waitpid(helper, 0, 0);
	}
	helper = 0;
}

static void put(const char *p, size_t n, int slowly)
{
	while (n) {
		ssize_t r = write(out, p, slowly ? 1 : n);
		if (r <= 0)
			return;
		p += r;
		n -= (size_t)r;
		if (slowly)
			poll(0, 0, 3);
	}
}

/* The next line without its end into got; NULL when there is none. */
static char *get(void)
{
	static char line[1100];
	while (!memchr(got, '\n', have)) {
		struct pollfd p = { in, POLLIN, 0 };
		if (have == sizeof got || poll(&p, 1, WAIT) < 1)
			return 0;
		ssize_t n = read(in, got + have, sizeof got - have);
		if (n <= 0)
			return 0;
		have += (size_t)n;
	}
	size_t n = (size_t)((char *)memchr(got, '\n', have) - got) + 1;
	memcpy(line, got, n);
	line[n > 1 && line[n - 2] == '\r' ? n - 2 : n - 1] = 0;
	memmove(got, got + n, have -= n);
	return line;
}

static int want(const char *reply)
{
	char *line = get();
	if (!line)
		return surprise("the end", reply);
	return !strcmp(line, reply) || surprise(line, reply);
}

static int step(const char *command, const char *argument, const char *reply, int slowly)
{
	char text[TEXT];
	int n = snprintf(text, sizeof text, "%s%s\r\n", command, argument);
	put(text, (size_t)n, slowly);
	return want(reply);
}

static void change(int slowly)
{
	char name[20], new[100];
	snprintf(name, sizeof name, "user%d", account);
	snprintf(new, sizeof new, "Pass-%d-of-%d", sessions, account);
	if (!want(HELLO) || !step("user ", name, "200 Your password please.", slowly) ||
	    !step("pass ", password, "200 Your new password please.", slowly) ||
	    !step("newpass ", new, "200 Password changed, thank-you.", slowly))
		return;
	memcpy(password, new, sizeof password);
	if (roll(2))
		step("quit", "", "200 Bye.", slowly);
}

static void guess(void)
{
	char name[20];
	snprintf(name, sizeof name, "user%d", account);
	if (want(HELLO) && step("user ", name, "200 Your password please.", 0))
		step("pass ", roll(2) ? "wrong" : "Start-pass-2", "500 Old password is incorrect or user not found.", 0);
}

/* All sent at once, but for the end; nothing has to be answered, and nothing set. */
static void cut(void)
{
	char text[TEXT];
	int n = snprintf(text, sizeof text, "user user%d\r\npass %s\r\nnewpass Never-to-be-set", account, password);
	put(text, 1 + roll((unsigned)n), 0);
	if (roll(2))
		poll(0, 0, (int)roll(30));
	struct linger reset = { 1, 0 };
	if (!tls && roll(2))
		setsockopt(out, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

/* Any bytes: whatever is answered is a line of ours, and no success. */
static void attack(void)
{
	char text[TEXT], *line;
	for (unsigned i = 0; i < 1 + roll(8); i++) {
		unsigned n = roll(TEXT - 20);
		for (unsigned k = 0; k < n; k++)
			text[k] = (char)(roll(4) ? roll(256) : (unsigned char)"userpaswn \r\n\t"[roll(13)]);
		put(text, n, 0);
	}
	if (!tls)
		shutdown(out, SHUT_WR);
	else
		put("\r\nquit\r\n", 8, 0);
	while ((line = get()))
		if (strcmp(line, HELLO) && strcmp(line, "200 Bye.") && strcmp(line, "200 Your password please.") && strncmp(line, "500 ", 4))
			surprise(line, "nothing");
}

static void session(void)
{
	sessions++;
	if (!begin())
		return;
	unsigned n = roll(100);
	if (n < 60)
		change(0);
	else if (n < 66)
		change(1);
	else if (n < 72)
		guess();
	else if (n < 85)
		cut();
	else if (n < 95)
		attack();
	end();
}

static void client(int number, int rounds)
{
	account = number;
	dice = (unsigned)number * 2654435761u;
	while (rounds-- > 0)
		session();
	printf("user%d %s\n", account, password);
	fflush(stdout);
	_exit(bad > 100 ? 100 : bad);
}

static void crowd(int clients, int all, int first)
{
	int status, wrong = 0;
	for (int i = 0; i < clients; i++)
		if (!fork())
			client(first + i, all / clients);
	while (wait(&status) > 0)
		wrong += WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	printf("%d sessions, %d bad\n", all / clients * clients, wrong);
	exit(wrong != 0);
}

/* Holds on to what it gets, and has its next try under way before the slot is free. */
static _Noreturn void idle(int connections, int hosts)
{
	static struct pollfd p[2000];
	int opened = 0;
	for (int i = 0; i < connections; i++)
		p[i].fd = -1;
	for (;;) {
		for (int i = 0; i < connections; i++) {
			char from[30];
			snprintf(from, sizeof from, "127.0.%d.%d", hosts > 0, hosts > 0 ? 1 + i % hosts : 1);
			p[i].events = POLLIN;
			if (p[i].fd >= 0 || (p[i].fd = dial(from, SOCK_NONBLOCK)) < 0)
				continue;
			if (++opened == connections) {
				printf("%d opened\n", opened);
				fflush(stdout);
			}
			poll(0, 0, 1);	/* the queue of the listener is short */
		}
		if (poll(p, (nfds_t)connections, 50) < 1)
			continue;
		for (int i = 0; i < connections; i++) {
			char drop[500];
			ssize_t n = p[i].fd >= 0 && p[i].revents ? read(p[i].fd, drop, sizeof drop) : 1;
			if (n == 0 || (n < 0 && errno != EAGAIN)) {
				close(p[i].fd);
				p[i].fd = -1;
			}
		}
		poll(0, 0, 20);
	}
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	alarm(BACKSTOP);
	int idling = argc > 1 && !strcmp(argv[1], "-i");
	tls = argc > 1 && !strcmp(argv[1], "-t");
	argv += idling || tls;
	argc -= idling || tls;
	if (idling ? argc != 4 : argc < 5 || argc > 6)
		return 2;
	port = atoi(argv[1]);
	if (idling)
		idle(atoi(argv[2]), atoi(argv[3]));
	if (argc == 6)
		source = argv[5];
	crowd(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]));
}
