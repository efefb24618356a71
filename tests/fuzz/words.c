/*
 * Fuzzing what poppass.c reads from its environment: PASSWORD_COMMAND (a first byte that
 * is even) and addresses (odd), against a second reading of the one and the C library's of the other.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define VERSION	"fuzz"
#define main	poppass_main
#include "../../poppass.c"
#undef main

#define CHECK(c, what) do { if (!(c)) { fprintf(stderr, "WRONG: %s\n", what); abort(); } } while (0)

/* One word after the other; -1 for what is no command. */
static int split(const char *s, char words[][COMMAND_MAX + 1], int max)
{
	int n = 0;
	for (;;) {
		s += strspn(s, " \t\n\v\f\r");
		if (!*s)
			return n > 0 && words[0][0] == '/' ? n : -1;
		size_t len = strcspn(s, " \t\n\v\f\r");
		const char *from = s;
		if (*s == '"' || *s == '\'') {
			const char *end = strchr(s + 1, *s);
			if (!end || (end[1] && !strchr(" \t\n\v\f\r", end[1])))
				return -1;
			from = s + 1;
			len = (size_t)(end - from);
			s = end + 1;
		} else
			s += len;
		if (n == max)
			return -1;
		memcpy(words[n], from, len);
		words[n++][len] = 0;
	}
}

static void command(const char *s)
{
	static char words[MAX_ARGS][COMMAND_MAX + 1];
	int n = strlen(s) > COMMAND_MAX ? -1 : split(s, words, MAX_ARGS);
	static char **memory;
	if (!memory && !split_command("/a"))
		memory = set.argv;
	/* A process splits one command only, into memory that is still zero. */
	memset(memory, 0, (MAX_ARGS + 1) * sizeof *memory);
	set.argv = NULL;
	const char *wrong = split_command(s);
	CHECK((wrong == NULL) == (n > 0), "a command refused or accepted");
	if (wrong) {
		CHECK(set.argv == NULL && !strncmp(wrong, "PASSWORD_COMMAND: ", 18), "a refused command");
		return;
	}
	for (int i = 0; i < n; i++)
		CHECK(set.argv[i] && !strcmp(set.argv[i], words[i]), "another word");
	CHECK(set.argv[n] == NULL, "more words");
}

/* The C library takes no zeros in front of a decimal number; we do. */
static void without_zeros(const char *s, char *to)
{
	const char *dots = strrchr(s, ':');
	size_t head = dots ? (size_t)(dots - s) + 1 : 0;
	memcpy(to, s, head);
	to += head;
	s += head;
	int decimal = strchr(s, '.') != NULL;
	for (int start = 1; *s; s++) {
		if (decimal && start && *s == '0' && s[1] >= '0' && s[1] <= '9')
			continue;
		*to++ = *s;
		start = *s == '.';
	}
	*to = 0;
}

/* The same 16 bytes by the C library's way. */
static int by_library(const char *s, unsigned char ip[16])
{
	char plain[200];
	without_zeros(s, plain);
	memcpy(ip, nobody, 12);
	if (inet_pton(AF_INET, plain, ip + 12) == 1 || inet_pton(AF_INET6, plain, ip) == 1)
		return memcmp(ip, "\0\0\0\0\0\0\0\0\0\0\377\377\0\0\0\0", 16) != 0;
	return 0;
}

static void literal(const char *s)
{
	unsigned char ip[16], ours[16];
	char part[200], plain[200], shown[INET6_ADDRSTRLEN];
	size_t n = strcspn(s, "%");
	strcpy(address, "unset");
	int taken = take_literal(s, strlen(s));
	CHECK(taken || !strcmp(address, "unset"), "an address set and refused");
	if (n >= ADDRESS_MAX || n >= sizeof part) {
		CHECK(!taken, "a long one accepted");
		return;
	}
	memcpy(part, s, n);
	part[n] = 0;
	without_zeros(part, plain);
	if (strchr(part, ':') && strcmp(part, plain))
		return;	/* we take three zeros in front there, the C library none */
	CHECK(by_library(part, ip) == taken, "an address accepted or refused");
	if (!taken)
		return;
	CHECK(by_library(address, ours) && !memcmp(ip, ours, 16), "another address");
	if (!memcmp(ip, nobody, 12))
		inet_ntop(AF_INET, ip + 12, shown, sizeof shown);
	else
		inet_ntop(AF_INET6, ip, shown, sizeof shown);
	CHECK(strchr(shown, '.') || !strcmp(shown, address), "an address shown otherwise");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static char s[2 * COMMAND_MAX];
	if (n < 1 || n > sizeof s)
		return 0;
	memcpy(s, data + 1, n - 1);
	s[n - 1] = 0;
	if (data[0] & 1) {
		if (strlen(s) < 190)
			literal(s);
		strcpy(address, "unset");
		take_with_port(s);
		CHECK(!strcmp(address, "unset") || strspn(address, "0123456789abcdef.:") == strlen(address), "a byte in an address");
	} else
		command(s);
	return 0;
}
