#!/bin/sh
# A password changed over TCP, then over TLS, by a real listener: `make demo` runs this.
# Needs no root. Works in a private folder under build/ and removes it, also when interrupted;
# build/demo stays, with a password file and a certificate for a server started by hand.

set -u
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
DEPS=${DEPS:-build/deps}
case $BUILD in
/*) programs=$BUILD ;;
*) programs=$PWD/$BUILD ;;
esac
BUSYBOX=$DEPS/bin/busybox
USER_NAME=alice@example.org
server=
client=
work=
keep=
logged=0

complain() {
	echo "demo: $*" >&2
	exit 1
}

stop_client() {
	[ -n "$client" ] || return
	exec 3>&- 4<&-
	kill "$client" 2>/dev/null
	wait "$client" 2>/dev/null
	client=
}

# The listener leads a session of its own, so this ends its connections with it.
stop_server() {
	[ -n "$server" ] || return
	kill -TERM "-$server" 2>/dev/null
	wait "$server" 2>/dev/null
	server=
}

clean_up() {
	trap '' HUP INT TERM
	stop_client
	stop_server
	[ -z "$work" ] || rm -rf "$work"
	[ -n "$keep" ] || rm -rf "$BUILD/demo"
}

prepare() {
	for f in "$programs/qmail-poppass" "$programs/checkpassword-file" "$programs/setpassword-file"; do
		[ -x "$f" ] || complain "no $f: run make first"
	done
	[ -x "$BUSYBOX" ] || complain "no $BUSYBOX: run make deps first"
	umask 077
	work=$(mktemp -d "$programs/demo.XXXXXX") || exit 1
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' HUP TERM
	hash=$("$BUSYBOX" mkpasswd -m sha512 'old secret') || complain "cannot make a hash"
	echo "$USER_NAME:{SHA512-CRYPT}$hash::::::" >"$work/passwd"
	export PASSWORD_COMMAND="'$programs/setpassword-file' -f '$work/passwd'"
}

# listen: the server on the first free port from 1106; $port tells which.
listen() {
	port=1106
	while [ $port -lt 1126 ]; do
		: >"$work/log"
		"$BUSYBOX" setsid "$BUSYBOX" tcpsvd -v 127.0.0.1 $port "$programs/qmail-poppass" \
			mail.example.org "$programs/checkpassword-file" -f "$work/passwd" >>"$work/log" 2>&1 </dev/null &
		server=$!
		while kill -0 $server 2>/dev/null; do
			grep -q listening "$work/log" && return
			sleep 0.1 2>/dev/null || sleep 1
		done
		wait $server
		server=
		grep -q 'in use' "$work/log" || complain "tcpsvd: $(sed 1q "$work/log")"
		echo "(port $port is taken, trying the next)"
		port=$((port + 1))
	done
	complain "no free port from 1106 to 1125"
}

# connect COMMAND...: a client program whose input is fd 3 and whose output is fd 4.
connect() {
	rm -f "$work/to" "$work/from"
	mkfifo "$work/to" "$work/from" || exit 1
	"$@" <"$work/to" >"$work/from" 2>"$work/client.log" &
	client=$!
	exec 3>"$work/to" 4<"$work/from"
	receive
}

# The last reply is kept for who wants to look at it.
receive() {
	if IFS= read -r reply <&4; then
		reply=${reply%"$cr"}
		echo "  S: $reply"
	else
		reply=
		echo "  (the connection is closed)"
	fi
}

send() {
	echo "  C: $*"
	printf '%s\r\n' "$*" >&3
	receive
}

hang_up() {
	send quit
	stop_client
	show_log
}

# The lines of the log since the last time.
show_log() {
	echo
	echo "  The server's log:"
	grep '^qmail-poppass' "$work/log" | tail -n +$((logged + 1)) | sed 's/^/    /'
	logged=$(grep -c '^qmail-poppass' "$work/log")
	echo
}

expect() {
	[ "$reply" = "$1" ] || complain "expected \"$1\" here"
}

# change OLD NEW: in the connection at hand.
change() {
	send "user $USER_NAME"
	send "pass $1"
	send "newpass $2"
	expect '200 Password changed, thank-you.'
	hang_up
}

plain() {
	echo "1. $USER_NAME changes \"old secret\" to \"new secret\", on port $port of 127.0.0.1"
	connect "$BUSYBOX" nc 127.0.0.1 $port
	change 'old secret' 'new secret'

	echo "2. The old password is no longer good; the server takes 5 seconds to say so"
	connect "$BUSYBOX" nc 127.0.0.1 $port
	send "user $USER_NAME"
	send "pass old secret"
	expect '500 Old password is incorrect or user not found.'
	echo "   and the new one is:"
	send "user $USER_NAME"
	send "pass new secret"
	expect '200 Your new password please.'
	hang_up
}

make_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
		-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
		-keyout "$work/key.pem" -out "$work/cert.pem" >"$work/openssl.log" 2>&1 ||
		complain "openssl: $(sed -n '/rror/p' "$work/openssl.log" | sed 1q)"
}

# Whether these programs have TLS, and openssl is there to speak it.
can_tls() {
	if CERTFILE=/nonexistent "$programs/qmail-poppass" -t localhost /bin/false 2>&1 | grep -q 'without TLS'; then
		echo "3. (left out: this qmail-poppass was built without TLS)"
		return 1
	fi
	command -v openssl >/dev/null 2>&1 && return
	echo "3. (TLS is left out: there is no openssl here)"
	return 1
}

tls() {
	stop_server
	make_certificate
	export CERTFILE="$work/cert.pem" KEYFILE="$work/key.pem"
	logged=0
	listen
	echo "3. The same over TLS, from \"new secret\" to \"third secret\", with openssl s_client as the client"
	connect openssl s_client -quiet -verify_return_error -CAfile "$CERTFILE" -servername localhost \
		-connect "127.0.0.1:$port"
	[ -n "$reply" ] || complain "openssl s_client: $(cat "$work/client.log")"
	change 'new secret' 'third secret'
	secret='third secret'
}

# What the user starts by hand has its own files, under the folder's short name.
leave_files() {
	rm -rf "$BUILD/demo"
	mkdir "$BUILD/demo" || exit 1
	for f in passwd cert.pem key.pem; do
		[ ! -f "$work/$f" ] || mv "$work/$f" "$BUILD/demo/"
	done
	keep=yes
}

# The chains take absolute paths only. Quoted, for the folder's name may have a blank.
by_hand() {
	here=$BUILD
	[ "$programs" = "$BUILD" ] || here=\$PWD/$BUILD
	cat <<-END
		The same server by hand, until you press Ctrl-C, in this folder:

		PASSWORD_COMMAND="'$here/setpassword-file' -f '$here/demo/passwd'" $BUSYBOX tcpsvd -v 127.0.0.1 $port "$BUILD/qmail-poppass" mail.example.org "$here/checkpassword-file" -f "$here/demo/passwd"

		Talk to it with: $BUSYBOX nc 127.0.0.1 $port
		The user is $USER_NAME, the password "$secret". $BUILD/demo is yours to play with.
	END
	[ ! -f "$BUILD/demo/cert.pem" ] || cat <<-END
		For TLS put CERTFILE="$here/demo/cert.pem" KEYFILE="$here/demo/key.pem" in front, and talk to it with:
		openssl s_client -quiet -CAfile $BUILD/demo/cert.pem -connect localhost:$port
	END
}

cr=$(printf '\r')
secret='new secret'
prepare
listen
plain
if can_tls; then
	tls
fi
stop_server
leave_files
by_hand
