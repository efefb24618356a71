/*
 * Fuzzing what is ours of TLS: the loaders of certificate and key (a first byte that is
 * even) and the relay with a client that sends anything (odd), from its start to its end.
 *
 * Input of the loaders: a byte, two bytes for the length of CERTFILE, the two files. They have to load
 * or be refused with a word, and the key is wiped in any case.
 * Of the relay: a byte of dice, then the client's bytes. It has to end, with one of its own
 * outcomes, in a number of steps that the bytes justify; it writes TLS records to the client, and
 * to the server nothing but one request for a signature.
 */
#include "glue.h"

static const uint8_t *data[2];
static size_t size[2], at[2];
static uint8_t sent[1 << 16];
static size_t sent_size, asked, steps;
static int said;

/* 7 is CERTFILE, 8 is KEYFILE; 0 is the client, 2 the server, who never answers. */
static int fake_open(const char *path)
{
	at[*path == 'k'] = 0;
	return *path == 'k' ? 8 : 7;
}

static ssize_t fake_read(int fd, void *buf, size_t n)
{
	int i = fd == 8;
	CHECK(fd == 0 || fd == 7 || fd == 8 || fd == 2, "reads from another descriptor");
	if (fd == 2)
		return 0;
	CHECK(n > 0, "reads nothing, which looks like the end");
	size_t max = fd == 0 && dice & 1 ? 1 + roll(40) : 4000;
	n = n < max ? n : max;
	n = n < size[i] - at[i] ? n : size[i] - at[i];
	memcpy(buf, data[i] + at[i], n);
	at[i] += n;
	return (ssize_t)n;
}

static ssize_t fake_write(int fd, const void *buf, size_t n)
{
	CHECK(fd == 1 || fd == 2, "writes to another descriptor");
	CHECK(n > 0, "writes nothing");
	if (fd == 2) {
		asked += n;
		return (ssize_t)n;
	}
	if (dice & 1)
		n = 1 + roll((unsigned)n);
	CHECK(sent_size + n <= sizeof sent, "sends without end");
	memcpy(sent + sent_size, buf, n);
	sent_size += n;
	return (ssize_t)n;
}

static int fake_poll(struct pollfd *p, int n)
{
	int any = 0;
	CHECK(++steps < 4 * (size[0] + sizeof sent), "it spins");
	for (int i = 0; i < n; i++) {
		p[i].revents = p[i].fd >= 0 ? p[i].events : 0;
		any |= p[i].revents;
	}
	CHECK(any, "waits for nothing, for ever");
	return 1;
}

#define open(p, ...)		fake_open(p)
#define shutdown(f, h)		0
#include "../../bearssl_glue.c"

static void say(const char *what)
{
	CHECK(strlen(what) < 128, "a long line");
	for (; *what; what++)
		CHECK(*what >= 32 && *what < 127, "a byte in a line");
	said++;
}

static void load(const uint8_t *p, size_t n)
{
	if (n < 2)
		return;
	size[0] = p[0] | p[1] << 8;
	if (size[0] > n - 2)
		size[0] = n - 2;
	data[0] = p + 2;
	size[1] = n - 2 - size[0];
	data[1] = data[0] + size[0];
	at[0] = at[1] = chain_len = der_len = 0;
	said = 0;
	enum tls_verdict verdict = tls_check("c", size[1] > 0 ? "k" : NULL, say);
	CHECK(verdict == TLS_OK || verdict == TLS_CONFIG, "another verdict");
	CHECK(said > 0, "not a word");
	const char *s = (const char *)&secret;
	CHECK(!*s && !memcmp(s, s + 1, sizeof secret - 1), "memory that is not wiped");
}

/* What the client got: handshake records or an alert, whole but for the last. (An alert may carry the client's own version.) */
static void check_records(void)
{
	for (size_t i = 0; i + 5 <= sent_size; i += 5 + (size_t)(sent[i + 3] << 8 | sent[i + 4]))
		CHECK(sent[i] == 21 || (sent[i] == 22 && sent[i + 1] == 3 && sent[i + 2] == 3), "no record of a handshake");
}

static void relay_bytes(const uint8_t *p, size_t n)
{
	if (n < 1)
		return;
	if (chain_len == 0 || der_len == 0) {
		data[0] = (const uint8_t *)certificate_file;
		size[0] = sizeof certificate_file - 1;
		at[0] = 0;
		CHECK(load_chain("c") == TLS_OK, "the certificate");
	}
	dice = p[0];
	data[0] = p + 1;
	size[0] = n - 1;
	at[0] = sent_size = asked = steps = 0;
	memset(&tls, 0, sizeof tls);
	established = client_done = server_done = 0;
	outcome_at_alarm = 0;
	code = -1;
	CHECK(start_engine() == SERVED, "the engine does not start");
	if (!setjmp(at_exit))
		run();
	CHECK(code > SERVED && code < DIED, "another outcome");
	CHECK(!established, "a handshake without a signature");
	CHECK(asked == 0 || asked == sizeof(struct request), "another request to the server");
	check_records();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int loads;
	if (n < 1)
		return 0;
	prepare_curves();
	if (p[0] & 1) {
		if (loads)
			chain_len = der_len = 0;
		loads = 0;
		relay_bytes(p + 1, n - 1);
	} else {
		loads = 1;
		load(p + 1, n - 1);
	}
	return 0;
}
