# shellcheck shell=sh disable=SC2034,SC2154 # the variables of dialogue.sh and test.sh
# Where passwords must not be: in the server's memory once they are not needed, in any output, in a child's
# environment or arguments, in a core dump. Nor may the programs tell where they were built.
[ -z "${SANITIZED-}" ] || return 0	# a sanitizer has memory and system calls of its own
# shellcheck source=tests/dialogue.sh
. tests/dialogue.sh
helper client stub memgrep odd || return 0
use fast qmail-poppass checkpassword-file setpassword-file || return 0

# Passwords that are nowhere else.
OLD=Quokka-old-7391
NEW=Narwhal-new-2846
BAD=Badger-wrong-5502
# Also of a secret that was partly overwritten.
ALL='okka-old-7391 whal-new-2846 dger-wrong-5502'

# Steps of client.c: none of these texts is in the server's memory; or all of them are. What it has to wipe it
# has wiped when it waits, and that is when it sleeps, however long the machine takes until then.
WAITS="i=0; until grep -q '^State:.[SD]' /proc/\$SERVER_PID/status || [ \$i = 400 ]; do sleep 0.02; i=\$((i + 1)); done"
lacks() {
	echo "run $WAITS; for s in $*; do memgrep \$SERVER_PID \"\$s\"; [ \$? = 1 ] || exit 1; done"
}
holds() {
	echo "run $WAITS; for s in $*; do memgrep \$SERVER_PID \"\$s\" >/dev/null || exit 1; done"
}
# A step that waits for a line of the log.
after() {
	echo "run i=0; until grep -q '$1' $T/log; do [ \$i != 400 ] || exit 1; sleep 0.02; i=\$((i + 1)); done"
}

prepare() {
	emulated && skip 'the memory is the emulator'\''s'
	[ "$(id -u)" = 0 ] || skip 'needs root to look into the memory'
	memgrep $$ some-text
	[ $? != 2 ] || skip 'memory cannot be read here'
	MODE=tcp
}

# Nothing of the passwords is in the log, nor in what a chain was given but fd 3.
outputs() {
	for f in "$T"/log "$T"/*.env "$T"/*.args; do
		[ -e "$f" ] || continue
		for s in $ALL; do hasnt "$f" "$(tr '\0' '\n' <"$f")" "$s"; done
	done
}

test_success() {
	prepare
	both_record
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "$(lacks "$ALL")" \
		"C: pass $OLD" "$ASK_NEW" "$(holds "$OLD")" "$(lacks "pass.$OLD" whal-new)" \
		"C: newpass $NEW" "$CHANGED" "$(lacks "$ALL")" \
		'C: user bob' "$ASK_OLD" "$(lacks "$ALL")" "C: pass $OLD" "$ASK_NEW" "$(holds "$OLD")" \
		"C: quit" "$BYE" "$(lacks "$ALL")" eof
	outputs
}

# While a chain runs its record is needed, and for the reason that it may give; the lines that were typed are not.
test_during() {
	prepare
	CHECK="$BIN/stub record $T/check until $T/1"
	SET="$BIN/stub record $T/set until $T/2"
	runs="i=0; until [ -e $T/\$c.pid ]; do [ \$i != 400 ] || exit 1; sleep 0.02; i=\$((i + 1)); done"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass $OLD" "run c=check; $runs" "$(holds "$OLD")" "$(lacks "\"pass $OLD\"")" "run touch $T/1" "$ASK_NEW" \
		"C: newpass $NEW" "run c=set; $runs" "$(holds "$OLD" "$NEW")" "$(lacks "\"newpass $NEW\"" "\"pass $OLD\"")" \
		"run touch $T/2" "$CHANGED" "$(lacks "$ALL")"
	outputs
}

# From the refusal on, not only from the reply, which comes after a delay.
test_wrong() {
	prepare
	printf '#!/bin/sh\nexec "%s" accept alice %s\n' "$BIN/stub" "$OLD" >"$T/check"
	chmod 755 "$T/check"
	CHECK=$T/check
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass $BAD" "$(after 'auth failed')" "$(lacks "$ALL")" "$WRONG" "$(lacks "$ALL")" \
		'C: user alice' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "$(holds "$OLD")" "$(lacks dger-wrong)"
	outputs
}

# The set chain says why, and echoes passwords: the slot is held, the memory is clean.
test_refused() {
	prepare
	both_record
	SET="$BIN/stub record $T/set print 'too\\x20bad:' old new print '\\nmore' old new exit 1"
	change_secrets "$REFUSED" 'wait 200' "$(lacks "$ALL")" eof
	outputs
}

change_secrets() {
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "C: newpass $NEW" "$@"
}

# What a chain prints before it accepts is of no use to anybody. (One that takes its time: of a quick one nothing is read.)
test_echo() {
	prepare
	printf '#!/bin/sh\nexec "%s" old print %s sleep 200\n' "$BIN/stub" "$BAD" >"$T/check"
	chmod 755 "$T/check"
	CHECK=$T/check
	SET="$BIN/stub old new fill 600 new"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "$(lacks dger-wrong)" \
		"C: newpass $NEW" "$CHANGED" "$(lacks "$ALL" xxxxxxxxxxxxxxxx)"
	outputs
	CHECK="$BIN/stub old fill 600 old exit 111"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass $OLD" "$TROUBLE" 'wait 100' "$(lacks "$ALL")" eof
	outputs
}

test_trouble() {
	prepare
	SET="$BIN/stub old new signal 9"
	change_secrets "$UNKNOWN" 'wait 100' "$(lacks "$ALL")" eof
	outputs
	SET="$BIN/stub old new exit 111"
	change_secrets "$TROUBLE" 'wait 100' "$(lacks "$ALL")" eof
	outputs
	SET=/nonexistent/setter
	change_secrets "$TROUBLE" 'wait 100' "$(lacks "$ALL")" eof
	outputs
}

# A password where none is due, or one that cannot be passed on.
test_mistakes() {
	prepare
	long=$(repeat 60 "$NEW")
	talk "$HELLO" "C: pass $OLD" "$NO_USER" "$(lacks "$ALL")" \
		'C: user alice' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "C: pass $BAD" "$NO_NEW" "$(lacks "$ALL")" \
		'C: user alice' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "C: newpass $long" "$TOO_LONG" "$(lacks "$ALL")" \
		'C: user alice' "$ASK_OLD" "send pass $OLD\\x01\\r\\n" "$CONTROL" "$(lacks "$ALL")" \
		"C: $NEW" "$NO_USER" "$(lacks "$ALL")"
	outputs
	talk "$HELLO" "times 100 $NEW" "$LINE_TOO_LONG" 'wait 100' "$(lacks "$ALL")"
	outputs
}

# What was sent ahead is held until it is its turn, and no longer; what the end cuts off is dropped.
test_ahead() {
	prepare
	talk "$HELLO" "send user alice\\r\\npass $OLD\\r\\nnewpass $NEW\\r\\nuser b\\r\\npass $BAD" \
		"$ASK_OLD" "$ASK_NEW" "$CHANGED" "$ASK_OLD" "$(holds "$BAD")" "$(lacks whal-new okka-old)" \
		'send \n' "$ASK_NEW" "$(holds "$BAD")" 'C: user' "$NO_NEW" "$(lacks "$ALL")"
	outputs
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "send pass $OLD" "$(holds "$OLD")" "$TIMEOUT" 'wait 100' "$(lacks "$ALL")" eof
}

# The file programs: nothing in their log, and of the setter, nothing while it waits for a lock (the group backends).
# shellcheck disable=SC2016 # dollars of a hash
test_programs() {
	prepare
	printf 'alice:%s:1000::\n' "$(openssl passwd -1 "$OLD")" >"$T/users"
	CHECK="$P/checkpassword-file -f $T/users $BIN/stub record $T/check exit 1"
	SET="$P/setpassword-file -f $T/users $BIN/stub record $T/set exit 1"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass $BAD" "$WRONG" 'C: user alice' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" \
		"C: newpass $NEW" "$CHANGED" "$(lacks "$ALL")"
	outputs
	ok 'the next program ran' [ -s "$T/check.env" ]
	for s in $ALL; do hasnt 'the file' "$(cat "$T/users")" "$s"; done
}

# Not even to its own user: a stranger who got in as that user would read passwords for months.
test_dumps() {
	[ "$(id -u)" = 0 ] || skip 'needs root'
	emulated && skip 'the memory is the emulator'\''s'
	chmod 711 "$T" "$TMP"
	mkdir "$T/core"
	chmod 777 "$T/core"
	ODD="$BIN/odd -u 12345"
	SET="$BIN/stub sleep 100"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" \
		"run $BIN/odd -u 12345 sh -c 'sleep 20 & until grep -q sleep /proc/\$!/comm; do sleep 0.02; done; $BIN/memgrep \$! no-such-text; [ \$? = 1 ]'" \
		"run $BIN/odd -u 12345 $BIN/memgrep \$SERVER_PID $OLD; [ \$? = 2 ]" \
		"run grep -q 'core file size *0 *0 ' /proc/\$SERVER_PID/limits" \
		'kill 11' 'exit 139'
	is 'core dumps' "$(find "$T/core" . -maxdepth 1 -type f -name 'core*')" ''
}

# A search that finds nothing because it cannot would be no test.
test_search() {
	prepare
	nok 'a text that is there is found' talk "$HELLO" 'C: user alice' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "$(lacks okka-old)"
	rm "$TMP/$TEST.fail"
}

test_strings() {
	use real qmail-poppass checkpassword-file setpassword-file || return
	emulated && P=$(absolute "$BUILD")
	for p in qmail-poppass checkpassword-file setpassword-file; do
		text=$(tr -c '[:print:]' '\n' <"$P/$p")
		has "$p" "$text" "$p"
		hasnt "$p" "$text" "$(pwd)"
		unlike "$p" "$text" '(^|[^a-z])/(home|root|tmp|usr/src)/'
	done
}

it 'the search finds what is there' test_search
slow 'after a change' test_success
slow 'while chains run' test_during
slow 'after a wrong password' test_wrong
slow 'after a refusal' test_refused
slow 'what chains print' test_echo
slow 'after trouble' test_trouble
slow 'after mistakes' test_mistakes
slow 'what is sent ahead' test_ahead
slow 'the file programs' test_programs
slow 'no core dump, no look from outside' test_dumps
it 'no build path in the programs' test_strings
