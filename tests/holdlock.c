/*
 * holdlock fcntl|flock FILE	locks it as lckpwdf(3) or flock(1) would, says so and waits to be killed
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = argc == 3 ? open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0 || (strcmp(argv[1], "flock") ? fcntl(fd, F_SETLK, &whole) : flock(fd, LOCK_EX | LOCK_NB)) < 0) {
		perror("holdlock");
		return 1;
	}
	puts("locked");
	fflush(stdout);
	alarm(60);
	for (;;)
		pause();
}
