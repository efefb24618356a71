/*
 * bearssl_glue.c from tls_start() and tls_check() on, both processes: any files, any bytes from the
 * network, from the server and from a relay that was taken over, any behaviour of the system
 * (system.h), and of BearSSL all that its documentation leaves open.
 *
 * What BearSSL hands out by address and length begins here where a variable of its own does, and
 * the length is free up to that variable's: the code under proof is the same for every such place,
 * and the least step past the last byte is one out of the variable.
 */
#include FRAMAC_BUILTIN_H

/* Contracts of what has a body below or in system.h: WP has to see that the relay's state is safe from it. */
/*@ requires order: min <= max;
    assigns Frama_C_entropy_source, \result \from Frama_C_entropy_source, indirect: min, indirect: max;
    ensures between: min <= \result <= max; */
static int any(int min, int max);

extern int errno_now;

/*@ assigns errno_now, Frama_C_entropy_source, \result \from Frama_C_entropy_source;
    ensures either: 0 <= \result <= 1; */
static int fails(void);

/*@ assigns errno_now, Frama_C_entropy_source, \result \from Frama_C_entropy_source;
    ensures either: -1 <= \result <= 0; */
static int succeeds(void);

/*@ assigns errno_now, Frama_C_entropy_source, \result \from Frama_C_entropy_source;
    ensures either: -1 <= \result <= 0; */
int shutdown(int fd, int how);

/*@ assigns Frama_C_entropy_source, \result \from Frama_C_entropy_source, indirect: seconds; */
unsigned int alarm(unsigned int seconds);

#include "system.h"

#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <time.h>

#include <bearssl.h>

#define PATH_SIZE	4096
#define PID		4711	/* as in server.c */

/* The system, where server.c does without */

static pid_t call_SYS_clone(unsigned long flags, long a, long b, long c, long d)
{
	if (fails())
		return -1;
	return any(0, 1) ? 0 : PID;
}

static int call_SYS_setresuid32(uid_t real, uid_t effective, uid_t saved)
{
	return succeeds();
}

static int call_SYS_setresgid32(gid_t real, gid_t effective, gid_t saved)
{
	return succeeds();
}

static int call_SYS_setgroups32(size_t n, const gid_t *groups)
{
	//@ assert none: n == 0;
	return succeeds();
}

static void run_filter(const void *program);

static int call_SYS_prctl(int what, long a, const void *b, long c, long d)
{
	if (what == PR_SET_SECCOMP)
		run_filter(b);
	return succeeds();
}

int open(const char *path, int flags, ...)
{
	strlen(path);
	return any_fd();
}

int fstat(int fd, struct stat *st)
{
	if (fails())
		return -1;
	Frama_C_make_unknown((char *)st, sizeof *st);
	return 0;
}

/* Of a negative descriptor nothing is told, and of others what was asked for, and trouble. */
/*@ requires places: \valid(p + (0 .. n - 1)) && n <= 65536;
    assigns p[0 .. n - 1].revents, errno_now, Frama_C_entropy_source, \result \from indirect: p[0 .. n - 1], indirect: Frama_C_entropy_source;
    ensures result: -1 <= \result <= n && 0 <= errno_now <= 4095; */
int poll(struct pollfd *p, nfds_t n, int timeout)
{
	nfds_t i;

	if (fails())
		return -1;
	/*@ loop unroll 3;
	    loop invariant i: 0 <= i <= n;
	    loop assigns i, p[0 .. n - 1].revents, Frama_C_entropy_source; */
	for (i = 0; i < n; i++)
		p[i].revents = p[i].fd < 0 ? 0 : any(0, 0x7fff) & (p[i].events | POLLERR | POLLHUP | POLLNVAL);
	return any(0, (int)n);
}

/* The handler does nothing but end the process, so that it may come whenever it likes. */
int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	if (fails())
		return -1;
	if (any(0, 1))
		action->sa_handler(number);
	return 0;
}

int sigtimedwait(const sigset_t *set, siginfo_t *info, const struct timespec *time)
{
	sigset_t is = *set;
	struct timespec most = *time;

	return fails() ? -1 : any(1, 64);
}

unsigned int alarm(unsigned int seconds)
{
	//@ assert set: seconds > 0;
	return any(0, 3600);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
	if (len > 0)
		memchr(value, 0, len);
	return succeeds();
}

int socketpair(int domain, int type, int protocol, int *fds)
{
	return pipe2(fds, 0);
}

int chroot(const char *path)
{
	strlen(path);
	return succeeds();
}

int chdir(const char *path)
{
	strlen(path);
	return succeeds();
}

uid_t geteuid(void)
{
	return any(0, 0x7fffffff);
}

pid_t getppid(void)
{
	return any(0, 0x3fffffff);
}

int getresuid(uid_t *real, uid_t *effective, uid_t *saved)
{
	if (fails())
		return -1;
	*real = any(0, 0x7fffffff);
	*effective = any(0, 0x7fffffff);
	*saved = any(0, 0x7fffffff);
	return 0;
}

int getresgid(gid_t *real, gid_t *effective, gid_t *saved)
{
	return getresuid(real, effective, saved);
}

int getgroups(int n, gid_t *groups)
{
	//@ assert none: n == 0;
	return fails() ? -1 : any(0, 65536);
}

/*@ assigns \result \from \nothing;
    ensures known: \result == 4096 || \result == 16384 || \result == 65536; */
extern int getpagesize(void);

/*@ assigns errno_now, \result \from indirect: len;
    ensures result: -1 <= \result <= 0 <= errno_now <= 4095; */
extern int madvise(void *start, size_t len, int advice);

time_t time(time_t *now)
{
	return Frama_C_long_interval(-9000000000000000, 9000000000000000);
}

/* As the C library's stpcpy, which the analyser would not look into. */
/*@ requires apart: \separated(to + (0 .. strlen(from)), from + (0 .. strlen(from)));
    assigns to[0 .. strlen(from)], \result \from to, from[0 .. strlen(from)];
    ensures end: \result == to + strlen(from); */
char *copy_text(char *to, const char *from)
{
	//@ loop unroll 80;
	while ((*to = *from) != '\0') {
		to++;
		from++;
	}
	return to;
}

/* BearSSL */

const br_hash_class br_sha256_vtable, br_sha384_vtable, br_sha512_vtable;
const br_sslrec_in_chapol_class br_sslrec_in_chapol_vtable;
const br_sslrec_out_chapol_class br_sslrec_out_chapol_vtable;

static void check_readable(const void *p, size_t len)
{
	if (len > 0)
		memchr(p, 0, len);
}

static br_ec_impl any_ec;
static unsigned char public_bytes[BR_X509_BUFSIZE_KEY], more_bytes[BR_X509_BUFSIZE_KEY];
/* BearSSL 0.6 takes so many bytes for a key's numbers, though its buffer is BUFSIZE_SIG's: see the struct secret. */
static unsigned char prime[3 * BR_X509_BUFSIZE_KEY];

const br_ec_impl *br_ec_get_default(void)
{
	any_ec.supported_curves = Frama_C_unsigned_int_interval(0, 0xffffffff);
	return &any_ec;
}

/*@ assigns *c \from \nothing;
    ensures set: \initialized(c); */
extern void br_x509_decoder_init(br_x509_decoder_context *c, void (*dn)(void *, const void *, size_t), void *dn_context);

/* Any certificate, good, bad or cut; "decoded" and "err" are what BearSSL's inline functions look at. */
/*@ requires certificate: \valid_read(data + (0 .. len - 1)); */
void push_certificate(br_x509_decoder_context *c, const unsigned char *data, size_t len)
{
	c->err = any(0, 255);
	c->decoded = any(0, 1);
	c->notbefore_days = Frama_C_unsigned_int_interval(0, 0xffffffff);
	c->notbefore_seconds = Frama_C_unsigned_int_interval(0, 0xffffffff);
	c->notafter_days = Frama_C_unsigned_int_interval(0, 0xffffffff);
	c->notafter_seconds = Frama_C_unsigned_int_interval(0, 0xffffffff);
	Frama_C_make_unknown((char *)public_bytes, sizeof public_bytes);
	if (any(0, 1)) {
		c->pkey.key_type = BR_KEYTYPE_EC;
		c->pkey.key.ec.curve = any(0, 0x7fffffff);
		c->pkey.key.ec.q = public_bytes;
		c->pkey.key.ec.qlen = any(0, sizeof public_bytes);
	} else {
		c->pkey.key_type = BR_KEYTYPE_RSA;
		c->pkey.key.rsa.n = public_bytes;
		c->pkey.key.rsa.nlen = any(0, sizeof public_bytes);
		c->pkey.key.rsa.e = more_bytes;
		c->pkey.key.rsa.elen = any(0, sizeof more_bytes);
	}
	//@ split c->pkey.key_type;
}

/*@ assigns *c \from \nothing;
    ensures set: \initialized(c); */
extern void br_skey_decoder_init(br_skey_decoder_context *c);

/*@ requires key: \valid_read((unsigned char *)data + (0 .. len - 1)); */
void br_skey_decoder_push(br_skey_decoder_context *c, const void *data, size_t len)
{
	c->err = any(0, 255);
	c->key_type = any(0, 1) ? BR_KEYTYPE_RSA : any(0, 1) ? BR_KEYTYPE_EC : 0;
	/* In the union the fields of an EC key lie where the first three of these are. */
	Frama_C_make_unknown((char *)prime, sizeof prime);
	c->key.rsa.n_bitlen = Frama_C_unsigned_int_interval(0, 0xffffffff);
	c->key.rsa.p = c->key.rsa.q = prime;
	c->key.rsa.plen = any(0, sizeof prime);
	c->key.rsa.qlen = any(0, sizeof prime);
}

/*@ requires key: sk->xlen == 0 || \valid_read(sk->x + (0 .. sk->xlen - 1));
    requires room: \valid((char *)kbuf + (0 .. BR_EC_KBUF_PUB_MAX_SIZE - 1)); */
size_t br_ec_compute_pub(const br_ec_impl *impl, br_ec_public_key *pk, void *kbuf, const br_ec_private_key *sk)
{
	if (any(0, 1))
		return 0;
	Frama_C_make_unknown(kbuf, BR_EC_KBUF_PUB_MAX_SIZE);
	return any(0, BR_EC_KBUF_PUB_MAX_SIZE);
}

static size_t hash_size(const br_hash_class *class)
{
	//@ assert known: class == &br_sha256_vtable || class == &br_sha384_vtable || class == &br_sha512_vtable;
	return class == &br_sha256_vtable ? br_sha256_SIZE : class == &br_sha384_vtable ? br_sha384_SIZE : br_sha512_SIZE;
}

/* The largest that the documentation names, for P-521. */
#define ECDSA_MAX	139

static size_t any_ecdsa(const br_ec_impl *impl, const br_hash_class *class, const void *value,
    const br_ec_private_key *key, void *signature)
{
	check_readable(value, hash_size(class));
	check_readable(key->x, key->xlen);
	Frama_C_make_unknown(signature, ECDSA_MAX);
	return any(0, ECDSA_MAX);
}

br_ecdsa_sign br_ecdsa_sign_asn1_get_default(void)
{
	return any_ecdsa;
}

/*@ requires room: \valid(signature + (0 .. (key->n_bitlen + 7) / 8 - 1));
    requires hash: \valid_read(value + (0 .. len - 1));
    requires oid: \valid_read(oid + (0 .. oid[0])); */
static uint32_t any_rsa(const unsigned char *oid, const unsigned char *value, size_t len,
    const br_rsa_private_key *key, unsigned char *signature)
{
	check_readable(key->p, key->plen);
	check_readable(key->q, key->qlen);
	Frama_C_make_unknown((char *)signature, (key->n_bitlen + 7) / 8);
	return any(0, 1);
}

br_rsa_pkcs1_sign br_rsa_pkcs1_sign_get_default(void)
{
	return any_rsa;
}

/* The engine */

/* Named, but none of ours calls it. */
/*@ assigns \nothing; */
extern void br_tls12_sha256_prf(void *to, size_t len, const void *secret, size_t secret_len, const char *label,
    size_t n, const br_tls_prf_seed_chunk *seed);

/*@ assigns \nothing; */
extern void br_tls12_sha384_prf(void *to, size_t len, const void *secret, size_t secret_len, const char *label,
    size_t n, const br_tls_prf_seed_chunk *seed);

static unsigned char elsewhere[BR_SSL_BUFSIZE_INPUT];
static unsigned char tls_in[BR_SSL_BUFSIZE_INPUT], tls_out[BR_SSL_BUFSIZE_OUTPUT], tls_flight[];
static unsigned engine_state;	/* a set of BR_SSL_... */
static size_t granted;	/* how much the last of the ..._buf functions named */

void br_ssl_server_zero(br_ssl_server_context *c)
{
	memset(c, 0, sizeof *c);
}

void br_ssl_engine_set_suites(br_ssl_engine_context *c, const uint16_t *suites, size_t n)
{
	//@ assert room: n <= BR_MAX_CIPHER_SUITES;
	check_readable(suites, n * sizeof *suites);
}

void br_ssl_engine_set_default_aes_gcm(br_ssl_engine_context *c)
{
}

static void any_chacha20(void)
{
}

br_chacha20_run br_chacha20_sse2_get(void)
{
	return any(0, 1) ? (br_chacha20_run)any_chacha20 : 0;
}

br_poly1305_run br_poly1305_ctmulq_get(void)
{
	return any(0, 1) ? (br_poly1305_run)any_chacha20 : 0;
}

void br_ssl_engine_set_buffers_bidi(br_ssl_engine_context *c, void *in, size_t in_len, void *out, size_t out_len)
{
	//@ assert ours: in == &tls_in[0] && in_len == sizeof(tls_in) && out == &tls_out[0] && out_len == sizeof(tls_out);
}

void br_ssl_engine_inject_entropy(br_ssl_engine_context *c, const void *data, size_t len)
{
	check_readable(data, len);
}

/* A client's hello chooses, and what was chosen is signed: any number of times, with anything. */
static void call_back(br_ssl_server_context *c)
{
	static unsigned char pad[sizeof c->eng.pad], small[100];
	const br_ssl_server_policy_class **policy = c->policy_vtable;
	br_ssl_server_choices choices;
	size_t len;

	while (any(0, 1)) {
		c->hashes = Frama_C_unsigned_int_interval(0, 0xffffffff);
		c->client_suites_num = any(0, BR_MAX_CIPHER_SUITES);
		Frama_C_make_unknown((char *)c->client_suites, sizeof c->client_suites);
		if (policy[0]->choose(policy, c, &choices)) {
			size_t i = any(0, choices.chain_len - 1);
			//@ assert filled: \initialized(&choices.cipher_suite) && \initialized(&choices.algo_id);
			check_readable(choices.chain, choices.chain_len * sizeof *choices.chain);
		}
		Frama_C_make_unknown((char *)pad, sizeof pad);
		Frama_C_make_unknown((char *)small, sizeof small);
		len = policy[0]->do_sign(policy, any(0, 0xffff), pad, any(0, sizeof pad), sizeof pad);
		//@ assert inside: len <= sizeof(pad);
		len = policy[0]->do_sign(policy, any(0, 0xffff), small, any(0, sizeof small), sizeof small);
		//@ assert inside: len <= sizeof(small);
		policy[0]->do_keyx(policy, pad, &len);
	}
}

/* In truth BearSSL calls back from its ..._ack functions; nothing that this changes is looked at in between. */
int br_ssl_server_reset(br_ssl_server_context *c)
{
	if (any(0, 1))
		return 0;
	call_back(c);
	engine_state = any(0, 31);
	c->eng.err = any(-32768, 32767);
	return 1;
}

/*@ assigns \result \from engine_state;
    ensures state: \result == engine_state; */
unsigned br_ssl_engine_current_state(const br_ssl_engine_context *c)
{
	return engine_state;
}

/* The parts of contracts that such functions of the engine have in common. */
#define GIVEN \
	ensures none: \result == \null ==> *len == 0; \
	ensures some: \result != \null ==> 0 < *len && \valid(\result + (0 .. *len - 1)); \
	ensures set: \result != \null ==> \initialized(\result + (0 .. *len - 1)); \
	ensures apart: \result != \null ==> \separated(\result + (0 .. *len - 1), len, &tls_flight[0 .. 255]);
#define TAKEN \
	requires some: 0 < len <= granted; \
	assigns c->err, engine_state, granted \from len; \
	ensures state: engine_state <= 31; \
	ensures once: granted == 0;

/*@ requires place: \valid(len);
    requires buffer: 0 < max <= BR_SSL_BUFSIZE_INPUT && \valid(buffer + (0 .. max - 1)) && \initialized(buffer + (0 .. max - 1)) && \separated(buffer + (0 .. max - 1), len, &tls_flight[0 .. 255]);
    assigns *len, granted, Frama_C_entropy_source, \result \from indirect: engine_state, indirect: Frama_C_entropy_source, buffer;
    ensures granted: *len == granted <= max;
    GIVEN */
static unsigned char *grant(unsigned bit, size_t *len, unsigned char *buffer, size_t max)
{
	*len = granted = 0;
	if ((engine_state & bit) == 0)
		return NULL;
	*len = granted = any(1, (int)max);
	return any(0, 1) ? buffer : elsewhere;
}

/*@ requires place: \valid(len);
    assigns *len, granted, Frama_C_entropy_source, \result \from indirect: engine_state, indirect: Frama_C_entropy_source, &tls_out[0];
    ensures granted: *len == granted <= BR_SSL_BUFSIZE_INPUT;
    GIVEN */
unsigned char *br_ssl_engine_sendrec_buf(const br_ssl_engine_context *c, size_t *len)
{
	return grant(BR_SSL_SENDREC, len, tls_out, sizeof tls_out);
}

/*@ requires place: \valid(len);
    assigns *len, granted, Frama_C_entropy_source, \result \from indirect: engine_state, indirect: Frama_C_entropy_source, &tls_out[0];
    ensures granted: *len == granted <= BR_SSL_BUFSIZE_INPUT;
    GIVEN */
unsigned char *br_ssl_engine_sendapp_buf(const br_ssl_engine_context *c, size_t *len)
{
	return grant(BR_SSL_SENDAPP, len, tls_out, sizeof tls_out);
}

/*@ requires place: \valid(len);
    assigns *len, granted, Frama_C_entropy_source, \result \from indirect: engine_state, indirect: Frama_C_entropy_source, &tls_in[0];
    ensures granted: *len == granted <= BR_SSL_BUFSIZE_INPUT;
    GIVEN */
unsigned char *br_ssl_engine_recvrec_buf(const br_ssl_engine_context *c, size_t *len)
{
	return grant(BR_SSL_RECVREC, len, tls_in, sizeof tls_in);
}

/*@ requires place: \valid(len);
    assigns *len, granted, Frama_C_entropy_source, \result \from indirect: engine_state, indirect: Frama_C_entropy_source, &tls_in[0];
    ensures granted: *len == granted <= BR_SSL_BUFSIZE_INPUT;
    GIVEN */
unsigned char *br_ssl_engine_recvapp_buf(const br_ssl_engine_context *c, size_t *len)
{
	return grant(BR_SSL_RECVAPP, len, tls_in, sizeof tls_in);
}

/*@ TAKEN */
extern void br_ssl_engine_sendrec_ack(br_ssl_engine_context *c, size_t len);

/*@ TAKEN */
extern void br_ssl_engine_sendapp_ack(br_ssl_engine_context *c, size_t len);

/*@ TAKEN */
extern void br_ssl_engine_recvrec_ack(br_ssl_engine_context *c, size_t len);

/*@ TAKEN */
extern void br_ssl_engine_recvapp_ack(br_ssl_engine_context *c, size_t len);

/*@ assigns c->err, engine_state \from c->err, engine_state;
    ensures state: engine_state <= 31; */
extern void br_ssl_engine_flush(br_ssl_engine_context *c, int force);

/*@ assigns c->err, engine_state \from c->err, engine_state;
    ensures state: engine_state <= 31; */
extern void br_ssl_engine_close(br_ssl_engine_context *c);

/*
 * The same calls for unsigned bytes, which is what WP can follow: a void pointer is to it one to
 * char. Of what was not read nothing is known, not even that it was ever set.
 */
/*@ requires buffer: \valid(buf + (0 .. count - 1));
    requires size: count <= 0x7ffff000;
    assigns buf[0 .. count - 1] \from indirect: fd;
    assigns errno_now, Frama_C_entropy_source, \result \from indirect: fd, indirect: count, indirect: Frama_C_entropy_source;
    ensures short: -1 <= \result <= count;
    ensures error: 0 <= errno_now <= 4095; */
ssize_t read_bytes(int fd, unsigned char *buf, size_t count)
{
	int n;

	if (fails())
		return -1;
	if (count == 0)
		return 0;
	if (any(0, 1)) {
		Frama_C_make_unknown((char *)buf, count);
		return count;
	}
	n = any(0, (int)count - 1);
	Frama_C_make_unknown((char *)buf, n);
	return n;
}

/*@ requires buffer: \valid_read(buf + (0 .. count - 1));
    requires set: \initialized(buf + (0 .. count - 1));
    assigns errno_now, \result \from indirect: fd, indirect: count, indirect: buf[0 .. count - 1];
    ensures short: -1 <= \result <= count;
    ensures error: 0 <= errno_now <= 4095; */
extern ssize_t write_bytes(int fd, const unsigned char *buf, size_t count);

/*@ requires first: \valid_read(a + (0 .. n - 1));
    requires second: \valid_read(b + (0 .. n - 1));
    assigns \result \from indirect: a[0 .. n - 1], indirect: b[0 .. n - 1];
    ensures none: n == 0 ==> \result == 0; */
extern int compare_bytes(const unsigned char *a, const unsigned char *b, size_t n);

/*@ requires place: \valid(to + (0 .. n - 1));
    assigns to[0 .. n - 1] \from c;
    ensures set: \initialized(to + (0 .. n - 1)); */
extern void set_bytes(unsigned char *to, int c, size_t n);

/*@ requires target: \valid(to + (0 .. n - 1));
    requires source: \valid_read(from + (0 .. n - 1)) && \initialized(from + (0 .. n - 1));
    requires apart: \separated(to + (0 .. n - 1), from + (0 .. n - 1));
    assigns to[0 .. n - 1] \from from[0 .. n - 1];
    ensures set: \initialized(to + (0 .. n - 1)); */
extern void copy_bytes(unsigned char *to, const unsigned char *from, size_t n);

#undef memcmp
#undef explicit_bzero
#define read(fd, buf, count) read_bytes(fd, (unsigned char *)(buf), count)
#define write(fd, buf, count) write_bytes(fd, (const unsigned char *)(buf), count)
#define memcmp(a, b, n) compare_bytes(a, (const unsigned char *)(b), n)
#define explicit_bzero(p, n) set_bytes(p, 0, n)
#define memset set_bytes
#define stpcpy copy_text
#define memcpy copy_bytes
#define br_x509_decoder_push push_certificate
#include SOURCE

/*
 * The relay's filter, as the kernel runs it: for any call of any machine every jump stays inside,
 * and of the calls none passes but those that the relay needs.
 */
static void run_filter(const void *given)
{
	static const unsigned short allowed[] = {
		SYS_read, SYS_write, SYS_shutdown, SYS_poll, SYS_ppoll, SYS_alarm, SYS_setitimer,
		SYS_restart_syscall, SYS_rt_sigreturn, SYS_exit, SYS_exit_group,
	};
	const struct filter_program *program = given;
	/* Of machines with 64 bits, or the low byte first: a number of a call is less than that. */
	unsigned arch = Frama_C_unsigned_int_interval(0x40000000, 0xffffffff);
	unsigned number = Frama_C_unsigned_int_interval(0, 0xffffffff);
	const unsigned *loaded = &number;
	const struct filter *f;
	unsigned at = 0, i;

	//@ loop unroll 64;
	for (;;) {
		//@ assert inside: at < program->len;
		f = &program->filter[at++];
		if (f->code == 0x06)
			break;
		//@ assert known: f->code == 0x20 || f->code == 0x15;
		if (f->code == 0x20)
			loaded = f->k == AT_ARCH ? &arch : &number;
		else if (*loaded != f->k)
			at += f->no;
		else
			at += f->yes;
	}
	if (f->k == KILL)
		return;
	//@ assert machine: f->k == PASS && arch == ARCH;
	//@ loop unroll 16;
	for (i = 0; i < sizeof allowed / sizeof *allowed && allowed[i] != number; i++)
		;
	//@ assert needed: i < sizeof(allowed) / sizeof(*allowed);
}

static char path[PATH_SIZE];

static const char *any_path(void)
{
	if (any(0, 1))
		return NULL;
	Frama_C_make_unknown(path, PATH_SIZE - 1);
	return path;
}

static void say(const char *words)
{
	strlen(words);
}

void prove(void)
{
	const char *certfile = any_path(), *keyfile = any_path(), *why;

	if (any(0, 1))
		tls_check(certfile, keyfile, say);
	else {
		if (tls_start(certfile, keyfile, say, &why) != TLS_OK)
			strlen(why);
		why = tls_end();
		if (why != NULL)
			strlen(why);
	}
}
