/*
 * checkpassword-file or setpassword-file from main() on: any arguments, any
 * bytes on descriptor 3 and in the files, any behaviour of the system
 * (file_system.h) and of crypt(3).
 */
#include "file_system.h"

/* The kernel's limit for one string of arguments is 131072 bytes. */
#define STRING_SIZE	131072
#define ARGUMENTS	6

/* The handler runs here at no time but during a call, and a volatile variable would have any value. */
#define volatile
#define main file_main
#include SOURCE
#undef main
#undef volatile

static int struck;

static void strike(void)
{
	if (any(0, 1)) {
		struck = 1;
		time_is_up(SIGALRM);
	}
}

/* The signal waits while its handler runs. */
static void strike_log(void)
{
	if (!struck && any(0, 1))
		time_is_up(SIGALRM);
}

int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	struct sigaction is = *action;

	if (old != NULL)
		Frama_C_make_unknown((char *)old, sizeof *old);
	return 0;
}

static char argument0[STRING_SIZE], argument1[STRING_SIZE], argument2[STRING_SIZE];
static char argument3[STRING_SIZE], argument4[STRING_SIZE], argument5[STRING_SIZE];
static char *arguments[ARGUMENTS + 1];

void prove(void)
{
	char *const texts[] = { argument0, argument1, argument2, argument3, argument4, argument5 };
	int argc = any(0, ARGUMENTS), i;

	//@ split argc;
	//@ loop unroll ARGUMENTS;
	for (i = 0; i < argc; i++) {
		Frama_C_make_unknown(texts[i], STRING_SIZE - 1);
		arguments[i] = texts[i];
	}
	_exit(file_main(argc, arguments));
}
