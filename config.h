/*
 * What an administrator or packager may want otherwise: each knob can be
 * given to the compiler (make CPPFLAGS='-DFAIL_DELAY=3').
 * Times are whole seconds, sizes are bytes.
 */
#ifndef CONFIG_H
#define CONFIG_H

/* The client has this long to send one line, however many bytes it sends. */
#ifndef IDLE_TIMEOUT
#define IDLE_TIMEOUT 60
#endif

/* No line is read any more this long after the start; a running chain is never cut by it. */
#ifndef SESSION_TIMEOUT
#define SESSION_TIMEOUT 300
#endif

/* A check or set chain is killed after this long: longer than any lock it waits for. */
#ifndef CHAIN_TIMEOUT
#define CHAIN_TIMEOUT 30
#endif

/* A killed chain may be stuck in the kernel: wait this long for its end and no longer. */
#ifndef KILL_WAIT
#define KILL_WAIT 2
#endif

/* A client that takes no reply for this long is gone, and so is a log reader that takes no line. */
#ifndef WRITE_TIMEOUT
#define WRITE_TIMEOUT 10
#endif

/* After the last reply, wait this long for the client to close, lest a reset eats the reply. */
#ifndef CLOSE_WAIT
#define CLOSE_WAIT 2
#endif

/* The price of a wrong guess. */
#ifndef FAIL_DELAY
#define FAIL_DELAY 5
#endif

/* Wrong passwords in one connection. */
#ifndef MAX_TRIES
#define MAX_TRIES 3
#endif

/* Lines in one connection that are no valid command. */
#ifndef MAX_ERRORS
#define MAX_ERRORS 10
#endif

/*
 * The reply code of a temporary failure. 4xx would be right, but Aurora and
 * poppass-cgi show the user no text after any code but 500.
 */
#ifndef TEMPFAIL_CODE
#define TEMPFAIL_CODE 500
#endif

/* Longest line, without its line end. Above RECORD_MAX, so that a long name gets the reply that names the cause. */
#ifndef LINE_MAX
#define LINE_MAX 1024
#endif

/* Longest text of a set chain that is shown to the user. */
#ifndef REASON_MAX
#define REASON_MAX 128
#endif

/* Longest PASSWORD_COMMAND, and most words in it. */
#ifndef COMMAND_MAX
#define COMMAND_MAX 4096
#endif
#ifndef MAX_ARGS
#define MAX_ARGS 32
#endif

/* TLS: from the connection to the end of the handshake. */
#ifndef HANDSHAKE_TIMEOUT
#define HANDSHAKE_TIMEOUT 10
#endif

/* Most certificates in CERTFILE, and the most bytes of CERTFILE or KEYFILE. */
#ifndef CHAIN_MAX
#define CHAIN_MAX 4
#endif
#ifndef PEM_MAX
#define PEM_MAX 32768
#endif

/* Where the TLS relay is locked up: an empty folder that nobody writes to. */
#ifndef JAIL_DIR
#define JAIL_DIR "/var/empty"
#endif

/* The relay's uid and gid: this plus its process number, so that no two relays can touch each other... */
#ifndef JAIL_UID
#define JAIL_UID 0x70000000
#endif

/* ...and the one where a container maps no such uid. */
#ifndef JAIL_UID_FALLBACK
#define JAIL_UID_FALLBACK 65534
#endif

/* setpassword-file: shortest new password unless -m is given. */
#ifndef MINLEN
#define MINLEN 8
#endif

/* setpassword-file: wait this long for the lock on the file. */
#ifndef LOCK_TIMEOUT
#define LOCK_TIMEOUT 10
#endif

/* The system's accounts: lowest uid that may log in unless -u is given, and where they are. */
#ifndef MINUID
#define MINUID 1000
#endif
#ifndef SHADOW_FILE
#define SHADOW_FILE "/etc/shadow"
#endif
#ifndef PASSWD_FILE
#define PASSWD_FILE "/etc/passwd"
#endif
#ifndef LOCK_FILE
#define LOCK_FILE "/etc/.pwd.lock"
#endif

/* There is no reason to touch anything below. */

/* checkpassword's limit for what goes over descriptor 3. */
#define RECORD_MAX 512

/* Log line, with its newline: what the smallest syslog readers take whole. */
#define LOG_MAX 200

/* A name in the log, in escaped bytes, without quotes and dots. */
#define LOG_NAME_MAX 64

#define HOSTNAME_MAX 255

_Static_assert(LOCK_TIMEOUT < CHAIN_TIMEOUT, "the setter must give up before it is killed");
_Static_assert(LINE_MAX >= RECORD_MAX + 8, "the longest newpass line that fits a record must fit");

#endif
