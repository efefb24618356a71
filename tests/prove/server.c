/*
 * qmail-poppass from main() on: any arguments, any environment, any bytes from
 * client and chains, any behaviour of the system (system.h).
 */
#include "system.h"

static int call_SYS_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return succeeds();
}

static int call_SYS_prctl(int what, long a, long b, long c, long d)
{
	return succeeds();
}

/* The kernel's limit for one string of arguments and environment is 131072 bytes. */
#define STRING_SIZE	131072
/* Of a chain: any would do, for the server compares and negates it, no more. */
#define PID		4711
#define ARGUMENTS	4
#define VARIABLES	4

static int call_SYS_openat(int folder, const char *path, int flags)
{
	strlen(path);
	return any_fd();
}

#define call_SYS_pipe2 pipe2

#define main server_main
#include SOURCE
#undef main

/* The server's handlers are to do nothing, so it does not matter when: here at once. */
int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	if (fails())
		return -1;
	if (action->sa_handler != SIG_DFL && any(0, 1))
		action->sa_handler(number);
	return 0;
}

/*
 * The child of vfork() shares our memory. All that it may leave there is in
 * errno and what log_error() leaves, so that happens, or does not, before the
 * parent goes on.
 */
pid_t vfork(void)
{
	if (fails())
		return -1;
	if (any(0, 1))
		return 0;
	if (any(0, 1)) {
		errno = any(0, 4095);
		log_error("trouble", check.argv[0]);
	}
	return PID;
}

static char argument0[STRING_SIZE], argument1[STRING_SIZE], argument2[STRING_SIZE], argument3[STRING_SIZE];
static char variable0[STRING_SIZE], variable1[STRING_SIZE], variable2[STRING_SIZE], variable3[STRING_SIZE];
static char *arguments[ARGUMENTS + 1], *variables[VARIABLES + 1];
char **environ = variables;

/* Fills a vector of any length with strings of any length. */
static int any_strings(char **vector, int max, char *const *texts)
{
	int n = any(0, max), i;

	//@ split n;
	//@ loop unroll ARGUMENTS;
	for (i = 0; i < n; i++) {
		Frama_C_make_unknown(texts[i], STRING_SIZE - 1);
		vector[i] = texts[i];
	}
	return n;
}

void prove(void)
{
	char *const argument_texts[] = { argument0, argument1, argument2, argument3 };
	char *const variable_texts[] = { variable0, variable1, variable2, variable3 };
	int argc = any(0, ARGUMENTS), i;

	any_strings(variables, VARIABLES, variable_texts);
	//@ split argc;
	//@ loop unroll ARGUMENTS;
	for (i = 0; i < argc; i++) {
		Frama_C_make_unknown(argument_texts[i], STRING_SIZE - 1);
		arguments[i] = argument_texts[i];
	}
	_exit(server_main(argc, arguments));
}

/* What prove() takes for granted of take_literal(), which is a world of its own: any text, of any length. */
void prove_address(void)
{
	Frama_C_make_unknown(argument0, STRING_SIZE - 1);
	take_literal(argument0, strlen(argument0));
}
