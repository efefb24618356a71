/* nodelay PID FD: prints what TCP_NODELAY is of this socket of that process. Exit code 2 where it cannot. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

int main(int argc, char **argv)
{
	int value = -1;
	socklen_t len = sizeof value;
	if (argc < 3)
		return 2;
	long process = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
	long fd = syscall(SYS_pidfd_getfd, process, atoi(argv[2]), 0);
	if (fd < 0 || getsockopt((int)fd, IPPROTO_TCP, TCP_NODELAY, &value, &len)) {
		perror("nodelay");
		return 2;
	}
	printf("%d\n", value);
	return 0;
}
