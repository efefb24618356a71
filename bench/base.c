/*
 * base HOSTNAME CERTFILE KEYFILE [PROGRAM]: the floor's conversation through BearSSL in one process.
 *
 * The same library, suites and curves as the server's, but no second process, no jail,
 * the key in the process that talks to the network: what the handshake and the records cost
 * by themselves. Without PROGRAM no children are run: handshake and echo alone.
 */
#include <bearssl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "dialogue.h"

enum { CHAIN_MAX = 4, DER_MAX = 4096, PEM_MAX = 32768 };

static br_ssl_server_context server;
static br_sslio_context io;
static unsigned char records[BR_SSL_BUFSIZE_BIDI];
static unsigned char der[CHAIN_MAX][DER_MAX];
static br_x509_certificate certificates[CHAIN_MAX];
static size_t certificate_count;
static br_skey_decoder_context key;
static int in_object, is_key;

static void append(void *nothing, const void *data, size_t length)
{
	br_x509_certificate *c = &certificates[certificate_count];

	(void)nothing;
	if (is_key)
		br_skey_decoder_push(&key, data, length);
	else if (in_object && certificate_count < CHAIN_MAX && c->data_len + length <= DER_MAX) {
		memcpy(c->data + c->data_len, data, length);
		c->data_len += length;
	}
}

static void begin_object(const char *name)
{
	is_key = strstr(name, "PRIVATE KEY") != NULL;
	in_object = strcmp(name, "CERTIFICATE") == 0;
	if (in_object && certificate_count < CHAIN_MAX) {
		certificates[certificate_count].data = der[certificate_count];
		certificates[certificate_count].data_len = 0;
	}
}

static void decode(const char *pem, size_t length)
{
	br_pem_decoder_context decoder;
	size_t used;

	br_pem_decoder_init(&decoder);
	br_pem_decoder_setdest(&decoder, append, NULL);
	for (; length > 0; pem += used, length -= used) {
		used = br_pem_decoder_push(&decoder, pem, length);
		switch (br_pem_decoder_event(&decoder)) {
		case BR_PEM_BEGIN_OBJ:
			begin_object(br_pem_decoder_name(&decoder));
			break;
		case BR_PEM_END_OBJ:
			certificate_count += in_object;
			in_object = is_key = 0;
			break;
		case BR_PEM_ERROR:
			_exit(100);
		}
	}
}

static void load(const char *path)
{
	static char pem[PEM_MAX];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd == -1 ? -1 : read(fd, pem, sizeof pem);

	if (n <= 0)
		_exit(100);
	close(fd);
	decode(pem, n);
}

static int low_read(void *nothing, unsigned char *to, size_t length)
{
	ssize_t n = read(0, to, length);

	(void)nothing;
	return n > 0 ? (int)n : -1;
}

static int low_write(void *nothing, const unsigned char *from, size_t length)
{
	ssize_t n = write(1, from, length);

	(void)nothing;
	return n > 0 ? (int)n : -1;
}

static int get_line(void)
{
	unsigned char byte;

	do
		if (br_sslio_read(&io, &byte, 1) != 1)
			return 0;
	while (byte != '\n');
	return 1;
}

static void put(const char *text)
{
	if (br_sslio_write_all(&io, text, strlen(text)) != 0 || br_sslio_flush(&io) != 0)
		_exit(111);
}

static void start_tls(void)
{
	static const uint16_t suites[] = {
		BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
		BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	};
	int on = 1;

	setsockopt(0, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (certificate_count == 0 || br_skey_decoder_last_error(&key) != 0)
		_exit(100);
	if (br_skey_decoder_key_type(&key) == BR_KEYTYPE_EC)
		br_ssl_server_init_full_ec(&server, certificates, certificate_count, BR_KEYTYPE_EC,
			br_skey_decoder_get_ec(&key));
	else
		br_ssl_server_init_full_rsa(&server, certificates, certificate_count, br_skey_decoder_get_rsa(&key));
	br_ssl_engine_set_suites(&server.eng, suites, sizeof suites / sizeof *suites);
	br_ssl_engine_set_versions(&server.eng, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_buffer(&server.eng, records, sizeof records, 1);
	br_ssl_server_reset(&server);
	br_sslio_init(&io, &server.eng, low_read, NULL, low_write, NULL);
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 100;
	br_skey_decoder_init(&key);
	load(argv[2]);
	if (strcmp(argv[2], argv[3]) != 0)
		load(argv[3]);
	chain[0] = argc > 4 ? argv[4] : NULL;
	start_tls();
	dialogue(argv[1]);
	br_sslio_close(&io);
	return 0;
}
