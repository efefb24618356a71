/* Linux calls that have no function in the C library, each with a name and types of its own: see system.h. */
#include_next <unistd.h>
#define syscall(number, ...) call_##number(__VA_ARGS__)
