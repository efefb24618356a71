/*
 * mid PORT drip	listens on a free port of 127.0.0.1, prints its number, and passes bytes on between
 *			its clients and PORT: those of the client one by one, in segments of their own
 * mid PORT cut STEP	of the n-th connection's bytes only the first n * STEP go on, then it is closed both
 *			ways (every second time only the sending side, until the server has closed, too)
 * mid PORT stall N	of what the server sends the client gets N bytes; no more is read
 * mid PORT sizes FILE	appends to FILE for each connection how many bytes came from the server at once
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BACKSTOP = 120 };

static const char *mode;
static long number;
static FILE *sizes;

static int make_socket(void)
{
	int one = 1, s = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	return s;
}

static struct sockaddr_in local(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int is(const char *name)
{
	return strcmp(mode, name) == 0;
}

/* Whether to go on. */
static int from_client(int client, int server, long *passed, long limit)
{
	unsigned char b[32768];
	ssize_t n = read(client, b, is("drip") ? 512 : sizeof b);
	if (n <= 0) {
		shutdown(server, SHUT_WR);
		return 0;
	}
	if (is("cut") && n > limit - *passed)
		n = limit - *passed;
	for (ssize_t i = 0; i < n; i += is("drip") ? 1 : n) {
		if (write(server, b + i, is("drip") ? 1 : n) < 0)
			return 0;
		if (is("drip"))
			usleep(200);
	}
	*passed += n;
	return !is("cut") || *passed < limit;
}

static int from_server(int client, int server, long *passed)
{
	unsigned char b[65536];
	ssize_t n = read(server, b, is("stall") ? 64 : sizeof b);
	if (n <= 0)
		return 0;
	if (sizes)
		fprintf(sizes, "%zd ", n);
	*passed += n;
	return write(client, b, n) == n;
}

static void serve(int client, int server, long turn)
{
	long up = 0, down = 0, limit = turn * number;
	int client_open = 1;
	for (;;) {
		struct pollfd p[] = { { client_open ? client : -1, POLLIN, 0 }, { server, POLLIN, 0 } };
		if (is("stall") && down >= number)
			p[1].fd = -1;
		poll(p, 2, -1);
		if (p[1].revents && !from_server(client, server, &down))
			break;
		if (p[0].revents && !from_client(client, server, &up, limit)) {
			if (is("cut") && turn % 2) {
				shutdown(client, SHUT_RDWR);
				shutdown(server, SHUT_WR);
				char drop[4096];
				while (read(server, drop, sizeof drop) > 0)
					;
				break;
			}
			if (is("cut"))
				break;
			client_open = 0;
		}
	}
	if (sizes)
		fprintf(sizes, "\n"), fflush(sizes);
}

int main(int argc, char **argv)
{
	struct sockaddr_in here = local(0), there;
	socklen_t len = sizeof here;
	int s = make_socket();
	if (argc < 3)
		return 2;
	mode = argv[2];
	there = local(atoi(argv[1]));
	if (is("sizes"))
		sizes = fopen(argv[3], "a");
	else if (argc > 3)
		number = atol(argv[3]);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	alarm(BACKSTOP);
	if (bind(s, (struct sockaddr *)&here, sizeof here) || listen(s, 64) || getsockname(s, (struct sockaddr *)&here, &len))
		return 1;
	printf("%d\n", ntohs(here.sin_port));
	fflush(stdout);
	for (long turn = 1;; turn++) {
		int client = accept(s, NULL, NULL), one = 1;
		if (client < 0)
			return 1;
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		if (fork() == 0) {
			alarm(BACKSTOP);
			int server = make_socket();
			if (is("stall")) {	/* little is to lie between */
				setsockopt(server, SOL_SOCKET, SO_RCVBUF, &(int){ 1024 }, sizeof(int));
				setsockopt(server, IPPROTO_TCP, TCP_MAXSEG, &(int){ 536 }, sizeof(int));
			}
			if (connect(server, (struct sockaddr *)&there, sizeof there) == 0)
				serve(client, server, turn);
			_exit(0);
		}
		close(client);
	}
}
