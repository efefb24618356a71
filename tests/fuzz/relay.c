/*
 * Fuzzing the relay behind its handshake: BearSSL's own client in the same process talks to it, and
 * the input is what client, server and network do, and when. No bytes of TLS are in the input, so
 * whatever it says gets as deep as a real client would.
 *
 * Input: a byte for suite, curve and how the client closes, one of dice (odd: reads and writes move a few
 * bytes, and some fail with EAGAIN or EINTR), then the deeds: a byte whose low half is an entry of
 * deeds[] below, and its arguments; its high half is for how many polls the relay is left alone
 * behind it. When they are over, all goes on, the client closes, then the server.
 *
 * What has to hold: the server gets a beginning of what the client said, the client of what the server
 * said, both get all of it where nobody broke anything; one signature is asked for; the client gets whole
 * TLS records; text that was passed on is not left in the relay's memory; it does not wait for ever,
 * nor spin; it ends with an outcome that fits.
 */
#include "glue.h"

enum { SPIN = 200, TEXT_LIMIT = 100000, WIRE = 1 << 18, MOUTHFUL = 20000, WINDOW = 16, TEXT_RECORD = 23, ALERT_RECORD = 21 };

static int fake_shutdown(int fd, int how);

#define open(p, ...)		7
#define shutdown(f, h)		fake_shutdown(f, h)
#include "../../bearssl_glue.c"

/* Nothing of this machine's randomness: a run can be repeated. */
br_prng_seeder br_prng_seeder_system(const char **name)
{
	(void)name;
	return 0;
}

/* Text one way: said by its sender, of that taken over by its engine or by the relay, arrived. */
struct text {
	size_t said, sent, arrived;
	uint32_t salt;
};

static struct {
	br_ssl_client_context ssl;
	br_x509_knownkey_context trust;
	uint8_t buffer[BR_SSL_BUFSIZE_BIDI];
} client;
static br_ssl_engine_context *const talker = &client.ssl.eng;

/* The network: the relay's records to the client, the client's to the relay. */
static uint8_t down[WIRE], up[WIRE];
static size_t down_size, down_taken, up_size, up_taken, file_at;
static size_t relayed;	/* of the server's text, taken over by the relay */

static struct text up_text = { .salt = 1 }, down_text = { .salt = 1 << 24 };
static struct reply signature;
static size_t signature_at;
static const uint8_t *input, *input_end;
static int manner, chance, idle, pause_left, phase, signatures;
static int client_stalls, server_stalls, client_over, server_over, client_reset, server_gone, text_over;
static int broken;	/* somebody did what not all text outlives */
static int odd;	/* behind nothing broken came a record that is no text */
static int closing;	/* the client: after its close_notify it takes no text */

/* No 16 of them in a row come twice. */
static uint8_t letter(const struct text *t, size_t i)
{
	uint32_t x = ((uint32_t)i + t->salt) * 2654435761u;
	return (uint8_t)((x ^ x >> 15) * 2246822519u >> 24);
}

static void hear(struct text *t, const uint8_t *p, size_t n)
{
	CHECK(t->arrived + n <= t->sent, "text that nobody sent");
	for (size_t i = 0; i < n; i++)
		CHECK(p[i] == letter(t, t->arrived + i), "other text than was sent");
	t->arrived += n;
}

static size_t some(size_t n, size_t max)
{
	size_t limit = chance ? 1 + roll(40) : max;
	return n < limit ? n : limit;
}

/* ---- the client ---- */

static int client_may_talk(void)
{
	return (br_ssl_engine_current_state(talker) & BR_SSL_SENDAPP) != 0;
}

static void take_record(uint8_t *p, size_t n)
{
	CHECK(up_size + n <= sizeof up, "too much for this test");
	memcpy(up + up_size, p, n);
	up_size += n;
	br_ssl_engine_sendrec_ack(talker, n);
}

static void hear_from_relay(uint8_t *p, size_t n)
{
	if (n > down_size - down_taken)
		n = down_size - down_taken;
	memcpy(p, down + down_taken, n);
	down_taken += n;
	br_ssl_engine_recvrec_ack(talker, n);
}

static void say_to_relay(uint8_t *p, size_t n)
{
	if (n > up_text.said - up_text.sent)
		n = up_text.said - up_text.sent;
	for (size_t i = 0; i < n; i++)
		p[i] = letter(&up_text, up_text.sent + i);
	up_text.sent += n;
	br_ssl_engine_sendapp_ack(talker, n);
	br_ssl_engine_flush(talker, 0);
}

/* All that the client's engine can do now. */
static void pump(void)
{
	for (;;) {
		size_t n;
		uint8_t *p;
		if (!client_over && (p = br_ssl_engine_sendrec_buf(talker, &n)))
			take_record(p, n);
		else if ((p = br_ssl_engine_recvapp_buf(talker, &n))) {
			hear(&down_text, p, n);
			br_ssl_engine_recvapp_ack(talker, n);
		} else if (!client_stalls && down_taken < down_size && (p = br_ssl_engine_recvrec_buf(talker, &n)))
			hear_from_relay(p, n);
		else if (!client_over && up_text.sent < up_text.said && (p = br_ssl_engine_sendapp_buf(talker, &n)))
			say_to_relay(p, n);
		else
			return;
	}
}

static void start_client(void)
{
	static const uint16_t suites[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	};
	static const int curve_ids[] = { BR_EC_curve25519, BR_EC_secp256r1, BR_EC_secp384r1 };
	static br_ec_impl one_curve;
	uint8_t seed[32] = { 7 };

	br_ssl_client_zero(&client.ssl);
	br_ssl_engine_set_versions(talker, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(talker, suites + (manner & 0x7f) % 3, 1);
	one_curve = *br_ec_get_default();
	one_curve.supported_curves = (uint32_t)1 << curve_ids[(manner & 0x7f) / 3 % 3] | (uint32_t)1 << BR_EC_secp256r1;
	br_ssl_engine_set_ec(talker, &one_curve);
	br_ssl_engine_set_ecdsa(talker, br_ecdsa_vrfy_asn1_get_default());
	for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++)
		br_ssl_engine_set_hash(talker, hashes[i].id, hashes[i].class);
	br_ssl_engine_set_prf_sha256(talker, br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(talker, br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_gcm(talker);
	br_ssl_engine_set_default_chapol(talker);
	br_x509_knownkey_init_ec(&client.trust, &public_key->key.ec, BR_KEYTYPE_SIGN);
	br_ssl_engine_set_x509(talker, &client.trust.vtable);
	br_ssl_engine_set_buffer(talker, client.buffer, sizeof client.buffer, 1);
	br_ssl_engine_inject_entropy(talker, seed, sizeof seed);
	CHECK(br_ssl_client_reset(&client.ssl, "mail.example.org", 0), "the client does not start");
}

/* ---- what they do ---- */

static unsigned next_byte(void)
{
	return input < input_end ? *input++ : 0;
}

static size_t next_number(void)
{
	unsigned high = next_byte();
	return (high << 8 | next_byte()) % MOUTHFUL;
}

static void client_says(void)
{
	up_text.said += next_number();
	if (up_text.said > TEXT_LIMIT)
		up_text.said = TEXT_LIMIT;
}

/* The server does not wait for the network: the relay takes its text over when it reads. */
static void server_says(void)
{
	if (server_over || server_gone)
		return;
	down_text.said += next_number();
	if (down_text.said > TEXT_LIMIT)
		down_text.said = TEXT_LIMIT;
	down_text.sent = down_text.said;
}

static void empty_record(void)
{
	if (client_may_talk())
		br_ssl_engine_flush(talker, 1);
	pump();
}

/* Encrypted as it should be, but of any type: an alert, a handshake message, nonsense. */
static void odd_record(void)
{
	uint8_t type = (uint8_t)next_byte(), *p;
	size_t n = next_byte() % 32, room;
	if (type == TEXT_RECORD)
		return;
	for (pump(); n > 0 && client_may_talk() && (p = br_ssl_engine_sendapp_buf(talker, &room)) && room > n; n = 0) {
		for (size_t i = 0; i < n; i++)
			p[i] = (uint8_t)next_byte();
		talker->record_type_out = type;
		br_ssl_engine_sendapp_ack(talker, n);
		br_ssl_engine_flush(talker, 1);
		pump();
		talker->record_type_out = TEXT_RECORD;
		odd = !broken;
		broken = 1;
	}
}

static void any_bytes(void)
{
	size_t n = next_byte();
	broken |= n > 0 && !client_over;
	while (n-- > 0 && !client_over && up_size < sizeof up)
		up[up_size++] = (uint8_t)next_byte();
}

static void flip(void)
{
	size_t at = next_number(), pending = up_size - up_taken;
	uint8_t bits = (uint8_t)next_byte();
	if (pending > 0 && bits) {
		up[up_taken + at % pending] ^= bits;
		broken = 1;
		odd = 0;
	}
}

static void lose_or_repeat(void)
{
	size_t n = next_number(), pending = up_size - up_taken;
	if (pending == 0)
		return;
	n = n % pending + 1;
	broken = 1;
	odd = 0;
	if (next_byte() & 1)
		up_size -= n;
	else if (up_size + n <= sizeof up) {
		memmove(up + up_taken + n, up + up_taken, pending);
		up_size += n;
	}
}

static void renegotiate(void)
{
	broken |= br_ssl_engine_renegotiate(talker);
}

/* Before the last deeds its end may come too early. */
static void may_break(void)
{
	pump();
	if (!client_may_talk() && !closing)
		broken = 1;
	if (up_text.sent < up_text.said)
		broken = 1;
}

static void client_notifies(void)
{
	may_break();
	closing = 1;
	br_ssl_engine_close(talker);
}

static void client_ends(void)
{
	may_break();
	client_over = 1;
}

static void client_resets(void)
{
	broken = client_over = client_reset = 1;
	up_size = up_taken;
}

static void server_ends(void)
{
	CHECK(text_over || server_over, "the end of the text is not passed on");
	server_over = 1;
}

static void server_dies(void)
{
	broken = server_over = server_gone = 1;
}

static void stall_client(void) { client_stalls = !client_stalls; }
static void stall_server(void) { server_stalls = !server_stalls; }

static void (*const deeds[16])(void) = {
	client_says, server_says, client_says, server_says, stall_client, stall_server, empty_record, odd_record,
	any_bytes, flip, lose_or_repeat, renegotiate, client_notifies, client_ends, client_resets, server_dies,
};

/* When all is done that was to be done nobody waits for anything. */
static void see_rest(void)
{
	CHECK(!odd || text_over, "a record that is no text does not end the client's part");
	if (broken || client_over || closing)
		return;
	CHECK(client_may_talk(), "the handshake stands still");
	CHECK(up_text.arrived == up_text.said, "text to the server is held back");
	CHECK(down_text.arrived == down_text.said, "text to the client is held back");
}

static void (*const last_deeds[])(void) = { see_rest, client_notifies, client_ends, server_ends };

/* What happens next: of the last deeds, when all else is done; false when all has happened. */
static int act(void)
{
	pause_left = 0;
	if (input < input_end) {
		unsigned deed = *input++;
		pause_left = (int)((deed >> 4) * (deed >> 4) / 4);
		deeds[deed & 15]();
		return 1;
	}
	if (client_stalls || server_stalls) {
		client_stalls = server_stalls = 0;
		return 1;
	}
	if (phase == 1 && (client_over || closing || manner & 0x80))	/* some close without a word */
		phase++;
	if (phase == sizeof last_deeds / sizeof *last_deeds)
		return 0;
	last_deeds[phase++]();
	return 1;
}

/* ---- the relay's system calls ---- */

/* 0 and 1 are the client, 2 is the server, 7 the file of certificate and key. */
static short events(int fd)
{
	if (fd == 0)
		return (up_taken < up_size || client_over ? POLLIN : 0) | (client_reset ? POLLERR | POLLHUP : 0);
	if (fd == 1)
		return (!client_stalls ? POLLOUT : 0) | (client_reset ? POLLERR | POLLHUP : 0);
	return (relayed < down_text.said || server_over ? POLLIN : 0) |
	    (!server_stalls ? POLLOUT : 0) | (server_gone ? POLLHUP : 0);
}

static int fake_poll(struct pollfd *p, int n)
{
	CHECK(++idle < SPIN, "it spins");
	if (input < input_end && pause_left-- <= 0)
		act();
	for (;;) {
		int any = 0;
		pump();
		for (int i = 0; i < n; i++) {
			p[i].revents = p[i].fd < 0 ? 0 : events(p[i].fd) & (p[i].events | POLLERR | POLLHUP);
			any |= p[i].revents;
		}
		if (any)
			return 1;
		CHECK(act(), "waits for nothing, for ever");
	}
}

/* Reads and writes that move something are no spinning. */
static ssize_t moved(size_t n)
{
	if (n > 0)
		idle = 0;
	return (ssize_t)n;
}

static int interrupted(void)
{
	if (!chance || roll(8))
		return 0;
	errno = roll(2) ? EAGAIN : EINTR;
	return 1;
}

static ssize_t read_client(void *buf, size_t n)
{
	if (client_reset) {
		errno = ECONNRESET;
		return -1;
	}
	n = some(n < up_size - up_taken ? n : up_size - up_taken, WIRE);
	if (n == 0 && !client_over) {
		errno = EAGAIN;
		return -1;
	}
	memcpy(buf, up + up_taken, n);
	up_taken += n;
	return moved(n);
}

static ssize_t read_server(uint8_t *p, size_t n)
{
	if (signature_at < sizeof signature) {
		CHECK(signatures == 1 && n >= sizeof signature, "reads a signature that nobody asked for");
		memcpy(p, &signature, signature_at = sizeof signature);
		return (ssize_t)sizeof signature;
	}
	n = some(n < down_text.said - relayed ? n : down_text.said - relayed, WIRE);
	if (n == 0 && !server_over) {
		errno = EAGAIN;
		return -1;
	}
	for (size_t i = 0; i < n; i++)
		p[i] = letter(&down_text, relayed + i);
	relayed += n;
	return moved(n);
}

static ssize_t fake_read(int fd, void *buf, size_t n)
{
	CHECK(n > 0, "reads nothing, which looks like the end");
	if (fd == 7) {
		n = n < sizeof certificate_file - 1 - file_at ? n : sizeof certificate_file - 1 - file_at;
		memcpy(buf, certificate_file + file_at, n);
		file_at += n;
		return (ssize_t)n;
	}
	CHECK(fd == 0 || fd == 2, "reads from another descriptor");
	if (signature_at == sizeof signature && interrupted())
		return -1;
	return fd == 0 ? read_client(buf, n) : read_server(buf, n);
}

static void warn(const char *what) { (void)what; }

/* The server's part: its key for one hash. */
static ssize_t sign_for_relay(const void *buf, size_t n)
{
	struct request request;
	CHECK(n == sizeof request && signatures++ == 0, "another request to the server");
	memcpy(&request, buf, n);
	memset(&signature, 0, sizeof signature);
	file_at = 0;
	CHECK(load_key("c", "CERTFILE", 0, warn) == TLS_OK, "the key");
	size_t len = sign(&request, signature.signature);
	forget();
	CHECK(len > 0, "no signature");
	signature.len[0] = (uint8_t)(len >> 8);
	signature.len[1] = (uint8_t)len;
	signature_at = 0;
	return (ssize_t)n;
}

static ssize_t fake_write(int fd, const void *buf, size_t n)
{
	CHECK(fd == 1 || fd == 2, "writes to another descriptor");
	CHECK(n > 0, "writes nothing");
	if (fd == 2 && signatures == 0)
		return sign_for_relay(buf, n);
	CHECK(fd == 1 || !text_over, "text after the end of text");
	if (fd == 1 ? client_reset : server_gone) {
		errno = EPIPE;
		return -1;
	}
	if (interrupted())
		return -1;
	n = some(n, WIRE);
	if (fd == 2)
		hear(&up_text, buf, n);
	else {
		CHECK(down_size + n <= sizeof down, "sends without end");
		memcpy(down + down_size, buf, n);
		down_size += n;
	}
	return moved(n);
}

static int fake_shutdown(int fd, int how)
{
	CHECK(fd == 1 || fd == 2, "shuts another descriptor");
	if (fd == 2)
		text_over = 1;
	if (fd == 2 && how == SHUT_RDWR) {
		CHECK(broken || (server_over && relayed == down_text.said), "the server is left");
		server_over = 1;
	}
	return 0;
}

/* ---- the judgement ---- */

/* Records of TLS 1.2 (an alert may carry the client's own version); where nobody broke anything the last is whole and marks the end of the text. */
static void check_records(void)
{
	size_t at = 0, last = 0;
	while (at + 5 <= down_size) {
		CHECK(down[at] == ALERT_RECORD || (down[at] >= 20 && down[at] <= 23 && down[at + 1] == 3 && down[at + 2] == 3), "no record of TLS 1.2");
		last = at;
		at += 5 + (size_t)(down[at + 3] << 8 | down[at + 4]);
	}
	CHECK(broken || at == down_size, "half a record");
	CHECK(broken || down[last] == ALERT_RECORD, "the end of the text is not marked");
}

static void check_memory(void)
{
	uint8_t window[WINDOW];
	if (up_text.arrived < WINDOW)
		return;
	for (size_t k = 0; k < 3; k++) {	/* its beginning, its middle, its end */
		size_t from = (up_text.arrived - WINDOW) * k / 2;
		for (size_t i = 0; i < WINDOW; i++)
			window[i] = letter(&up_text, from + i);
		CHECK(!memmem(&tls, sizeof tls, window, WINDOW), "text that was passed on is kept");
	}
}

static void check_end(void)
{
	CHECK(code >= SERVED && code < DIED && code != UNSIGNED, "another outcome");
	CHECK(established == (code == SERVED || (code >= GARBLED && code <= NOT_RELAYED)), "an outcome that does not fit");
	CHECK(code != SERVED || br_ssl_engine_last_error(engine) == BR_ERR_OK, "a broken record goes unmentioned");
	CHECK(broken || code == SERVED, "an outcome without a cause");
	CHECK(signatures <= 1 && established <= signatures, "a handshake without a signature");
	check_records();
	check_memory();
	if (broken)
		return;
	CHECK(established, "no handshake");
	CHECK(up_text.arrived == up_text.said, "text to the server is lost");
	CHECK(closing || down_text.arrived == down_text.said, "text to the client is lost");
}

static void reset(void)
{
	memset(&tls, 0, sizeof tls);
	memset(&client, 0, sizeof client);
	established = client_done = server_done = 0;
	outcome_at_alarm = TIMEOUT;
	down_size = down_taken = up_size = up_taken = relayed = 0;
	up_text.said = up_text.sent = up_text.arrived = 0;
	down_text.said = down_text.sent = down_text.arrived = 0;
	signature_at = sizeof signature;
	idle = pause_left = phase = signatures = 0;
	client_stalls = server_stalls = client_over = server_over = client_reset = server_gone = text_over = 0;
	broken = odd = closing = 0;
	code = -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	if (n < 2)
		return 0;
	if (chain_len == 0) {
		prepare_curves();
		CHECK(load_chain("c") == TLS_OK, "the certificate");
	}
	reset();
	manner = p[0];
	dice = p[1];
	chance = dice & 1;
	input = p + 2;
	input_end = p + n;
	start_client();
	CHECK(start_engine() == SERVED, "the engine does not start");
	if (!setjmp(at_exit))
		run();
	check_end();
	return 0;
}
