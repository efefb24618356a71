/*
 * qmail-poppass from main() on: any arguments and any environment, four of
 * each and of any length, any bytes from client and chains, any behaviour of the
 * system (system.h) and of TLS.
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
#define SHORT		12
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

/* The server's view of TLS: any verdict, with any words. */
static char words[STRING_SIZE];

static const char *any_words(void)
{
	Frama_C_make_unknown(words, STRING_SIZE - 1);
	return words;
}

static enum tls_verdict look_at(const char *certfile, const char *keyfile, void (*tell)(const char *what))
{
	strlen(certfile);
	if (keyfile != NULL)
		strlen(keyfile);
	while (any(0, 1))
		tell(any_words());
	errno = any(0, 4095);
	return any(TLS_OK, TLS_FAILED);
}

enum tls_verdict tls_start(const char *certfile, const char *keyfile, void (*warn)(const char *what), const char **why)
{
	*why = any_words();
	return look_at(certfile, keyfile, warn);
}

const char *tls_end(void)
{
	errno = any(0, 4095);
	return any(0, 1) ? any_words() : NULL;
}

enum tls_verdict tls_check(const char *certfile, const char *keyfile, void (*say)(const char *what))
{
	return look_at(certfile, keyfile, say);
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

/*
 * In the long texts a byte behind a string's NUL is read unseen. So what reads them, once more with
 * one that ends where its place ends.
 */
static void prove_short(void)
{
	static char place[SHORT + 1];
	char *text = place + SHORT - any(0, SHORT);
	int argc = any(2, ARGUMENTS), at = any(1, 2), testing;
	const char *value;

	//@ split text - place;
	//@ split argc;
	//@ split at;
	Frama_C_make_unknown(place, SHORT);
	Frama_C_make_unknown(argument0, STRING_SIZE - 1);
	arguments[1] = arguments[2] = arguments[3] = argument0;
	arguments[argc] = NULL;
	arguments[at] = text;
	variables[0] = text;
	value = variable("PROTO");
	if (value != NULL) {
		take_literal(value, strlen(value));
		take_with_port(value);
		split_command(value);
	}
	take_variable("KEYFILE");
	testing = is_option(arguments[1], 't');
	//@ split testing;
	configure(argc - testing, arguments + testing);
	_exit(0);
}

void prove(void)
{
	char *const argument_texts[] = { argument0, argument1, argument2, argument3 };
	char *const variable_texts[] = { variable0, variable1, variable2, variable3 };
	int argc = any(0, ARGUMENTS), i;

	if (any(0, 1))
		prove_short();
	any_strings(variables, VARIABLES, variable_texts);
	//@ split argc;
	//@ loop unroll ARGUMENTS;
	for (i = 0; i < argc; i++) {
		Frama_C_make_unknown(argument_texts[i], STRING_SIZE - 1);
		arguments[i] = argument_texts[i];
	}
	_exit(server_main(argc, arguments));
}
