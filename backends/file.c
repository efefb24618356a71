/*
 * checkpassword-file, setpassword-file - check and change a password in a file
 *
 * Links of qmail-poppass's chains, for files of lines name:hash:rest (shadow,
 * Dovecot's passwd-file, htpasswd). This source makes both, told apart by SETTER.
 *
 *	qmail-poppass		fd 3: NAME \0 OLD \0 \0 NEW \0 (the checker: NAME \0 OLD \0 ...)
 *	  `- this program	fd 1: why a new password was refused, for the user
 *				fd 2: the log
 *
 *	right: exit 0	refused by policy: exit 1	trouble: exit 111
 *	wrong: becomes the next program, with the same bytes on fd 3, or exit 1
 *
 * What has to hold:
 * - Whoever is refused costs one crypt(3), and the file is read to its end:
 *   time does not tell an unknown name from a wrong password.
 * - The file is replaced by rename(2) and under a lock, so that at any instant
 *   it is the old one or the new one, whole.
 * - One timer bounds every wait. Its handler ends the program, which is as
 *   good as being killed, and that is harmless at any instant.
 * - The passwords are wiped before the wait for the lock.
 */
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>	/* renameat */
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "config.h"

#ifndef SETTER
#error "-DSETTER=0 makes checkpassword-file, -DSETTER=1 setpassword-file"
#endif

#define PROGRAM	(SETTER ? "setpassword-file" : "checkpassword-file")
#define USAGE	(SETTER ? "usage: setpassword-file [-f FILE] [-d] [-u MINUID] [-m MINLEN] [program ...]" : \
		"usage: checkpassword-file [-f FILE] [-d] [-u MINUID] [program ...]")

#define FIELD_MAX	511	/* bytes of field 2; the longest result of crypt(3) has 383 */
#define HEAD_MAX	2048	/* bytes of a line that are looked at */
#define BLOCK		65536	/* read and written at a time */
#define COLUMNS		10	/* shadow has 9: enough to see that a line has more */
#define SALT_MAX	22
#define LINKS_MAX	16	/* symbolic links on the way to the file */
#define ATTRIBUTE_MAX	4096
#define KEY_MAX		256	/* musl's crypt(3) rejects more */
#define STACK_BURNT	16384	/* crypt(3) may leave key bytes that deep */
#define DAY		86400
#define SECOND		1000000000L	/* in ns */

_Static_assert(HEAD_MAX > RECORD_MAX + FIELD_MAX + 512, "name, field and shadow's numbers must fit");
_Static_assert(BLOCK >= 2 * HEAD_MAX, "a head must fit the block wherever it begins");
_Static_assert(LOG_MAX >= 4 * LOG_NAME_MAX / 3 + 100, "a name and a file must fit a log line");

enum { ACCEPTED = 0, REFUSED = 1, MISUSED = 2, TROUBLE = 111 };
enum kind { OTHER, SHADOW, PASSWD };	/* is the file the system's? */
enum purpose { CHECK, UID, CHANGE };	/* what a line is looked up for */

struct text {
	char buf[LOG_MAX];
	size_t len;
};

struct reader {
	int fd;
	const char *path;
	size_t at, end;		/* unread part of the block */
	off_t base;		/* where in the file the block begins */
	int eof, inside;	/* inside: of a line longer than its head */
};

/* The head of a line, in the block until the next one is read. */
struct line {
	const char *s;
	size_t len;
	off_t at;
	int whole;
};

struct span {
	size_t at, len;
};

/* What a file says about a name. */
struct entry {
	int found;
	off_t line;		/* where it begins */
	off_t at;		/* of field 2 */
	size_t len;
	char field[FIELD_MAX + 1];
	int shadow;		/* the line is of shadow's form, with the day of the last change in field 3: */
	off_t day_at;
	size_t day_len;
	int has_uid;
	unsigned long uid;
};

/* How a hash is made: PREFIX PARAMETERS SALT [$] HASH */
struct scheme {
	const char *prefix;
	int parameters;		/* how many bytes, or one of those below */
	unsigned int last;	/* mask for the salt's last letter, where it encodes whole bytes */
	size_t salt;		/* letters of a new one */
	size_t exact;		/* length of the whole, else 0 */
	size_t longest;		/* password that is neither cut nor rejected */
};
enum { ROUNDS = -1 /* "rounds=N$" or nothing */, WORD = -2 /* ends with "$" */ };

/* A field taken apart: LABEL (PREFIX PARAMETERS) SALT... */
struct setting {
	size_t scheme, label, keep;
};

static const char alphabet[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const struct scheme schemes[] = {
	{ "$y$", WORD, 3, 22, 0, RECORD_MAX },
	{ "$gy$", WORD, 3, 22, 0, RECORD_MAX },
	{ "$7$", 11, 63, 22, 0, RECORD_MAX },
	{ "$6$", ROUNDS, 63, 16, 0, 256 },
	{ "$5$", ROUNDS, 63, 16, 0, 256 },
	{ "$2a$", WORD, 63, 22, 0, 72 },
	{ "$2b$", WORD, 63, 22, 0, 72 },
	{ "$2x$", WORD, 63, 22, 0, 72 },
	{ "$2y$", WORD, 63, 22, 0, 72 },
	{ "$1$", 0, 63, 8, 0, RECORD_MAX },
	{ "_", 4, 63, 4, 20, RECORD_MAX },
	{ "", 0, 63, 2, 13, 8 },
};
#define SCHEMES (sizeof schemes / sizeof *schemes)

/* Dovecot's names for what crypt(3) makes; for a name with an encoding (.B64) there is none. */
static const char *const labels[] = {
	"{CRYPT}", "{MD5-CRYPT}", "{SHA256-CRYPT}", "{SHA512-CRYPT}", "{BLF-CRYPT}", "{DES-CRYPT}",
};

/* Safe to show in the log; what else stands in the field may be a plain password. */
static const char *const foreign[] = {
	"$y$", "$gy$", "$7$", "$6$", "$5$", "$2a$", "$2b$", "$2x$", "$2y$", "$1$", "$2$", "$3$", "$sha1$", "$md5$", "$md5,",
	"$apr1$", "$argon2i$", "$argon2d$", "$argon2id$", "$scrypt$", "$pbkdf2$", "$pbkdf2-sha256$", "$pbkdf2-sha512$",
};

/* A new file is also to be readable by those, and only those, who could read the old one. */
static const char *const attributes[] = { "system.posix_acl_access", "security.selinux" };

/* All that every way out wipes. */
static struct {
	char record[RECORD_MAX + 1];	/* one more, to notice a longer one */
	char login[RECORD_MAX + 1];	/* the name, less its domain with -d */
	char field[FIELD_MAX + 1];	/* the new one */
	char block[HEAD_MAX + BLOCK];	/* before the block, what was left of the last one */
	char decoy[SCHEMES][FIELD_MAX + 1];	/* by scheme: the first hash in the file */
	struct entry entry, entry_now;
} secret;

static size_t record_len;
static const char *old_password, *new_password;
static size_t decoy_order[SCHEMES], decoys;

static const char *file = SHADOW_FILE;
static enum kind kind;
static char real[PATH_MAX];	/* file, its symbolic links followed */
static int drop_domain, uid_asked;
static unsigned long min_uid = MINUID, min_len = MINLEN;
static char **next_program;

static int folder = -1;		/* where file is */
static char lock_path[PATH_MAX + 9] = LOCK_FILE, new_path[PATH_MAX + 9];	/* their names... */
static const char *base, *lock_name = lock_path, *new_name;	/* ...in the folder */
static int new_is_ours;		/* made by this process */
static int lock_fd = -1;

static const char *volatile waiting = "timeout";	/* for what */
static volatile sig_atomic_t logging;
static struct sigaction old_alarm, old_pipe, old_xfsz;
static sigset_t old_mask;
static unsigned int old_left;

/* The log and the ways out */

static void put_byte(struct text *t, char c)
{
	if (t->len < sizeof t->buf - 1)
		t->buf[t->len++] = c;
}

static void put(struct text *t, const char *s)
{
	size_t len = strlen(s), room = sizeof t->buf - 1 - t->len;

	if (len > room)
		len = room;
	memcpy(t->buf + t->len, s, len);
	t->len += len;
}

static void put_number(struct text *t, unsigned long n)
{
	char digits[3 * sizeof n + 1];
	char *p = digits + sizeof digits - 1;

	*p = '\0';
	do
		*--p = (char)('0' + n % 10);
	while ((n /= 10) != 0);
	put(t, p);
}

/* In limit bytes at most, so that no quote ends early and no line breaks. */
static void put_escaped(struct text *t, const char *s, size_t limit)
{
	static const char hex[] = "0123456789abcdef";
	size_t i, n, len = strlen(s);
	int plain;

	for (i = 0; i < len; i++) {
		plain = s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\';
		n = plain ? 1 : 4;
		if (n > limit) {
			put(t, "...");
			return;
		}
		limit -= n;
		if (plain) {
			put_byte(t, s[i]);
			continue;
		}
		put(t, "\\x");
		put_byte(t, hex[(unsigned char)s[i] >> 4]);
		put_byte(t, hex[s[i] & 15]);
	}
}

/* key="value", cut so that dots, quote and newline always fit. */
static void put_value(struct text *t, const char *key, const char *value, size_t limit)
{
	size_t room;

	put(t, " ");
	put(t, key);
	put(t, "=\"");
	room = sizeof t->buf - t->len;
	room = room > 5 ? room - 5 : 0;
	put_escaped(t, value, limit < room ? limit : room);
	put(t, "\"");
}

static void put_start(struct text *t, const char *event)
{
	t->len = 0;
	put(t, PROGRAM);
	put(t, "[");
	put_number(t, (unsigned long)getpid());
	put(t, "]: ");
	put(t, event);
}

/* One line, one write; a reader that takes none for so long gets none. */
static void send_line(int fd, struct text *t)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	t->buf[t->len++] = '\n';
	logging = 1;
	if (poll(&p, 1, WRITE_TIMEOUT * 1000) != 0)
		if (write(fd, t->buf, t->len) < 0) { /* there is nobody else to tell */ }
	logging = 0;
}

static __attribute__((noreturn)) void leave(int code)
{
	explicit_bzero(&secret, sizeof secret);
	_exit(code);
}

/* The program's own or the system's fault, with the reason if there is one in errno. */
static __attribute__((noreturn)) void trouble(const char *path, const char *what)
{
	const char *why = errno != 0 ? strerror(errno) : "";
	struct text t, words = { "", 0 };

	put(&words, what);
	put(&words, *why != '\0' ? ": " : "");
	put(&words, why);
	put_byte(&words, '\0');
	if (new_is_ours)
		unlinkat(folder, new_name, 0);	/* the next change would replace it anyway */
	put_start(&t, "trouble");
	put_value(&t, "what", words.buf, LOG_MAX);
	put_value(&t, "file", path, LOG_MAX);
	send_line(2, &t);
	leave(TROUBLE);
}

static __attribute__((noreturn)) void misuse(const char *what)
{
	struct text t;

	put_start(&t, "misuse");
	put_value(&t, "what", what, LOG_MAX);
	send_line(2, &t);
	leave(MISUSED);
}

static void log_unsupported(const char *shown)
{
	struct text t;

	put_start(&t, "unsupported hash");
	put_value(&t, "user", secret.login, LOG_NAME_MAX);
	put_value(&t, "scheme", shown, LOG_MAX);
	put_value(&t, "file", file, LOG_MAX);
	send_line(2, &t);
}

/* Signals */

static void time_is_up(int sig)
{
	(void)sig;
	if (logging)
		leave(TROUBLE);
	errno = 0;	/* and no strerror(3), which may not be called here */
	trouble(file, waiting);
}

static void set_signal(int sig, void (*handler)(int), struct sigaction *old)
{
	struct sigaction sa;

	memset(&sa, 0, sizeof sa);
	sigemptyset(&sa.sa_mask);
	sa.sa_handler = handler;
	sigaction(sig, &sa, old);	/* fails for a bad signal number only */
}

static void set_signals(void)
{
	sigset_t alarms;

	set_signal(SIGALRM, time_is_up, &old_alarm);
	set_signal(SIGPIPE, SIG_IGN, &old_pipe);
	set_signal(SIGXFSZ, SIG_IGN, &old_xfsz);	/* write says EFBIG */
	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &alarms, &old_mask);
	old_left = alarm(CHAIN_TIMEOUT);
}

static void restore_signals(void)
{
	alarm(0);
	sigprocmask(SIG_SETMASK, &old_mask, NULL);
	sigaction(SIGXFSZ, &old_xfsz, NULL);
	sigaction(SIGPIPE, &old_pipe, NULL);
	sigaction(SIGALRM, &old_alarm, NULL);
	alarm(old_left);
}

/* Reading and writing */

static int write_all(int fd, const char *s, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = write(fd, s, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		s += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Else a file opened below would be where others expect the log. */
static void own_low_descriptors(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			trouble("/dev/null", "cannot open");
}

static void read_record(void)
{
	ssize_t n = 1;

	waiting = "timeout: no end of the record on descriptor 3";
	while (n != 0 && record_len < sizeof secret.record) {
		n = read(3, secret.record + record_len, sizeof secret.record - record_len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			trouble(file, "cannot read descriptor 3");
		record_len += (size_t)n;
	}
	close(3);
	if (record_len > RECORD_MAX)
		misuse("the record on descriptor 3 is too long");
	secret.record[RECORD_MAX] = '\0';	/* so that all in it are strings */
}

/* How far it is to the next such byte, len if there is none. */
static size_t distance(const char *s, char c, size_t len)
{
	const char *found = memchr(s, c, len);

	return found != NULL ? (size_t)(found - s) : len;
}

/* The next field of the record, or NULL where no 0 byte ends it. */
static const char * take_field(size_t *at)
{
	size_t start = *at;
	size_t len = distance(secret.record + start, '\0', record_len - start);

	if (len == record_len - start)
		return NULL;
	*at = start + len + 1;
	return secret.record + start;
}

/* The checker ignores what follows the password, as the first checkpassword did. */
static void split_record(void)
{
	size_t at = 0;
	const char *response = "";
	const char *name = take_field(&at);

	old_password = take_field(&at);
	if (SETTER) {
		response = take_field(&at);
		new_password = take_field(&at);
	}
	if (name == NULL || old_password == NULL)
		misuse("malformed record on descriptor 3");
	if (SETTER && (response == NULL || *response != '\0' || new_password == NULL || at != record_len))
		misuse("malformed record on descriptor 3");
	memcpy(secret.login, name, strlen(name) + 1);
	if (drop_domain)
		secret.login[strcspn(secret.login, "@")] = '\0';
}

/* A FIFO must not block, a terminal not become ours. */
static int open_regular(int dir, const char *name, const char *path, int flags, struct stat *st)
{
	int fd = openat(dir, name, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd < 0 || fstat(fd, st) < 0)
		trouble(path, "cannot open");
	errno = 0;
	if (!S_ISREG(st->st_mode))
		trouble(path, "not a regular file");
	return fd;
}

/* Moves what is left to before the next block, and reads that whole, or to the end of the file. */
static void fill(struct reader *r)
{
	size_t left = r->end - r->at;
	ssize_t n;

	memmove(secret.block + HEAD_MAX - left, secret.block + r->at, left);
	r->base += (off_t)r->end - HEAD_MAX;
	r->at = HEAD_MAX - left;
	r->end = HEAD_MAX;
	while (!r->eof && r->end < sizeof secret.block) {
		n = pread(r->fd, secret.block + r->end, sizeof secret.block - r->end, r->base + (off_t)r->end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			trouble(r->path, "cannot read");
		r->eof = n == 0;
		r->end += (size_t)n;
	}
}

static void skip_rest(struct reader *r)
{
	size_t have, len;

	while (r->inside) {
		have = r->end - r->at;
		len = distance(secret.block + r->at, '\n', have);
		r->inside = len == have && !r->eof;
		r->at += len < have ? len + 1 : have;
		if (r->inside)
			fill(r);
	}
}

/* The next line's head, without its line end (LF, CR LF or none); 0 at the end of the file. */
static int next_line(struct reader *r, struct line *l)
{
	size_t have;

	skip_rest(r);
	if (r->end - r->at < HEAD_MAX && !r->eof)
		fill(r);
	have = r->end - r->at;
	if (have == 0)
		return 0;
	if (have > HEAD_MAX)
		have = HEAD_MAX;
	l->s = secret.block + r->at;
	l->at = r->base + (off_t)r->at;
	l->len = distance(l->s, '\n', have);
	r->inside = l->len == have;
	r->at += l->len < have ? l->len + 1 : have;
	l->whole = !r->inside || (r->eof && r->at == r->end);
	if (l->whole && l->len > 0 && l->s[l->len - 1] == '\r')
		l->len--;
	return 1;
}

/* Lines */

/* The line's first columns, max of them at most. */
static size_t split_line(const struct line *l, struct span *column, size_t max)
{
	size_t n, at = 0;

	for (n = 0; n < max && at <= l->len; n++) {
		column[n].at = at;
		column[n].len = distance(l->s + at, ':', l->len - at);
		at += column[n].len + 1;
	}
	return n;
}

static int is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static int is_number(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!is_digit(s[i]))
			return 0;
	return len > 0;
}

/* Digits only, at most UINT32_MAX. */
static int parse_number(const char *s, size_t len, unsigned long *n)
{
	uint64_t sum = 0;
	size_t i;

	if (!is_number(s, len))
		return 0;
	for (i = 0; i < len; i++) {
		sum = sum * 10 + (uint64_t)(s[i] - '0');
		if (sum > UINT32_MAX)
			return 0;
	}
	*n = (unsigned long)sum;
	return 1;
}

/*
 * Shadow's form: nine fields, the last seven numbers or empty. All empty is
 * also a passwd-file's line, in which a number would be a uid.
 */
static int is_shadow(const struct line *l, const struct span *column, size_t columns)
{
	size_t i, filled = 0, minus;
	const char *s;

	if (columns != 9 || !l->whole)
		return 0;
	for (i = 2; i < columns; i++) {
		if (column[i].len == 0)
			continue;
		s = l->s + column[i].at;
		minus = *s == '-';
		if (!is_number(s + minus, column[i].len - minus))
			return 0;
		filled++;
	}
	return filled > 0 || kind == SHADOW;
}

static void take_entry(struct entry *e, const struct line *l)
{
	struct span column[COLUMNS] = { { 0, 0 } };
	size_t columns = split_line(l, column, COLUMNS);

	e->found = 1;
	e->line = l->at;
	e->at = l->at + (off_t)column[1].at;
	e->len = column[1].len < FIELD_MAX ? column[1].len : FIELD_MAX;	/* a longer one never matches */
	memcpy(e->field, l->s + column[1].at, e->len);
	if (columns < 3)
		return;
	e->shadow = is_shadow(l, column, columns);
	e->day_at = l->at + (off_t)column[2].at;
	e->day_len = column[2].len;
	e->has_uid = column[2].len > 0;
	if (e->has_uid && !parse_number(l->s + column[2].at, column[2].len, &e->uid))
		e->uid = 0;	/* which no check lets pass */
}

/* Schemes */

/* Ascending in ASCII: ./0-9 A-Z a-z */
static int in_alphabet(const char *s, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (!(s[i] >= '.' && s[i] <= '9') && !(s[i] >= 'A' && s[i] <= 'Z') && !(s[i] >= 'a' && s[i] <= 'z'))
			return 0;
	return 1;
}

/* The length of {LABEL}; 0 if there is none or it is no known one. */
static size_t label_length(const char *field, size_t len)
{
	size_t i, n;

	for (i = 0; i < sizeof labels / sizeof *labels; i++) {
		n = strlen(labels[i]);
		if (len >= n && strncasecmp(field, labels[i], n) == 0)
			return n;
	}
	return 0;
}

/* How much of a hash says how it was made; 0 with found unset if that is cut off. */
static size_t kept_length(const struct scheme *s, const char *hash, size_t len, int *found)
{
	size_t keep = strlen(s->prefix), more;

	*found = 1;
	if (s->parameters >= 0)
		keep += (size_t)s->parameters;
	else if (s->parameters == WORD || (len > keep + 7 && memcmp(hash + keep, "rounds=", 7) == 0)) {
		more = distance(hash + keep, '$', len - keep);
		*found = more < len - keep;
		return *found ? keep + more + 1 : 0;
	}
	*found = keep <= len;
	return keep;
}

static int is_scheme(const struct scheme *s, const char *hash, size_t len)
{
	size_t n = strlen(s->prefix);

	if (len < n || memcmp(hash, s->prefix, n) != 0)
		return 0;
	return s->exact == 0 || (len == s->exact && in_alphabet(hash + n, len - n));
}

/* Takes a field apart; 0 unless it holds a hash of a known kind. */
static int split_field(const char *field, size_t len, struct setting *out)
{
	size_t label = label_length(field, len);
	int found;
	size_t i;

	for (i = 0; i < SCHEMES; i++)
		if (is_scheme(&schemes[i], field + label, len - label)) {
			out->scheme = i;
			out->label = label;
			out->keep = kept_length(&schemes[i], field + label, len - label, &found);
			return found;
		}
	return 0;
}

/* What is left of crypt(3) below: it wipes less than it should. */
static __attribute__((noinline)) void burn_stack(void)
{
	char below[STACK_BURNT];

	explicit_bzero(below, sizeof below);
}

/*
 * NULL if the C library cannot make such a hash. Some make another instead
 * ("$y$" is a salt to the oldest of schemes), hence the look at what was kept.
 */
static char * hash_with(const char *password, const char *hash, const struct setting *s)
{
	char *result;

	waiting = "timeout: cannot hash";
	errno = 0;
	result = crypt(password, hash);
	burn_stack();
	if (result != NULL && *result != '*' && strncmp(result, hash, s->keep) == 0)
		return result;
	if (errno == ENOMEM)
		trouble(file, "cannot hash");
	return NULL;
}

/* Time does not tell how far they are equal. */
static int is_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
	volatile unsigned char differs = 0;
	size_t i;

	if (a_len != b_len)
		return 0;
	for (i = 0; i < a_len; i++)
		differs |= (unsigned char)(a[i] ^ b[i]);
	return differs == 0;
}

static void remember_decoy(const struct line *l)
{
	struct span column[2] = { { 0, 0 } };
	struct setting s;
	const char *field;
	size_t i, len;

	if (split_line(l, column, 2) < 2)
		return;
	field = l->s + column[1].at;
	len = column[1].len;
	if (len > FIELD_MAX || !split_field(field, len, &s))
		return;
	i = s.scheme;
	if (secret.decoy[i][0] != '\0' || decoys == SCHEMES)
		return;
	len -= s.label;
	memcpy(secret.decoy[i], field + s.label, len);
	decoy_order[decoys++] = i;
}

/* What the check of a password costs, for a name that has none: the file's first setting that works. */
static void spend(void)
{
	static const char last_resort[] = "$5$decoy";
	struct setting s;
	size_t i;

	for (i = 0; i < decoys; i++)
		if (split_field(secret.decoy[decoy_order[i]], strlen(secret.decoy[decoy_order[i]]), &s) &&
		    hash_with(old_password, secret.decoy[decoy_order[i]], &s) != NULL)
			return;
	if (split_field(last_resort, sizeof last_resort - 1, &s))
		hash_with(old_password, last_resort, &s);
}

/* Looking a name up */

/* Compared from the end: there names of a series differ. */
static int is_of(const struct line *l, const char *name, size_t len)
{
	if (l->len <= len || l->s[len] != ':')
		return 0;
	while (len > 0 && l->s[len - 1] == name[len - 1])
		len--;
	return len == 0;
}

/*
 * The first line of the name that logs in. A check reads to the end, whatever
 * is found. Decoys are those of the first block that has any.
 */
static void look_up(struct reader r, struct entry *e, enum purpose why)
{
	size_t n = strlen(secret.login);
	struct line l;
	off_t block = 0;

	memset(e, 0, sizeof *e);
	waiting = "timeout: cannot read";
	while (!(e->found && why == CHANGE) && next_line(&r, &l)) {
		if (!e->found && is_of(&l, secret.login, n))
			take_entry(e, &l);
		if (why == CHECK && (decoys == 0 || r.base == block)) {
			block = r.base;
			remember_decoy(&l);
		}
	}
}

static void look_up_path(const char *path, struct entry *e, enum purpose why)
{
	struct stat st;
	int fd = open_regular(AT_FDCWD, path, path, O_RDONLY, &st);

	look_up((struct reader){ .fd = fd, .path = path }, e, why);
	close(fd);
}

/* Mostly the line is still where it was: seen from the byte before it, so that it is a line. */
static void look_up_again(int fd, struct entry *e, off_t line)
{
	look_up((struct reader){ .fd = fd, .path = file, .base = line > 0 ? line - 1 : 0 }, e, CHANGE);
	if (!e->found || e->line != line)
		look_up((struct reader){ .fd = fd, .path = file }, e, CHANGE);
}

static int is_missing(void)
{
	return errno == ENOENT || errno == ENOTDIR;
}

/* Follows a path's symbolic links, so that lock and new file are where the file is. */
static void follow_links(const char *path, char *out)
{
	char target[PATH_MAX] = "";
	const char *slash;
	size_t dir;
	ssize_t n;
	int i;

	errno = ENAMETOOLONG;
	if (strlen(path) >= PATH_MAX)
		trouble(path, "cannot open");
	memcpy(out, path, strlen(path) + 1);
	for (i = 0; i < LINKS_MAX; i++) {
		n = readlink(out, target, sizeof target);
		if (n < 0 && (errno == EINVAL || is_missing()))
			return;	/* no link */
		if (n < 0)
			trouble(path, "cannot open");
		slash = strrchr(out, '/');
		dir = slash == NULL || *target == '/' ? 0 : (size_t)(slash - out) + 1;
		if (dir + (size_t)n >= PATH_MAX)
			break;
		memcpy(out + dir, target, (size_t)n);
		out[dir + (size_t)n] = '\0';
	}
	errno = ELOOP;
	trouble(path, "cannot open");
}

/* Cuts a path into its folder, copied, and its last part, returned. */
static const char * split_path(const char *path, char *dir)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path) + 1;

	memcpy(dir, path, n);
	dir[n] = '.';
	dir[n + 1] = '\0';
	return path + n;
}

/* Whether real is that file, by folder and name: the file itself is replaced by others at any time. */
static int is_file(const char *path)
{
	char other[PATH_MAX] = "", our_dir[PATH_MAX + 1] = "", other_dir[PATH_MAX + 1] = "";
	struct stat ours, others;

	follow_links(path, other);
	if (strcmp(split_path(real, our_dir), split_path(other, other_dir)) != 0)
		return 0;
	if (stat(our_dir, &ours) < 0)
		trouble(file, "cannot open the folder");
	if (stat(other_dir, &others) < 0) {
		if (!is_missing())
			trouble(path, "cannot open the folder");
		return 0;
	}
	return ours.st_dev == others.st_dev && ours.st_ino == others.st_ino;
}

static void find_kind(void)
{
	follow_links(file, real);
	if (is_file(SHADOW_FILE))
		kind = SHADOW;
	else if (is_file(PASSWD_FILE))
		kind = PASSWD;
}

/* A name that could not stand in a file's line, or is nobody's business here. */
static int is_odd_name(const char *name)
{
	const char *s;

	for (s = name; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f || *s == ':')
			return 1;
	return *name == '\0' || *name == '#' || strcmp(name, "root") == 0;
}

/*
 * The system's files and, if asked for, others: a uid that is too low. A
 * virtual user without a uid has none that could be.
 */
static int is_uid_low(const struct entry *e)
{
	struct entry in_passwd;
	const struct entry *u = e;

	if (kind == OTHER && (!uid_asked || min_uid == 0))
		return 0;
	if (kind != PASSWD)
		look_up_path(PASSWD_FILE, &in_passwd, UID);
	if (kind == SHADOW || (kind == OTHER && e->shadow))
		u = &in_passwd;
	else if (kind == OTHER && !e->has_uid)
		return 0;
	return u->uid == 0 || u->uid < min_uid;	/* 0 as well if there was none */
}

/* Checking */

/* What may be shown of a field that is no known hash. */
static void report_unsupported(const char *field, size_t len)
{
	char shown[32] = "unknown";
	size_t i, n;

	n = strspn(field, "{ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.");
	if (len > 0 && *field == '{' && field[n] == '}' && n < sizeof shown - 1) {
		memcpy(shown, field, n + 1);
		shown[n + 1] = '\0';
		field += label_length(field, len);
	}
	for (i = 0; i < sizeof foreign / sizeof *foreign; i++)
		if (strncmp(field, foreign[i], strlen(foreign[i])) == 0)
			memcpy(shown, foreign[i], strlen(foreign[i]) + 1);
	log_unsupported(shown);
}

/* Locked or without a password: not worth a line in the log. */
static int is_locked(const struct entry *e)
{
	size_t label = label_length(e->field, e->len);

	return e->len == label || e->field[label] == '!' || e->field[label] == '*';
}

/* One crypt(3), whatever the outcome. */
static int is_right(const struct entry *e, struct setting *s)
{
	int known = !is_uid_low(e) && e->found && !is_odd_name(secret.login) && !is_locked(e);
	const char *result = NULL;

	if (known && split_field(e->field, e->len, s))
		result = hash_with(old_password, e->field + s->label, s);
	if (result == NULL) {
		spend();
		if (known && strlen(old_password) <= KEY_MAX)
			report_unsupported(e->field, e->len);
		return 0;
	}
	return is_equal(result, strlen(result), e->field + s->label, e->len - s->label) && *old_password != '\0';
}

/* IndiMail's custom: what was not right here may be elsewhere. */
static __attribute__((noreturn)) void run_next(void)
{
	int p[2];

	if (next_program[0] == NULL)
		leave(REFUSED);
	close(3);
	close(4);
	if (pipe(p) < 0 || p[0] != 3 || p[1] != 4 || write_all(4, secret.record, record_len) < 0)
		trouble(next_program[0], "cannot make a pipe");
	close(4);
	explicit_bzero(&secret, sizeof secret);
	restore_signals();
	execv(next_program[0], next_program);
	trouble(next_program[0], "cannot execute");
}

/* Setting */

static __attribute__((noreturn)) void refuse(const char *why, size_t limit)
{
	struct text t = { "", 0 };

	put(&t, why);
	put_number(&t, limit);
	put(&t, ")");
	send_line(1, &t);
	leave(REFUSED);
}

static void check_policy(const struct scheme *s)
{
	size_t len = strlen(new_password);

	if (len < min_len || len == 0)
		refuse("too short (minimum ", min_len > 0 ? min_len : 1);
	if (len > s->longest)
		refuse("too long (maximum ", s->longest);
}

static void get_random(char *buf, size_t len)
{
	ssize_t n;

	while (len > 0) {
		n = getrandom(buf, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			trouble(file, "cannot get random bytes");
		buf += n;
		len -= (size_t)n;
	}
}

/* The new field: label, scheme and parameters as before, a new salt. */
static void make_field(const struct entry *e, const struct setting *s)
{
	char random[SALT_MAX];
	char setting[FIELD_MAX + SALT_MAX + 1] = "";
	const struct scheme *scheme = &schemes[s->scheme];
	size_t i, len, n = s->keep, salt = scheme->salt;
	char *result;

	get_random(random, salt);
	memcpy(setting, e->field + s->label, n);
	for (i = 0; i < salt; i++)
		setting[n++] = alphabet[random[i] & (i == salt - 1 ? scheme->last : 63)];
	setting[n] = '\0';
	result = hash_with(new_password, setting, s);
	errno = 0;
	len = result != NULL ? strlen(result) : 0;
	if (len == 0 || s->label + len > FIELD_MAX || strpbrk(result, ":\r\n") != NULL)
		trouble(file, "cannot hash");
	memcpy(secret.field, e->field, s->label);
	memcpy(secret.field + s->label, result, len);	/* zeros follow */
	explicit_bzero(result, len);
}

/* Where flock(2) is made of fcntl(2) locks, by the file system, having both would be waiting for oneself. */
static int is_on_network(int fd)
{
	static const uint32_t types[] = { 0x6969 /* NFS */, 0x517b /* SMB */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */ };
	struct statfs fs;
	size_t i;

	if (fstatfs(fd, &fs) < 0)
		trouble(file, "cannot lock");
	for (i = 0; i < sizeof types / sizeof *types; i++)
		if ((uint32_t)fs.f_type == types[i])
			return 1;
	return 0;
}

static int wait_for_lock(int fd)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int n;

	while ((n = fcntl(fd, F_SETLKW, &whole)) < 0 && errno == EINTR)
		;
	if (n < 0 || is_on_network(fd))
		return n;
	while ((n = flock(fd, LOCK_EX)) < 0 && errno == EINTR)
		;
	return n;
}

/*
 * Both kinds of lock, for lckpwdf(3) takes the one and flock(1) the other. The
 * lock file stays; should somebody remove it, the lock on the removed one is void.
 */
static void lock(void)
{
	struct stat held, there;
	int fd, dir = kind == OTHER ? folder : AT_FDCWD;

	waiting = "timeout: locked by another program";
	alarm(LOCK_TIMEOUT);
	for (;;) {
		fd = open_regular(dir, lock_name, lock_path, O_RDWR | O_CREAT | O_NOFOLLOW, &held);
		if (wait_for_lock(fd) < 0)
			trouble(lock_path, "cannot lock");
		if (fstatat(dir, lock_name, &there, AT_SYMLINK_NOFOLLOW) == 0) {
			if (there.st_dev == held.st_dev && there.st_ino == held.st_ino)
				break;
		} else if (errno != ENOENT)
			trouble(lock_path, "cannot lock");
		close(fd);
	}
	lock_fd = fd;
	alarm(CHAIN_TIMEOUT);
}

/* In blocks of the new file: a page that is written in two parts costs twice. */
static void copy(int in, int out, off_t from, off_t to)
{
	off_t at = lseek(out, 0, SEEK_CUR);	/* cannot fail */
	size_t want;
	ssize_t n;

	while (from < to) {
		want = BLOCK - (size_t)(at % BLOCK);
		if (to - from < (off_t)want)
			want = (size_t)(to - from);
		n = pread(in, secret.block, want, from);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = 0;
		if (n <= 0)
			trouble(file, "cannot read");
		if (write_all(out, secret.block, (size_t)n) < 0)
			trouble(new_path, "cannot write");
		from += n;
		at += n;
	}
}

/* The attribute's length, -1 if there is none. */
static ssize_t get_attribute(int fd, const char *path, const char *name, char *value)
{
	ssize_t n = fgetxattr(fd, name, value, ATTRIBUTE_MAX);

	if (n < 0 && errno != ENODATA && errno != ENOTSUP && errno != ENOSYS)
		trouble(path, "cannot read attributes");
	return n;
}

/* The new file may have got one that the old one has not, from its folder. */
static void copy_attribute(int in, int out, const char *name)
{
	char value[ATTRIBUTE_MAX], is[ATTRIBUTE_MAX];
	ssize_t n = get_attribute(in, file, name, value);
	ssize_t m = get_attribute(out, new_path, name, is);

	if (m == n && (n < 0 || memcmp(is, value, (size_t)n) == 0))
		return;
	if ((n < 0 ? fremovexattr(out, name) : fsetxattr(out, name, value, (size_t)n, 0)) < 0)
		trouble(new_path, "cannot set attributes");
}

static void copy_owner_and_mode(int in, int out, const struct stat *old)
{
	struct stat st;
	size_t i;

	if (fstat(out, &st) < 0)
		trouble(new_path, "cannot make");
	if ((st.st_uid != old->st_uid || st.st_gid != old->st_gid) && fchown(out, old->st_uid, old->st_gid) < 0)
		trouble(new_path, "cannot change the owner");
	for (i = 0; i < sizeof attributes / sizeof *attributes; i++)
		copy_attribute(in, out, attributes[i]);
	if (fchmod(out, old->st_mode & 07777) < 0)
		trouble(new_path, "cannot change the mode");
}

/* The day of the change as shadow counts; day 0 would ask for another change. */
static void write_day(int out)
{
	struct text t = { "", 0 };
	time_t now = time(NULL);

	put_number(&t, now >= DAY ? (unsigned long)(now / DAY) : 1);
	if (write_all(out, t.buf, t.len) < 0)
		trouble(new_path, "cannot write");
}

static void write_content(int in, int out, const struct entry *e, off_t size)
{
	off_t done = e->at + (off_t)e->len;

	if (fallocate(out, FALLOC_FL_KEEP_SIZE, 0, size) < 0) { /* only slower, or the writing will tell */ }
	copy(in, out, 0, e->at);
	if (write_all(out, secret.field, strlen(secret.field)) < 0)
		trouble(new_path, "cannot write");
	if (e->shadow) {
		copy(in, out, done, e->day_at);
		write_day(out);
		done = e->day_at + (off_t)e->day_len;
	}
	copy(in, out, done, size);
}

/* Dovecot rereads a file only when its size or its time in whole seconds differ. */
static void advance_time(int out, const struct stat *old)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = 0 } };
	struct stat st;

	if (fstat(out, &st) < 0)
		trouble(new_path, "cannot set the time");
	times[1].tv_sec = (time_t)((uint64_t)old->st_mtim.tv_sec + 1);	/* unsigned, for it may be the last second */
	if (st.st_mtim.tv_sec > old->st_mtim.tv_sec || times[1].tv_sec < old->st_mtim.tv_sec)
		return;
	if (futimens(out, times) < 0)
		trouble(new_path, "cannot set the time");
}

/* There are programs that know nothing of the lock: better to lose this change than theirs. */
static void check_unchanged(int in, const struct stat *old)
{
	struct stat now, there;

	if (fstat(in, &now) < 0 || fstatat(folder, base, &there, AT_SYMLINK_NOFOLLOW) < 0)
		trouble(file, "cannot see if it changed");
	errno = 0;
	if (now.st_size != old->st_size || now.st_mtim.tv_sec != old->st_mtim.tv_sec ||
	    now.st_mtim.tv_nsec != old->st_mtim.tv_nsec || there.st_dev != old->st_dev || there.st_ino != old->st_ino)
		trouble(file, "changed by another program meanwhile");
}

/*
 * Dovecot, whose entries have a {LABEL}, looks at its file once in each second of the clock: if it
 * did so just before, the old password is good until the next second. Better to say so then.
 */
static void wait_for_dovecot(void)
{
	struct timespec now, left;
	int labelled = secret.field[0] == '{';
	long ns;

	explicit_bzero(&secret, sizeof secret);
	close(lock_fd);
	if (!labelled || clock_gettime(CLOCK_REALTIME, &now) < 0)
		return;
	ns = SECOND + SECOND / 10 - now.tv_nsec;	/* and a little more, for one that is at it */
	left.tv_sec = ns / SECOND;
	left.tv_nsec = ns % SECOND;
	nanosleep(&left, NULL);	/* cut short by a signal: no harm */
}

/* From here on nobody can say that the password was not changed, so trouble is death by a signal. */
static __attribute__((noreturn)) void put_in_place(void)
{
	struct text t;

	set_signal(SIGALRM, SIG_DFL, NULL);
	if (renameat(folder, new_name, folder, base) < 0)
		trouble(file, "cannot replace it");
	new_is_ours = 0;
	if (fsync(folder) == 0 || errno == EINVAL || errno == ENOTSUP) {	/* not every file system has that */
		wait_for_dovecot();
		leave(ACCEPTED);
	}
	put_start(&t, "trouble");
	put_value(&t, "what", "changed, but the folder could not be written to the disk", LOG_MAX);
	put_value(&t, "file", file, LOG_MAX);
	send_line(2, &t);
	explicit_bzero(&secret, sizeof secret);
	kill(getpid(), SIGKILL);
	leave(TROUBLE);
}

static void open_folder(void)
{
	char dir[PATH_MAX + 1] = "";
	size_t len = strlen(real), at;

	base = split_path(real, dir);
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		trouble(file, "cannot open the folder");
	at = (size_t)(base - real);
	memcpy(new_path, real, len + 1);
	memcpy(new_path + len, ".poppass", 9);
	new_name = new_path + at;
	if (kind != OTHER)
		return;
	memcpy(lock_path, real, len + 1);
	memcpy(lock_path + len, ".lock", 6);
	lock_name = lock_path + at;
}

static __attribute__((noreturn)) void replace_file(const struct entry *checked)
{
	struct entry *e = &secret.entry_now;
	struct stat old;
	int in, out;

	open_folder();
	lock();
	in = open_regular(folder, base, file, O_RDONLY | O_NOFOLLOW, &old);
	look_up_again(in, e, checked->line);
	errno = 0;
	if (e->len != checked->len || memcmp(e->field, checked->field, e->len) != 0)
		trouble(file, "password changed by another program meanwhile");
	waiting = "timeout: cannot write the new file";
	if (unlinkat(folder, new_name, 0) < 0 && errno != ENOENT)	/* left by one that was killed */
		trouble(new_path, "cannot remove");
	out = openat(folder, new_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (out < 0)
		trouble(new_path, "cannot make");
	new_is_ours = 1;
	copy_owner_and_mode(in, out, &old);
	write_content(in, out, e, old.st_size);
	advance_time(out, &old);
	if (fsync(out) < 0)
		trouble(new_path, "cannot write");
	check_unchanged(in, &old);
	put_in_place();
}

/* The command line */

static void take_option(char letter, const char *value)
{
	unsigned long *number = letter == 'u' ? &min_uid : &min_len;

	if (letter == 'f' && *value != '\0') {
		file = value;
		return;
	}
	if (letter != 'u' && !(SETTER && letter == 'm'))
		misuse(USAGE);
	if (!parse_number(value, strlen(value), number))
		misuse(USAGE);
	uid_asked |= letter == 'u';
}

/* By hand, for getopt(3) pulls in stdio. */
static void read_options(char **argv)
{
	const char *p;

	while (*argv != NULL && **argv == '-' && (*argv)[1] != '\0') {
		p = *argv++ + 1;
		if (strcmp(p, "-") == 0)
			break;
		while (*p == 'd') {
			drop_domain = 1;
			p++;
		}
		if (*p == '\0')
			continue;
		if (p[1] != '\0')
			take_option(*p, p + 1);
		else if (*argv != NULL)
			take_option(*p, *argv++);
		else
			misuse(USAGE);
	}
	next_program = argv;
}

/* No core dump, no debugger. The next program can undo the one, and exec undoes the other. */
static void keep_secrets(void)
{
	struct rlimit core;

	if (getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = 0;
		setrlimit(RLIMIT_CORE, &core);	/* less is always allowed */
	}
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);	/* cannot fail */
}

int main(int argc, char **argv)
{
	struct setting s;

	set_signals();
	own_low_descriptors();
	keep_secrets();
	if (getuid() != geteuid() || getgid() != getegid())
		misuse("must not be setuid: whoever may run it chooses the file");
	read_options(argv + (argc > 0));
	read_record();
	split_record();
	find_kind();
	look_up_path(file, &secret.entry, CHECK);
	if (!is_right(&secret.entry, &s))
		run_next();
	if (SETTER) {
		check_policy(&schemes[s.scheme]);
		make_field(&secret.entry, &s);
		explicit_bzero(secret.record, sizeof secret.record);
		replace_file(&secret.entry);
	}
	leave(ACCEPTED);
}
