# shellcheck shell=sh disable=SC2154 # the variables of test.sh
# One change of a password over TLS with each type of key: what tls.sh does at length, in short, for
# the machines of cross.sh (not one of the default groups).
helper client stub || return 0
# shellcheck disable=SC2034 # used by its name
variant_brief='-DFAIL_DELAY=0 -DCLOSE_WAIT=1 -DHANDSHAKE_TIMEOUT=60'
use brief || return 0

certificate() {	# NAME OPTIONS...
	name=$1
	shift
	openssl req -x509 -newkey "$@" -nodes -days 30 -subj /CN=host.example -keyout "$T/$name.key" -out "$T/$name.crt" \
		2>"$T/openssl" || fail 'openssl' "$(cat "$T/openssl")"
}

listen() {	# NAME
	port=$(client -p)
	export PASSWORD_COMMAND="$BIN/stub" CERTFILE="$T/$1.crt" KEYFILE="$T/$1.key"
	bg busybox tcpsvd -v 127.0.0.1 "$port" "$P/qmail-poppass" host.example "$BIN/stub" 2>"$T/log"
	within 10 grep -q listening "$T/log"
}

test_key() {	# NAME OPTIONS...
	need openssl 'busybox tcpsvd'
	certificate "$@"
	listen "$1"
	for suite in AES128-GCM-SHA256 AES256-GCM-SHA384 CHACHA20-POLY1305; do
		printf '%s\r\n' 'user alice' 'pass old' 'newpass new' quit |
			limit 100 openssl s_client -quiet -connect "127.0.0.1:$port" -CAfile "$T/$1.crt" -verify_return_error \
				-cipher "ECDHE-ECDSA-$suite:ECDHE-RSA-$suite" >"$T/got" 2>"$T/err" || cat "$T/err" "$T/log"
		is "$suite" "$(tr -d '\r' <"$T/got")" '200 host.example hello, who are you?
200 Your password please.
200 Your new password please.
200 Password changed, thank-you.
200 Bye.'
	done
	unlike 'log' "$(cat "$T/log")" 'tls failed|trouble|error'
}
it 'P-256' test_key p256 ec -pkeyopt ec_paramgen_curve:P-256
it 'P-384' test_key p384 ec -pkeyopt ec_paramgen_curve:P-384
it 'RSA, 2048 bits' test_key rsa2048 rsa:2048
it 'RSA, 4096 bits' test_key rsa4096 rsa:4096

# The checks of -t take other ways through the code.
test_mismatch() {
	certificate a ec -pkeyopt ec_paramgen_curve:P-256
	certificate b ec -pkeyopt ec_paramgen_curve:P-256
	export PASSWORD_COMMAND=/bin/false CERTFILE="$T/a.crt" KEYFILE="$T/a.key"
	exits 'fits' 0 "$P/qmail-poppass" -t host.example /bin/false
	KEYFILE=$T/b.key
	exits 'another key' 100 "$P/qmail-poppass" -t host.example /bin/false
}
it 'a key that does not fit the certificate' test_mismatch
