/*
 * keyfind PID PEM VALUE ...: is a piece of this private key in the memory of the process?
 *
 * PEM is the key's file, each VALUE a secret number of it in hexadecimal. What is looked for is
 * any 8 bytes of: the lines of base64, each number as bytes from either end (so it stands in DER),
 * and in words of 15, 30, 31, 62 bits (in 2, 4, 4, 8 bytes), as BearSSL computes with.
 * Prints what it found. Exit code 0 yes, 1 no, 2 it cannot be read.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WINDOW = 8, TABLE = 1 << 17 };

static struct { unsigned char b[WINDOW]; const char *what; } table[TABLE];
static long windows;

static uint32_t hash(const unsigned char *p)
{
	uint64_t x;
	memcpy(&x, p, 8);
	return (uint32_t)((x * 0x9e3779b97f4a7c15u) >> 40) % TABLE;
}

/* Eight bytes of which so many are alike are in every memory. */
static int is_dull(const unsigned char *p)
{
	int count[256] = { 0 };
	for (int i = 0; i < WINDOW; i++)
		if (++count[p[i]] > 3)
			return 1;
	return 0;
}

static void learn(const char *what, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i + WINDOW <= n; i++) {
		if (is_dull(p + i))
			continue;
		uint32_t h = hash(p + i);
		while (table[h].what && memcmp(table[h].b, p + i, WINDOW))
			h = (h + 1) % TABLE;
		if (++windows > TABLE / 2)
			exit(2);
		memcpy(table[h].b, p + i, WINDOW);
		table[h].what = what;
	}
}

/* The number little endian in words of so many bits, each in so many bytes of the machine's order. */
static void learn_words(const char *what, const unsigned char *le, size_t n, int bits, int bytes)
{
	unsigned char out[4096] = { 0 };
	size_t words = 0;
	for (size_t at = 0; at < n * 8 && (words + 1) * bytes <= sizeof out; at += bits, words++) {
		uint64_t w = 0;
		for (int i = 0; i < bits && at + i < n * 8; i++)
			w |= (uint64_t)(le[(at + i) / 8] >> (at + i) % 8 & 1) << i;
		if (bytes == 2)
			memcpy(out + words * 2, &(uint16_t){ w }, 2);
		else if (bytes == 4)
			memcpy(out + words * 4, &(uint32_t){ w }, 4);
		else
			memcpy(out + words * 8, &w, 8);
	}
	learn(what, out, words * bytes);
}

static void learn_number(const char *hex)
{
	unsigned char be[1024], le[1024];
	size_t n = 0;
	for (; hex[0] && hex[1] && n < sizeof be; hex += 2, n++)
		sscanf(hex, "%2hhx", &be[n]);
	for (size_t i = 0; i < n; i++)
		le[i] = be[n - 1 - i];
	learn("a number", be, n);
	learn("a number, backwards", le, n);
	learn_words("15-bit words", le, n, 15, 2);
	learn_words("30-bit words", le, n, 30, 4);
	learn_words("31-bit words", le, n, 31, 4);
	learn_words("62-bit words", le, n, 62, 8);
}

static void learn_pem(const char *path)
{
	char line[256];
	int in = 0;
	FILE *f = fopen(path, "r");
	if (!f)
		exit(2);
	while (fgets(line, sizeof line, f)) {
		if (line[0] == '-')
			in = strstr(line, "BEGIN") && strstr(line, "PRIVATE KEY");
		else if (in)
			learn("base64", (unsigned char *)line, strcspn(line, "\r\n="));
	}
	fclose(f);
}

static int search(int mem, unsigned long from, unsigned long to)
{
	size_t n = to - from;
	unsigned char *block = malloc(n + WINDOW);
	ssize_t r = block ? pread(mem, block, n, (off_t)from) : -1;
	int found = 0;
	for (ssize_t i = 0; i + WINDOW <= r; i++)
		for (uint32_t h = hash(block + i); table[h].what; h = (h + 1) % TABLE)
			if (memcmp(table[h].b, block + i, WINDOW) == 0) {
				if (found++ < 5)
					printf("%s at %lx in %lx-%lx\n", table[h].what, from + i, from, to);
				break;
			}
	free(block);
	return found;
}

int main(int argc, char **argv)
{
	char path[64], line[1024], perms[8];
	unsigned long from, to;
	int found = 0;
	long read_bytes = 0;
	if (argc < 4)
		return 2;
	learn_pem(argv[2]);
	for (char **v = argv + 3; *v; v++)
		learn_number(*v);
	snprintf(path, sizeof path, "/proc/%s/mem", argv[1]);
	int mem = open(path, O_RDONLY);
	snprintf(path, sizeof path, "/proc/%s/maps", argv[1]);
	FILE *maps = fopen(path, "r");
	if (mem < 0 || !maps || windows == 0)
		return 2;
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s", &from, &to, perms) == 3 && perms[1] == 'w') {
			found += search(mem, from, to);
			read_bytes += to - from;
		}
	return read_bytes == 0 ? 2 : !found;
}
