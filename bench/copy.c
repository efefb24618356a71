/*
 * copy FILE PASSWORD SETTING: what a setter cannot avoid: two hashes, every byte read and
 * written, and one fsync. The copy is FILE.copy and is not renamed.
 */
#include <crypt.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { BLOCK = 65536, PATH = 4096 };

static void copy_all(int from, int to)
{
	static char block[BLOCK];
	ssize_t n;

	while ((n = read(from, block, sizeof block)) > 0)
		if (write(to, block, n) != n)
			_exit(111);
	if (n == -1 || fsync(to) == -1)
		_exit(111);
}

int main(int argc, char **argv)
{
	static struct crypt_data data;
	char path[PATH];
	int from, to, i;

	if (argc != 4)
		return 100;
	for (i = 0; i < 2; i++)
		if (crypt_r(argv[2], argv[3], &data)[0] == '*')
			return 111;
	snprintf(path, sizeof path, "%s.copy", argv[1]);
	from = open(argv[1], O_RDONLY);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (from == -1 || to == -1)
		return 111;
	copy_all(from, to);
	return 0;
}
