/*
 * The server's view of TLS: fork a relay that speaks it, and see no more of it.
 * All text handed out is static.
 */
#ifndef BEARSSL_GLUE_H
#define BEARSSL_GLUE_H

#include <stddef.h>

enum tls_verdict {
	TLS_OK,
	TLS_CONFIG,	/* certificate or key unusable: exit 100 */
	TLS_TROUBLE,	/* the system refused something: exit 111 */
	TLS_FAILED	/* the client's handshake failed */
};

#if TLS

/*
 * TLS from here on: fd 0 and fd 1 carry plain text afterwards, and nothing
 * else is left open. Unless TLS_OK comes back, *why says what is wrong.
 * warn gets a line of words for what is unwise but works.
 */
enum tls_verdict tls_start(const char *certfile, const char *keyfile,
    void (*warn)(const char *what), const char **why);

/*
 * After the last byte: waits for the relay, but not for ever. Tells why the
 * handshake never came to its end, NULL if it did or there was none to make.
 */
const char *tls_end(void);

/* For qmail-poppass -t: loads, matches, looks at the dates; say gets each finding. */
enum tls_verdict tls_check(const char *certfile, const char *keyfile,
    void (*say)(const char *what));

#else

#define TLS_MISSING "CERTFILE is set, but this program was built without TLS"

static inline enum tls_verdict
tls_start(const char *certfile, const char *keyfile, void (*warn)(const char *), const char **why)
{
	(void)certfile, (void)keyfile, (void)warn;
	*why = TLS_MISSING;
	return TLS_CONFIG;
}

static inline const char *
tls_end(void)
{
	return NULL;
}

static inline enum tls_verdict
tls_check(const char *certfile, const char *keyfile, void (*say)(const char *))
{
	(void)certfile, (void)keyfile;
	say(TLS_MISSING);
	return TLS_CONFIG;
}

#endif
#endif
