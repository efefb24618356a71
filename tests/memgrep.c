/*
 * memgrep PID TEXT ...: is one of them in the writable memory of the process
 * (its arguments and environment included)? Exit code 0 yes, 1 no, 2 it cannot be read.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int search(int mem, unsigned long from, unsigned long to, char **texts)
{
	size_t n = to - from;
	char *block = malloc(n);
	if (!block)
		return 0;
	ssize_t r = pread(mem, block, n, (off_t)from);
	int found = 0;
	for (char **t = texts; r > 0 && *t; t++)
		if (memmem(block, (size_t)r, *t, strlen(*t))) {
			printf("%s is in %lx-%lx\n", *t, from, to);
			found = 1;
		}
	free(block);
	return found;
}

int main(int argc, char **argv)
{
	char path[64], line[1024], perms[8];
	unsigned long from, to;
	int found = 0, blocks = 0;
	if (argc < 3)
		return 2;
	snprintf(path, sizeof path, "/proc/%s/mem", argv[1]);
	int mem = open(path, O_RDONLY);
	snprintf(path, sizeof path, "/proc/%s/maps", argv[1]);
	FILE *maps = fopen(path, "r");
	if (mem < 0 || !maps)
		return 2;
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%lx-%lx %4s", &from, &to, perms) == 3 && perms[1] == 'w' && to - from < 1UL << 28) {
			found |= search(mem, from, to, argv + 2);
			blocks++;
		}
	return blocks == 0 ? 2 : !found;
}
