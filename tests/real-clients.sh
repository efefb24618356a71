# shellcheck shell=sh disable=SC1091,SC2034
# Clients: what they show to the user for a success, a wrong password, a refusal and a temporary failure.
. tests/room.sh
helper client stub || return 0
use real qmail-poppass checkpassword-file setpassword-file || return 0

SET_FILE='/usr/local/sbin/setpassword-file -f /etc/poppass/passwd'
CHECK_FILE='/usr/local/sbin/checkpassword-file -f /etc/poppass/passwd'
GONE='Temporary failure, password not changed.'
DRIVER=/usr/share/roundcube/plugins/password/drivers/poppassd.php

# On 192.0.2.1 all is well, on 127.0.0.1 the set chain is in trouble.
servers() {
	room
	cp "$BIN/stub" "$T/sbin/stub"
	serve "$CHECK_FILE" "$SET_FILE" "$@"
	SERVER=127.0.0.1
	serve "$CHECK_FILE" '/usr/local/sbin/stub exit 111' "$@"
}

## Roundcube's driver

roundcube() {
	# shellcheck disable=SC2086 # options
	inside "$BIN/nanny" 30 "$(command -v php)" ${PHP_OPTIONS-} "$PWD/tests/roundcube.php" $DRIVER "$@"
}

# roundcube_shows SCHEME HOST
roundcube_shows() {
	is 'a wrong password' "$(roundcube "$1$2" 106 alice 'guess it' "$NEW")" \
		'Could not save new password. Old password is incorrect or user not found.'
	is 'a refusal' "$(roundcube "$1$2" 106 alice "$OLD" "tiny 1")" \
		'Could not save new password. Password change failed: too short (minimum 8)'
	is 'a success' "$(roundcube "$1$2" 106 alice@example.org "$OLD" "$NEW")" 'Successfully saved.'
	changed
	is 'trouble' "$(roundcube "${1}127.0.0.1" 106 alice "$OLD" "$NEW")" "Could not save new password. $GONE"
}

test_roundcube() {
	need php "$DRIVER" /usr/share/php/Net/Socket.php
	servers
	roundcube_shows '' 192.0.2.1
}
slow "Roundcube's driver" test_roundcube

# Servers with TLS, whose certificate PHP is told to trust.
servers_tls() {
	need openssl
	[ "${TLS-1}" != 0 ] || skip 'a build without TLS'
	openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=mail.example.org \
		-addext subjectAltName=DNS:mail.example.org,IP:127.0.0.1 -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
	servers "CERTFILE=$T/cert.pem" "KEYFILE=$T/key.pem"
	inside sh -c 'echo 192.0.2.1 mail.example.org >>/etc/hosts'
	PHP_OPTIONS="-d openssl.cafile=$T/cert.pem"
}

test_roundcube_tls() {
	need php "$DRIVER" /usr/share/php/Net/Socket.php
	servers_tls
	roundcube_shows ssl:// mail.example.org
	PHP_OPTIONS=
	has 'a certificate that nobody knows' "$(roundcube ssl://mail.example.org 106 alice "$OLD" "$NEW" 2>&1)" \
		'Could not save new password. Connection error.'
}
slow "Roundcube's driver, TLS" test_roundcube_tls

## Horde's driver

HORDE=php-horde-passwd

horde() {
	# shellcheck disable=SC2086 # options
	inside "$BIN/nanny" 30 "$(command -v php)" ${PHP_OPTIONS-} "$PWD/tests/horde.php" \
		"$(absolute "$DEPS")/$HORDE/usr/share/horde/passwd/lib" "$@"
}

# horde_shows SCHEME HOST
horde_shows() {
	is 'a wrong password' "$(horde "$1$2" 106 alice 'guess it' "$NEW")" \
		'Incorrect old password.: 500 Old password is incorrect or user not found.'
	is 'a refusal' "$(horde "$1$2" 106 alice "$OLD" 'tiny 1')" '500 Password change failed: too short (minimum 8)'
	is 'a success' "$(horde "$1$2" 106 alice@example.org "$OLD" "$NEW")" changed
	changed
	is 'trouble' "$(horde "${1}127.0.0.1" 106 alice "$OLD" "$NEW")" "500 $GONE"
}

test_horde() {
	need php
	need_unpacked "$HORDE"
	servers
	horde_shows '' 192.0.2.1
}
slow "Horde's driver" test_horde

test_horde_tls() {
	need php
	need_unpacked "$HORDE"
	servers_tls
	horde_shows ssl:// mail.example.org
}
slow "Horde's driver, TLS" test_horde_tls

## poppass-cgi

cgi() {
	inside env REQUEST_METHOD=GET "QUERY_STRING=host=$1&username=$2&password=$3&newpassword1=$4&newpassword2=$4" \
		/usr/lib/cgi-bin/poppass | sed -n 's/.*<h2>\([^<]*\)<.*/\1/p' | sed 's/^ *//'
}

test_cgi() {
	need /usr/lib/cgi-bin/poppass
	servers
	is 'a wrong password' "$(cgi 192.0.2.1 alice guess longer-one)" 'Old password is incorrect or user not found.'
	is 'a refusal' "$(cgi 192.0.2.1 alice old+secret shorty)" 'Password change failed: too short (minimum 8)'
	is 'a success' "$(cgi 192.0.2.1 alice@example.org old+secret longer-one)" 'Password Changed Successfully'
	changed
	is 'trouble' "$(cgi 127.0.0.1 alice old+secret longer-one)" "$GONE"
}
slow 'poppass-cgi' test_cgi

## Replays: exactly what a client sends, and what it has to get for success and for failure

# replay LINE-END USER PASS NEWPASS QUIT: quit is a word, or nothing where the client just leaves,
# or "blind" with what is sent without reading.
replay() {
	end=$1 user=$2 pass=$3 newpass=$4
	shift 4
	servers
	WELCOME='S: 200 host hello, who are you?'
	visit 192.0.2.1:106 "$WELCOME" "send $user alice@example.org$end" "$ASK_OLD" "send $pass guess$end" "$WRONG" "${@:-close}"
	visit 192.0.2.1:106 "$WELCOME" "send $user alice@example.org$end" "$ASK_OLD" "send $pass $OLD$end" "$ASK_NEW" \
		"send $newpass tiny 1$end" 'S: 500 Password change failed: too short (minimum 8)' eof
	visit 192.0.2.1:106 "$WELCOME" "send $user alice@example.org$end" "$ASK_OLD" "send $pass $OLD$end" "$ASK_NEW" \
		"send $newpass $NEW$end" "$CHANGED" "${@:-close}"
	changed
	visit 127.0.0.1:106 "$WELCOME" "send $user alice$end" "$ASK_OLD" "send $pass $OLD$end" "$ASK_NEW" \
		"send $newpass $NEW$end" "S: 500 $GONE" eof
}
slow 'SnappyMail, RainLoop: quit must be answered by 2xx' replay '\r\n' user pass newpass 'send quit\r\n' "$BYE" eof
slow 'Aurora: no quit' replay '\r\n' user pass newpass
slow 'Horde: LF alone, quit without reading' replay '\n' user pass newpass 'send quit\n' close
slow 'SquirrelMail: quit without reading' replay '\r\n' user pass newpass 'send quit\r\n' close
slow 'Eudora: upper case' replay '\r\n' USER PASS NEWPASS 'send QUIT\r\n' "$BYE" eof
slow "rlister's CGI: 200 at every step" replay '\r\n' user pass newpass 'send quit\r\n' close

report_pending 9999
