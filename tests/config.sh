# shellcheck shell=sh disable=SC2089,SC2090 # quotes in PASSWORD_COMMAND are text
# Arguments, PASSWORD_COMMAND, -V and -t, and what is done without a working configuration.
. tests/dialogue.sh
helper client stub odd || return 0
use fast || return 0

# A session that never begins: one line, the reason in the log, exit code 100.
refused() {	# WHAT ARG ...: the server's arguments, PASSWORD_COMMAND as it is
	what=$1
	shift
	for m in ${MODES-pipe tcp}; do
		checked
		client -m "$m" 'send user alice\npass old\n' 'wait 50' "$CONFIG" eof close 'exit 100' -- \
			"$P/qmail-poppass" "$@" 2>"$T/log" || fail "$what ($m): session"
		like "$what ($m): log" "$(cat "$T/log")" '^qmail-poppass\[[0-9]+\]: .+'
		is "$what ($m): lines in the log" "$(wc -l <"$T/log" | tr -d ' ')" 1
		between "$what ($m): bytes in the log" "$(wc -c <"$T/log")" 20 200
	done
}

accepted() {	# WHAT ARG ...
	what=$1
	shift
	checked
	client 'S*' 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" eof -- \
		"$P/qmail-poppass" "$@" 2>"$T/log" || { fail "$what: session"; cat "$T/log"; }
}

test_missing() {
	export PASSWORD_COMMAND="$SET"
	refused 'no arguments'
	refused 'no check program' "$HOST"
	like 'log' "$(cat "$T/log")" '[Uu]sage|argument|checkprogram'
	refused 'a check program without a path' "$HOST" stub
	refused 'a check program by a relative path' "$HOST" bin/stub
	refused 'an empty check program' "$HOST" ''
}
it 'missing arguments' test_missing

test_command_missing() {
	unset PASSWORD_COMMAND
	refused unset "$HOST" "$CHECK"
	like 'log' "$(cat "$T/log")" 'PASSWORD_COMMAND'
	export PASSWORD_COMMAND=
	refused empty "$HOST" "$CHECK"
	export PASSWORD_COMMAND=' 	 '
	refused blank "$HOST" "$CHECK"
	like 'log' "$(cat "$T/log")" 'PASSWORD_COMMAND'
}
it 'PASSWORD_COMMAND unset, empty, blank' test_command_missing

TAB='	'

test_command_wrong() {
	for c in "stub" "bin/stub" "./stub" "'stub'" "'' $SET" "\"$SET" "'$SET" "$SET 'x" "$SET \"x y" "$SET 'x\"" "'$SET'x" "$SET 'a'b" \
		"$SET 'a''b'" "$SET \"a\"'b'" "$SET '" "$SET \"" "\$SET"; do
		export PASSWORD_COMMAND="$c"
		MODES=pipe
		refused "PASSWORD_COMMAND=$c" "$HOST" "$CHECK"
		like "PASSWORD_COMMAND=$c: log" "$(cat "$T/log")" 'PASSWORD_COMMAND'
	done
}
it 'PASSWORD_COMMAND: relative, unterminated, text after a quote' test_command_wrong

words() {	# PASSWORD_COMMAND, then the words that have to come of it after "record FILE"
	export PASSWORD_COMMAND="$1"
	shift
	rm -f "$T"/set.*
	accepted "$PASSWORD_COMMAND" "$HOST" "$CHECK"
	printf '%s\n' "$@" >"$T/want"
	sed 1,3d "$T/set.args" >"$T/got"
	same "words of $PASSWORD_COMMAND" "$T/got" "$T/want"
}

test_command_words() {
	r="$SET record $T/set"
	words "$r print a" print a
	words " $TAB $r  print$TAB$TAB b  $TAB" print b
	words "$r print 'a b'" print 'a b'
	words "$r print \"a  b\" print \"it's\" print 'say \"x\"'" print 'a  b' print "it's" print 'say "x"'
	words "$r print '' print \"\" print ' '" print '' print '' print ' '
	words "$r print a'b print c\"d print e'f'g" print "a'b" print 'c"d' print "e'f'g"
	# shellcheck disable=SC2016 # the point
	words "$r print \$HOME print \\x print * print # print ;" print '$HOME' print '\x' print '*' print '#' print ';'
	words "'$SET' \"record\" '$T/set' print x" print x
	mkdir "$T/a b"
	ln -s "$SET" "$T/a b/it's"
	words "\"$T/a b/it's\" record $T/set print 1" print 1
	x=$(printf '\303\274')
	words "$r print $x print '$x $x'" print "$x" print "$x $x"
}
it 'PASSWORD_COMMAND: blanks and quotes' test_command_words

test_command_environment() {
	both_record
	export PASSWORD_COMMAND="$SET print 'a b'"
	accepted "$PASSWORD_COMMAND" "$HOST" "$BIN/stub" record "$T/check"
	like 'as the chain sees it' "$(cat "$T/set.env")" "^PASSWORD_COMMAND=$SET print 'a b'\$"
}
it 'PASSWORD_COMMAND is split in a copy' test_command_environment

test_command_sizes() {
	export PASSWORD_COMMAND
	# The command, "exit 0" and 29 more are 32 words.
	PASSWORD_COMMAND="$SET exit 0$(repeat 29 ' x')"
	accepted '32 words' "$HOST" "$CHECK"
	PASSWORD_COMMAND="$SET exit 0$(repeat 30 ' x')"
	refused '33 words' "$HOST" "$CHECK"
	used=$(printf '%s exit 0 ' "$SET" | wc -c)
	for n in 4000 4095; do
		PASSWORD_COMMAND="$SET exit 0 $(repeat $((n - used)) x)"
		accepted "$n bytes" "$HOST" "$CHECK"
	done
	for n in 4097 5000 100000; do
		PASSWORD_COMMAND="$SET exit 0 $(repeat $((n - used)) x)"
		refused "$n bytes" "$HOST" "$CHECK"
	done
}
it 'PASSWORD_COMMAND: 32 words, 4096 bytes' test_command_sizes

test_hostname() {
	export PASSWORD_COMMAND="$SET"
	MODES=pipe
	for h in '' ' ' 'a b' 'a ' "$(printf 'a\001b')" "$(printf 'a\nb')" "$(printf 'a\tb')" "$(printf 'h\303\266st')" \
		"$(printf 'a\177')" "$(repeat 256 h)"; do
		refused "hostname $h" "$h" "$CHECK"
	done
	for h in a '!' '~' 'x"y' '%s%n' "$(repeat 255 h)"; do
		talk=0
		client "S: 200 $h hello, who are you?" 'C: quit' "$BYE" eof -- "$P/qmail-poppass" "$h" "$CHECK" || talk=$?
		is "hostname $h" $talk 0
	done
}
it 'the hostname: 1 to 255 printable characters' test_hostname

test_no_chain() {
	unset PASSWORD_COMMAND
	refused 'a check program that would run' "$HOST" "$BIN/stub" record "$T/check"
	no_chain check
}
it 'no chain runs without a configuration' test_no_chain

# In a build without TLS; not a byte in plain text.
test_without_tls() {
	"${MAKE:-make}" -s TLS=0 BUILD="$BUILD/notls" DEPS="$DEPS" "$BUILD/notls/qmail-poppass" >"$TMP/make.log" 2>&1 ||
		broken 'make TLS=0'
	exe=$BUILD/notls/qmail-poppass
	export PASSWORD_COMMAND="$SET" CERTFILE=/etc/cert.pem KEYFILE=/etc/key.pem
	# shellcheck disable=SC2086 # words
	for m in pipe tcp; do
		checked
		client -m $m eof close 'exit 100' -- $EMULATOR "$exe" "$HOST" "$CHECK" 2>"$T/log" || fail "$m: not silent"
		like 'log' "$(cat "$T/log")" 'CERTFILE.*without TLS'
		unset PASSWORD_COMMAND
		client -m $m eof close 'exit 100' -- $EMULATOR "$exe" "$HOST" "$CHECK" 2>"$T/log" || fail "$m: not silent"
		export PASSWORD_COMMAND="$SET"
	done
}
it 'CERTFILE in a build without TLS: never plain text' test_without_tls

test_keyfile_alone() {
	export PASSWORD_COMMAND="$SET" KEYFILE=/etc/key.pem
	checked
	client eof close 'exit 100' -- "$P/qmail-poppass" "$HOST" "$CHECK" 2>"$T/log" || fail 'not silent'
	like 'log' "$(cat "$T/log")" 'CERTFILE'
}
it 'KEYFILE without CERTFILE: never plain text' test_keyfile_alone

test_closed() {
	both_record
	for fds in 2 '0 2' 0; do
		ODD=odd
		for fd in $fds; do ODD="$ODD -c $fd"; done
		rm -f "$T"/check.* "$T"/set.*
		case $fds in
		0*) talk "$HELLO" eof ;;
		*)
			change "$CHANGED" 'C: quit' "$BYE" eof
			is 'descriptors' "$(grep '^fd' "$T/set.state" | sed 's/ r*w*$//')" 'fd 0 null
fd 1 pipe
fd 2 null
fd 3 pipe'
			;;
		esac
	done
	for fds in 1 '1 2' '0 1' '0 1 2'; do
		ODD=odd
		for fd in $fds; do ODD="$ODD -c $fd"; done
		rm -f "$T"/check.* "$T"/set.*
		talk 'times 1 user alice\npass old\nnewpass new\nquit\n' 'gone 0 3000'
		case $fds in
		0*) no_chain check set ;;
		*) is "closed: $fds: descriptors" "$(grep '^fd' "$T/set.state" | cut -d' ' -f1-2 | tr '\n' ' ')" 'fd 0 fd 1 fd 2 fd 3 ' ;;
		esac
	done
}
emulated || it 'descriptors 0, 1 and 2 closed at the start' test_closed

test_closed_tcp() {
	MODE=tcp
	ODD='odd -c 2'
	both_record
	change "$CHANGED" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: quit' "$BYE" eof
	is 'descriptor 2' "$(grep '^fd 2' "$T/set.state" | sed 's/ r*w*$//')" 'fd 2 null'
	ODD='odd -c 0 -c 1 -c 2'
	talk 'gone 0 3000' 'exit 0'
}
emulated || it 'descriptor 2 closed over TCP: no log in the dialogue' test_closed_tcp

# A folder with no /dev/null, by a mount that only these processes see.
test_no_dev_null() {
	[ "$(id -u)" = 0 ] || skip 'needs root'
	emulated && skip 'not for an emulated program'
	need unshare mount
	unshare -m true 2>/dev/null || skip 'unshare is not allowed here'
	export PASSWORD_COMMAND="$SET"
	cat >"$T/run" <<-EOT
		mount -t tmpfs none /dev || exit 9
		exec odd -c 2 "$P/qmail-poppass" "$HOST" "$CHECK"
	EOT
	checked
	client "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" eof -- \
		unshare -m sh "$T/run" || fail 'a session without /dev/null'
}
it 'no /dev/null' test_no_dev_null

## -V and -t

test_version() {
	exits 'version' 0 "$P/qmail-poppass" -V
	like 'output' "$(cat "$T/out" "$T/err")" '[0-9]+\.[0-9]'
	is 'lines' "$(cat "$T/out" "$T/err" | wc -l | tr -d ' ')" 1
}
it '-V' test_version

tested() {	# WHAT CODE-PATTERN ARG ...
	what=$1
	code=$2
	shift 2
	got=0
	limit 30 "$P/qmail-poppass" -t "$@" >"$T/out" 2>"$T/err" </dev/null || got=$?
	like "$what: exit code" "$got" "^($code)\$" || cat "$T/out" "$T/err"
	cat "$T/out" "$T/err" >"$T/said"
}

test_t_good() {
	export PASSWORD_COMMAND="$BIN/stub record $T/set exit 1"
	tested 'a good one' 0 "$HOST" "$BIN/stub" record "$T/check" exit 1
	is 'fields of the check chain' "$(tr -dc '\0' <"$T/check.fd3" | wc -c | tr -d ' ')" 4
	is 'fields of the set chain' "$(tr -dc '\0' <"$T/set.fd3" | wc -c | tr -d ' ')" 4
	like 'name and passwords' "$(tr '\0' ' ' <"$T/set.fd3")" '^[^ ]{6,} [^ ]{6,}  [^ ]{6,} $'
	like 'name and password' "$(tr '\0' ' ' <"$T/check.fd3")" '^[^ ]{6,} [^ ]{6,}   $'
	mv "$T/check.fd3" "$T/before"
	tested 'again' 0 "$HOST" "$BIN/stub" record "$T/check" exit 1
	nok 'they are the same twice' cmp -s "$T/before" "$T/check.fd3"
	hasnt 'what it says' "$(cat "$T/said")" "$(tr '\0' '\n' <"$T/check.fd3" | sed -n 2p)"
}
it '-t: both chains are tried with a random name and random passwords' test_t_good

test_t_bad() {
	refuse="$BIN/stub exit 1"
	export PASSWORD_COMMAND="$refuse"
	tested 'the check chain accepts everybody' 100 "$HOST" "$BIN/stub"
	like 'what it says' "$(cat "$T/said")" 'accept|/bin/true'
	tested 'the check chain has trouble' '100|111' "$HOST" "$BIN/stub" exit 111
	tested 'the check chain dies' '100|111' "$HOST" "$BIN/stub" signal 11
	tested 'no such program' '100|111' "$HOST" "$T/nonexistent"
	like 'what it says' "$(cat "$T/said")" "$T/nonexistent"
	: >"$T/not-executable"
	tested 'not executable' '100|111' "$HOST" "$T/not-executable"
	tested 'a folder' '100|111' "$HOST" "$T"
	tested 'no check program' 100 "$HOST"
	tested 'no hostname' 100
	tested 'a bad hostname' 100 'a b' "$BIN/stub" exit 1
	tested 'a relative check program' 100 "$HOST" stub exit 1
	export PASSWORD_COMMAND="$BIN/stub"
	tested 'the set chain accepts everybody' 100 "$HOST" "$BIN/stub" exit 1
	export PASSWORD_COMMAND="$BIN/stub exit 111"
	tested 'the set chain has trouble' '100|111' "$HOST" "$BIN/stub" exit 1
	export PASSWORD_COMMAND="$T/nonexistent"
	tested 'no such set program' '100|111' "$HOST" "$BIN/stub" exit 1
	like 'what it says' "$(cat "$T/said")" "$T/nonexistent"
	export PASSWORD_COMMAND="'$BIN/stub"
	tested 'an unterminated quote' 100 "$HOST" "$BIN/stub" exit 1
	unset PASSWORD_COMMAND
	tested 'no PASSWORD_COMMAND' 100 "$HOST" "$BIN/stub" exit 1
	like 'what it says' "$(cat "$T/said")" PASSWORD_COMMAND
}
it '-t: what is wrong' test_t_bad

test_t_silent() {
	export PASSWORD_COMMAND="$BIN/stub exit 1"
	tested 'good' 0 "$HOST" "$BIN/stub" exit 1
	hasnt 'no dialogue' "$(cat "$T/said")" '200 '
	unset PASSWORD_COMMAND
	tested 'bad' 100 "$HOST" "$BIN/stub" exit 1
	hasnt 'no dialogue' "$(cat "$T/said")" '500 '
	hasnt 'no dialogue' "$(cat "$T/said")" "$(printf '\r')"
}
it '-t: speaks to a person, not to a client' test_t_silent
