/*
 * TLS for qmail-poppass: the server (poppass.c) sees plain text on fd 0 and
 * fd 1 and does not know more. Two processes share the work:
 *
 *	the client
 *	  |  TLS records
 *	  |
 *	the relay	fd 0, 1: the client's socket, fd 2: a socketpair
 *	  |		BearSSL's engine, the certificate, never the private key;
 *	  |		chrooted, a uid of its own, no files, no processes, system
 *	  |		calls filtered; one relay serves one connection
 *	  |
 *	  |  one request (a hash), one reply (a signature), then plain text only
 *	  |
 *	the server	fd 0, 1: the socketpair's other end
 *			the private key from the fork to that one signature
 *
 * Before the fork this file reads certificates; what else stood in their file
 * is wiped. After it the server's process alone opens the key, sees that it
 * fits the certificate, answers the request and wipes the key together with
 * the stack that BearSSL computed on. So somebody who takes over the relay has
 * this session's text and can have one thing signed. He does not have the
 * key, nor any file, process or other session.
 *
 * The relay cannot log. It ends with an outcome as its exit status.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <bearssl.h>

#include "config.h"
#include "bearssl_glue.h"

#define RSA_MIN		(2048 / 8)
#define RSA_MAX		(4096 / 8)
#define HASH_MAX	64
#define TEXT		23	/* a record type */

/* Of a descriptor that polls as writable so much can be written without waiting. */
#define CHUNK		4096

#define PAGE		4096

/* More than BearSSL's deepest signature uses, which is P-384's. */
#define BURN		16384

_Static_assert(HANDSHAKE_TIMEOUT > 0 && CLOSE_WAIT > 0, "alarm(0) would be no alarm");
_Static_assert(JAIL_UID > 0 && JAIL_UID_FALLBACK > 0, "the relay must not be root");

/* What crosses between relay and server before the plain text, each in one write. */
struct request {
	unsigned char hash;	/* BearSSL's number */
	unsigned char value[HASH_MAX];
};

struct reply {
	unsigned char len[2];
	unsigned char signature[RSA_MAX];
};

static const struct hash {
	const br_hash_class *class;
	const unsigned char *oid;
	unsigned char id, len;
} hashes[] = {	/* the first that the client knows is used */
	{ &br_sha256_vtable, BR_HASH_OID_SHA256, br_sha256_ID, br_sha256_SIZE },
	{ &br_sha384_vtable, BR_HASH_OID_SHA384, br_sha384_ID, br_sha384_SIZE },
	{ &br_sha512_vtable, BR_HASH_OID_SHA512, br_sha512_ID, br_sha512_SIZE },
};

/* How a relay ends. */
enum outcome {
	SERVED, TIMEOUT, CLOSED, NOT_TLS, BROKEN, NO_VERSION, NO_CIPHER, DISTRUSTED, ALERTED,
	GARBLED, UNREAD, UNSENT, NOT_RELAYED,
	UNSIGNED, NO_RANDOM, NO_JAIL, NO_DROP, NO_LIMITS, NO_FILTER, DIED, KILLED
};

static const struct {
	enum tls_verdict verdict;
	const char *words;
} endings[] = {
	[SERVED] = { TLS_FAILED, "the relay ended without a word" },
	[TIMEOUT] = { TLS_FAILED, "handshake timeout" },
	[CLOSED] = { TLS_FAILED, "client closed during the handshake" },
	[NOT_TLS] = { TLS_FAILED, "not TLS" },
	[BROKEN] = { TLS_FAILED, "malformed handshake" },
	[NO_VERSION] = { TLS_FAILED, "client has no TLS 1.2" },
	[NO_CIPHER] = { TLS_FAILED, "no common cipher, curve or hash" },
	[DISTRUSTED] = { TLS_FAILED, "client refused the certificate" },
	[ALERTED] = { TLS_FAILED, "client gave up with an alert" },
	[GARBLED] = { TLS_FAILED, "malformed record" },
	[UNREAD] = { TLS_FAILED, "relay: cannot read from client" },
	[UNSENT] = { TLS_FAILED, "relay: cannot write to client" },
	[NOT_RELAYED] = { TLS_TROUBLE, "relay: cannot pass text on" },
	[UNSIGNED] = { TLS_TROUBLE, "relay: no signature" },
	[NO_RANDOM] = { TLS_TROUBLE, "relay: no random numbers" },
	[NO_JAIL] = { TLS_TROUBLE, "relay: cannot chroot" },
	[NO_DROP] = { TLS_TROUBLE, "relay: cannot change its uid" },
	[NO_LIMITS] = { TLS_TROUBLE, "relay: cannot set limits" },
	[NO_FILTER] = { TLS_TROUBLE, "relay: cannot filter system calls" },
	[DIED] = { TLS_TROUBLE, "relay: died by a signal" },
	[KILLED] = { TLS_FAILED, "handshake timeout" },
};

/* The certificates, for good: nothing of it is secret. */
static br_x509_certificate chain[CHAIN_MAX];
static size_t chain_len;
static unsigned char der[PEM_MAX];
static size_t der_len;
static br_x509_decoder_context certificate;	/* holds what public_key points to */
static const br_x509_pkey *public_key;

/*
 * A file that may hold a key, and the key. In this order, since BearSSL 0.6 lets
 * a long key run up to 24 bytes past its decoder: over letters it has read by then.
 */
static struct {
	br_skey_decoder_context key;
	unsigned char file[PEM_MAX + 2];	/* one more byte tells of too many, then a line end */
} secret __attribute__((aligned(PAGE)));
static size_t file_len;

static br_ec_impl curves;
static const char *reason = "";
static char refusal[80];	/* what refuse() is given, and some */
static pid_t relay;

/* Secrets */

/* Wipes it, and gives what whole pages there are in it back to the system. */
static void wipe(void *p, size_t used, size_t size)
{
	uintptr_t page = getpagesize();
	uintptr_t start = ((uintptr_t)p + page - 1) / page * page;
	uintptr_t end = ((uintptr_t)p + size) / page * page;

	explicit_bzero(p, used);
	if (end > start)
		madvise((void *)start, end - start, MADV_DONTNEED);
}

static void forget(void)
{
	wipe(&secret, offsetof(__typeof__(secret), file) + file_len, sizeof secret);
	file_len = 0;
}

/* The stack below the caller, where the key was computed with. */
static __attribute__((noinline)) void burn(void)
{
	unsigned char stack[BURN];

	wipe(stack, sizeof stack, sizeof stack);
}

/* PEM files */

static enum tls_verdict refuse(const char *file, const char *what)
{
	stpcpy(stpcpy(refusal, file), what);
	reason = refusal;
	return TLS_CONFIG;
}

static enum tls_verdict trouble(const char *what)
{
	reason = what;
	return TLS_TROUBLE;
}

static enum tls_verdict refuse_errno(const char *name)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return refuse(name, ": no such file");
	case EACCES:
	case EPERM:
		return refuse(name, ": permission denied");
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EINTR:
		refuse(name, ": cannot be read now");
		return TLS_TROUBLE;
	}
	return refuse(name, ": cannot be read");
}

static enum tls_verdict read_to_end(const char *name, int fd)
{
	ssize_t n;

	while (file_len <= PEM_MAX &&
	    (n = read(fd, secret.file + file_len, PEM_MAX + 1 - file_len)) != 0) {
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return refuse_errno(name);
		file_len += n;
	}
	if (file_len > PEM_MAX)
		return refuse(name, ": file too large");
	secret.file[file_len++] = '\n';
	return TLS_OK;
}

/* A FIFO or a device must not hold us up, hence O_NONBLOCK and the check. */
static enum tls_verdict read_file(const char *name, const char *path, mode_t *mode)
{
	struct stat st;
	enum tls_verdict verdict;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd == -1)
		return refuse_errno(name);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		*mode = st.st_mode;
		verdict = read_to_end(name, fd);
	} else
		verdict = refuse(name, ": not a regular file");
	close(fd);
	return verdict;
}

struct block {
	const unsigned char *label, *text, *end;	/* text ends where the line of dashes begins */
};

/* memmem's, but in a hundredth of the code. */
static const unsigned char *find(const unsigned char *p, const unsigned char *end,
    const void *what, size_t len)
{
	for (; (size_t)(end - p) >= len; p++)
		if (memcmp(p, what, len) == 0)
			return p;
	return end;
}

/*
 * The next block of the file, the first one where b->end is NULL. It ends at
 * the next line of dashes: one without an end of its own never holds another.
 */
static int next_block(struct block *b)
{
	const unsigned char *from = b->end != NULL ? b->end : secret.file;
	const unsigned char *eof = secret.file + file_len;

	b->label = find(from, eof, "-----BEGIN ", 11);
	if (b->label == eof)
		return 0;
	b->label += 11;
	b->text = find(b->label, eof, "\n", 1);
	b->end = find(b->text, eof, "\n-----", 6);
	return 1;
}

static int has_label(const struct block *b, const char *label)
{
	size_t len = strlen(label);

	return (size_t)(b->text - b->label) >= len + 5 && memcmp(b->label, label, len) == 0 &&
	    memcmp(b->label + len, "-----", 5) == 0;
}

/* Added to -1 if c is in from..to; without a branch, since keys come along here. */
static int in_range(int c, int from, int to, int value)
{
	return ((from - 1 - c) & (c - to - 1)) >> 8 & (value + 1 + c - from);
}

/* What a letter of base64 stands for; -1 if it is none. */
static int digit(int c)
{
	return -1 + in_range(c, 'A', 'Z', 0) + in_range(c, 'a', 'z', 26) + in_range(c, '0', '9', 52) +
	    in_range(c, '+', '+', 62) + in_range(c, '/', '/', 63);
}

static int is_space(int c)
{
	return c == '\n' || c == '\r' || c == '\t' || c == ' ';
}

/*
 * Decodes base64; out, where there is room for max bytes, may be the block's
 * own place. Returns the length, 0 if it is broken.
 */
static size_t decode(const struct block *b, unsigned char *out, size_t max)
{
	const unsigned char *p, *eof = secret.file + file_len;
	size_t letters = 0, len = 0;
	uint32_t bits = 0;

	for (p = b->text; p < b->end && *p != '='; p++) {
		if (is_space(*p))
			continue;
		if (digit(*p) == -1)
			return 0;
		bits = bits << 6 | digit(*p);
		if (++letters % 4 == 1)
			continue;
		if (len == max)
			return 0;
		out[len++] = bits >> (8 - letters % 4 * 2) % 8;
	}
	for (; p < b->end; p++)
		if (*p != '=' && !is_space(*p))
			return 0;
	if (eof - p < 10 || memcmp(p, "\n-----END ", 10) != 0 || letters % 4 == 1)
		return 0;
	return len;
}

/* Certificates */

static const br_x509_pkey *decode_certificate(size_t i)
{
	br_x509_decoder_init(&certificate, NULL, NULL);
	br_x509_decoder_push(&certificate, chain[i].data, chain[i].data_len);
	return br_x509_decoder_get_pkey(&certificate);
}

static const unsigned char *skip_zeros(const unsigned char *p, size_t *len)
{
	while (*len > 0 && *p == 0) {
		p++;
		--*len;
	}
	return p;
}

/* NULL if this key can be served, and is neither weak nor a way to keep us busy. */
static const char *key_name(const br_x509_pkey *key)
{
	size_t len;

	if (key->key_type == BR_KEYTYPE_EC)
		return key->key.ec.curve == BR_EC_secp256r1 ? "EC P-256" :
		    key->key.ec.curve == BR_EC_secp384r1 ? "EC P-384" : NULL;
	len = key->key.rsa.nlen;
	skip_zeros(key->key.rsa.n, &len);
	return len >= RSA_MIN && len <= RSA_MAX ? "RSA" : NULL;
}

static enum tls_verdict add_certificate(const struct block *b)
{
	if (chain_len == CHAIN_MAX)
		return refuse("CERTFILE", ": too many certificates");
	chain[chain_len].data = der + der_len;
	chain[chain_len].data_len = decode(b, der + der_len, sizeof der - der_len);
	if (chain[chain_len].data_len == 0)
		return refuse("CERTFILE", ": broken certificate");
	der_len += chain[chain_len++].data_len;
	return TLS_OK;
}

static enum tls_verdict load_chain(const char *path)
{
	struct block b = { NULL, NULL, NULL };
	enum tls_verdict verdict;
	mode_t mode = 0;

	if (path == NULL)
		return refuse("CERTFILE", " is not set");
	verdict = read_file("CERTFILE", path, &mode);
	while (verdict == TLS_OK && next_block(&b))
		if (has_label(&b, "CERTIFICATE"))
			verdict = add_certificate(&b);
	forget();
	if (verdict != TLS_OK)
		return verdict;
	if (chain_len == 0)
		return refuse("CERTFILE", ": no certificate in it");
	public_key = decode_certificate(0);
	if (public_key == NULL && br_x509_decoder_last_error(&certificate) < BR_ERR_X509_UNSUPPORTED)
		return refuse("CERTFILE", ": broken certificate");
	if (public_key == NULL || key_name(public_key) == NULL)
		return refuse("CERTFILE", ": key is none of EC P-256, P-384, RSA 2048 to 4096");
	return TLS_OK;
}

/* The private key: the server's process only */

static int is_key(const struct block *b)
{
	return has_label(b, "PRIVATE KEY") || has_label(b, "EC PRIVATE KEY") ||
	    has_label(b, "RSA PRIVATE KEY");
}

static int is_encrypted(const struct block *b)
{
	return has_label(b, "ENCRYPTED PRIVATE KEY") ||
	    (is_key(b) && find(b->text, b->end, "Proc-Type:", 10) != b->end);
}

/* The first key of the file, as DER over its own text. */
static enum tls_verdict decode_key(const char *name)
{
	struct block b = { NULL, NULL, NULL };
	size_t len;

	do
		if (!next_block(&b))
			return refuse(name, ": no private key in it");
	while (!is_key(&b) && !is_encrypted(&b));
	if (is_encrypted(&b))
		return refuse(name, ": private key is encrypted");
	br_skey_decoder_init(&secret.key);
	len = decode(&b, secret.file, sizeof secret.file);
	br_skey_decoder_push(&secret.key, secret.file, len);
	if (br_skey_decoder_last_error(&secret.key) != 0)
		return refuse(name, ": broken or unsupported private key");
	return TLS_OK;
}

static int is_equal(const unsigned char *a, size_t a_len, const unsigned char *b, size_t b_len)
{
	a = skip_zeros(a, &a_len);
	b = skip_zeros(b, &b_len);
	return a_len > 0 && a_len == b_len && memcmp(a, b, a_len) == 0;
}

/* The product of an RSA key's primes. BearSSL's own function has no room for 4096 bits. */
static size_t multiply(unsigned char *product, const br_rsa_private_key *key)
{
	size_t i, j, p_len = key->plen, q_len = key->qlen;
	const unsigned char *p = skip_zeros(key->p, &p_len);
	const unsigned char *q = skip_zeros(key->q, &q_len);
	unsigned carry;

	if (p_len + q_len > RSA_MAX)
		return 0;
	memset(product, 0, p_len + q_len);
	for (i = p_len; i-- > 0; product[i] = carry)
		for (j = q_len, carry = 0; j-- > 0; carry >>= 8) {
			carry += product[i + j + 1] + p[i] * q[j];
			product[i + j + 1] = carry;
		}
	return p_len + q_len;
}

/*
 * Where the file names the public key of its private one, as almost all EC
 * keys do, only -t computes it again: that costs a tenth of a session's time.
 */
static int ec_matches(const br_ec_private_key *key, int compute)
{
	const br_ec_public_key *known = &public_key->key.ec;
	const unsigned char *end = secret.file + file_len;
	unsigned char made[BR_EC_KBUF_PUB_MAX_SIZE];

	if (key->curve != known->curve)
		return 0;
	if (!compute && find(secret.file, end, known->q, known->qlen) != end)
		return 1;
	return is_equal(made, br_ec_compute_pub(&curves, NULL, made, key), known->q, known->qlen);
}

static int rsa_matches(const br_rsa_private_key *key)
{
	const br_rsa_public_key *known = &public_key->key.rsa;
	unsigned char made[RSA_MAX];

	/* BearSSL takes this from the file, too, and signs with so many bits. */
	if (key->n_bitlen > RSA_MAX * 8)
		return 0;
	return is_equal(made, multiply(made, key), known->n, known->nlen);
}

/* Whether the certificate's public key belongs to the private one. */
static int key_matches(int compute)
{
	const br_ec_private_key *ec = br_skey_decoder_get_ec(&secret.key);
	const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(&secret.key);

	if (public_key->key_type == BR_KEYTYPE_EC)
		return ec != NULL && ec_matches(ec, compute);
	return rsa != NULL && rsa_matches(rsa);
}

static enum tls_verdict load_key(const char *path, const char *name, int compute,
    void (*warn)(const char *))
{
	enum tls_verdict verdict;
	mode_t mode = 0;

	verdict = read_file(name, path, &mode);
	if (verdict == TLS_OK)
		verdict = decode_key(name);
	if (verdict != TLS_OK)
		return verdict;
	if (!key_matches(compute))
		return refuse(name, ": private key does not match the certificate");
	if ((mode & (S_IRGRP | S_IROTH)) != 0)
		warn("the private key is readable by its group or by all");
	return TLS_OK;
}

/* The signature's length, 0 if there is none. */
static size_t sign(const struct request *request, unsigned char *signature)
{
	const br_ec_private_key *ec = br_skey_decoder_get_ec(&secret.key);
	const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(&secret.key);
	size_t i;

	for (i = 0; i < sizeof hashes / sizeof *hashes && hashes[i].id != request->hash; i++)
		;
	if (i == sizeof hashes / sizeof *hashes)
		return 0;
	if (ec != NULL)
		return br_ecdsa_sign_asn1_get_default()(&curves, hashes[i].class, request->value,
		    ec, signature);
	if (!br_rsa_pkcs1_sign_get_default()(hashes[i].oid, request->value, hashes[i].len,
	    rsa, signature))
		return 0;
	return (rsa->n_bitlen + 7) / 8;
}

/* The relay's jail */

/* musl-gcc does not find the kernel's headers on every system. */
struct filter {
	uint16_t code;
	uint8_t yes, no;	/* instructions to skip */
	uint32_t k;
};

struct filter_program {
	unsigned short len;
	const struct filter *filter;
};

#ifndef PR_SET_NO_NEW_PRIVS
#define PR_SET_NO_NEW_PRIVS	38
#endif
#define MODE_FILTER	2
#define KILL		0x80000000	/* the process; older kernels: the thread, its only one */
#define PASS		0x7fff0000
#define AT_NUMBER	0
#define AT_ARCH		4
#define AT_CALL		(__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 20 : 16)	/* argument 1, its low half */
#define CALL_SHUTDOWN	13	/* by which i386 and s390x may do it */
#define LOAD(at)	{ 0x20, 0, 0, at }
#define IF_NOT(x, n)	{ 0x15, 0, n, x }
#define RETURN(x)	{ 0x06, 0, 0, x }
#define ALLOW(number)	IF_NOT(number, 1), RETURN(PASS)

/* The kernel's names for what this is compiled for: e_machine, flags for 64 bit and endianness. */
#if defined __x86_64__ && !defined __ILP32__
#define ARCH	0xc000003e
#elif defined __i386__
#define ARCH	0x40000003
#elif defined __aarch64__ && !defined __ILP32__
#define ARCH	0xc00000b7
#elif defined __arm__ && defined __ARMEL__
#define ARCH	0x40000028
#elif defined __mips__ && _MIPS_SIM == _ABIO32 && defined __MIPSEL__
#define ARCH	0x40000008
#elif defined __mips__ && _MIPS_SIM == _ABIO32
#define ARCH	0x00000008
#elif defined __riscv && __riscv_xlen == 64
#define ARCH	0xc00000f3
#elif defined __s390x__
#define ARCH	0x80000016
#endif

#ifdef ARCH

/* Also keeps x32 out: its numbers are others, with a bit set that none here has. */
static const struct filter filter[] = {
	LOAD(AT_ARCH), IF_NOT(ARCH, 1), LOAD(AT_NUMBER),
	ALLOW(SYS_read), ALLOW(SYS_write), ALLOW(SYS_shutdown),
#ifdef SYS_poll
	ALLOW(SYS_poll),
#endif
	ALLOW(SYS_ppoll),
#ifdef SYS_ppoll_time64
	ALLOW(SYS_ppoll_time64),
#endif
#ifdef SYS_alarm
	ALLOW(SYS_alarm),
#endif
	ALLOW(SYS_setitimer),
	ALLOW(SYS_restart_syscall),
	ALLOW(SYS_rt_sigreturn),
#ifdef SYS_sigreturn
	ALLOW(SYS_sigreturn),
#endif
#ifdef __SANITIZE_ADDRESS__	/* which looks at the stacks before an exit */
	ALLOW(SYS_sigaltstack),
#endif
	ALLOW(SYS_exit), ALLOW(SYS_exit_group),
#ifdef SYS_socketcall
	IF_NOT(SYS_socketcall, 3), LOAD(AT_CALL), IF_NOT(CALL_SHUTDOWN, 1), RETURN(PASS),
#endif
	RETURN(KILL)
};

static enum outcome filter_calls(void)
{
	static const struct filter_program program = { sizeof filter / sizeof *filter, filter };

	/* EINVAL: a kernel without it; ENOSYS: an emulator without it. */
	if (syscall(SYS_prctl, PR_SET_SECCOMP, MODE_FILTER, &program, 0, 0) == -1 &&
	    errno != EINVAL && errno != ENOSYS)
		return NO_FILTER;
	return SERVED;
}

#else

static enum outcome filter_calls(void)
{
	return SERVED;
}

#endif

/* The C library's own would first look for threads. The old numbers take 16 bits. */
#ifndef SYS_setgroups32
#define SYS_setgroups32	SYS_setgroups
#define SYS_setresgid32	SYS_setresgid
#define SYS_setresuid32	SYS_setresuid
#endif

static int become(uid_t id)
{
	return syscall(SYS_setresgid32, id, id, id) == -1 ||
	    syscall(SYS_setresuid32, id, id, id) == -1 ? -1 : 0;
}

static int is_nobody(void)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	return getresuid(&r, &e, &s) == 0 && getresgid(&rg, &eg, &sg) == 0 &&
	    r != 0 && e == r && s == r && rg != 0 && eg == rg && sg == rg &&
	    getgroups(0, NULL) == 0 && become(0) == -1 && syscall(SYS_setresuid32, -1, 0, -1) == -1;
}

/*
 * An empty folder; where there is none the process's own in /proc, which holds
 * nothing to open either once it is somebody else's. With neither, so be it.
 */
static int enter_jail(void)
{
	static const char *const rooms[] = { JAIL_DIR, "/proc/self/fdinfo" };
	size_t i;

	for (i = 0; i < sizeof rooms / sizeof *rooms; i++) {
		if (chroot(rooms[i]) == 0)
			return chdir("/");
		if (errno != ENOENT)
			return -1;
	}
	return 0;
}

/* Without root there is nothing to give up. */
static enum outcome drop_root(void)
{
	if (geteuid() != 0)
		return SERVED;
	if (enter_jail() == -1)
		return NO_JAIL;
	if (syscall(SYS_setgroups32, 0, NULL) == -1)
		return NO_DROP;
	if (become(JAIL_UID + (uid_t)getpid()) == -1 && become(JAIL_UID_FALLBACK) == -1)
		return NO_DROP;
	return is_nobody() ? SERVED : NO_DROP;
}

static int limit(int resource, rlim_t max)
{
	struct rlimit limit = { max, max };

	return prlimit(0, resource, &limit, NULL);
}

/* Three descriptors are in use; poll takes no more than may be open. */
static enum outcome lock_up(pid_t server)
{
	enum outcome outcome = drop_root();

	if (outcome != SERVED)
		return outcome;
	if (limit(RLIMIT_NPROC, 0) == -1 || limit(RLIMIT_FSIZE, 0) == -1 ||
	    limit(RLIMIT_NOFILE, 3) == -1)
		return NO_LIMITS;
	if (syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 && errno != EINVAL)
		return NO_LIMITS;
	if (syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
		return NO_LIMITS;
	/* Not even one who is blocked by a client that reads nothing outlives a killed server. */
	if (syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 || getppid() != server)
		return NO_LIMITS;
	return filter_calls();
}

/* The relay's engine */

/* So laid out that few pages are touched: records are short and begin where the buffers do. */
static struct {
	br_ssl_server_context server;
	size_t from, to;	/* of flight, what is yet to be sent */
	unsigned char flight[256];	/* short records, to be sent in one write */
	unsigned char out[BR_SSL_BUFSIZE_OUTPUT], in[BR_SSL_BUFSIZE_INPUT];
} tls __attribute__((aligned(PAGE)));
static br_ssl_engine_context *const engine = &tls.server.eng;

static int established, client_done, server_done;
static long session_time;
static volatile sig_atomic_t outcome_at_alarm = TIMEOUT;

/* The suites are ours already and in the client's order; of hashes the bits are numbered by id. */
static int choose(const br_ssl_server_policy_class **policy, const br_ssl_server_context *server,
    br_ssl_server_choices *choices)
{
	uint32_t known = br_ssl_server_get_client_hashes(server);
	const br_suite_translated *suites;
	size_t i, n;

	(void)policy;
	suites = br_ssl_server_get_client_suites(server, &n);
	if (public_key->key_type == BR_KEYTYPE_EC)
		known >>= 8;
	for (i = 0; i < sizeof hashes / sizeof *hashes; i++)
		if (n > 0 && (known >> hashes[i].id & 1) != 0) {
			choices->cipher_suite = suites[0][0];
			choices->algo_id = 0xff00 + hashes[i].id;
			choices->chain = chain;
			choices->chain_len = chain_len;
			return 1;
		}
	return 0;
}

/* Of suites that we do not offer. */
static uint32_t no_key_exchange(const br_ssl_server_policy_class **policy, unsigned char *data,
    size_t *len)
{
	(void)policy, (void)data, (void)len;
	return 0;
}

/* Waits: there is nothing else to do, and the alarm runs. */
static size_t ask_for_signature(const br_ssl_server_policy_class **policy, unsigned id,
    unsigned char *data, size_t hash_len, size_t size)
{
	struct request request = { .hash = id & 0xff };
	struct reply reply;
	ssize_t n;
	size_t len;

	(void)policy;
	if (hash_len > sizeof request.value)
		return 0;
	memcpy(request.value, data, hash_len);
	if (write(2, &request, sizeof request) != sizeof request)
		return 0;
	while ((n = read(2, &reply, sizeof reply)) == -1 && errno == EINTR)
		;
	if (n != sizeof reply)
		return 0;
	len = reply.len[0] << 8 | reply.len[1];
	if (len > sizeof reply.signature || len > size)
		return 0;
	memcpy(data, reply.signature, len);
	return len;
}

static const br_ssl_server_policy_class policy = {
	sizeof(br_ssl_server_policy_class *), choose, no_key_exchange, ask_for_signature
};
static const br_ssl_server_policy_class *policy_vtable = &policy;

static void set_suites(void)
{
	static const uint16_t ec[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	};
	static const uint16_t rsa[] = {
		BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	};

	br_ssl_engine_set_suites(engine, public_key->key_type == BR_KEYTYPE_EC ? ec : rsa,
	    sizeof ec / sizeof *ec);
}

/* The default would bring along what such a machine never uses. */
#ifdef __x86_64__

static void set_chapol(void)
{
	br_ssl_engine_set_chapol(engine, &br_sslrec_in_chapol_vtable, &br_sslrec_out_chapol_vtable);
	br_ssl_engine_set_chacha20(engine, br_chacha20_sse2_get());
	br_ssl_engine_set_poly1305(engine, br_poly1305_ctmulq_get());
}

#else

static void set_chapol(void)
{
	br_ssl_engine_set_default_chapol(engine);
}

#endif

/* All of it before the jail: there is no /dev/urandom in there. */
static enum outcome start_engine(void)
{
	unsigned char seed[32];
	size_t i;

	br_ssl_server_zero(&tls.server);
	br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
	br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
	set_suites();
	br_ssl_engine_set_ec(engine, &curves);
	for (i = 0; i < sizeof hashes / sizeof *hashes; i++)
		br_ssl_engine_set_hash(engine, hashes[i].id, hashes[i].class);
	br_ssl_engine_set_prf_sha256(engine, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(engine, br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_gcm(engine);
	set_chapol();
	br_ssl_server_set_policy(&tls.server, &policy_vtable);
	br_ssl_engine_set_buffers_bidi(engine, tls.in, sizeof tls.in, tls.out, sizeof tls.out);
	/* Where it fails, an old kernel, BearSSL's own seed has to do; without any, reset fails. */
	if (getrandom(seed, sizeof seed, 0) == sizeof seed)
		br_ssl_engine_inject_entropy(engine, seed, sizeof seed);
	explicit_bzero(seed, sizeof seed);
	return br_ssl_server_reset(&tls.server) ? SERVED : NO_RANDOM;
}

/* Why the engine is closed. */
static enum outcome engine_outcome(void)
{
	static const struct {
		short error;
		unsigned char outcome;
	} known[] = {
		{ BR_ERR_UNSUPPORTED_VERSION, NOT_TLS },
		{ BR_ERR_INVALID_ALGORITHM, UNSIGNED },
		{ BR_ERR_SEND_FATAL_ALERT + BR_ALERT_PROTOCOL_VERSION, NO_VERSION },
		{ BR_ERR_SEND_FATAL_ALERT + BR_ALERT_HANDSHAKE_FAILURE, NO_CIPHER },
		{ BR_ERR_RECV_FATAL_ALERT + BR_ALERT_BAD_CERTIFICATE, DISTRUSTED },
		{ BR_ERR_RECV_FATAL_ALERT + BR_ALERT_UNSUPPORTED_CERTIFICATE, DISTRUSTED },
		{ BR_ERR_RECV_FATAL_ALERT + BR_ALERT_CERTIFICATE_REVOKED, DISTRUSTED },
		{ BR_ERR_RECV_FATAL_ALERT + BR_ALERT_CERTIFICATE_EXPIRED, DISTRUSTED },
		{ BR_ERR_RECV_FATAL_ALERT + BR_ALERT_CERTIFICATE_UNKNOWN, DISTRUSTED },
		{ BR_ERR_RECV_FATAL_ALERT + BR_ALERT_UNKNOWN_CA, DISTRUSTED },
	};
	int error = br_ssl_engine_last_error(engine);
	size_t i;

	if (established)
		return error == BR_ERR_OK ? SERVED : GARBLED;
	if (error == BR_ERR_OK)
		return CLOSED;
	for (i = 0; i < sizeof known / sizeof *known; i++)
		if (known[i].error == error)
			return known[i].outcome;
	return error >= BR_ERR_RECV_FATAL_ALERT && error < BR_ERR_SEND_FATAL_ALERT ? ALERTED : BROKEN;
}

/* The relay */

/* The server's greeting, left unread, would be an error to it, and one more line of the log. */
static void on_alarm(int unused)
{
	struct pollfd p = { 2, POLLIN, 0 };

	(void)unused;
	if (poll(&p, 1, 0) == 1 && read(2, tls.in, sizeof tls.in) > 0)
		shutdown(2, SHUT_RDWR);
	_exit(outcome_at_alarm);
}

static int may_retry(ssize_t n)
{
	return n == -1 && (errno == EINTR || errno == EAGAIN);
}

/* The descriptor may be one that does not block. */
static void drop_input(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t n;

	do {
		poll(&p, 1, -1);
		n = read(fd, tls.in, sizeof tls.in);
	} while (n > 0 || may_retry(n));
}

/*
 * A socket that is closed with input unread gives the other side an error,
 * and a client may lose what it was sent. The server's side comes to its end
 * by this shutdown; the client's when it closes, or the alarm ends the wait.
 * Where that is a pipe, and no socket, _exit is its end.
 */
static _Noreturn void leave(enum outcome outcome)
{
	outcome_at_alarm = outcome;
	alarm(CLOSE_WAIT);
	shutdown(2, SHUT_RDWR);
	drop_input(2);
	if (shutdown(1, SHUT_WR) == 0)
		drop_input(0);
	_exit(outcome);
}

/* Collects short records, whose ends are the ends of a flight: ChangeCipherSpec and Finished. */
static void collect(void)
{
	unsigned char *record;
	size_t len;

	while ((record = br_ssl_engine_sendrec_buf(engine, &len)) != NULL &&
	    len <= sizeof tls.flight - tls.to) {
		memcpy(tls.flight + tls.to, record, len);
		tls.to += len;
		br_ssl_engine_sendrec_ack(engine, len);
	}
}

/* What was collected, or a long record from where it is. */
static void send_flight(void)
{
	size_t len = tls.to - tls.from;
	unsigned char *p = tls.flight + tls.from;
	ssize_t n;

	if (tls.to == 0)
		p = br_ssl_engine_sendrec_buf(engine, &len);
	n = write(1, p, len < CHUNK ? len : CHUNK);
	if (may_retry(n))
		return;
	if (n <= 0)	/* of a client that is gone before our close_notify nothing need be said */
		leave(!established ? CLOSED : server_done ? SERVED : UNSENT);
	if (tls.to == 0)
		br_ssl_engine_sendrec_ack(engine, n);
	else if ((tls.from += n) == tls.to)
		tls.from = tls.to = 0;
}

/*
 * After the handshake BearSSL is given text only. An alert is close_notify, or
 * the client's engine is dead, and another handshake is not to be had: it will
 * send no more either way. BearSSL would give up sending, too, so it is not
 * told, and the client still gets its replies.
 */
static void from_client(void)
{
	size_t len;
	unsigned char *p = br_ssl_engine_recvrec_buf(engine, &len);
	ssize_t n = read(0, p, len);

	if (may_retry(n))
		return;
	if (n > 0 && !(established && p == tls.in && p[0] != TEXT)) {
		br_ssl_engine_recvrec_ack(engine, n);
		return;
	}
	if (!established || n == -1)
		leave(established ? UNREAD : CLOSED);
	client_done = 1;
	shutdown(2, SHUT_WR);	/* fails only if the server is gone: then read tells */
}

static void to_server(void)
{
	size_t len;
	unsigned char *p = br_ssl_engine_recvapp_buf(engine, &len);
	ssize_t n = write(2, p, len < CHUNK ? len : CHUNK);

	if (may_retry(n))
		return;
	if (n <= 0)
		leave(NOT_RELAYED);
	explicit_bzero(p, n);
	br_ssl_engine_recvapp_ack(engine, n);
}

static void from_server(void)
{
	size_t len;
	unsigned char *p = br_ssl_engine_sendapp_buf(engine, &len);
	ssize_t n = read(2, p, len < CHUNK ? len : CHUNK);

	if (may_retry(n))
		return;
	if (n > 0) {
		br_ssl_engine_sendapp_ack(engine, n);
		br_ssl_engine_flush(engine, 0);
		return;
	}
	if (n == -1)
		leave(NOT_RELAYED);
	server_done = 1;
	br_ssl_engine_close(engine);
}

/* After the handshake the server's own alarm bounds the session; this one comes later. */
static void on_established(void)
{
	established = 1;
	outcome_at_alarm = SERVED;
	alarm(session_time);
}

/*
 * Waits for what the engine's state asks for and nothing else: a descriptor
 * that hung up and is not asked for would end every poll at once. One deed
 * at a time, since each changes the state.
 */
static void step(unsigned state, int flying)
{
	int text_in = (state & BR_SSL_SENDAPP) != 0 && !flying;
	int text_out = (state & BR_SSL_RECVAPP) != 0;
	struct pollfd p[] = {
		{ (state & BR_SSL_RECVREC) != 0 && !client_done ? 0 : -1, POLLIN, 0 },
		{ flying ? 1 : -1, POLLOUT, 0 },
		{ text_in || text_out ? 2 : -1, (text_in ? POLLIN : 0) | (text_out ? POLLOUT : 0), 0 },
	};

	if (poll(p, sizeof p / sizeof *p, -1) == -1 && errno != EINTR)
		leave(NOT_RELAYED);
	if (p[1].revents != 0)
		send_flight();
	else if (text_out && (p[2].revents & ~POLLIN) != 0)
		to_server();
	else if (p[2].revents != 0)
		from_server();
	else if (p[0].revents != 0)
		from_client();
}

static _Noreturn void run(void)
{
	for (;;) {
		unsigned state;
		int flying;

		collect();
		state = br_ssl_engine_current_state(engine);
		flying = tls.to > 0 || (state & BR_SSL_SENDREC) != 0;
		if (!flying && (server_done || state == BR_SSL_CLOSED))
			leave(engine_outcome());
		if ((state & BR_SSL_SENDAPP) != 0 && !established)
			on_established();
		step(state, flying);
	}
}

/* Into descriptor 2, and nothing open above it. */
static int take_place(int fd, int other)
{
	if (dup2(fd, 2) == -1)
		return -1;
	close(fd);
	close(other);
	return 0;
}

static _Noreturn void be_relay(int fd, int other, pid_t server)
{
	static const int yes = 1;
	struct sigaction action = { .sa_handler = on_alarm };
	enum outcome outcome;
	sigset_t none;

	sigemptyset(&none);
	if (sigaction(SIGALRM, &action, NULL) == -1 || sigprocmask(SIG_SETMASK, &none, NULL) == -1)
		_exit(NO_LIMITS);
	alarm(HANDSHAKE_TIMEOUT);
	/* Fails where the client is no TCP socket, and then there is no need of it. */
	setsockopt(1, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	outcome = start_engine();
	if (outcome == SERVED && take_place(fd, other) == -1)
		outcome = NO_LIMITS;
	if (outcome == SERVED)
		outcome = lock_up(server);
	if (outcome != SERVED)
		_exit(outcome);
	run();
}

/* The server's process: the relay's parent */

/*
 * Waits for the relay's end, kills it when the time is up, and waits a little
 * more: a killed process may be stuck in the kernel. SIGCHLD is blocked.
 */
static enum outcome reap(int seconds)
{
	static const struct timespec second = { 1, 0 };
	enum outcome outcome;
	sigset_t child;
	int status, killed = 0;
	pid_t got;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while ((got = waitpid(relay, &status, WNOHANG)) == 0 && seconds > -KILL_WAIT) {
		if (seconds-- <= 0 && !killed++)
			kill(relay, SIGKILL);
		sigtimedwait(&child, NULL, &second);
	}
	relay = 0;
	if (killed || got <= 0)
		return KILLED;
	outcome = WEXITSTATUS(status);
	return WIFEXITED(status) && outcome < DIED ? outcome : DIED;
}

static enum tls_verdict fail_handshake(int seconds)
{
	enum outcome outcome = reap(seconds);

	reason = endings[outcome].words;
	return endings[outcome].verdict;
}

/* The one signature. A relay that asks for anything else has been taken over. */
static enum tls_verdict answer(void)
{
	struct pollfd p = { 0, POLLIN, 0 };
	struct request request;
	struct reply reply = { { 0 }, { 0 } };
	ssize_t n = -1;
	size_t len;
	int ready;

	while ((ready = poll(&p, 1, (HANDSHAKE_TIMEOUT + CLOSE_WAIT + 1) * 1000)) == -1 && errno == EINTR)
		;
	if (ready == 1)
		n = read(0, &request, sizeof request);
	if (n <= 0)
		return fail_handshake(ready == 1 ? CLOSE_WAIT + 1 : 0);
	len = n == sizeof request ? sign(&request, reply.signature) : 0;
	reply.len[0] = len >> 8;
	reply.len[1] = len & 0xff;
	if (len > 0 && write(0, &reply, sizeof reply) == sizeof reply)
		return TLS_OK;
	reap(0);
	return trouble("cannot sign for the relay");
}

/* Key work in a frame of its own, so that what it leaves on the stack lies below the caller's. */
static __attribute__((noinline)) enum tls_verdict serve_key(int fd, const char *keyfile,
    const char *name, void (*warn)(const char *))
{
	enum tls_verdict verdict = load_key(keyfile, name, 0, warn);

	if (verdict != TLS_OK) {
		reap(0);
		return verdict;
	}
	if (dup2(fd, 0) == -1 || dup2(fd, 1) == -1) {
		reap(0);
		return trouble("no descriptor for the relay");
	}
	return answer();
}

static void prepare_curves(void)
{
	curves = *br_ec_get_default();
	curves.supported_curves &= (uint32_t)1 << BR_EC_secp256r1 | (uint32_t)1 << BR_EC_secp384r1 |
	    (uint32_t)1 << BR_EC_curve25519;
}

/* What is left of the server's alarm, and some more; without one, what a session takes at most. */
static long time_left(void)
{
	struct itimerval timer;

	if (getitimer(ITIMER_REAL, &timer) == 0 && timer.it_value.tv_sec > 0)
		return timer.it_value.tv_sec + 1 + CLOSE_WAIT;
	return SESSION_TIMEOUT + 2 * CHAIN_TIMEOUT;
}

/* The C library's fork would first look after threads and locks that we do not have. */
static pid_t fork_relay(void)
{
#ifdef __s390x__
	return syscall(SYS_clone, 0, SIGCHLD, 0, 0, 0);
#else
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
#endif
}

static enum tls_verdict start_relay(const char *keyfile, const char *name,
    void (*warn)(const char *))
{
	enum tls_verdict verdict;
	pid_t server = getpid();
	int pair[2];

	session_time = time_left();
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return trouble("no socketpair for the relay");
	relay = fork_relay();
	if (relay == 0)
		be_relay(pair[1], pair[0], server);
	close(pair[1]);
	if (relay == -1) {
		relay = 0;
		verdict = trouble("cannot fork the relay");
	} else {
		verdict = serve_key(pair[0], keyfile, name, warn);
		forget();
		burn();
	}
	close(pair[0]);
	return verdict;
}

enum tls_verdict tls_start(const char *certfile, const char *keyfile, void (*warn)(const char *),
    const char **why)
{
	enum tls_verdict verdict;

	prepare_curves();
	verdict = load_chain(certfile);
	if (verdict == TLS_OK)
		verdict = start_relay(keyfile != NULL ? keyfile : certfile,
		    keyfile != NULL ? "KEYFILE" : "CERTFILE", warn);
	*why = reason;
	return verdict;
}

/* Its alarm ends a relay that only waits for the client to close. */
const char *tls_end(void)
{
	enum outcome outcome;

	if (relay == 0)
		return NULL;
	outcome = reap(CLOSE_WAIT + 1);
	return outcome == SERVED || outcome == KILLED ? NULL : endings[outcome].words;
}

/* qmail-poppass -t */

#define DAY		86400
#define EPOCH		719528	/* 1970-01-01, in days since the year 0 */
#define CLOCK_SET	737791	/* 2020-01-01 */
#define SOON		14

static char *put_number(char *p, uint32_t n, int digits)
{
	uint32_t rest = n / 10;

	if (rest > 0 || digits > 1)
		p = put_number(p, rest, digits - 1);
	*p++ = '0' + n % 10;
	return p;
}

static int days_of(int month, uint32_t year)
{
	static const char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month] + (month == 1 && leap);
}

/* Counts: it happens once, for a human who waits. */
static char *put_date(char *p, uint32_t days)
{
	uint32_t year = 0;
	int month = 0;

	for (; days >= 337u + days_of(1, year); year++)
		days -= 337 + days_of(1, year);
	for (; days >= (uint32_t)days_of(month, year); month++)
		days -= days_of(month, year);
	p = put_number(p, year, 4);
	*p++ = '-';
	p = put_number(p, month + 1, 2);
	*p++ = '-';
	return put_number(p, days + 1, 2);
}

static int64_t to_time(uint32_t days, uint32_t seconds)
{
	return ((int64_t)days - EPOCH) * DAY + seconds;
}

/* BearSSL 0.6 has no function that gives the dates: these are its decoder's own fields. */
static enum tls_verdict check_dates(char *p, time_t now)
{
	const br_x509_decoder_context *c = &certificate;
	uint32_t today = EPOCH + now / DAY;

	if (today < CLOCK_SET) {
		p = put_date(stpcpy(p, "until "), c->notafter_days);
		stpcpy(p, ", not checked: the clock is wrong");
		return TLS_OK;
	}
	if (now < to_time(c->notbefore_days, c->notbefore_seconds)) {
		*put_date(stpcpy(p, "not valid before "), c->notbefore_days) = '\0';
		return TLS_CONFIG;
	}
	if (now > to_time(c->notafter_days, c->notafter_seconds)) {
		*put_date(stpcpy(p, "expired on "), c->notafter_days) = '\0';
		return TLS_CONFIG;
	}
	p = put_date(stpcpy(p, "valid until "), c->notafter_days);
	p = put_number(stpcpy(p, ", days left: "), c->notafter_days - today, 1);
	stpcpy(p, c->notafter_days - today < SOON ? " (renew it soon)" : "");
	return TLS_OK;
}

static enum tls_verdict check_certificate(size_t i, time_t now, void (*say)(const char *))
{
	const br_x509_pkey *key = decode_certificate(i);
	enum tls_verdict verdict = TLS_CONFIG;
	const char *name = key != NULL ? key_name(key) : NULL;
	static char line[128];
	char *p;

	p = put_number(stpcpy(line, "certificate "), i + 1, 1);
	p = put_number(stpcpy(p, " of "), chain_len, 1);
	p = stpcpy(stpcpy(p, ": "), name != NULL ? name : "another kind of key");
	p = stpcpy(p, ", ");
	if (br_x509_decoder_last_error(&certificate) == 0)
		verdict = check_dates(p, now);
	else
		stpcpy(p, "broken");
	say(line);
	return verdict;
}

enum tls_verdict tls_check(const char *certfile, const char *keyfile, void (*say)(const char *))
{
	enum tls_verdict verdict;
	time_t now = time(NULL);
	size_t i;

	prepare_curves();
	verdict = load_chain(certfile);
	if (verdict == TLS_OK)
		verdict = load_key(keyfile != NULL ? keyfile : certfile,
		    keyfile != NULL ? "KEYFILE" : "CERTFILE", 1, say);
	forget();
	burn();
	if (verdict != TLS_OK) {
		say(reason);
		return verdict;
	}
	for (i = 0; i < chain_len; i++)
		if (check_certificate(i, now, say) != TLS_OK)
			verdict = TLS_CONFIG;
	return verdict;
}
