/*
 * floor HOSTNAME PROGRAM: the least that a session can cost, see dialogue.h.
 * Without PROGRAM: the same without the two children.
 */
#include "dialogue.h"

static char input[4096];
static size_t filled, taken;

static int get_line(void)
{
	char *end;
	ssize_t n;

	while (!(end = memchr(input + taken, '\n', filled - taken))) {
		n = read(0, input + filled, sizeof input - filled);
		if (n <= 0)
			return 0;
		filled += n;
	}
	taken = end + 1 - input;
	return 1;
}

static void put(const char *text)
{
	if (write(1, text, strlen(text)) == -1)
		_exit(111);
}

int main(int argc, char **argv)
{
	chain[0] = argc > 2 ? argv[2] : NULL;
	dialogue(argc > 1 ? argv[1] : "");
	return 0;
}
