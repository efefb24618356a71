#!/bin/sh
# make mutants: does the suite notice? Each line of the list below puts one fault into a copy of the
# sources, as somebody might by mistake, and names what has to fail then: a group of test.sh, with ":" and an ERE
# only its tests of such names; or, with "fuzz:", a target of fuzz.sh, seeds alone. A line that no longer fits
# the source is a failure, too.
#
# First all those tests run without a fault, and have to pass.
#
# tests/mutants.sh [-l] [NAME ...]; -l prints the list only. Environment: BUILD, DEPS, as for test.sh; JOBS (2).
# Exit status: 0 if every fault was noticed.

set -u
cd "$(dirname "$0")/.." || exit 2
TOP=$(pwd)
BUILD=${BUILD:-build}
DEPS=${DEPS:-build/deps}
JOBS=${JOBS:-2}
LIMIT=200	# seconds for one
case $BUILD in /*) ;; *) BUILD=$TOP/$BUILD ;; esac
case $DEPS in /*) ;; *) DEPS=$TOP/$DEPS ;; esac
M=$BUILD/mutants

# NAME @ FILE @ SED @ GROUP[:TESTS]
list() {
	cat <<'END'
nul-in-a-line @ poppass.c @ /^static int has_control/,/^}/s/< 0x20 \&\&/< 0x20 \&\& *s != 0 \&\&/ @ conversation:each control byte in a name
record-one-too-long @ poppass.c @ s/record_len + len + 4 > RECORD_MAX/record_len + len + 3 > RECORD_MAX/ @ limits:a record of 512
line-one-too-long @ poppass.c @ s/if (len > LINE_MAX)/if (len > LINE_MAX + 1)/ @ limits:a line of 1024
one-guess-more @ poppass.c @ s/++tries >= MAX_TRIES/++tries > MAX_TRIES/ @ limits:the third wrong password closes
one-mistake-more @ poppass.c @ s/++mistakes >= MAX_ERRORS/++mistakes > MAX_ERRORS/ @ limits:nine mistakes
stale-name @ poppass.c @ /^static enum due mistake/,/^}/s/forget();// @ fuzz:session
prefix-of-a-keyword @ poppass.c @ s/ \&\& secret.in\[n\] == ' '// @ fuzz:session
quit-with-more @ poppass.c @ s/len == 4 \&\& begins/len >= 4 \&\& begins/ @ conversation:no name yet
guesses-are-free @ poppass.c @ s/delay(FAIL_DELAY)/delay(0)/ @ time:the real program
slot-not-held @ poppass.c @ /^static _Noreturn void refuse/,/^}/s/leave(0, FAIL_DELAY)/leave(0, 0)/ @ time:the real program
grandchildren-survive @ poppass.c @ s/kill(-pid, SIGKILL)/kill(pid, SIGKILL)/ @ time:the group of a chain
old-password-shown @ poppass.c @ s/contains(secret.text, len, old) ||// @ fuzz:session
control-bytes-in-a-reason @ poppass.c @ s/shown\[i\] = is_printable(secret.text\[skip + i\]) ?/shown[i] = 1 ?/ @ chains:bytes outside printable
record-not-wiped @ poppass.c @ /^static void forget/,/^}/s/explicit_bzero(secret.record.*// @ secrets:after a change
line-not-wiped @ poppass.c @ /^static void drop_line/,/^}/s/explicit_bzero.*// @ secrets:after a change
text-not-wiped @ poppass.c @ /^static enum verdict run/,/^}/s/explicit_bzero(secret.text.*/;/ @ secrets:what chains print
dropped-input-not-wiped @ poppass.c @ /^static _Noreturn void leave/,/^}/s/explicit_bzero(secret.scrap.*// @ secrets:after mistakes
memory-may-be-dumped @ poppass.c @ s/PR_SET_DUMPABLE, 0/PR_SET_DUMPABLE, 1/ @ secrets:no core dump
pipe-in-the-chain @ poppass.c @ s/make_pipe(out, O_CLOEXEC)/make_pipe(out, 0)/ @ chains:four descriptors
no-session-for-a-chain @ poppass.c @ s/setsid() == -1/0/ @ chains:four descriptors
111-is-a-refusal @ poppass.c @ s/\*code != EXIT_TEMPORARY/*code != 112/ @ chains:exit codes of the set chain
1-is-a-success @ poppass.c @ s/if (\*code == 0)/if (*code <= 1)/ @ faults:the judge
death-is-a-failure @ poppass.c @ /^static enum verdict judge/,/^}/s/return LOST/return TROUBLE/ @ fuzz:session
quote-in-the-log @ poppass.c @ s/ || \*s == '"' || / || / @ log:hostile names
address-order @ poppass.c @ s/"TCPREMOTEIP", "TCP6REMOTEIP"/"TCP6REMOTEIP", "TCPREMOTEIP"/ @ rhost:the order of
eight-groups-and-a-gap @ poppass.c @ s/gap < 16 || at == 16/gap < 16/ @ fuzz:words
one-word-too-many @ poppass.c @ s/if (n == MAX_ARGS)/if (n > MAX_ARGS)/ @ fuzz:words
silent-start @ poppass.c @ /^static _Noreturn void cannot_start/,/^}/s/log_error.*// @ faults:at a wrong password
reply-before-the-change @ poppass.c @ /^static enum due got_new/,/^}/s/int code = 0;/int code = 0; write_line("200 Password changed, thank-you.", "", "", "\\r\\n");/ @ faults:the judge
half-a-line-is-a-line @ poppass.c @ /^static size_t next_line/,/^}/s/if (gone)/if (gone \&\& in_len > 0) { secret.in[in_len++] = '\\n'; continue; } if (gone)/ @ conversation:the input ends at every stage
no-lock @ backends/file.c @ s/^	lock();// @ backends:locked by flock
no-lock-under-load @ backends/file.c @ s/^	lock();// @ load:sessions by 50
root-may-change @ backends/file.c @ s/ || strcmp(name, "root") == 0// @ backends:names that cannot be
comments-log-in @ backends/file.c @ s/ || \*name == '#'// @ backends:names that cannot be
unknown-names-are-quick @ backends/file.c @ /is_right(const/,/^}/s/spend();// @ backends:one hash whatever
mode-not-kept @ backends/file.c @ s/if (fchmod(out, old->st_mode \& 07777) < 0)/if (0)/ @ backends:owner and mode
any-password @ backends/file.c @ s/return differs == 0;/return 1;/ @ faults:at a wrong password
last-byte-lost @ backends/file.c @ s/copy(in, out, done, size);/copy(in, out, done, size - 1);/ @ fuzz:file
policy-by-one @ backends/file.c @ s/len < min_len || len == 0/len + 1 < min_len || len == 0/ @ backends:too short
fails-after-the-rename @ backends/file.c @ s/kill(getpid(), SIGKILL);// @ backends:a folder that cannot be synced
written-in-place @ backends/file.c @ s/if (write_all(out, secret.field, strlen(secret.field)) < 0)/if (renameat(folder, new_name, folder, base) < 0 || write_all(out, secret.field, strlen(secret.field)) < 0)/ @ faults:the judge
next-program-has-no-record @ backends/file.c @ s/write_all(4, secret.record, record_len)/write_all(4, secret.record, 0)/ @ fuzz:file
secrets-stay-in-the-setter @ backends/file.c @ /leave(int code)/,/^}/s/explicit_bzero.*// @ fuzz:file
key-not-wiped @ bearssl_glue.c @ /^enum tls_verdict tls_check/,/^}/s/forget();// @ fuzz:tls
tls-1.0 @ bearssl_glue.c @ s/br_ssl_engine_set_versions(engine, BR_TLS12,/br_ssl_engine_set_versions(engine, BR_TLS10,/ @ tls:TLS 1.0 and 1.1
waits-for-what-is-not-asked @ bearssl_glue.c @ s/(state \& BR_SSL_RECVREC) != 0 \&\& !client_done ? 0 : -1/0/ @ tls:gnutls-cli, which|hangs up while
any-key @ bearssl_glue.c @ s/if (!key_matches(compute))/if (0)/ @ tls:another key
text-kept-in-the-relay @ bearssl_glue.c @ /^static void to_server/,/^}/s/explicit_bzero.*// @ fuzz:relay
close-notify-ends-replies @ bearssl_glue.c @ s/ \&\& !(established \&\& p == tls.in \&\& p\[0\] != TEXT)// @ fuzz:relay
half-a-flight @ bearssl_glue.c @ s/(tls.from += n) == tls.to/(tls.from = tls.to)/ @ fuzz:relay
end-not-passed-on @ bearssl_glue.c @ /^static void from_client/,/^}/s/shutdown(2, SHUT_WR);// @ fuzz:relay
end-not-marked @ bearssl_glue.c @ /^static void from_server/,/^}/s/br_ssl_engine_close(engine);/leave(SERVED);/ @ fuzz:relay
reply-held-back @ bearssl_glue.c @ /^static void from_server/,/^}/s/br_ssl_engine_flush.*// @ fuzz:relay
another-handshake @ bearssl_glue.c @ s/p\[0\] != TEXT/p[0] == 21/ @ fuzz:relay
lost-reply-is-silent @ bearssl_glue.c @ s/server_done ? SERVED : UNSENT/SERVED/ @ faults:each call of the relay
bad-record-is-silent @ bearssl_glue.c @ s/error == BR_ERR_OK ? SERVED : GARBLED/SERVED/ @ fuzz:relay
interrupted-is-the-end @ bearssl_glue.c @ s/n == -1 \&\& (errno == EINTR || errno == EAGAIN)/0/ @ fuzz:relay
relay-not-waited-for @ bearssl_glue.c @ s/outcome = reap(CLOSE_WAIT + 1);/outcome = SERVED;/ @ tls:refuses the certificate
key-kept-in-the-server @ bearssl_glue.c @ /^static enum tls_verdict start_relay/,/^}/s/forget();// @ tls:no key in memory: p256
END
}

say() {
	printf '%-28s %-13s %3d s  %s\n' "$1" "${2%%:[!a-z]*}" $(($(date +%s) - began)) "$3"
}

# In the folder of one: its copy of the sources with the fault, or a reason why not.
prepare() {
	rm -rf "$d"
	mkdir -p "$d/build" && ln -s "$DEPS" "$d/build/deps" || return 1	# a path of this machine must not get into the programs
	cp -Rp "$TOP"/*.c "$TOP"/*.h "$TOP/Makefile" "$TOP/test.sh" "$TOP/backends" "$TOP/tests" "$d" || return 1
	cp "$d/$file" "$d/before"
	sed -i "$fault" "$d/$file" 2>"$d/log" || return 1
	! cmp -s "$d/before" "$d/$file"
}

# The first test that fails is enough.
first_failure() {
	case $group in
	fuzz:*) FUZZ_SECONDS=0 timeout $LIMIT sh tests/fuzz.sh "${group#fuzz:}" 2>&1 ;;
	*) ONLY=$only LOAD_SESSIONS=2000 timeout $LIMIT sh test.sh "$group" 2>&1 ;;
	esac >log &
	suite=$!
	while kill -0 $suite 2>/dev/null && ! grep -qa '^not ok' log; do sleep 0.3; done
	kill $suite 2>/dev/null
	wait $suite 2>/dev/null
	grep -am 1 '^not ok' log || ran || echo 'not ok - ran nothing'
}

# What has run no test has noticed nothing.
ran() {
	grep -qa '^ok' log
}

try() {
	began=$(date +%s)
	d=$M/$name
	group=$tests only=.
	case $tests in
	fuzz:*) ;;
	*:*) group=${tests%%:*} only=${tests#*:} ;;
	esac
	if [ "$name" = none ]; then
		d=$M/none-$group
		file=poppass.c fault='1s/^/ /'
	fi
	if ! prepare; then
		say "$name" "$group" 'DOES NOT FIT'
		echo "$name" >>"$M/missed"
		return
	fi
	noticed=$(cd "$d" && export BUILD=build DEPS=build/deps && {
		case $group in fuzz:*) ;; *) ${MAKE:-make} -s all >log 2>&1 || exit ;; esac
		first_failure
	})
	case $name:$noticed in
	none:)
		say 'no fault' "$group" passes
		rm -rf "$d"
		;;
	none:*)
		say 'no fault' "$group" "FAILS ALL THE SAME: $noticed"
		echo "$group" >>"$M/missed"
		;;
	*:*'ran nothing' | *:)
		say "$name" "$group" 'NOT NOTICED'
		tail -n 5 "$d/log" | sed 's/^/    /'
		echo "$name" >>"$M/missed"
		;;
	*)
		say "$name" "$group" "noticed: $(echo "$noticed" | sed 's/^not ok[ 0-9]* - //')"
		rm -rf "$d"
		;;
	esac
}

# The tests of a group that the list names, in one run.
without_a_fault() {
	sed 's/.* @ //' "$M/faults" | sort -u | awk '
		/^fuzz:/ { print "none @ - @ - @ " $0; next }
		{ at = index($0 ":", ":"); group = substr($0, 1, at - 1); only = substr($0, at + 1) }
		{ tests[group] = tests[group] "|" (only == "" ? "." : only) }
		END { for (group in tests) print "none @ - @ - @ " group ":" substr(tests[group], 2) }'
}

if [ "${1-}" = -l ]; then
	list
	exit
fi
mkdir -p "$M" || exit 2
rm -f "$M/missed" "$M/list" "$M"/part.*
for w in "${@:-.}"; do list | grep -e "^$w.* @ "; done >"$M/faults"
{
	without_a_fault	# what fails by itself notices nothing
	cat "$M/faults"
} >"$M/list"
total=$(wc -l <"$M/list")
awk -v jobs="$JOBS" -v to="$M/part." '{ print > (to NR % jobs) }' "$M/list"
for part in "$M"/part.*; do
	while IFS= read -r entry; do
		name=${entry%% @ *} entry=${entry#* @ }
		file=${entry%% @ *} entry=${entry#* @ }
		fault=${entry% @ *} tests=${entry##* @ }
		try </dev/null
	done <"$part" &
done
wait
missed=0
[ ! -e "$M/missed" ] || missed=$(wc -l <"$M/missed")
echo "$((total - missed)) passed, $missed failed"
[ "$missed" = 0 ] && [ "$total" -gt 0 ]
