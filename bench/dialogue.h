/*
 * What no server of this protocol can do without: the fixed replies, the lines
 * read, and for two of them a pipe and a child that is waited for. Nothing is
 * checked and nothing is closed: this is the floor, not a server.
 *
 * The includer brings get_line(), which returns 0 at the end of the input, and put().
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int get_line(void);
static void put(const char *text);

static char *chain[2];

static void run_chain(void)
{
	int fds[2];
	pid_t child;

	if (pipe(fds) == -1)
		_exit(111);
	child = vfork();
	if (child == 0) {
		execve(chain[0], chain, environ);
		_exit(111);
	}
	if (child == -1 || waitpid(child, NULL, 0) == -1)
		_exit(111);
}

static const struct {
	const char *reply;
	int runs_chain;
} steps[] = {
	{"200 Your password please.\r\n", 0},
	{"200 Your new password please.\r\n", 1},
	{"200 Password changed, thank-you.\r\n", 1},
	{"200 Bye.\r\n", 0},
};

static void dialogue(const char *hostname)
{
	static char greeting[300];
	size_t i;

	strcpy(greeting, "200 ");
	strncat(greeting, hostname, 255);
	strcat(greeting, " hello, who are you?\r\n");
	put(greeting);
	for (i = 0; i < sizeof steps / sizeof *steps && get_line(); i++) {
		if (steps[i].runs_chain && chain[0])
			run_chain();
		put(steps[i].reply);
	}
}
