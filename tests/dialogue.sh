# shellcheck shell=sh disable=SC2034 # its variables are for the groups
# What the groups of the server share. A session is one call of talk; its options are variables.

HOST=mail.example.org
MODE=pipe	# of client.c
OPTIONS=	# of client.c
ODD=		# a command in front of the server
CHECK=$BIN/stub	# accepts everything
SET=$BIN/stub

HELLO="S: 200 $HOST hello, who are you?"
ASK_OLD='S: 200 Your password please.'
ASK_NEW='S: 200 Your new password please.'
CHANGED='S: 200 Password changed, thank-you.'
BYE='S: 200 Bye.'
NO_USER='S: 500 Username required.'
NO_OLD='S: 500 Password required.'
NO_NEW='S: 500 New password required.'
CONTROL='S: 500 Control character in command.'
TOO_LONG='S: 500 Name and passwords too long.'
LINE_TOO_LONG='S: 500 Line too long.'
WRONG='S: 500 Old password is incorrect or user not found.'
REFUSED='S: 500 Password change failed.'
REFUSED_WHY='S: 500 Password change failed:'
TROUBLE='S: 500 Temporary failure, password not changed.'
UNKNOWN='S: 500 Temporary failure, the password may or may not have changed.'
TIMEOUT='S: 500 Timeout, closing connection.'
CONFIG='S: 500 Server configuration error.'

AT_ONCE=900	# ms that are no delay, on a busy machine too
if emulated || [ "${SANITIZED-}" ]; then AT_ONCE=3000; fi

# A session of these steps (client.c); the log goes to $T/log.
# shellcheck disable=SC2086 # lists of words
talk() {
	export PASSWORD_COMMAND="$SET"
	checked
	limit 100 client -m "$MODE" $OPTIONS "$@" -- $ODD "$P/qmail-poppass" "$HOST" $CHECK 2>"$T/log" && return
	echo 'the log:'
	cat "$T/log"
	fail "the session"
}

# The same for a whole change by user alice, old to new, and then: STEP ...
change() {
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$@"
}

both_record() {
	CHECK="$BIN/stub record $T/check"
	SET="$BIN/stub record $T/set"
}

# The fd 3 of a chain that recorded it, NAME being check or set; the bytes as for printf.
record_is() {
	# shellcheck disable=SC2059 # the format is the point
	printf "$2" >"$T/want"
	same "fd 3 of the $1 chain" "$T/$1.fd3" "$T/want"
}

no_chain() {
	for c in "$@"; do
		[ ! -e "$T/$c.pid" ] || fail "the $c chain ran"
	done
	checked
}

repeat() {	# N TEXT
	awk -v n="$1" -v s="$2" 'BEGIN { while (n-- > 0) printf "%s", s }'
}

log_is() {	# the whole log, its process number as PID
	is 'the log' "$(sed 's/^qmail-poppass\[[0-9][0-9]*\]:/qmail-poppass[PID]:/' "$T/log")" "$1"
}

logged() {	# ERE
	like 'the log' "$(cat "$T/log")" "^qmail-poppass\[[0-9]+\]: $1\$"
}
