/*
 * tlsclient PORT CERTIFICATE	sends its standard input to 127.0.0.1 over TLS, then writes what comes
 *				until the server closes; 1 if that was not by close_notify
 *
 * For the machine of initramfs.sh, which has no other client: busybox's offers the server no
 * signature but SHA-1. CERTIFICATE (DER) is the only one whose key is trusted.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bearssl.h>

static br_ssl_client_context client;
static br_x509_minimal_context unused;
static br_x509_knownkey_context known;
static br_x509_decoder_context decoder;
static unsigned char io_buffer[BR_SSL_BUFSIZE_BIDI];
static br_sslio_context io;

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "tlsclient: %s (BearSSL's error %d)\n", what, br_ssl_engine_last_error(&client.eng));
	exit(1);
}

static int receive(void *fd, unsigned char *data, size_t len)
{
	ssize_t n = read(*(int *)fd, data, len);

	return n > 0 ? (int)n : -1;
}

static int transmit(void *fd, const unsigned char *data, size_t len)
{
	return (int)send(*(int *)fd, data, len, MSG_NOSIGNAL);
}

static void trust(const char *path)
{
	static unsigned char der[8192];
	FILE *f = fopen(path, "r");
	const br_x509_pkey *key;

	if (f == NULL)
		fail(path);
	br_x509_decoder_init(&decoder, NULL, NULL);
	br_x509_decoder_push(&decoder, der, fread(der, 1, sizeof der, f));
	fclose(f);
	key = br_x509_decoder_get_pkey(&decoder);
	if (key == NULL)
		fail("no key in the certificate");
	if (key->key_type == BR_KEYTYPE_RSA)
		br_x509_knownkey_init_rsa(&known, &key->key.rsa, BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
	else
		br_x509_knownkey_init_ec(&known, &key->key.ec, BR_KEYTYPE_SIGN | BR_KEYTYPE_KEYX);
}

static int reach(const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd == -1 || connect(fd, (struct sockaddr *)&to, sizeof to) == -1)
		fail("cannot connect");
	return fd;
}

int main(int argc, char **argv)
{
	static unsigned char data[4096];
	ssize_t n;
	int fd;

	if (argc != 3)
		fail("usage: tlsclient PORT CERTIFICATE");
	br_ssl_client_init_full(&client, &unused, NULL, 0);
	trust(argv[2]);
	br_ssl_engine_set_x509(&client.eng, &known.vtable);
	br_ssl_engine_set_buffer(&client.eng, io_buffer, sizeof io_buffer, 1);
	fd = reach(argv[1]);
	if (!br_ssl_client_reset(&client, "box.example", 0))
		fail("cannot begin");
	br_sslio_init(&io, &client.eng, receive, &fd, transmit, &fd);
	while ((n = read(0, data, sizeof data)) > 0)
		if (br_sslio_write_all(&io, data, (size_t)n) == -1)
			fail("handshake or sending");
	if (br_sslio_flush(&io) == -1)
		fail("handshake or sending");
	while ((n = br_sslio_read(&io, data, sizeof data)) > 0)
		if (write(1, data, (size_t)n) != n)
			fail("standard output");
	if (br_ssl_engine_last_error(&client.eng) != BR_ERR_OK)
		fail("the connection broke off");
	return 0;
}
