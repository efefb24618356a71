# shellcheck shell=sh
# The dialogue: exact replies, the line syntax, order, the end of input.
. tests/dialogue.sh
helper client stub || return 0
use fast || return 0

test_no_sigpipe() {
	CHECK="$BIN/stub sleep 300 accept alice old"
	SET="$BIN/stub sleep 300 append $T/set"
	for m in pipe pair tcp; do for how in close reset; do
		MODE=$m
		rm -f "$T/set"
		change 'wait 100' $how 'exit 0'
		is "$m: the set chain" "$(cat "$T/set")" 'alice old new'
		logged 'changed rhost=[^ ]* user="alice"'
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' 'wait 100' $how 'exit 0'
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass bad' 'wait 100' $how 'exit 0'
		logged 'auth failed rhost=[^ ]* user="alice"'
	done; done
}
slow 'the client is gone when a reply is due: no death by SIGPIPE, the change is logged' test_no_sigpipe

test_change() {
	MODE=$1
	both_record
	change "$CHANGED" 'silent 200' 'C: quit' "$BYE" eof
	record_is check 'alice\0old\0\0\0'
	record_is set 'alice\0old\0\0new\0'
}

for m in pipe pair unix tcp; do
	it "a change over $m" test_change $m
done

test_greeting() {
	talk "$HELLO" 'silent 200' 'C: quit' "$BYE" eof
	HOST=h talk 'S: 200 h hello, who are you?' 'C: quit' "$BYE" eof
}
it 'the greeting comes unasked and only once' test_greeting

test_lf() {
	both_record
	talk "$HELLO" 'send user alice\n' "$ASK_OLD" 'send pass old\n' "$ASK_NEW" 'send newpass new\n' "$CHANGED" \
		'send quit\n' "$BYE" eof
	record_is set 'alice\0old\0\0new\0'
}
it 'lines end in LF alone too' test_lf

test_case() {
	both_record
	talk "$HELLO" 'C: USER Alice' "$ASK_OLD" 'C: PASS OLD' "$ASK_NEW" 'C: NEWPASS New' "$CHANGED" \
		'C: uSeR bob' "$ASK_OLD" 'C: pASs x' "$ASK_NEW" 'C: NewPass Y' "$CHANGED" 'C: QUIT' "$BYE" eof
	record_is set 'bob\0x\0\0Y\0'
	talk "$HELLO" 'C: Quit' "$BYE" eof
	talk "$HELLO" 'C: USER Alice' "$ASK_OLD" 'C: PASS OLD' "$ASK_NEW" 'C: NEWPASS New' "$CHANGED"
	record_is check 'Alice\0OLD\0\0\0'
	record_is set 'Alice\0OLD\0\0New\0'
}
it 'keywords in any case, arguments in their own' test_case

test_spaces() {
	both_record
	talk "$HELLO" 'C: user  x' "$ASK_OLD" 'C: pass  o  l d ' "$ASK_NEW" 'C: newpass  ' "$CHANGED"
	record_is check ' x\0 o  l d \0\0\0'
	record_is set ' x\0 o  l d \0\0 \0'
}
it 'one space after the keyword, every other space is text' test_spaces

test_tab() {
	both_record
	talk "$HELLO" 'send user \ta\tb\r\n' "$ASK_OLD" 'send pass \t\r\n' "$ASK_NEW" 'send newpass x\t\n' "$CHANGED"
	record_is set '\ta\tb\0\t\0\0x\t\0'
	talk "$HELLO" 'send user\talice\r\n' "$NO_USER"
}
it 'TAB is text, but no separator' test_tab

test_8bit() {
	both_record
	high=
	escaped=
	for a in 2 3; do for b in 0 1 2 3 4 5 6 7; do for c in 0 1 2 3 4 5 6 7; do
		high="$high\\$a$b$c"
		escaped="$escaped$(printf '\\x%02x' $((a * 64 + b * 8 + c)))"
	done; done; done
	talk "$HELLO" 'send user \xc3\xa4\xff\n' "$ASK_OLD" "send pass $escaped\\r\\n" "$ASK_NEW" \
		"send newpass $escaped\\n" "$CHANGED"
	record_is check "\\303\\244\\377\\0$high\\0\\0\\0"
	record_is set "\\303\\244\\377\\0$high\\0\\0$high\\0"
}
it 'all bytes from 0x80 to 0xff' test_8bit

test_printable() {
	both_record
	# shellcheck disable=SC2089 # quotes are text here
	text=' !"#$%&'\''()*+,-./0123456789:;<=>?@AZ[\]^_`az{|}~'
	talk "$HELLO" "C: user $text" "$ASK_OLD" "C: pass $text" "$ASK_NEW" "C: newpass $text" "$CHANGED"
	printf '%s\0%s\0\0%s\0' "$text" "$text" "$text" >"$T/want"
	same 'fd 3' "$T/set.fd3" "$T/want"
}
it 'printable characters mean nothing' test_printable

# Every byte below 0x20 but TAB and LF, and DEL; CR where it is not before LF.
CONTROLS='00 01 02 03 04 05 06 07 08 0b 0c 0d 0e 0f 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f 7f'

test_controls() {
	both_record
	n=0
	set -- "$HELLO"
	for c in $CONTROLS; do
		set -- "$@" "send user a\\x${c}b\\r\\n" "$CONTROL"
		n=$((n + 1))
		if [ $n -eq 9 ]; then
			talk "$@" 'C: quit' "$BYE" eof
			set -- "$HELLO"
			n=0
		fi
	done
	talk "$@" 'C: quit' "$BYE" eof
	no_chain check set
}
it 'each control byte in a name' test_controls

test_controls_in_passwords() {
	for c in 00 01 0d 1f 7f; do
		both_record
		rm -f "$T"/check.* "$T"/set.*
		talk "$HELLO" 'C: user alice' "$ASK_OLD" "send pass o\\x${c}ld\\r\\n" "$CONTROL" 'C: pass old' "$NO_USER" \
			'C: quit' "$BYE" eof
		no_chain check set
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" "send newpass n\\x${c}ew\\r\\n" "$CONTROL" \
			'C: newpass new' "$NO_USER" 'C: user alice' "$ASK_OLD" 'C: quit' "$BYE" eof
		no_chain set
	done
}
it 'a control byte in a password: the dialogue starts again' test_controls_in_passwords

test_controls_elsewhere() {
	talk "$HELLO" 'send us\x01er alice\n' "$CONTROL" 'send \x01\n' "$CONTROL" 'send quit\x00\n' "$CONTROL" \
		'send nonsense \x7f\n' "$CONTROL" 'send user \x00\n' "$CONTROL" 'send user alice\x00\n' "$CONTROL" \
		'send user alice\r\r\n' "$CONTROL" 'send \r\r\n' "$CONTROL" 'send \x00\n' "$CONTROL" 'C: user alice' "$ASK_OLD"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'send quit\x01\r\n' "$CONTROL" 'C: user alice' "$ASK_OLD" \
		'C: pass old' "$ASK_NEW" 'send foo\x0b\r\n' "$CONTROL" 'C: newpass x' "$NO_USER"
}
it 'control bytes in keywords, quit and unknown commands; CR CR LF' test_controls_elsewhere

test_cr_waits() {
	talk "$HELLO" 'send user alice\r' 'silent 300' 'send \n' "$ASK_OLD" 'send pass old' 'silent 300' 'send \r' \
		'silent 300' 'send \n' "$ASK_NEW"
}
it 'CR and LF in packets of their own; CR alone ends no line' test_cr_waits

# Nine mistakes a session, each followed by a name that is taken.
mistakes() {	# REPLY LINE ...
	reply=$1
	n=0
	shift
	rest=$#
	while [ "$rest" -gt 0 ]; do
		line=$1
		shift
		rest=$((rest - 1))
		case $reply in
		"$NO_USER") set -- "$@" "send $line" "$reply" ;;
		"$NO_OLD") set -- "$@" 'C: user alice' "$ASK_OLD" "send $line" "$reply" ;;
		"$NO_NEW") set -- "$@" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" "send $line" "$reply" ;;
		esac
	done
	talk "$HELLO" "$@" 'C: user alice' "$ASK_OLD" 'C: quit' "$BYE" eof
}

test_due_user() {
	both_record
	mistakes "$NO_USER" 'pass x\r\n' 'newpass x\r\n' 'foo\r\n' '\r\n' '\n' 'user\r\n' 'user \r\n' 'user\n' 'user \n'
	mistakes "$NO_USER" 'pass\r\n' 'newpass \r\n' 'quit \r\n' 'quit x\r\n' ' quit\r\n' 'quite\r\n' 'qui\r\n' \
		'USERalice\r\n' 'usera lice\r\n'
	mistakes "$NO_USER" ' user alice\r\n' 'use r\r\n' 'use\r\n' 'apop a b\r\n' '\xff\xfe\r\n' 'user-alice\r\n' \
		'help\r\n' 'u\r\n' ' \r\n'
	no_chain check set
}
it 'no name yet: everything else is "500 Username required."' test_due_user

test_due_old() {
	both_record
	mistakes "$NO_OLD" 'user bob\r\n' 'newpass x\r\n' 'foo\r\n' '\r\n' 'pass\r\n' 'pass \r\n' 'passx\r\n' 'password x\r\n' \
		'user\r\n'
	mistakes "$NO_OLD" 'quit \r\n' 'quit x\r\n' 'pass\n' 'pass \n' ' pass old\r\n' '\n' 'pas s\r\n' 'user \r\n' 'newpass\r\n'
	no_chain check set
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: foo' "$NO_OLD" 'C: pass old' "$NO_USER" 'C: newpass new' "$NO_USER" \
		'C: quit' "$BYE" eof
	no_chain check set
}
it 'no old password yet: "500 Password required.", then a name is due' test_due_old

test_due_new() {
	both_record
	mistakes "$NO_NEW" 'user bob\r\n' 'pass old\r\n' 'foo\r\n' '\r\n' 'newpass\r\n' 'newpass \r\n' 'newpassx\r\n' 'user\r\n' \
		'quit x\r\n'
	mistakes "$NO_NEW" 'quit \r\n' 'newpass\n' 'newpass \n' ' newpass new\r\n' '\n' 'newpas s\r\n' 'pass\r\n' 'pass \r\n'
	no_chain set
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: foo' "$NO_NEW" 'C: newpass new' "$NO_USER" \
		'C: pass old' "$NO_USER" 'C: quit' "$BYE" eof
	no_chain set
}
it 'no new password yet: "500 New password required.", then a name is due' test_due_new

test_clean_start() {
	both_record
	talk "$HELLO" 'C: user other' "$ASK_OLD" 'C: foo' "$NO_OLD" 'C: user other' "$ASK_OLD" 'C: pass wrong' "$ASK_NEW" 'C: foo' "$NO_NEW" \
		'C: user other' "$ASK_OLD" 'send pass x\x01\n' "$CONTROL" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED"
	record_is check 'alice\0old\0\0\0'
	record_is set 'alice\0old\0\0new\0'
}
it 'after a mistake nothing is left of what was said before' test_clean_start

test_after_success() {
	both_record
	change "$CHANGED" 'C: newpass x' "$NO_USER" 'C: pass old' "$NO_USER" 'C:' "$NO_USER" 'C: user bob' "$ASK_OLD" \
		'C: quit' "$BYE" eof
	record_is set 'alice\0old\0\0new\0'
}
it 'after a success a name is due' test_after_success

test_two_changes() {
	CHECK="$BIN/stub append $T/check"
	SET="$BIN/stub append $T/set"
	change "$CHANGED" 'C: user robert@example.org' "$ASK_OLD" 'C: pass O' "$ASK_NEW" 'C: newpass N' "$CHANGED" 'C: user a' \
		"$ASK_OLD" 'C: pass longer-than-before' "$ASK_NEW" 'C: newpass z' "$CHANGED" 'C: quit' "$BYE" eof
	is check "$(tr ' ' / <"$T/check")" 'alice/old/
robert@example.org/O/
a/longer-than-before/'
	is set "$(tr ' ' / <"$T/set")" 'alice/old/new
robert@example.org/O/N
a/longer-than-before/z'
}
it 'three changes in one session, nothing left over from the one before' test_two_changes

test_wrong_then_right() {
	CHECK="$BIN/stub accept alice old"
	SET="$BIN/stub record $T/set"
	talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass bad' "$WRONG" 'C: pass old' "$NO_USER" 'C: user alice' "$ASK_OLD" \
		'C: pass old' "$ASK_NEW" 'C: newpass new' "$CHANGED" 'C: quit' "$BYE" eof
	record_is set 'alice\0old\0\0new\0'
}
it 'a wrong password, then from the name on again' test_wrong_then_right

test_quit() {
	both_record
	for m in pipe tcp; do
		MODE=$m
		talk "$HELLO" 'C: quit' "$BYE" eof
		talk "$HELLO" 'C: foo' "$NO_USER" 'send quit\n' "$BYE" eof
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: quit' "$BYE" eof
		no_chain check
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'C: quit' "$BYE" eof
		no_chain set
		rm -f "$T"/check.*
	done
	change "$CHANGED" 'send quit\r\nuser alice\r\n' "$BYE" eof
}
it 'quit at every stage' test_quit

test_packets() {
	both_record
	all='user alice\r\npass old\r\nnewpass new\r\nuser bob\npass x\nnewpass y\nquit\r\n'
	for m in pipe tcp; do
		MODE=$m
		rm -f "$T"/set.*
		talk "send $all" "$HELLO" "$ASK_OLD" "$ASK_NEW" "$CHANGED" "$ASK_OLD" "$ASK_NEW" "$CHANGED" "$BYE" eof
		record_is set 'bob\0x\0\0y\0'
		rm -f "$T"/set.*
		talk "slowly $all" "$HELLO" "$ASK_OLD" "$ASK_NEW" "$CHANGED" "$ASK_OLD" "$ASK_NEW" "$CHANGED" "$BYE" eof
		record_is set 'bob\0x\0\0y\0'
	done
}
it 'all commands in one packet; every byte in a packet of its own' test_packets

test_half_close() {
	CHECK="$BIN/stub accept alice old"
	for m in pipe pair tcp; do
		MODE=$m
		talk 'send user alice\r\npass old\r\nnewpass new\r\nquit\r\n' shut "$HELLO" "$ASK_OLD" "$ASK_NEW" "$CHANGED" "$BYE" eof
		talk 'send user alice\npass old\nnewpass new\n' shut "$HELLO" "$ASK_OLD" "$ASK_NEW" "$CHANGED" eof
		talk 'send user alice\npass bad\n' shut "$HELLO" "$ASK_OLD" "$WRONG" eof
		talk shut "$HELLO" eof
	done
}
it 'a client that sends all, closes its sending side and reads on' test_half_close

test_eof() {
	CHECK="$BIN/stub record $T/check"
	SET="$BIN/stub record $T/set"
	for m in pipe pair tcp; do
		MODE=$m
		for line in '' 'u' 'user' 'user alice' 'user alice\r' 'quit' 'quit\r'; do
			talk "$HELLO" "send $line" shut eof
			talk "$HELLO" 'C: user alice' "$ASK_OLD" "send $line" shut eof
		done
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'send pass old' shut eof
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'send pass old\r' shut eof
		no_chain check
		for line in '' 'newpass' 'newpass new' 'newpass new\r' 'user bob' 'quit'; do
			talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" "send $line" shut eof
			talk "send user alice\\npass old\\n$line" shut "$HELLO" "$ASK_OLD" "$ASK_NEW" eof
		done
		no_chain set
		rm -f "$T"/check.*
	done
}
it 'the input ends at every stage, in the middle of a line too: no chain for a cut line' test_eof

test_client_leaves() {
	CHECK="$BIN/stub record $T/check"
	SET="$BIN/stub record $T/set"
	for how in close reset; do for m in pair tcp; do
		MODE=$m
		talk "$HELLO" $how 'gone 0 2500' 'exit 0'
		talk "$HELLO" 'send user alice' $how 'gone 0 2500' 'exit 0'
		talk "$HELLO" 'C: user alice' $how 'gone 0 2500' 'exit 0'
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'send pass old' $how 'gone 0 2500' 'exit 0'
		no_chain check
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'C: pass old' "$ASK_NEW" 'send newpass new' $how 'gone 0 2500' 'exit 0'
		no_chain set
		rm -f "$T"/check.*
	done; done
}
it 'the client leaves at every stage, by a reset too' test_client_leaves

test_gone_before_start() {
	CHECK="$BIN/stub record $T/check"
	SET="$BIN/stub record $T/set"
	MODE=tcp
	OPTIONS=-g
	talk 'gone 0 1500' 'exit 0'
	no_chain check set
}
it 'a client that was gone before the start' test_gone_before_start

test_unread_input() {
	MODE=tcp
	junk=$(repeat 1000 0123456789)
	talk "$HELLO" "send quit\\r\\n$junk$junk$junk" 'wait 200' "$BYE" eof
	talk "$HELLO" 'C: quit' "times 20 $junk" 'wait 300' "$BYE" eof
	talk "$HELLO" "times 3 $junk" 'wait 200' "$LINE_TOO_LONG" eof
	SET="$BIN/stub exit 1"
	change "times 20 $junk" 'wait 300' "$REFUSED" eof
	MODE=pair
	talk "$HELLO" "send quit\\r\\n$junk$junk$junk" 'wait 200' "$BYE" eof
}
it 'the last reply arrives although input is left unread' test_unread_input

test_ten_megabytes() {
	junk=$(repeat 10000 x)
	for m in tcp pair pipe; do
		MODE=$m
		talk "$HELLO" mark "times 1000 $junk" "$LINE_TOO_LONG" eof
		talk "$HELLO" 'C: user alice' "$ASK_OLD" 'send pass ' "times 1000 $junk" "$LINE_TOO_LONG" eof
	done
}
it 'ten megabytes without a line end' test_ten_megabytes

test_signals() {
	CHECK="$BIN/stub sleep 300"
	SET="$BIN/stub sleep 300 record $T/set"
	MODE=tcp
	# 17 CHLD, 13 PIPE, 18 CONT
	talk "$HELLO" 'kill 17' 'kill 13' 'wait 50' 'send us' 'kill 17' 'wait 50' 'send er alice\n' "$ASK_OLD" 'kill 18' \
		'C: pass old' 'kill 17' 'wait 50' 'kill 17' 'kill 13' "$ASK_NEW" 'C: newpass new' 'wait 50' 'kill 17' 'wait 50' \
		'kill 13' 'kill 17' "$CHANGED" 'kill 17' 'C: quit' "$BYE" 'kill 17' eof
	record_is set 'alice\0old\0\0new\0'
}
case $(kill -l 17)$(kill -l 13)$(kill -l 18) in
CHLDPIPECONT) it 'stray signals disturb nothing' test_signals ;;
esac
