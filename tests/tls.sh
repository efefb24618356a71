# shellcheck shell=sh disable=SC2016,SC2317 # text for another shell; functions that are called by name
# TLS, with clients written elsewhere: openssl s_client, gnutls-cli, sslscan.
. tests/dialogue.sh
command -v openssl >/dev/null 2>&1 || { it 'TLS' need openssl; return 0; }
helper client stub mid keyfind escape memgrep nodelay || return 0

# What the relay is locked up in has to exist, which the system's own need not.
JAIL=$(absolute "$BUILD")/tests/empty
mkdir -p "$JAIL"
# An emulated RSA key of 4096 bits takes a second, on a busy machine several.
HANDSHAKE=2
PAUSE=1
if emulated; then HANDSHAKE=20 PAUSE=5; fi
# shellcheck disable=SC2034 # used by its name
variant_tls="-DHANDSHAKE_TIMEOUT=$HANDSHAKE -DCLOSE_WAIT=1 -DFAIL_DELAY=1 -DIDLE_TIMEOUT=20 -DSESSION_TIMEOUT=60 -DJAIL_DIR=\\\"$JAIL\\\""
use tls || return 0

## Certificates, made once for all tests

CERTS=$TMP/certs
EC_SUITES='ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305'
RSA_SUITES='ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305'

ec_key() {
	openssl ecparam -name "$1" -genkey -noout
}

self_signed() {	# NAME OPTIONS... : NAME.crt of NAME.key
	n=$1
	shift
	openssl req -x509 -new -key "$n.key" -out "$n.crt" -days 90 -subj "/CN=$HOST" \
		-addext "subjectAltName=DNS:$HOST,DNS:localhost,IP:127.0.0.1" "$@"
}

# A root, an intermediate, and a server's certificate below them.
make_chain() {
	ec_key prime256v1 >root.key
	openssl req -x509 -new -key root.key -out root.crt -days 90 -subj '/CN=Test Root' || return
	ec_key prime256v1 >middle.key
	echo basicConstraints=critical,CA:TRUE >middle.ext
	openssl req -new -key middle.key -subj '/CN=Test Intermediate' |
		openssl x509 -req -CA root.crt -CAkey root.key -set_serial 2 -days 90 -extfile middle.ext -out middle.crt || return
	cp p256.key leaf.key
	echo "subjectAltName=DNS:$HOST,DNS:localhost,IP:127.0.0.1" >leaf.ext
	openssl req -new -key leaf.key -subj "/CN=$HOST" |
		openssl x509 -req -CA middle.crt -CAkey middle.key -set_serial 3 -days 90 -extfile leaf.ext -out leaf.pem || return
	cat leaf.pem middle.crt root.crt >leaf.crt
}

make_certificates() {
	mkdir "$CERTS" && cd "$CERTS" || return
	umask 077
	ec_key prime256v1 >p256.key
	ec_key secp384r1 >p384.key
	ec_key secp521r1 >p521.key
	openssl genrsa -traditional -out rsa2048.key 2048
	openssl genrsa -out rsa4096.key 4096 &
	openssl genrsa -out rsa1024.key 1024
	openssl genpkey -algorithm ed25519 -out ed25519.key
	wait
	for k in p256 p384 p521 rsa2048 rsa4096 rsa1024 ed25519; do self_signed $k || return; done
	make_chain
}
(make_certificates) >"$TMP/openssl.log" 2>&1 || { broken 'making certificates'; comment <"$TMP/openssl.log"; return 0; }

# What is looked up in /proc, or timed, would be the emulator's.
native() {
	! emulated || skip 'not in an emulator'
}

# Its memory is not that of the program alone.
unsanitized() {
	[ -z "${SANITIZED-}" ] || skip 'not under a sanitizer'
}

## A server that listens, and clients

VIA=
TLS_OPTIONS=

# shellcheck disable=SC2086 # CHECK is words
serve() {	# CERTIFICATE KEY [OPTIONS...] : under tcpsvd; its port in PORT, the log in $T/log, its pid in LISTENER
	need 'busybox tcpsvd'
	export PASSWORD_COMMAND="$SET" CERTFILE="$1" KEYFILE="$2"
	shift 2
	PORT=$(client -p)
	bg busybox tcpsvd -v "$@" 127.0.0.1 "$PORT" ${ODD:-} "$P/qmail-poppass" "$HOST" $CHECK 2>"$T/log"
	within 5 grep -q listening "$T/log" || { fail 'tcpsvd does not listen' "$(cat "$T/log")"; exit 1; }
	LISTENER=$(cat "/proc/$BG/task/$BG/children")
	LISTENER=${LISTENER%% *}
}

serve_key() {
	serve "$CERTS/$1.crt" "$CERTS/$1.key"
}

# Steps (client.c) through a TLS client whose options are in TLS_OPTIONS.
# shellcheck disable=SC2086 # words
tls() {
	limit 30 client "$@" -- openssl s_client -quiet -tls1_2 -verify_quiet -servername "$HOST" ${TLS_OPTIONS:-} \
		-connect "127.0.0.1:${VIA:-$PORT}" 2>"$T/client"
}

CHANGE="$HELLO|C: user alice|$ASK_OLD|C: pass old|$ASK_NEW|C: newpass new|$CHANGED|C: quit|$BYE"

session() {	# a whole one
	IFS='|'
	# shellcheck disable=SC2086 # its steps
	set -- $CHANGE
	unset IFS
	tls "$@" eof
}

# What the client says about the connection, without a session.
# shellcheck disable=SC2086 # words
dial() {
	limit 30 openssl s_client -servername "$HOST" -connect "127.0.0.1:${VIA:-$PORT}" "$@" >"$T/out" 2>&1 </dev/null
}

# A client that cannot have it gets nothing, above all no plain text.
refused() {	# LOG OPTIONS...
	want=$1
	shift
	nok "openssl $*" dial "$@"
	hasnt "openssl $*" "$(cat "$T/out")" "200 $HOST"
	within 5 grep -q "tls failed.*$want" "$T/log" || fail "the log on $*" "$(cat "$T/log")"
	: >"$T/log"
}

# The server that tcpsvd started last and its relay.
processes() {
	SERVER=$(cat "/proc/$LISTENER/task/$LISTENER/children" 2>/dev/null)
	SERVER=${SERVER%% *}
	[ "$SERVER" ] || return 1
	RELAY=$(cat "/proc/$SERVER/task/$SERVER/children" 2>/dev/null)
	RELAY=${RELAY%% *}
	[ "$RELAY" ]
}

no_processes() {
	[ -z "$(cat "/proc/$LISTENER/task/$LISTENER/children")" ]
}

# Ticks (10 ms) of CPU time that the listener's dead children took, theirs included.
children_ticks() {
	sed 's/.*) //' "/proc/$LISTENER/stat" | awk '{ print $14 + $15 }'
}

live_ticks() {
	sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# A session that stays open until $T/end appears.
hold() {
	rm -f "$T/end" "$T/held"
	(
		tls "$HELLO" 'send user alice-in-chains\r\n' "$ASK_OLD" 'send pass old-secret-word\r\n' "$ASK_NEW" \
			"run touch $T/held; i=0; while [ ! -e $T/end ] && [ \$i -lt 200 ]; do sleep 0.1; i=\$((i + 1)); done" \
			"${1:-C: quit}" "${2:-$BYE}" eof || touch "$T/bad"
	) &
	HELD=$!
	within 10 test -e "$T/held" || { fail 'no session' "$(cat "$T/client" "$T/log")"; exit 1; }
	processes || { fail 'no relay'; exit 1; }
}

release() {	# [anyway]: however it ended
	touch "$T/end"
	wait "$HELD"
	[ ! -e "$T/bad" ] || [ $# -gt 0 ] || fail 'the end of the session' "$(cat "$T/client")"
	checked
}

through() {	# MODE... : mid.c in front; its port in VIA
	mid "$PORT" "$@" >"$T/via" &
	MIDDLE=$!
	within 5 test -s "$T/via" || { fail 'mid'; exit 1; }
	VIA=$(cat "$T/via")
}

## Suites, curves, keys

test_suites() {	# KEY SUITES
	both_record
	serve_key "$1"
	for suite in $2; do
		TLS_OPTIONS="-cipher $suite -CAfile $CERTS/$1.crt -verify_return_error -verify_hostname $HOST"
		ok "$suite" session
		record_is set 'alice\0old\0\0new\0'
		ok "dial $suite" dial -tls1_2 -cipher "$suite"
		has 'the cipher' "$(cat "$T/out")" "Cipher is $suite"
		has 'the version' "$(cat "$T/out")" 'TLSv1.2'
	done
	like 'log' "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: changed rhost=127\.0\.0\.1 user="alice"$'
	unlike 'log' "$(cat "$T/log")" 'tls|trouble|warning'
}
for k in p256 p384; do it "$k: each suite, the certificate verified" test_suites $k "$EC_SUITES"; done
for k in rsa2048 rsa4096; do it "$k: each suite, the certificate verified" test_suites $k "$RSA_SUITES"; done

# A client that does not list the curve of the certificate would refuse it.
test_curves() {	# KEY CURVES-AND-WHAT-OPENSSL-CALLS-THE-FIRST...
	serve_key "$1"
	shift
	for curve in "$@"; do
		ok "$curve" dial -tls1_2 -curves "${curve%=*}"
		like "$curve" "$(cat "$T/out")" "^Server Temp Key: (ECDH, )?${curve#*=},"
	done
	refused 'no common cipher, curve or hash' -tls1_2 -curves P-521
	refused 'no common cipher, curve or hash' -tls1_2 -curves X448
}
it 'curves: X25519, P-256, no other' test_curves p256 X25519:P-256=X25519 P-256=prime256v1
it 'curves: P-384 with a P-384 certificate' test_curves p384 X25519:P-384=X25519 P-384=secp384r1
it 'curves with RSA' test_curves rsa2048 X25519=X25519 P-256=prime256v1 P-384=secp384r1 P-521:P-384=secp384r1

test_hashes() {
	serve_key "$1"
	for h in SHA256 SHA384 SHA512; do
		ok "$h" dial -tls1_2 -sigalgs "$2+$h"
		has "$h" "$(cat "$T/out")" "Peer signing digest: $h"
	done
	refused 'no common cipher, curve or hash' -tls1_2 -sigalgs "$2+SHA1" -cipher DEFAULT@SECLEVEL=0
}
it 'signatures with SHA-256, SHA-384, SHA-512, not SHA-1' test_hashes p384 ECDSA
it 'the same with RSA' test_hashes rsa2048 RSA

# gnutls-cli closes its sending side with close_notify at its input's end, and still wants the replies.
test_gnutls() {	# KEY
	need gnutls-cli
	serve_key "$1"
	for priority in NORMAL:-VERS-TLS1.3 NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+CHACHA20-POLY1305 \
		NORMAL:-VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP384R1 NORMAL; do
		printf 'user alice\r\npass old\r\nnewpass new\r\nquit\r\n' |
			limit 20 gnutls-cli --priority "$priority" --x509cafile "$CERTS/$1.crt" -p "$PORT" "${2:-localhost}" >"$T/out" 2>&1
		is "$priority" "$(grep -c '^200 ' "$T/out")" 5
		has "$priority" "$(cat "$T/out")" 'The certificate is trusted'
	done
}
it 'gnutls-cli, which says close_notify before it has the replies' test_gnutls p256
it 'gnutls-cli with RSA' test_gnutls rsa2048

test_key_forms() {
	cd "$T" || exit 1
	openssl pkcs8 -topk8 -nocrypt -in "$CERTS/p256.key" -out p256.pk8
	{ openssl ecparam -name prime256v1; cat "$CERTS/p256.key"; } >p256.params
	openssl ec -in "$CERTS/p256.key" -no_public -out p256.short 2>/dev/null
	openssl pkcs8 -topk8 -nocrypt -in "$CERTS/rsa2048.key" -out rsa2048.pk8
	sed 's/$/\r/' "$CERTS/rsa2048.key" >rsa2048.crlf
	printf %s "$(cat "$CERTS/rsa2048.key")" >rsa2048.unended
	{ echo 'some words -----'; openssl x509 -in "$CERTS/rsa2048.crt" -noout -text; cat "$CERTS/rsa2048.key"; } >rsa2048.words
	cd - >/dev/null || exit 1
	for k in "$T"/*.*; do
		case $k in */log) continue ;; esac
		serve "$CERTS/$(basename "${k%.*}").crt" "$k"
		ok "$(basename "$k")" session || cat "$T/log"
	done
}
it 'keys as PKCS#8, SEC1, PKCS#1, with parameters, words, CR LF, without public key or line end' test_key_forms

test_combined() {
	cat "$CERTS/p256.key" "$CERTS/leaf.crt" >"$T/key-first.pem"
	cat "$CERTS/leaf.crt" "$CERTS/p256.key" >"$T/key-last.pem"
	chmod 600 "$T"/*.pem
	for f in key-first key-last; do
		serve "$T/$f.pem" "$T/$f.pem"
		TLS_OPTIONS="-CAfile $CERTS/root.crt -verify_return_error"
		ok "$f" session
		unset KEYFILE
		bg env -u KEYFILE busybox tcpsvd 127.0.0.1 $((PORT = $(client -p))) "$P/qmail-poppass" "$HOST" "$CHECK" 2>>"$T/log"
		within 5 dial
		ok "$f, without KEYFILE" session
	done
	unlike 'log' "$(cat "$T/log")" 'tls|config|warning'
}
it 'certificate and key in one file, the key first or last, KEYFILE set or not' test_combined

test_chain() {
	serve_key leaf
	TLS_OPTIONS="-CAfile $CERTS/root.crt -verify_return_error -verify_hostname $HOST"
	ok 'verified through the intermediate certificate' session
	ok 'dial' dial -showcerts
	is 'certificates sent' "$(grep -c 'BEGIN CERT' "$T/out")" 3
	for i in 1 2 3 4; do cat "$CERTS/leaf.pem"; done >"$T/four.crt"
	serve "$T/four.crt" "$CERTS/leaf.key"
	ok 'dial' dial -showcerts
	is 'certificates sent' "$(grep -c 'BEGIN CERT' "$T/out")" 4
}
it 'a chain of three certificates, and of four' test_chain

test_renewed() {
	cp "$CERTS/p256.crt" "$T/crt"
	cp "$CERTS/p256.key" "$T/key"
	serve "$T/crt" "$T/key"
	ok 'dial' dial
	cp "$CERTS/rsa2048.crt" "$T/crt"
	cp "$CERTS/rsa2048.key" "$T/key"
	ok 'dial' dial
	has 'the certificate' "$(cat "$T/out")" 'Server public key is 2048 bit'
}
it 'a renewed certificate is read by the next connection' test_renewed

## What is refused

test_refused() {
	serve_key p256
	refused 'client has no TLS 1.2' -tls1 -cipher DEFAULT@SECLEVEL=0
	refused 'client has no TLS 1.2' -tls1_1 -cipher DEFAULT@SECLEVEL=0
	refused 'no common cipher, curve or hash' -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256
	refused 'no common cipher, curve or hash' -tls1_2 -cipher ECDHE-ECDSA-AES256-SHA384
	refused 'no common cipher, curve or hash' -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0
	refused 'no common cipher, curve or hash' -tls1_2 -cipher ECDHE-ECDSA-AES128-CCM
	refused 'no common cipher, curve or hash' -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256
	refused 'no common cipher, curve or hash' -tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256
	nok 'TLS 1.3 alone' dial -tls1_3
	serve_key rsa2048
	refused 'no common cipher, curve or hash' -tls1_2 -cipher AES128-GCM-SHA256
	refused 'no common cipher, curve or hash' -tls1_2 -cipher AES128-SHA
	refused 'no common cipher, curve or hash' -tls1_2 -cipher ECDHE-RSA-AES128-SHA256
	refused 'no common cipher, curve or hash' -tls1_2 -cipher ECDHE-ECDSA-AES128-GCM-SHA256
	ok 'and the right one still works' session
}
it 'TLS 1.0 and 1.1, CBC, CCM, DHE, static RSA' test_refused

# As no client of today will: an SSL 3.0 hello, an SSL 2.0 one, and TLS 1.2's with a version of 3.0 inside.
test_ssl3() {
	serve_key rsa2048
	hello='\x01\0\0\x29\x03\0aaaaaaaabbbbbbbbccccccccdddddddd\0\0\x02\0\x2f\x01\0'
	ok 'SSL 3.0' client -c "127.0.0.1:$PORT" "send \\x16\\x03\\0\\0\\x2d$hello" 'send ' "wait $((PAUSE * 300))" reset
	within 5 grep -q 'tls failed.*client has no TLS 1.2' "$T/log" || fail 'log on SSL 3.0' "$(cat "$T/log")"
	ok 'SSL 2.0' client -c "127.0.0.1:$PORT" 'send \x80\x2e\x01\0\x02\0\x15\0\0\0\x10\x01\0\x80' "wait $((PAUSE * 300))" reset
	within 5 grep -q 'tls failed.*not TLS' "$T/log" || fail 'log on SSL 2.0' "$(cat "$T/log")"
}
it 'SSL 3.0 and 2.0' test_ssl3

test_renegotiation() {
	serve_key p256
	{ sleep "$PAUSE"; echo R; sleep "$PAUSE"; } | limit 20 openssl s_client -tls1_2 -connect "127.0.0.1:$PORT" >"$T/out" 2>&1
	has 's_client' "$(cat "$T/out")" RENEGOTIATING
	like 's_client' "$(cat "$T/out")" '^closed$'
	is 'handshakes' "$(grep -c 'Verify return code\|^verify return:1' "$T/out")" "$(dial -tls1_2; grep -c 'Verify return code\|^verify return:1' "$T/out")"
	ok 'the next' session
}
it 'renegotiation ends the session' test_renegotiation

test_distrust() {
	serve_key p256
	TLS_OPTIONS=-verify_return_error
	nok 'a client that does not know the certificate' session
	within 5 grep -q 'tls failed.*what="client refused the certificate"' "$T/log" || fail 'the log' "$(cat "$T/log")"
	within 5 no_processes || fail 'processes are left'
}
it 'a client that refuses the certificate is logged so' test_distrust

## Clients that misbehave

test_silent() {
	serve_key p256
	ok 'nothing comes, then the end' client -c "127.0.0.1:$PORT" "silent $((HANDSHAKE * 750))" eof "took $((HANDSHAKE * 750)) $((HANDSHAKE * 4000))"
	within 5 grep -q 'tls failed rhost=127.0.0.1 what="handshake timeout"' "$T/log" || fail 'the log' "$(cat "$T/log")"
	within 5 grep -q 'exit 0' "$T/log" || fail 'exit code' "$(cat "$T/log")"
}
slow 'a client that says nothing' test_silent

test_trickle() {
	serve_key p256
	ok 'hung up' client -c "127.0.0.1:$PORT" "trickle 200 $(printf '\026\003\001\001\001\001')" eof "took $((HANDSHAKE * 750)) $((HANDSHAKE * 4000))"
	within 5 grep -q 'what="handshake timeout"' "$T/log" || fail 'the log' "$(cat "$T/log")"
}
slow 'a byte now and then does not prolong the handshake' test_trickle

test_plain() {
	serve_key p256
	ok 'plain text' client -c "127.0.0.1:$PORT" 'C: user alice' eof
	within 5 grep -q 'tls failed rhost=127.0.0.1 what="not TLS"' "$T/log" || fail 'the log' "$(cat "$T/log")"
	: >"$T/log"
	ok 'HTTP' client -c "127.0.0.1:$PORT" 'C: GET / HTTP/1.0' 'C: ' eof
	within 5 grep -q 'tls failed rhost=127.0.0.1 what="not TLS"' "$T/log" || fail 'the log' "$(cat "$T/log")"
	: >"$T/log"
	ok 'closed at once' client -c "127.0.0.1:$PORT" shut eof
	within 5 grep -q 'what="client closed during the handshake"' "$T/log" || fail 'the log' "$(cat "$T/log")"
}
it 'plain text, HTTP, nothing at all' test_plain

test_garbage() {
	serve_key p256
	for g in '\x16\x03\x01\x40\x01' '\x16\x03\x03\0\x04\x0b\0\0\0' '\x16\x03\x01\0\x05\x01\0\0\x01\xff' '\x17\x03\x03\0\x01x' \
		'\x16\x03\x03\0\0\x16\x03\x03\0\0\x15\x03\x03\0\x02\x02\x28' '\x14\x03\x03\0\x01\x01' '\x16\x03\x01\x03\x03\x03\x03\x03\x03'; do
		ok "garbage $g" client -c "127.0.0.1:$PORT" "send $g" 'wait 50' shut
		within 5 grep -Eq 'what="(malformed handshake|client gave up with an alert|client closed during the handshake)"' "$T/log" ||
			fail "the log on $g" "$(cat "$T/log")"
		: >"$T/log"
	done
	ok 'much of it' client -c "127.0.0.1:$PORT" 'times 5000 \x16\x03\x01\x3f\xff\x01\x00\x3f\xff\xff\xff\xff\xff\xff\xff\xff' 'wait 50' reset
	within 5 no_processes || fail 'processes are left'
	ok 'and then a session' session
}
it 'garbage instead of a ClientHello' test_garbage

test_early_close() {
	both_record
	serve_key p256
	ok 'gone without close_notify' tls "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'send newpass ne' 'kill 9' 'exit 137'
	within 5 no_processes || fail 'processes are left'
	no_chain set
	ok 'dial' dial -tls1_2
	ok 'client says close_notify' sh -c 'printf "quit\r\n" | openssl s_client -tls1_2 -connect 127.0.0.1:$1 >"$2" 2>&1' - "$PORT" "$T/out"
	within 5 no_processes || fail 'processes are left'
	unlike 'the log' "$(cat "$T/log")" 'tls failed'
}
it 'a close without close_notify in the middle of a line sets no password; one with it' test_early_close

test_close_notify() {
	serve_key p256
	tls "$HELLO" 'C: quit' "$BYE" eof
	printf 'quit\r\n' | limit 10 openssl s_client -tls1_2 -connect "127.0.0.1:$PORT" -ign_eof -msg >"$T/out" 2>&1
	like 'close_notify from the server' "$(cat "$T/out")" '^<<< TLS 1.2, Alert .*warning close_notify'
	hasnt 'unexpected eof' "$(cat "$T/out")" 'unexpected eof'
}
it 'the server says close_notify' test_close_notify

test_big_record() {
	serve_key p256
	if command -v python3 >/dev/null; then
		through sizes "$T/sizes"
		python3 - "$VIA" >"$T/out" <<-'END'
			import socket, ssl, sys
			c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
			c.check_hostname, c.verify_mode = False, ssl.CERT_NONE
			s = c.wrap_socket(socket.create_connection(('127.0.0.1', int(sys.argv[1]))))
			f = s.makefile('rb')
			print(f.readline())
			s.sendall(b'x' * 16384)		# one record, the largest
			print(f.readline(), f.read())
		END
		has 'the reply to 16384 bytes' "$(cat "$T/out")" "b'500 Line too long.\r\n' b''"
		kill "$MIDDLE"
		VIA=
	fi
	# All commands in one record.
	printf 'user alice\r\npass old\r\nnewpass new\r\nquit\r\n' | limit 10 openssl s_client -tls1_2 -quiet -connect "127.0.0.1:$PORT" >"$T/out" 2>/dev/null
	is 'replies' "$(grep -c '^200 ' "$T/out")" 5
}
it 'a record of 16 KB, and all commands in one' test_big_record

test_drip() {
	serve_key "$1"
	through drip
	ok 'session' session
	kill "$MIDDLE"
}
it 'one byte per segment' test_drip p256
it 'one byte per segment, RSA' test_drip rsa2048

# Loaded or not, a session must not add the 40 ms of a delayed acknowledgement to each round trip.
test_no_stall() {
	native
	serve_key p256
	quick() {
		tls "$HELLO" mark 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" 'took 0 100'
	}
	ok 'four round trips in 100 ms, one time out of many' within_tries 25 quick
}
within_tries() {
	tries=$1
	shift
	until "$@"; do
		[ $((tries -= 1)) -gt 0 ] || return 1
	done
}
it 'no stall of 40 ms' test_no_stall

test_nodelay() {
	native
	serve_key p256
	hold
	value=$(nodelay "$RELAY" 1 2>&1) || { release; skip "$value"; }
	is 'TCP_NODELAY' "$value" 1
	release
}
it 'TCP_NODELAY' test_nodelay

# The request for a signature; ServerHello to ServerHelloDone; ChangeCipherSpec and Finished;
# the greeting; two commands to the server, two replies.
test_flights() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	serve_key leaf
	hold
	is 'writes of the relay' "$(sed -n 's/^syscw: //p' "/proc/$RELAY/io")" 8
	release
}
it 'a flight is one write' test_flights

test_cut() {	# KEY STEP TIMES
	native
	serve_key "$1"
	through cut "$2"
	before=$(children_ticks)
	i=0
	while [ $i -lt "$3" ]; do
		pids=
		for _ in 1 2 3 4; do
			limit 20 openssl s_client -tls1_2 -connect "127.0.0.1:$VIA" >/dev/null 2>&1 </dev/null &
			pids="$pids $!"
		done
		# shellcheck disable=SC2086 # words
		wait $pids
		i=$((i + 4))
	done
	within 10 no_processes || fail 'processes are left' "$(ps -ef)"
	is 'connections' "$(grep -c 'tcpsvd: start' "$T/log")" "$3"
	is 'ends' "$(grep -c 'exit 0' "$T/log")" "$3"
	between 'CPU time of each, in ms' $((($(children_ticks) - before) * 10 / $3)) 0 20
	between 'handshakes that did not finish' "$(grep -c 'what="client closed during the handshake"' "$T/log")" $(($3 / 2)) "$3"
	unlike 'log' "$(cat "$T/log")" 'trouble|config|relay'
	kill "$MIDDLE"
}
it '200 handshakes cut, at a byte position each: no process left, none spins' test_cut p256 2 200

test_half() {
	native
	serve_key p256
	through cut 400
	before=$(children_ticks)
	# The first: the ClientHello goes on, and then only the client's side is open.
	dial -tls1_2
	within 6 no_processes || fail 'processes are left'
	between 'CPU time, in ms' $((($(children_ticks) - before) * 10)) 0 50
	kill "$MIDDLE"
}
it 'half a handshake' test_half

# The server has signed and greeted already: that the relay left this unread was a second line, "read from client".
test_half_for_ever() {
	serve_key p256
	through stall 400
	limit 40 openssl s_client -tls1_2 -connect "127.0.0.1:$VIA" >/dev/null 2>&1 </dev/null &
	c=$!
	within 20 grep -q 'exit 0' "$T/log" || fail 'it waits for ever' "$(cat "$T/log")"
	is 'the log' "$(grep -o 'qmail-poppass.*' "$T/log" | sed 's/[0-9][0-9]*/N/')" 'qmail-poppass[N]: tls failed rhost=127.0.0.1 what="handshake timeout"'
	kill "$MIDDLE" "$c"
}
slow 'half a handshake and then nothing is one line in the log' test_half_for_ever

# It reads nothing any more, and stays: until the server gives up writing, the relay must neither work nor block.
test_stall() {
	native
	serve_key p256
	through stall 1300
	(repeat 1500 "$(printf 'user alice\r\npass old\r\nnewpass new\r\n.')" | tr -d . && sleep 6) |
		limit 40 openssl s_client -tls1_2 -quiet -connect "127.0.0.1:$VIA" >/dev/null 2>&1 &
	c=$!
	within 5 processes || { fail 'no relay'; return; }
	stalled() {
		calls=$(cat "/proc/$RELAY/io")
		sleep 0.7
		[ "$(cat "/proc/$RELAY/io")" = "$calls" ]
	}
	ok 'the relay comes to rest' within 20 stalled
	like 'it did work' "$(cat "$T/log")" 'changed'
	t=$(live_ticks "$RELAY")
	sleep 0.5
	between 'CPU time meanwhile, in ms' $((($(live_ticks "$RELAY") - t) * 10)) 0 20
	kill -9 "$SERVER"
	ok 'the relay ends with the server' within 10 test ! -e "/proc/$RELAY"
	kill "$MIDDLE" "$c"
}
slow 'a client that sends and sends and does not read' test_stall

test_idle_hangup() {
	native
	ODD=
	CHECK="$BIN/stub sleep 2500"
	serve_key p256
	# The client leaves while the chain runs: the relay has nobody to write to and nothing to read.
	tls "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' 'wait 200' 'kill 9' 'exit 137'
	ok 'a relay' processes
	t=$(live_ticks "$RELAY")
	sleep 1
	between 'CPU time within a second, in ms' $((($(live_ticks "$RELAY") - t) * 10)) 0 50
	within 6 no_processes || fail 'processes are left'
}
slow 'the client hangs up while a chain runs: the relay does not spin' test_idle_hangup

test_thirty() {
	serve_key p256
	pids=
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		(printf 'user u%s\r\npass old\r\nnewpass new\r\nquit\r\n' $i |
			limit 30 openssl s_client -tls1_2 -quiet -connect "127.0.0.1:$PORT" >"$T/out.$i" 2>/dev/null) &
		pids="$pids $!"
	done
	# shellcheck disable=SC2086 # words
	wait $pids
	is 'replies' "$(cat "$T"/out.* | grep -c '^200 ')" 150
	for i in 1 13 30; do like "user $i" "$(cat "$T/log")" "changed rhost=127\\.0\\.0\\.1 user=\"u$i\"$"; done
	within 5 no_processes || fail 'processes are left'
}
it '30 at once' test_thirty

test_tcpserver() {
	need tcpserver
	export PASSWORD_COMMAND="$SET" CERTFILE="$CERTS/rsa2048.crt" KEYFILE="$CERTS/rsa2048.key"
	PORT=$(client -p)
	bg tcpserver -HRl0 127.0.0.1 "$PORT" "$P/qmail-poppass" "$HOST" "$CHECK" 2>"$T/log"
	within 5 dial || fail 'no tcpserver' "$(cat "$T/log")"
	ok 'session' session
	like 'log' "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: changed rhost=127\.0\.0\.1 user="alice"$'
}
it 'under tcpserver' test_tcpserver

## The jail

status() {	# PID FIELD
	sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr '\t' ' '
}

test_jail() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	CHECK="$BIN/stub record $T/check"
	serve_key p256
	hold
	uid=$((1879048192 + RELAY))
	is 'uids' "$(status "$RELAY" Uid)" "$uid $uid $uid $uid"
	is 'gids' "$(status "$RELAY" Gid)" "$uid $uid $uid $uid"
	is 'groups' "$(status "$RELAY" Groups | tr -d ' ')" ''
	is 'capabilities' "$(status "$RELAY" CapEff)" 0000000000000000
	is 'NoNewPrivs' "$(status "$RELAY" NoNewPrivs)" 1
	is 'Seccomp' "$(status "$RELAY" Seccomp)" 2
	is 'root' "$(readlink "/proc/$RELAY/root")" "$JAIL"
	is 'working folder' "$(readlink "/proc/$RELAY/cwd")" "$JAIL"
	# shellcheck disable=SC2012 # numbers only
	is 'descriptors' "$(ls "/proc/$RELAY/fd" | tr '\n' ' ')" '0 1 2 '
	is 'fd 0 and 1 are the client' "$(readlink "/proc/$RELAY/fd/0")" "$(readlink "/proc/$RELAY/fd/1")"
	like 'fd 2' "$(readlink "/proc/$RELAY/fd/2")" '^socket:'
	for limit_is in 'Max processes 0' 'Max file size 0' 'Max open files 3' 'Max core file size 0'; do
		like "$limit_is" "$(tr -s ' ' <"/proc/$RELAY/limits")" "^$limit_is ${limit_is##* } "
	done
	# The client's socket is the relay's alone.
	socket=$(readlink "/proc/$RELAY/fd/0")
	for fd in "/proc/$SERVER/fd"/*; do hasnt "fd of the server" "$(readlink "$fd")" "$socket"; done
	is 'the environment of a chain' "$(grep -c 'CERTFILE\|KEYFILE' "$T/check.env")" 0
	release
}
it 'the relay: own uid, chrooted, no new privileges, filtered, three descriptors' test_jail

# shellcheck disable=SC2034 # used by its name
variant_nojail="-DJAIL_DIR=\\\"$JAIL/none\\\""
test_no_jail() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	use nojail
	serve_key p256
	hold
	is 'root' "$(readlink "/proc/$RELAY/root")" "/proc/$RELAY/fdinfo"
	is 'uids' "$(status "$RELAY" Uid | cut -d' ' -f1)" $((1879048192 + RELAY))
	release
}
it 'where there is no JAIL_DIR: chrooted to a folder of /proc' test_no_jail

test_jail_user() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	need setpriv
	cp "$CERTS/p256.key" "$CERTS/p256.crt" "$T"
	chown 12345 "$T/p256.key" "$T/p256.crt"
	chmod 755 "$TMP" "$T" "$BIN"
	ODD='setpriv --reuid=12345 --regid=12345 --clear-groups'
	$ODD test -x "$P/qmail-poppass" || skip 'another user cannot get at the program'
	serve "$T/p256.crt" "$T/p256.key"
	hold
	is 'uids' "$(status "$RELAY" Uid)" '12345 12345 12345 12345'
	is 'NoNewPrivs' "$(status "$RELAY" NoNewPrivs)" 1
	is 'Seccomp' "$(status "$RELAY" Seccomp)" 2
	like 'descriptors' "$(tr -s ' ' <"/proc/$RELAY/limits")" '^Max open files 3 3 '
	release
	unlike 'log' "$(cat "$T/log")" 'trouble|tls failed'
}
it 'a service user: all of it that needs no root' test_jail_user

# A container maps few users; with only root mapped there is no way to give it up, and then no service either.
in_container() {	# MAP
	cat >"$T/container" <<-'END'
		#!/bin/sh
		d=$1
		shift
		: >"$d/started"
		until [ -e "$d/mapped" ]; do sleep 0.05; done
		exec "$@"
	END
	chmod 755 "$T/container"
	PORT=$(client -p)
	export PASSWORD_COMMAND="$SET" CERTFILE="$CERTS/p256.crt" KEYFILE="$CERTS/p256.key"
	bg unshare -U "$T/container" "$T" busybox tcpsvd -v 127.0.0.1 "$PORT" "$P/qmail-poppass" "$HOST" "$CHECK" 2>"$T/log"
	within 5 test -e "$T/started" || skip 'no user namespaces here'
	LISTENER=$(cat "/proc/$BG/task/$BG/children")
	LISTENER=${LISTENER%% *}
	{ echo "$1" >"/proc/$LISTENER/uid_map" && echo "$1" >"/proc/$LISTENER/gid_map"; } || skip 'no user namespaces here'
	: >"$T/mapped"
	within 5 grep -q listening "$T/log" || { fail 'tcpsvd does not listen' "$(cat "$T/log")"; exit 1; }
}

test_container() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	need unshare
	in_container '0 0 65536'
	hold
	is 'uids' "$(status "$RELAY" Uid)" '65534 65534 65534 65534'
	is 'gids' "$(status "$RELAY" Gid)" '65534 65534 65534 65534'
	is 'Seccomp' "$(status "$RELAY" Seccomp)" 2
	release
}
it 'a container that does not map the uid: the fallback' test_container

test_container_root() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	need unshare
	in_container '0 0 1'
	nok 'no session' session
	within 5 grep -q 'trouble rhost=127.0.0.1 what="relay: cannot change its uid"' "$T/log" || fail 'the log' "$(cat "$T/log")"
	within 5 grep -q 'exit 111' "$T/log" || fail 'the exit code' "$(cat "$T/log")"
}
it 'a container with no other uid at all: no service, and the log says why' test_container_root

test_escape() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	serve_key p256
	# open, socket, fork, execve, kill, getpid, ptrace, and two by other tables: x32's read, i386's numbers start at 0
	for number in 2 41 57 59 62 39 101 1073741824; do
		hold 'wait 0' 'wait 0'
		escape "$RELAY" $number >"$T/escape" 2>&1 || { release anyway; skip "cannot: $(cat "$T/escape")"; }
		is "system call $number" "$(cat "$T/escape")" 'killed 31'
		release anyway
		within 5 no_processes || fail 'processes are left'
	done
	has 'the log' "$(cat "$T/log")" 'tls failed rhost=127.0.0.1 what="relay: died by a signal"'
	hold 'wait 0' 'wait 0'
	escape "$RELAY" 1 >"$T/escape" 2>&1
	is 'write, which is allowed' "$(cat "$T/escape")" 'returned 0'
	kill -9 "$SERVER"
	release anyway
}
it 'another system call kills the relay' test_escape

test_killed() {
	native
	serve_key p256
	hold 'wait 0' 'wait 0'
	kill -9 "$SERVER"
	within 10 test ! -e "/proc/$RELAY" || fail 'the relay outlives a killed server'
	release anyway
	hold 'wait 0' 'wait 0'
	kill -9 "$RELAY"
	within 5 test ! -e "/proc/$SERVER" || fail 'the server outlives a killed relay'
	release anyway
	within 5 no_processes || fail 'processes are left'
}
it 'a killed server ends the relay, a killed relay the server' test_killed

test_count() {
	native
	serve_key p256
	hold
	touch "$T/end"
	within 10 grep -q 'tcpsvd: end' "$T/log" || fail 'no end' "$(cat "$T/log")"
	nok 'a relay that is no longer counted' test -e "/proc/$RELAY"
	release
}
it 'the server ends after the relay' test_count

## The key

secrets_of() {	# KEY : its secret numbers
	openssl pkey -in "$1" -noout -text 2>/dev/null | awk '
		/^[a-zA-Z]/ { want = /^(priv|privateExponent|prime1|prime2|exponent1|exponent2|coefficient):/; if (n) print n; n = ""; next }
		want { gsub(/[ :]/, ""); n = n $0 }
		END { if (n) print n }'
}

# The server has it while it waits for the ClientHello, which also shows that the search finds it.
# shellcheck disable=SC2046 # numbers
test_memory() {	# NAME CERTIFICATE KEY
	native
	unsanitized
	[ "$(id -u)" = 0 ] || skip 'needs root'
	serve "$2" "$3"
	client -c "127.0.0.1:$PORT" 'wait 1500' reset &
	c=$!
	within 5 processes || { fail 'no server'; return; }
	ok "$1: the search finds what is there" within 5 keyfind "$SERVER" "$3" $(secrets_of "$3") >/dev/null
	is 'the relay, before the handshake' "$(keyfind "$RELAY" "$3" $(secrets_of "$3"); echo $?)" 1
	wait "$c"
	hold
	is 'the relay, within a session' "$(keyfind "$RELAY" "$3" $(secrets_of "$3"); echo $?)" 1
	is 'the server, within a session' "$(keyfind "$SERVER" "$3" $(secrets_of "$3"); echo $?)" 1
	release
}
for k in p256 p384 rsa2048 rsa4096; do
	it "no key in memory: $k, a file of its own" test_memory $k "$CERTS/$k.crt" "$CERTS/$k.key"
done
cat "$CERTS/p256.key" "$CERTS/p256.crt" >"$CERTS/p256.both"
cat "$CERTS/rsa2048.crt" "$CERTS/rsa2048.key" >"$CERTS/rsa2048.both"
it 'no key in memory: p256, one file' test_memory p256 "$CERTS/p256.both" "$CERTS/p256.both"
it 'no key in memory: rsa2048, one file' test_memory rsa2048 "$CERTS/rsa2048.both" "$CERTS/rsa2048.both"

test_plaintext() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	serve_key p256
	hold
	is 'the search finds what is there' "$(memgrep "$RELAY" "$HOST" >/dev/null; echo $?)" 0
	is 'the name and the password' "$(memgrep "$RELAY" alice-in-chains old-secret-word secret-word; echo $?)" 1
	release
}
it 'what the client said is wiped from the relay once passed on' test_plaintext

## Configuration

# Without a super-server: exit code and log.
wrong() {	# LOG CERTIFICATE KEY
	export PASSWORD_COMMAND="$SET" CERTFILE="$2" KEYFILE="$3"
	ok "$1" limit 20 client -m tcp eof 'exit 100' -- "$P/qmail-poppass" "$HOST" "$CHECK" 2>"$T/log"
	is 'the log' "$(sed 's/^qmail-poppass\[[0-9]*\]: //' "$T/log")" "config error rhost=127.0.0.1 what=\"$1\""
	exits "$1, -t" 100 "$P/qmail-poppass" -t "$HOST" "$CHECK"
	has '-t' "$(cat "$T/out" "$T/err")" "$1"
}

test_wrong() {
	key=$CERTS/p256.key crt=$CERTS/p256.crt
	: >"$T/empty"
	repeat 33000 '#' >"$T/large"
	wrong 'CERTFILE: no such file' "$T/none" "$key"
	wrong 'KEYFILE: no such file' "$crt" "$T/none"
	wrong 'CERTFILE: no certificate in it' "$T/empty" "$key"
	wrong 'CERTFILE: no certificate in it' "$key" "$key"
	wrong 'KEYFILE: no private key in it' "$crt" "$crt"
	wrong 'CERTFILE: not a regular file' "$T" "$key"
	wrong 'KEYFILE: not a regular file' "$crt" /dev/zero
	wrong 'CERTFILE: file too large' "$T/large" "$key"
	wrong 'KEYFILE: file too large' "$crt" "$T/large"
	for k in p384 rsa2048; do
		wrong 'KEYFILE: private key does not match the certificate' "$crt" "$CERTS/$k.key"
		wrong 'KEYFILE: private key does not match the certificate' "$CERTS/$k.crt" "$key"
	done
	wrong 'KEYFILE: private key does not match the certificate' "$CERTS/rsa2048.crt" "$CERTS/rsa4096.key"
	wrong 'KEYFILE: private key does not match the certificate' "$CERTS/middle.crt" "$key"
	for k in p521 rsa1024 ed25519; do
		wrong 'CERTFILE: key is none of EC P-256, P-384, RSA 2048 to 4096' "$CERTS/$k.crt" "$key"
	done
	wrong 'KEYFILE: broken or unsupported private key' "$crt" "$CERTS/ed25519.key"
}
slow 'a file that is missing, empty, too large, none; another key' test_wrong

test_wrong_pem() {
	key=$CERTS/p256.key crt=$CERTS/p256.crt
	for i in 1 2 3 4 5; do cat "$crt"; done >"$T/five"
	wrong 'CERTFILE: too many certificates' "$T/five" "$key"
	sed 4d "$crt" >"$T/short"
	wrong 'CERTFILE: broken certificate' "$T/short" "$key"
	sed '$d' "$crt" >"$T/open"
	wrong 'CERTFILE: broken certificate' "$T/open" "$key"
	cat "$T/open" "$key" >"$T/open-then-key"
	wrong 'CERTFILE: broken certificate' "$T/open-then-key" "$key"
	sed '3s/./!/' "$crt" >"$T/letter"
	wrong 'CERTFILE: broken certificate' "$T/letter" "$key"
	sed '$d' "$key" >"$T/open-key"
	wrong 'KEYFILE: broken or unsupported private key' "$crt" "$T/open-key"
	sed 2d "$CERTS/rsa2048.key" >"$T/short-key"
	wrong 'KEYFILE: broken or unsupported private key' "$CERTS/rsa2048.crt" "$T/short-key"
	openssl pkcs8 -topk8 -in "$key" -out "$T/encrypted" -passout pass:secret
	wrong 'KEYFILE: private key is encrypted' "$crt" "$T/encrypted"
	openssl ec -in "$key" -aes128 -passout pass:secret -out "$T/encrypted-ec" 2>/dev/null
	grep -q Proc-Type "$T/encrypted-ec" || fail 'not the old form'
	wrong 'KEYFILE: private key is encrypted' "$crt" "$T/encrypted-ec"
	openssl rsa -in "$CERTS/rsa2048.key" -aes128 -traditional -passout pass:secret -out "$T/encrypted-rsa" 2>/dev/null
	wrong 'KEYFILE: private key is encrypted' "$CERTS/rsa2048.crt" "$T/encrypted-rsa"
	mkfifo "$T/fifo"
	wrong 'CERTFILE: not a regular file' "$T/fifo" "$key"
}
slow 'a file that is broken, a key that is encrypted' test_wrong_pem

# What its file says of an EC key's public one is not believed by -t.
test_lie() {
	openssl ec -in "$CERTS/p256.key" -outform DER 2>/dev/null >"$T/a"
	ec_key prime256v1 | openssl ec -outform DER 2>/dev/null >"$T/b"
	{ echo '-----BEGIN EC PRIVATE KEY-----'; { head -c 39 "$T/b"; tail -c +40 "$T/a"; } | openssl base64; echo '-----END EC PRIVATE KEY-----'; } >"$T/lie"
	export PASSWORD_COMMAND="$SET" CERTFILE="$CERTS/p256.crt" KEYFILE="$T/lie"
	exits '-t' 100 "$P/qmail-poppass" -t "$HOST" "$CHECK"
	has '-t' "$(cat "$T/out" "$T/err")" 'private key does not match the certificate'
	serve "$CERTS/p256.crt" "$T/lie"
	nok 'no session comes of it' session
}
it 'an EC key whose file names a public key of another' test_lie

two_bytes() {
	# shellcheck disable=SC2059 # octal escapes are what it is for
	printf "\\$(printf %03o $(($1 / 256)))\\$(printf %03o $(($1 % 256)))"
}

# BearSSL signs with as many bits as the file's modulus has, which it looks at for nothing else: the
# proof found 1,500 bytes written into 512 of the server's stack.
test_long_modulus() {
	openssl rsa -in "$CERTS/rsa2048.key" -outform DER -traditional 2>/dev/null >"$T/der"
	rest=$(openssl asn1parse -inform DER -in "$T/der" | awk -F: 'NR == 4 { print $1 + 0 }')
	{
		printf '\060\202'
		two_bytes $((3 + 4 + 1500 + $(wc -c <"$T/der") - rest))
		printf '\002\001\000\002\202'
		two_bytes 1500
		repeat 1500 x
		tail -c +$((rest + 1)) "$T/der"
	} >"$T/long"
	{ echo '-----BEGIN RSA PRIVATE KEY-----'; openssl base64 -in "$T/long"; echo '-----END RSA PRIVATE KEY-----'; } >"$T/pem"
	openssl asn1parse -in "$T/pem" | grep -q 'l=1500 prim: INTEGER' || fail 'no such modulus'
	wrong 'KEYFILE: private key does not match the certificate' "$CERTS/rsa2048.crt" "$T/pem"
}
it 'an RSA key whose file names a modulus of another size' test_long_modulus

test_unreadable() {
	native
	[ "$(id -u)" = 0 ] || skip 'needs root'
	need setpriv
	chmod 755 "$TMP" "$T" "$BIN"
	export PASSWORD_COMMAND="$SET" CERTFILE="$T/crt" KEYFILE="$T/key"
	cp "$CERTS/p256.crt" "$T/crt"
	chmod 644 "$T/crt"
	cp "$CERTS/p256.key" "$T/key"
	setpriv --reuid=12345 --regid=12345 --clear-groups test -x "$P/qmail-poppass" || skip 'another user cannot get at the program'
	ok 'run' limit 20 client -m tcp eof 'exit 100' -- setpriv --reuid=12345 --regid=12345 --clear-groups "$P/qmail-poppass" "$HOST" "$CHECK" 2>"$T/log"
	has 'the log' "$(cat "$T/log")" 'what="KEYFILE: permission denied"'
}
slow 'a key that may not be read' test_unreadable

test_readable() {
	for mode in 640 604; do
		cp "$CERTS/p256.key" "$T/key"
		chmod $mode "$T/key"
		serve "$CERTS/p256.crt" "$T/key"
		ok "mode $mode" session
		like 'log' "$(cat "$T/log")" 'rhost=127\.0\.0\.1 what="the private key is readable by its group or by all"$'
	done
	chmod 600 "$T/key"
	serve "$CERTS/p256.crt" "$T/key"
	ok 'mode 600' session
	unlike 'log' "$(cat "$T/log")" readable
}
slow 'a key that others may read: a warning' test_readable

test_check() {
	CHECK="$BIN/stub exit 1"
	export PASSWORD_COMMAND="$BIN/stub exit 1" CERTFILE="$CERTS/leaf.crt" KEYFILE="$CERTS/leaf.key"
	# shellcheck disable=SC2086 # words
	exits 'a good one' 0 "$P/qmail-poppass" -t "$HOST" $CHECK
	until=$(date -u -d "$(openssl x509 -in "$CERTS/leaf.pem" -noout -enddate | sed 's/.*=//')" +%Y-%m-%d)
	like '-t' "$(cat "$T/out")" "certificate 1 of 3: EC P-256, valid until $until, days left: (89|90)$"
	like '-t' "$(cat "$T/out")" 'certificate 3 of 3: EC P-256, valid until'
	cp "$CERTS/rsa2048.key" "$T/soon.key"
	(cd "$T" && self_signed soon -days 3) 2>/dev/null
	export CERTFILE="$T/soon.crt" KEYFILE="$T/soon.key"
	# shellcheck disable=SC2086 # words
	exits 'one that ends soon' 0 "$P/qmail-poppass" -t "$HOST" $CHECK
	like '-t' "$(cat "$T/out")" 'certificate 1 of 1: RSA, valid until .*, days left: [23] \(renew it soon\)$'
}
it '-t tells until when a certificate is good' test_check

test_expired() {
	CHECK="$BIN/stub exit 1"
	cp "$CERTS/p256.key" "$T/old.key"
	openssl req -new -key "$T/old.key" -subj "/CN=$HOST" -out "$T/csr"
	mkdir "$T/ca"
	: >"$T/ca/index"
	printf '[ca]\ndefault_ca=d\n[d]\ndatabase=%s/ca/index\nnew_certs_dir=%s/ca\nserial=%s/ca/serial\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n' \
		"$T" "$T" "$T" >"$T/ca.conf"
	export PASSWORD_COMMAND="$BIN/stub exit 1" CERTFILE="$T/old.crt" KEYFILE="$T/old.key"
	made() {	# FROM TO
		openssl ca -batch -config "$T/ca.conf" -rand_serial -selfsign -keyfile "$T/old.key" -in "$T/csr" -out "$T/old.crt" \
			-startdate "$1" -enddate "$2" -notext 2>"$T/ca.log" || fail 'openssl ca' "$(cat "$T/ca.log")"
		: >"$T/ca/index"
	}
	made 20200101000000Z 20200229120000Z
	# shellcheck disable=SC2086 # words
	exits 'expired' 100 "$P/qmail-poppass" -t "$HOST" $CHECK
	like '-t' "$(cat "$T/out")" 'certificate 1 of 1: EC P-256, expired on 2020-02-29$'
	made 20991231000000Z 21000301000000Z
	# shellcheck disable=SC2086 # words
	exits 'not yet' 100 "$P/qmail-poppass" -t "$HOST" $CHECK
	like '-t' "$(cat "$T/out")" 'certificate 1 of 1: EC P-256, not valid before 2099-12-31$'
}
it '-t: a certificate that is no longer or not yet good' test_expired

## By others

test_sslscan() {	# KEY
	need sslscan
	serve_key "$1" -c 100
	ok 'sslscan' limit 100 sslscan --no-colour "127.0.0.1:$PORT" >"$T/scan"
	scan=$(cat "$T/scan")
	for v in SSLv2 SSLv3 TLSv1.0 TLSv1.1; do like "$v" "$scan" "^$v +disabled"; done
	like 'TLS 1.2' "$scan" '^TLSv1.2 +enabled'
	like 'compression' "$scan" '^Compression disabled|OpenSSL version does not support compression'
	like 'renegotiation' "$scan" '^Session renegotiation not supported|^Secure session renegotiation supported'
	is 'heartbleed' "$(echo "$scan" | grep heartbleed | grep -vc 'not vulnerable')" 0
	is 'ciphers' "$(echo "$scan" | grep -Ec '^(Preferred|Accepted) ')" 3
	is 'other ciphers' "$(echo "$scan" | grep -E '^(Preferred|Accepted) ' | grep -Evc 'ECDHE-(ECDSA|RSA)-(AES(128|256)-GCM-SHA(256|384)|CHACHA20-POLY1305)')" 0
	unlike 'the server' "$(cat "$T/log")" 'trouble|config|relay'
}
slow 'sslscan, EC' test_sslscan p256
slow 'sslscan, RSA' test_sslscan rsa2048

# The 80 kB and 104 KiB that were promised.
test_size() {
	native
	unsanitized
	serve_key p256
	hold
	is 'a number' "$(cat "/proc/$SERVER/smaps_rollup" "/proc/$RELAY/smaps_rollup" 2>/dev/null | grep -c ^Private_Dirty)" 2 || { release; return; }
	between 'private kB of both processes' "$(cat "/proc/$SERVER/smaps_rollup" "/proc/$RELAY/smaps_rollup" | awk '/^Private/ { n += $2 } END { print n }')" 20 80
	release
}
it 'private memory of a session' test_size
