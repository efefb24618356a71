/*
 * load [-L LOG] [-c CONCURRENCY] [-n SESSIONS] [-r ROUNDS] [-t SECONDS] [-H FILE] LISTENER [-- LISTENER]...
 * load [-L LOG] -i CONNECTIONS[,CONNECTIONS]... LISTENER
 *
 * A LISTENER is NAME plain|tls PORT PROGRAM ARGUMENT...: started by this program on
 * 127.0.0.1, all of them alive at once, each in a control group of its own, standard error to LOG.
 *
 * The listeners take turns, each round beginning with another one: a slice of SESSIONS (or
 * SECONDS, what is over first) by CONCURRENCY processes, each of which does one session after
 * the other: connect, the TLS handshake, four commands and their replies, read to the end.
 * After a slice its server side is left to finish, and what it used is read: processor time of the
 * control group, else of the listener and all that it has waited for (which then lives for one slice).
 * Written for each slice, times in microseconds:
 *	NAME round sessions errors cpu-a-session wall-a-session p50 p90 p99 max
 * Latency is from connect() to the reply to quit. FILE gets a histogram: NAME microseconds count.
 *
 * -i opens that many connections, reads the greeting of each, and writes what memory the server
 * side then has beyond the bare listener, in kB a connection: written to by one process alone, read
 * by one process alone (of a single session also the program's own text), and the proportional set:
 *	NAME connections dirty clean proportional processes
 *
 * Clients are told apart by nothing: no TLS session is resumed, TLS 1.2, the certificate
 * is not verified (that would cost the client alone).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	LISTENERS_MAX = 16, SESSIONS_MAX = 1 << 16, PIDS_MAX = 8192, IDLE_MAX = 2048, LINE = 1024,
	REPLY_SECONDS = 20, START_MS = 10000, SETTLE_MS = 10000, BUCKETS = 160, CLIENTS_MAX = 256
};

struct listener {
	const char *name;
	int tls, port;
	char **argv;
	pid_t pid;
	int at_rest;		/* processes when there is no connection */
	char group[256];	/* control group, empty if there is none */
	double bare_cpu;	/* then: what it uses without clients */
	unsigned buckets[BUCKETS];
};

/* What the client processes of a slice share. */
struct slice {
	unsigned next, errors;
	double latency[SESSIONS_MAX];
	char why[128];
};

struct connection {
	int fd;
	SSL *tls;
	char line[LINE];
	size_t length;
};

static struct listener listeners[LISTENERS_MAX];
static size_t listener_count;
static struct slice *slice;
static SSL_CTX *context;
static int concurrency = 1, sessions = 50;
static double seconds = 2;
static const char *log_path;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(111);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static void pause_ms(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}

static ssize_t read_file(const char *path, char *to, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1, got = 0;

	if (fd == -1)
		return -1;
	while ((size_t)got < size - 1 && (n = read(fd, to + got, size - 1 - got)) > 0)
		got += n;
	to[got] = 0;
	close(fd);
	return n == -1 ? -1 : got;
}

/* -- the processes of the server side ------------------------------------------------ */

struct process {
	pid_t pid, parent;
};

static struct process processes[PIDS_MAX];
static size_t process_count;

static int parse_stat(const char *text, struct process *p)
{
	const char *rest = strrchr(text, ')');

	p->pid = atoi(text);
	return rest && sscanf(rest + 1, " %*c %d", &p->parent) == 1;
}

static void list_processes(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	char path[300], text[2048];

	if (!proc)
		die("/proc");
	process_count = 0;
	while ((e = readdir(proc)) && process_count < PIDS_MAX) {
		if (e->d_name[0] < '1' || e->d_name[0] > '9')
			continue;
		snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
		if (read_file(path, text, sizeof text) > 0 && parse_stat(text, &processes[process_count]))
			process_count++;
	}
	closedir(proc);
}

/* The listener, its children, theirs and so on; visit may be NULL. */
static int walk(pid_t root, void (*visit)(const struct process *, void *), void *with)
{
	static char in[PIDS_MAX];
	size_t i, k;
	int found = 0, again = 1;

	list_processes();
	memset(in, 0, sizeof in);
	for (i = 0; i < process_count; i++)
		in[i] = processes[i].pid == root;
	while (again)
		for (again = 0, i = 0; i < process_count; i++)
			for (k = 0; !in[i] && k < process_count; k++)
				if (in[k] && processes[k].pid == processes[i].parent)
					in[i] = again = 1;
	for (i = 0; i < process_count; i++)
		if (in[i]) {
			found++;
			if (visit)
				visit(&processes[i], with);
		}
	return found;
}

struct memory {
	double clean, dirty, proportional;
};

static void add_memory(const struct process *p, void *sum)
{
	struct memory *m = sum;
	char path[64], text[4096], *line;
	double kb;

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", p->pid);
	if (read_file(path, text, sizeof text) <= 0) {
		/* One that has just ended is nothing; ours are not dumpable, so it takes root to look. */
		if (kill(p->pid, 0) == 0)
			die(path);
		return;
	}
	for (line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "Private_Clean: %lf", &kb) == 1)
			m->clean += kb;
		else if (sscanf(line, "Private_Dirty: %lf", &kb) == 1)
			m->dirty += kb;
		else if (sscanf(line, "Pss: %lf", &kb) == 1)
			m->proportional += kb;
	}
}

/* -- control groups -------------------------------------------------------------------- */

static const char *const group_roots[] = {
	"/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/unified", "/sys/fs/cgroup",
};

static double group_usage(const char *group)
{
	char path[300], text[4096], *at;

	snprintf(path, sizeof path, "%s/cpuacct.usage", group);
	if (read_file(path, text, sizeof text) > 0)
		return atof(text) / 1e3;
	snprintf(path, sizeof path, "%s/cpu.stat", group);
	if (read_file(path, text, sizeof text) > 0 && (at = strstr(text, "usage_usec ")))
		return atof(at + 11);
	return -1;
}

static void make_group(struct listener *l, int number)
{
	size_t i;

	for (i = 0; i < sizeof group_roots / sizeof *group_roots; i++) {
		snprintf(l->group, sizeof l->group, "%s/poppass-bench-%d-%d", group_roots[i], getpid(), number);
		if (mkdir(l->group, 0755) == 0 && group_usage(l->group) >= 0)
			return;
		rmdir(l->group);
	}
	l->group[0] = 0;
}

static void join_group(const char *group)
{
	char path[300];
	int fd;

	if (!*group)
		return;
	snprintf(path, sizeof path, "%s/cgroup.procs", group);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd == -1 || write(fd, "0", 1) != 1)
		die(path);
	close(fd);
}

/* -- one connection ---------------------------------------------------------------------- */

static int try_connect(int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {REPLY_SECONDS, 0};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
		return fd;
	close(fd);
	return -1;
}

static const char *open_connection(struct connection *c, const struct listener *l)
{
	memset(c, 0, sizeof *c);
	c->fd = try_connect(l->port);
	if (c->fd == -1)
		return "connect";
	if (!l->tls)
		return NULL;
	c->tls = SSL_new(context);
	if (!c->tls || !SSL_set_fd(c->tls, c->fd))
		return "SSL_new";
	return SSL_connect(c->tls) == 1 ? NULL : "handshake";
}

static void close_connection(struct connection *c)
{
	if (c->tls) {
		SSL_shutdown(c->tls);
		SSL_free(c->tls);
	}
	if (c->fd != -1)
		close(c->fd);
	ERR_clear_error();
}

static ssize_t receive(struct connection *c, char *to, size_t size)
{
	return c->tls ? SSL_read(c->tls, to, size) : read(c->fd, to, size);
}

static int send_text(struct connection *c, const char *text)
{
	ssize_t length = strlen(text);

	return (c->tls ? SSL_write(c->tls, text, length) : write(c->fd, text, length)) == length;
}

/* One line "200 ...", and not a byte more: a server that says two things at once is wrong. */
static int expect_200(struct connection *c)
{
	ssize_t n;

	c->length = 0;
	while (c->length < sizeof c->line && (n = receive(c, c->line + c->length, sizeof c->line - c->length)) > 0) {
		char *end = memchr(c->line, '\n', c->length += n);

		if (end)
			return end == c->line + c->length - 1 && memcmp(c->line, "200 ", 4) == 0;
	}
	return 0;
}

static const struct {
	const char *send, *why;
} steps[] = {
	{"", "greeting"}, {"user alice\r\n", "user"}, {"pass old-secret\r\n", "pass"},
	{"newpass new-Secret-9\r\n", "newpass"}, {"quit\r\n", "quit"},
};

static const char *converse(struct connection *c)
{
	size_t i;

	for (i = 0; i < sizeof steps / sizeof *steps; i++)
		if ((*steps[i].send && !send_text(c, steps[i].send)) || !expect_200(c))
			return steps[i].why;
	return NULL;
}

static void one_session(const struct listener *l, unsigned number)
{
	struct connection c;
	double begin = now();
	const char *why = open_connection(&c, l);
	char rest[64];

	if (!why)
		why = converse(&c);
	slice->latency[number] = now() - begin;
	if (why) {
		__atomic_add_fetch(&slice->errors, 1, __ATOMIC_RELAXED);
		snprintf(slice->why, sizeof slice->why, "%.40s at %.40s", l->name, why);
	} else
		while (receive(&c, rest, sizeof rest) > 0)
			;
	close_connection(&c);
}

/* -- listeners ------------------------------------------------------------------------------- */

static void redirect_log(void)
{
	int fd = log_path ? open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0644) : -1;

	if (fd != -1) {
		dup2(fd, 2);
		close(fd);
	}
}

static void become_listener(const struct listener *l)
{
	join_group(l->group);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL);
	redirect_log();
	execvp(l->argv[0], l->argv);
	_exit(127);
}

static void settle(const struct listener *l)
{
	double until = now() + SETTLE_MS * 1e3;

	while (walk(l->pid, NULL, NULL) > l->at_rest && now() < until)
		pause_ms(2);
}

static void start_listener(struct listener *l)
{
	double until = now() + START_MS * 1e3;
	int fd, status;

	l->pid = fork();
	if (l->pid == -1)
		die("fork");
	if (l->pid == 0)
		become_listener(l);
	setpgid(l->pid, l->pid);
	while ((fd = try_connect(l->port)) == -1 && now() < until && waitpid(l->pid, &status, WNOHANG) == 0)
		pause_ms(10);
	if (fd == -1) {
		fprintf(stderr, "load: %s: nothing listens on port %d\n", l->name, l->port);
		exit(111);
	}
	close(fd);
	pause_ms(l->at_rest ? 20 : 300);
	if (!l->at_rest)
		l->at_rest = walk(l->pid, NULL, NULL);
	settle(l);
}

/* Returns the processor time that it and all that it waited for have used. */
static double stop_listener(struct listener *l)
{
	struct rusage used = {0};
	int tries = 0;

	if (l->pid <= 0)
		return 0;
	kill(-l->pid, SIGTERM);
	while (wait4(l->pid, NULL, WNOHANG, &used) == 0 && tries++ < 50)
		pause_ms(10);
	kill(-l->pid, SIGKILL);
	if (tries > 50)
		wait4(l->pid, NULL, 0, &used);
	l->pid = 0;
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

/* Without control groups each slice will start its own, so that it can be told what it used. */
static void prepare(struct listener *l, int number, int stays)
{
	make_group(l, number);
	start_listener(l);
	if (l->group[0] || stays)
		return;
	stop_listener(l);
	start_listener(l);
	l->bare_cpu = stop_listener(l);
}

static void stop_listeners(void)
{
	size_t i;
	int tries;

	for (i = 0; i < listener_count; i++) {
		stop_listener(&listeners[i]);
		if (!listeners[i].group[0])
			continue;
		for (tries = 0; rmdir(listeners[i].group) == -1 && errno == EBUSY && tries < 100; tries++)
			pause_ms(20);
	}
}

static pid_t main_pid;

static void stop_if_main(void)
{
	if (getpid() == main_pid)
		stop_listeners();
}

static void on_signal(int number)
{
	stop_if_main();
	_exit(128 + number);
}

/* -- a slice of sessions ------------------------------------------------------------------ */

static void client(const struct listener *l, double until)
{
	unsigned number;

	while (now() < until && (number = __atomic_fetch_add(&slice->next, 1, __ATOMIC_RELAXED)) < (unsigned)sessions)
		one_session(l, number);
	_exit(0);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Buckets grow by a tenth of a factor of two and begin at 32 microseconds. */
static void count_latencies(struct listener *l, unsigned n)
{
	unsigned i, bucket;
	double edge;

	for (i = 0; i < n; i++) {
		for (bucket = 0, edge = 32; bucket < BUCKETS - 1 && edge < slice->latency[i]; bucket++)
			edge *= 1.0717734625362931;
		l->buckets[bucket]++;
	}
}

static void report(struct listener *l, int round, double cpu, double wall)
{
	unsigned n = slice->next < (unsigned)sessions ? slice->next : (unsigned)sessions;
	double *v = slice->latency;

	if (n == 0)
		return;
	count_latencies(l, n);
	qsort(v, n, sizeof *v, by_size);
	printf("%s %d %u %u %.1f %.1f %.0f %.0f %.0f %.0f\n", l->name, round, n, slice->errors,
		cpu / n, wall / n, v[n / 2], v[n * 9 / 10], v[n * 99 / 100], v[n - 1]);
	fflush(stdout);
	if (slice->errors)
		fprintf(stderr, "load: %u errors, the last: %s\n", slice->errors, slice->why);
}

static void run_clients(const struct listener *l, double begin)
{
	pid_t pids[CLIENTS_MAX];
	int i;

	memset(slice, 0, sizeof *slice);
	for (i = 0; i < concurrency; i++) {
		pids[i] = fork();
		if (pids[i] == -1)
			die("fork");
		if (pids[i] == 0)
			client(l, begin + seconds * 1e6);
	}
	for (i = 0; i < concurrency; i++)
		if (waitpid(pids[i], NULL, 0) == -1)
			die("waitpid");
}

/* With a control group: what is read before and after. Else: a listener's whole life, less that of one without clients. */
static void run_slice(struct listener *l, int round)
{
	double begin, wall, cpu = 0;

	if (l->group[0])
		cpu = group_usage(l->group);
	else
		start_listener(l);
	begin = now();
	run_clients(l, begin);
	wall = now() - begin;
	settle(l);
	cpu = l->group[0] ? group_usage(l->group) - cpu : stop_listener(l) - l->bare_cpu;
	if (round >= 0)
		report(l, round, cpu, wall);
}

/* -- idle connections ---------------------------------------------------------------------- */

static void measure_idle(const struct listener *l, int from, int to, struct connection *c)
{
	static struct memory before;
	struct memory m = {0, 0, 0};
	int i, processes_now;
	const char *why;

	if (from == 0)
		walk(l->pid, add_memory, &before);
	for (i = from; i < to; i++) {
		why = open_connection(&c[i], l);
		if (why || !expect_200(&c[i])) {
			fprintf(stderr, "load: %s: connection %d: %s\n", l->name, i, why ? why : "greeting");
			exit(1);
		}
	}
	pause_ms(100);
	processes_now = walk(l->pid, add_memory, &m);
	printf("%s %d %.1f %.1f %.1f %d\n", l->name, to, (m.dirty - before.dirty) / to, (m.clean - before.clean) / to,
		(m.proportional - before.proportional) / to, processes_now - l->at_rest);
	fflush(stdout);
}

static void run_idle(const struct listener *l, const char *counts)
{
	static struct connection c[IDLE_MAX];
	int from = 0, to;

	/* One session first: what a daemon sets up once is not a session's. */
	one_session(l, 0);
	settle(l);
	for (; *counts; counts += strcspn(counts, ","), counts += *counts == ',') {
		to = atoi(counts);
		if (to <= from || to > IDLE_MAX) {
			fprintf(stderr, "load: -i wants rising numbers up to %d\n", IDLE_MAX);
			exit(100);
		}
		measure_idle(l, from, to, c);
		from = to;
	}
	while (from-- > 0)
		close_connection(&c[from]);
	settle(l);
}

static void parse_listeners(char **argv)
{
	while (argv[0] && argv[1] && argv[2] && argv[3] && listener_count < LISTENERS_MAX) {
		struct listener *l = &listeners[listener_count++];

		l->name = argv[0];
		l->tls = strcmp(argv[1], "tls") == 0;
		l->port = atoi(argv[2]);
		l->argv = argv += 3;
		while (*argv && strcmp(*argv, "--") != 0)
			argv++;
		if (*argv)
			*argv++ = NULL;
	}
	if (listener_count == 0 || *argv) {
		fprintf(stderr, "load: a listener is NAME plain|tls PORT PROGRAM ...\n");
		exit(100);
	}
}

static void write_histogram(const char *path)
{
	FILE *f = fopen(path, "w");
	double edge;
	size_t i, k;

	if (!f)
		die(path);
	for (i = 0; i < listener_count; i++)
		for (k = 0, edge = 32; k < BUCKETS; k++, edge *= 1.0717734625362931)
			if (listeners[i].buckets[k])
				fprintf(f, "%s %.0f %u\n", listeners[i].name, edge, listeners[i].buckets[k]);
	if (fclose(f) != 0)
		die(path);
}

static void set_up(void)
{
	struct rlimit files;

	slice = mmap(NULL, sizeof *slice, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (slice == MAP_FAILED)
		die("mmap");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max < IDLE_MAX * 4 ? files.rlim_max : IDLE_MAX * 4;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	context = SSL_CTX_new(TLS_client_method());
	if (!context || !SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION)
			|| !SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256")
			|| !SSL_CTX_set1_groups_list(context, "X25519:P-256"))
		die("OpenSSL");
	/* Its servers differ in whether they say goodbye. */
	SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	main_pid = getpid();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	atexit(stop_if_main);
}

static void run_rounds(int rounds, const char *histogram)
{
	int round;
	size_t i;

	/* The first round warms up and is not reported. */
	for (round = -1; round < rounds; round++)
		for (i = 0; i < listener_count; i++)
			run_slice(&listeners[(i + round + 1) % listener_count], round);
	if (histogram)
		write_histogram(histogram);
}

int main(int argc, char **argv)
{
	const char *idle = NULL, *histogram = NULL;
	int option, rounds = 5;
	size_t i;

	while ((option = getopt(argc, argv, "+L:c:n:r:t:H:i:")) != -1)
		switch (option) {
		case 'L': log_path = optarg; break;
		case 'c': concurrency = atoi(optarg); break;
		case 'n': sessions = atoi(optarg); break;
		case 'r': rounds = atoi(optarg); break;
		case 't': seconds = atof(optarg); break;
		case 'H': histogram = optarg; break;
		case 'i': idle = optarg; break;
		default: return 100;
		}
	if (concurrency < 1 || concurrency > CLIENTS_MAX || sessions < 1 || sessions > SESSIONS_MAX) {
		fprintf(stderr, "load: concurrency up to %d, sessions up to %d\n", CLIENTS_MAX, SESSIONS_MAX);
		return 100;
	}
	parse_listeners(argv + optind);
	set_up();
	for (i = 0; i < listener_count; i++)
		prepare(&listeners[i], i, idle != NULL);
	if (idle)
		run_idle(&listeners[0], idle);
	else
		run_rounds(rounds, histogram);
	return 0;
}
