/* errno is a variable that any system call may set to anything: see system.h. */
#ifndef PROVE_ERRNO_H
#define PROVE_ERRNO_H
#include <bits/errno.h>
extern int errno_now;
#define errno errno_now
#endif
