# shellcheck shell=sh disable=SC2154 # the variables of test.sh
# A system that has nothing: no /dev, no /proc, no /var/empty, no /etc/passwd, not even /tmp. All
# works, or the log says what is missing. (A machine without a clock is booted by make initramfs.)
. tests/dialogue.sh
helper client || return 0
[ "${STATIC:-1}" = 1 ] || { it 'a bare root' skip 'STATIC=0'; return 0; }
emulated && { it 'a bare root' skip 'the emulator is not in there'; return 0; }
[ "$(id -u)" = 0 ] || { it 'a bare root' skip 'needs root'; return 0; }
# shellcheck disable=SC2034 # used by its name
variant_bare='-DFAIL_DELAY=1 -DCLOSE_WAIT=1'
use bare qmail-poppass checkpassword-file setpassword-file || return 0

# Of "oldpass1", by MD5, since it is quick.
# shellcheck disable=SC2016 # a hash
HASH='$1$abcdefgh$QpSDicr0rC.V3rcWAoQ0k/'

root() {
	mkdir "$T/root"
	cp "$P/qmail-poppass" "$P/checkpassword-file" "$P/setpassword-file" "$T/root/"
	echo "alice:$HASH:1000:1000::" >"$T/root/users"
	export PASSWORD_COMMAND='/setpassword-file -f /users'
}

# bare STEP ... -- [COMMAND ... before the server]: in the bare root
# shellcheck disable=SC2086 # two words or none
bare() {
	ok 'session' client -l "$T/log" "$@" chroot "$T/root" /qmail-poppass host.example /checkpassword-file $FILE ||
		{ cat "$T/log"; return; }
	is 'files left' "$(cd "$T/root" && find . | sort | tr '\n' ' ')" \
		". ./checkpassword-file ./qmail-poppass ./setpassword-file ./users ${LEFT-./users.lock }"
}

FILE='-f /users'
change='C: newpass newpass2'

test_change() {
	root
	bare -m "$1" 'S*' 'C: user alice' "$ASK_OLD" 'C: pass oldpass1' "$ASK_NEW" "$change" "$CHANGED" \
		'C: user alice' "$ASK_OLD" 'C: pass oldpass1' "$WRONG" \
		'C: user alice' "$ASK_OLD" 'C: pass newpass2' "$ASK_NEW" 'C: quit' "$BYE" eof --
	is 'log' "$(sed 's/^[^:]*: //; s/rhost=[^ ]*/rhost=/' "$T/log")" 'changed rhost= user="alice"
auth failed rhost= user="alice"'
}
it 'a password is changed, over a pipe' test_change pipe
it 'a password is changed, over a socket' test_change tcp

# As under inetd: fd 2 is the client, and there is neither /dev/log nor /dev/null.
test_inetd() {
	root
	bare -m tcp -2 'S*' 'C: user alice' "$ASK_OLD" 'C: pass oldpass1' "$ASK_NEW" "$change" "$CHANGED" 'C: quit' "$BYE" eof --
}
it 'under inetd, without /dev/log and /dev/null' test_inetd

test_closed() {
	root
	ok 'without fd 2' client 'S*' 'C: user alice' "$ASK_OLD" 'C: pass oldpass1' "$ASK_NEW" "$change" "$CHANGED" 'C: quit' "$BYE" -- \
		sh -c "exec chroot '$T/root' /qmail-poppass host.example /checkpassword-file -f /users 2>&-"
	ok 'changed' grep -qv abcdefgh "$T/root/users"
}
it 'without fd 2' test_closed

# The system's own files, which are not there, or not all of them.
test_no_shadow() {
	root
	FILE=
	export PASSWORD_COMMAND=/setpassword-file
	LEFT=
	bare 'S*' 'C: user alice' "$ASK_OLD" 'C: pass oldpass1' 'S: 500 Temporary failure, password not changed.' eof --
	like 'log' "$(cat "$T/log")" 'trouble what=".*[Nn]o such file or directory" file="/etc/(shadow|passwd)"'
}
it 'no /etc/shadow: the log says so' test_no_shadow

test_no_passwd() {
	root
	FILE=
	export PASSWORD_COMMAND=/setpassword-file
	mkdir "$T/root/etc"
	printf 'alice:%s:19000:0:99999:7:::\n' "$HASH" >"$T/root/etc/shadow"
	client -l "$T/log" 'S*' 'C: user alice' "$ASK_OLD" 'C: pass oldpass1' 'S*' -- \
		chroot "$T/root" /qmail-poppass host.example /checkpassword-file
	like 'log' "$(cat "$T/log")" '/etc/passwd'
}
it '/etc/shadow without /etc/passwd: the log says so' test_no_passwd

## TLS

certificate() {
	need openssl
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=host.example \
		-keyout "$T/root/key.pem" -out "$T/root/cert.pem" 2>"$T/openssl" || fail 'openssl' "$(cat "$T/openssl")"
	export CERTFILE=/cert.pem KEYFILE=/key.pem
}

test_tls() {
	[ "${TLS:-1}" = 1 ] || skip 'TLS=0'
	need openssl 'busybox tcpsvd'
	root
	certificate
	port=$(client -p)
	bg busybox tcpsvd -v 127.0.0.1 "$port" chroot "$T/root" /qmail-poppass host.example /checkpassword-file -f /users 2>"$T/log"
	within 5 grep -q listening "$T/log"
	printf '%s\r\n' 'user alice' 'pass oldpass1' 'newpass newpass2' quit | openssl s_client -quiet -connect "127.0.0.1:$port" \
		-CAfile "$T/root/cert.pem" -verify_return_error >"$T/got" 2>"$T/err" || cat "$T/err"
	is 'replies' "$(tr -d '\r' <"$T/got" | tail -n 2)" '200 Password changed, thank-you.
200 Bye.'
	unlike 'log' "$(cat "$T/log")" 'trouble|error|warning'
	is 'files left' "$(cd "$T/root" && find . | sort | tr '\n' ' ')" \
		'. ./cert.pem ./checkpassword-file ./key.pem ./qmail-poppass ./setpassword-file ./users ./users.lock '
}
it 'TLS, without /dev/urandom and the empty folder' test_tls

test_check() {
	root
	certificate
	exits '-t' 0 chroot "$T/root" /qmail-poppass -t host.example /checkpassword-file -f /users
	like 'says' "$(cat "$T/out")" '^ok: '
}
it 'qmail-poppass -t' test_check
