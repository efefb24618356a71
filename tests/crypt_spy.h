/* Put in front of backends/file.c (-include): crypt(3) and the clock as the tests want them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int spied_is(const char *variable, int value)
{
	const char *s = getenv(variable);

	return s && atoi(s) == value;
}

/*
 * Writes "crypt SETTING" to standard error.
 * CRYPT_MUSL=1	is like musl's own, to which the "$y" of "$y$" is a salt for the oldest
 *		of schemes, and which rejects keys of more than 256 bytes
 * CRYPT_FAILS=N, CRYPT_ENOMEM=N	makes the call number N fail
 */
static char *spied_crypt(const char *key, const char *setting)
{
	static char failure[] = "*0";
	static int calls;
	char line[1024] = "crypt ";
	size_t n = strlen(setting);

	calls++;
	if (n > sizeof line - 7)
		n = sizeof line - 7;
	memcpy(line + 6, setting, n);
	line[6 + n] = '\n';
	if (write(2, line, 7 + n) < 0)
		abort();
	if (spied_is("CRYPT_ENOMEM", calls))
		errno = ENOMEM;
	if (spied_is("CRYPT_ENOMEM", calls) || spied_is("CRYPT_FAILS", calls))
		return failure;
	if (!spied_is("CRYPT_MUSL", 1))
		return crypt(key, setting);
	if (strlen(key) > 256)
		return failure;
	if (strncmp(setting, "$y$", 3))
		return crypt(key, setting);
	char *result = crypt(key, "yy");
	memcpy(result, "$y", 2);
	return result;
}

static time_t faked_time(time_t *t)
{
	const char *now = getenv("FAKE_TIME");

	return now ? (time_t)atol(now) : time(t);
}

#define crypt	spied_crypt
#define time	faked_time
