/* The bytes, size of them at most, that a text with \n \r \t \0 \\ and \xHH stands for. */
#include <stdlib.h>
#include <string.h>

static size_t unescape(const char *s, char *to, size_t size)
{
	static const char names[] = "rnt0\\", bytes[] = "\r\n\t\0\\";
	char *p = to;
	for (; *s && p < to + size; s++) {
		const char *name = *s == '\\' && s[1] ? strchr(names, s[1]) : 0;
		if (name) {
			*p++ = bytes[name - names];
			s++;
		} else if (*s == '\\' && s[1] == 'x' && s[2] && s[3]) {
			char hex[3] = { s[2], s[3], 0 };
			*p++ = (char)strtol(hex, 0, 16);
			s += 3;
		} else
			*p++ = *s;
	}
	return (size_t)(p - to);
}
