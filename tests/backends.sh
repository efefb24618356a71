# shellcheck shell=sh disable=SC2154,SC2016 # the variables of test.sh; hashes and inner shells have dollars of their own
# checkpassword-file and setpassword-file: real files, other programs' hashes, kills, full disks.

# The system's files, but below the current folder; and crypt(3) and the clock as crypt_spy.h has them.
system_flags="-DSHADOW_FILE='\"etc/shadow\"' -DPASSWD_FILE='\"etc/passwd\"' -DLOCK_FILE='\"etc/.pwd.lock\"'"
# shellcheck disable=SC2034 # used by their names
variant_system="$system_flags -DLOCK_TIMEOUT=1 -DCHAIN_TIMEOUT=2 -include tests/crypt_spy.h"

use system checkpassword-file setpassword-file || return 0
SYS=$P
use real checkpassword-file setpassword-file || return 0
REAL=$P
helper holdlock trace stub memgrep

# Cheap hashes of "oldpass1", by openssl passwd; the fields that follow are passwd's or shadow's.
MD5='$1$abcdefgh$QpSDicr0rC.V3rcWAoQ0k/'
DES='abjBWz09wyYL2'

# to CODE PROGRAM RECORD [ARG ...]: what the program says to that record (printf's escapes), with $FILE if set
to() {
	code=$1 program=$2 record=$3
	shift 3
	# shellcheck disable=SC2059 # the record is a format
	printf "$record" >"$T/record"
	[ -z "${FILE-}" ] || set -- -f "$FILE" "$@"
	exits "${title:-$program $record $*}" "$code" "$P/$program" "$@" 3<"$T/record"
}

check() {
	to "$1" checkpassword-file "$2\\000$3\\000\\000\\000"
}

change() {
	to "$1" setpassword-file "$2\\000$3\\000\\000$4\\000"
}

# A passwd-file with alice, password oldpass1, and the fields given.
users() {
	FILE=$T/users
	printf '%s\n' "alice:${1-$MD5}:1000:1000::/home/alice::" >"$FILE"
}

field() {
	sed -n "s/^$1:\\([^:]*\\).*/\\1/p" "$FILE"
}

# Everything but the field of a name.
rest() {
	sed "s/^$1:[^:]*/$1:/" "$2"
}

as_root() {
	[ "$(id -u)" = 0 ] || skip 'needs root'
}

## Hashes

# The password's hash by the same setting, from another program.
other_program() {
	case $1 in
	'$1$'*) openssl passwd -1 -salt "$(echo "$1" | cut -d '$' -f 3)" "$2" ;;
	'$5$rounds='* | '$6$rounds='*) perl -e 'print crypt($ARGV[1], $ARGV[0])' "$1" "$2" ;;
	'$5$'*) openssl passwd -5 -salt "$(echo "$1" | cut -d '$' -f 3)" "$2" ;;
	'$6$'*) openssl passwd -6 -salt "$(echo "$1" | cut -d '$' -f 3)" "$2" ;;
	*) perl -e 'print crypt($ARGV[1], $ARGV[0])' "$1" "$2" ;;
	esac
}

# scheme HASH ERE [LABEL]: old and new password, checked and set; the new hash is like ERE and as another program makes it
scheme() {
	need perl openssl
	[ "$1" ] || { fail "no hash to start with"; return; }
	users "${3-}$1"
	cp "$FILE" "$T/before"
	if [ -z "${CRYPT_LIBS-libxcrypt}" ]; then
		printf 'alice\0oldpass1\0\0\0' >"$T/record"
		case $("$P/checkpassword-file" -f "$FILE" 2>&1 3<"$T/record") in
		*'unsupported hash'*) skip "the C library's own crypt(3) has none" ;;
		esac
	fi
	check 0 alice oldpass1
	check 1 alice oldpass2
	check 1 alice oldpass
	change 1 alice oldpass2 newpass2
	same "untouched" "$FILE" "$T/before"
	change 0 alice oldpass1 newpass2
	is "nothing printed" "$(cat "$T/out" "$T/err")" ""
	check 1 alice oldpass1
	check 0 alice newpass2
	new=$(field alice)
	new=${new#"${3-}"}
	like "form" "$new" "$2"
	is "another program's hash" "$(other_program "$new" newpass2)" "$new"
	is "rest" "$(rest alice "$FILE")" "$(rest alice "$T/before")"
	change 0 alice newpass2 newpass2
	[ "$(field alice)" != "${3-}$new" ] || fail "the salt is the same again"
}

mk() {
	mkpasswd -m "$@" oldpass1 2>/dev/null
}

test_schemes() {
	case $1 in
	md5) scheme "$(openssl passwd -1 oldpass1)" '^\$1\$[./0-9A-Za-z]{8}\$[./0-9A-Za-z]{22}$' ;;
	sha256) scheme "$(openssl passwd -5 oldpass1)" '^\$5\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{43}$' ;;
	sha512) scheme "$(openssl passwd -6 oldpass1)" '^\$6\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$' ;;
	rounds) scheme "$(mk sha512crypt -R 1234)" '^\$6\$rounds=1234\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{86}$' ;;
	rounds256) scheme "$(mk sha256crypt -R 4321)" '^\$5\$rounds=4321\$[./0-9A-Za-z]{16}\$[./0-9A-Za-z]{43}$' ;;
	bcrypt) scheme "$(mk bcrypt -R 5)" '^\$2b\$05\$[./0-9A-Za-z]{53}$' ;;
	bcrypt-a) scheme "$(mk bcrypt-a -R 5)" '^\$2a\$05\$[./0-9A-Za-z]{53}$' ;;
	bcrypt-y) scheme "$(perl -e 'print crypt("oldpass1", "\$2y\$04\$abcdefghijklmnopqrstuu")')" '^\$2y\$04\$[./0-9A-Za-z]{53}$' ;;
	yescrypt) scheme "$(mk yescrypt)" '^\$y\$j9T\$[./0-9A-Za-z]{22}\$[./0-9A-Za-z]{43}$' ;;
	yescrypt-cheap) scheme "$(mk yescrypt -R 1)" '^\$y\$j75\$[./0-9A-Za-z]{22}\$[./0-9A-Za-z]{43}$' ;;
	scrypt) scheme "$(perl -e 'print crypt("oldpass1", "\$7\$3U..../....abcdefgh")')" '^\$7\$3U..../....[./0-9A-Za-z]{22}\$[./0-9A-Za-z]{43}$' ;;
	des) scheme "$DES" '^[./0-9A-Za-z]{13}$' ;;
	bsdi) scheme "$(perl -e 'print crypt("oldpass1", "_/...abcd")')" '^_/\.\.\.[./0-9A-Za-z]{15}$' ;;
	esac
}

test_labels() {
	for label in CRYPT MD5-CRYPT SHA256-CRYPT SHA512-CRYPT BLF-CRYPT DES-CRYPT crypt Sha512-Crypt; do
		users "{$label}$MD5"
		check 0 alice oldpass1
		change 0 alice oldpass1 newpass2
		like "$label" "$(field alice)" "^\\{$label\\}[\$]1[\$][./0-9A-Za-z]{8}[\$].{22}\$"
		check 0 alice newpass2
	done
}

# unsupported FIELD SHOWN: refused like a wrong password, with one line in the log that gives no secret away
unsupported() {
	users "$1"
	cp "$FILE" "$T/before"
	for p in checkpassword-file setpassword-file; do
		to 1 $p 'alice\0oldpass1\0\0newpass2\0'
		is "log of $1" "$(sed 's/\[[0-9]*\]/[]/' "$T/err")" \
			"${p}[]: unsupported hash user=\"alice\" scheme=\"$2\" file=\"$FILE\""
		is "output" "$(cat "$T/out")" ""
	done
	same "untouched" "$FILE" "$T/before"
}

test_unsupported() {
	unsupported "oldpass1" unknown
	unsupported "{PLAIN}oldpass1" "{PLAIN}"
	unsupported "{CRYPT.B64}JDEkYWJj" "{CRYPT.B64}"
	unsupported "{SHA512-CRYPT.HEX}24362461" "{SHA512-CRYPT.HEX}"
	unsupported "{CRYPT}oldpass1" "{CRYPT}"
	unsupported "{SSHA}oldpass1" "{SSHA}"
	unsupported "{}$MD5" "{}"
	unsupported "{CRYPT$MD5" unknown
	unsupported "{CRY PT}$MD5" unknown
	unsupported "{CRYPT}{CRYPT}$MD5" "{CRYPT}"
	unsupported "{ARGON2ID}\$argon2id\$v=19\$m=65536,t=3,p=1\$c2FsdA\$aGFzaA" '{ARGON2ID}'
	unsupported '$argon2id$v=19$m=65536,t=3,p=1$c2FsdA$aGFzaA' '$argon2id$'
	unsupported '$apr1$abcdefgh$AAAAAAAAAAAAAAAAAAAAA/' '$apr1$'
	unsupported '$secret$oldpass1' unknown
	unsupported x unknown
	unsupported "${DES}x" unknown
	unsupported "$(printf 'abjBWz09\001wyYL')" unknown
	unsupported '_/...abcdtooshort' unknown
	unsupported '$y$j9T' '$y$'
}

# What a C library without yescrypt makes of it must not count, for it is no hash of that kind.
test_no_yescrypt() {
	need mkpasswd
	P=$SYS
	export CRYPT_MUSL=1
	users "$(mk yescrypt)"
	printf 'bob:%s:\n' "$MD5" >>"$FILE"
	check 1 alice oldpass1
	like "logged" "$(cat "$T/err")" 'unsupported hash user="alice" scheme="\$y\$"'
	is "the next usable setting is paid for" "$(sed -n 's/^crypt //p' "$T/err" | tail -n 1)" "$MD5"
	users '$y$ab.cdefghij'
	check 1 alice oldpass1
	[ "${CRYPT_LIBS-libxcrypt}" ] || return 0
	CRYPT_MUSL=0
	users "$(mk yescrypt)"
	check 0 alice oldpass1
}

test_locked() {
	for f in "!$MD5" "!" "*" "!!" "" "{CRYPT}" "{CRYPT}!$MD5" "{CRYPT}*" "*$MD5" "*0" "{CRYPT}*1"; do
		users "$f"
		check 1 alice oldpass1
		check 1 alice ''
		check 1 alice "$f"
		change 1 alice oldpass1 newpass2
		is "log of \"$f\"" "$(cat "$T/err")" ""
		is "field" "$(field alice)" "$f"
	done
}

# A library that cannot, for want of memory or at all.
test_crypt_fails() {
	P=$SYS
	users "$DES"
	cp "$FILE" "$T/before"
	export CRYPT_FAILS=1 CRYPT_ENOMEM=0
	change 1 alice oldpass1 newpass2
	is "hashes" "$(grep -c '^crypt ' "$T/err")" 2
	like "log" "$(cat "$T/err")" 'unsupported hash user="alice" scheme="unknown" file='
	CRYPT_FAILS=2
	change 111 alice oldpass1 newpass2
	like "log" "$(cat "$T/err")" 'trouble what="cannot hash" file='
	CRYPT_FAILS=0
	for CRYPT_ENOMEM in 1 2; do
		change 111 alice oldpass1 newpass2
		like "log" "$(cat "$T/err")" 'trouble what="cannot hash: .*emory" file='
	done
	CRYPT_ENOMEM=1
	check 111 bob oldpass1
	check 111 alice oldpass1
	same "untouched" "$FILE" "$T/before"
}

test_long_passwords() {
	need perl
	long=$(printf %0256d 1)
	users "$(perl -e 'print crypt($ARGV[0], "\$5\$rounds=1000\$abc")' "$long")"
	check 0 alice "$long"
	check 1 alice "$(printf %0255d 1)"
	check 1 alice "${long}x"
	is "log" "$(cat "$T/err")" ""
	P=$SYS
	export CRYPT_MUSL=1
	check 0 alice "$long"
	check 1 alice "${long}x"
	is "log" "$(grep -v '^crypt ' "$T/err")" ""
}

test_empty_password() {
	users "$(openssl passwd -1 '')"
	check 1 alice ''
	change 1 alice '' newpass2
}

## The record

test_record_check() {
	users
	for r in '' alice 'alice\0' 'alice\0oldpass1'; do
		to 2 checkpassword-file "$r"
		like "log" "$(cat "$T/err")" '^checkpassword-file\[[0-9]+\]: misuse what="malformed record on descriptor 3"$'
	done
	# The first checkpassword needs no timestamp and ignores what follows it.
	for r in 'alice\0oldpass1\0' 'alice\0oldpass1\0<1.2@host>\0' 'alice\0oldpass1\0Y1234\0more' 'alice\0oldpass1\0\0newpass2\0'; do
		to 0 checkpassword-file "$r"
	done
}

test_record_set() {
	users
	cp "$FILE" "$T/before"
	for r in '' alice 'alice\0' 'alice\0oldpass1\0' 'alice\0oldpass1\0\0' 'alice\0oldpass1\0\0newpass2' \
		'alice\0oldpass1\0newpass2\0' 'alice\0oldpass1\0response\0newpass2\0' \
		'alice\0oldpass1\0\0newpass2\0\0' 'alice\0oldpass1\0\0newpass2\0x' 'alice\0oldpass1\0\0new\0pass2\0'; do
		to 2 setpassword-file "$r"
		like "log" "$(cat "$T/err")" '^setpassword-file\[[0-9]+\]: misuse what="malformed record on descriptor 3"$'
	done
	to 1 setpassword-file 'alice\0oldpass1\0\0\0'
	same "untouched" "$FILE" "$T/before"
}

test_record_size() {
	users
	to 0 checkpassword-file "alice\\000oldpass1\\000$(printf %0497d 0)"
	is "bytes" "$(wc -c <"$T/record" | tr -d ' ')" 512
	to 2 checkpassword-file "alice\\000oldpass1\\000$(printf %0498d 0)"
	like "log" "$(cat "$T/err")" 'the record on descriptor 3 is too long'
	to 2 checkpassword-file "alice\\000oldpass1\\000$(printf %09000d 0)"
	users
	change 0 alice oldpass1 "$(printf %0495d 8)"
	is "bytes" "$(wc -c <"$T/record" | tr -d ' ')" 512
	change 0 alice "$(printf %0495d 8)" newpass2
}

# From a pipe, in pieces.
test_record_pieces() {
	users
	mkfifo "$T/fifo"
	{ printf 'ali'; sleep 0.1; printf 'ce\0oldpa'; sleep 0.1; printf 'ss1\0\0\0'; } >"$T/fifo" &
	exits "slow record" 0 "$P/checkpassword-file" -f "$FILE" 3<"$T/fifo"
}

test_no_record() {
	users
	exits "fd 3 closed" 111 "$P/checkpassword-file" -f "$FILE" 3<&-
	like "log" "$(cat "$T/err")" 'trouble what="cannot read descriptor 3: '
	exits "fd 3 a folder" 111 "$P/checkpassword-file" -f "$FILE" 3<"$T"
}

test_record_never_ends() {
	P=$SYS
	users
	mkfifo "$T/fifo"
	bg sleep 20 3<>"$T/fifo"
	exits "no end" 111 "$P/checkpassword-file" -f "$FILE" 3<>"$T/fifo"
	like "log" "$(cat "$T/err")" 'trouble what="timeout: no end of the record on descriptor 3" file="'
}

test_eight_bit() {
	users "$(openssl passwd -1 -salt abc "$(printf 'p\344 ss\302\240w:rd ')")"
	check 0 alice 'p\344 ss\302\240w:rd '
	check 1 alice 'p\344 ss\302\240w:rd'
	change 0 alice 'p\344 ss\302\240w:rd ' ' \377\300\200ab:c '
	check 0 alice ' \377\300\200ab:c '
}

## The next program

next() {
	rm -f "$T"/next.*
	title="next program" to "$@" "$BIN/stub" record "$T/next" exit 7
}

test_next() {
	for r in 'alice\0wrong\0\0newpass2\0' 'bob\0oldpass1\0\0newpass2\0' 'root\0x\0\0newpass2\0'; do
		for p in checkpassword-file setpassword-file; do
			users
			next 7 $p "$r"
			same "record" "$T/next.fd3" "$T/record"
			is "arguments" "$(cat "$T/next.args")" "$(printf '%s\n' "$BIN/stub" record "$T/next" exit 7)"
		done
	done
	next 7 checkpassword-file 'alice\0wrong\0time\0and\0more\0'
	same "record" "$T/next.fd3" "$T/record"
	next 7 checkpassword-file "alice\\000wrong\\000$(printf %0500d 0)"
	same "512 bytes" "$T/next.fd3" "$T/record"
}

test_next_not_run() {
	users
	next 0 checkpassword-file 'alice\0oldpass1\0\0\0'
	nok "run after success" test -e "$T/next.pid"
	next 1 setpassword-file 'alice\0oldpass1\0\0short\0'
	nok "run after a refusal" test -e "$T/next.pid"
	next 0 setpassword-file 'alice\0oldpass1\0\0newpass2\0'
	nok "run after the change" test -e "$T/next.pid"
	next 2 checkpassword-file 'alice'
	nok "run after misuse" test -e "$T/next.pid"
	FILE=$T/none
	next 111 checkpassword-file 'alice\0oldpass1\0\0\0'
	nok "run after trouble" test -e "$T/next.pid"
}

test_next_state() {
	users
	printf 'alice\0wrong\0\0newpass2\0' >"$T/record"
	for p in checkpassword-file setpassword-file; do
		exits "as is" 0 "$BIN/stub" record "$T/bare" 3<"$T/record"
		exits "$p" 0 "$P/$p" -f "$FILE" "$BIN/stub" record "$T/next" 3<"$T/record" 4<"$T/record"
		is "descriptors" "$(grep '^fd' "$T/next.state")" "$(sed -n 's/^fd 3 .*/fd 3 pipe r/; /^fd/p' "$T/bare.state")"
		is "the rest" "$(grep -v '^fd\|^parent\|^core' "$T/next.state")" "$(grep -v '^fd\|^parent\|^core' "$T/bare.state")"
		is "environment" "$(grep -v '^_=' "$T/next.env" | sort)" "$(grep -v '^_=' "$T/bare.env" | sort)"
	done
}

test_next_cannot() {
	users
	printf 'x' >"$T/plain"
	for n in /nonexistent/program "$T/plain" "$T" "$T/plain/x"; do
		title=$n to 111 checkpassword-file 'alice\0wrong\0\0\0' "$n"
		like "log" "$(cat "$T/err")" "^checkpassword-file\\[[0-9]+\\]: trouble what=\"cannot execute: .*\" file=\"$n\"\$"
	done
	PATH=/bin:$PATH title="no PATH" to 111 checkpassword-file 'alice\0wrong\0\0\0' false
}

# Two of them and what ends a chain of IndiMail's kind.
test_chain() {
	users
	FILE2=$T/users2
	printf 'bob:%s\n' "$MD5" >"$FILE2"
	for u in alice bob; do
		title="chain" to 0 setpassword-file "$u\\0oldpass1\\0\\0newpass2\\0" "$P/setpassword-file" -f "$FILE2" /bin/false
		title="chain" to 1 setpassword-file "$u\\0oldpass1\\0\\0newpass2\\0" "$P/setpassword-file" -f "$FILE2" /bin/false
		title="chain" to 0 checkpassword-file "$u\\0newpass2\\0\\0\\0" "$P/checkpassword-file" -f "$FILE2" /bin/false
	done
	title="chain" to 1 checkpassword-file "carol\\0newpass2\\0\\0\\0" "$P/checkpassword-file" -f "$FILE2" /bin/false
}

## Names and options

test_odd_names() {
	FILE=$T/users
	for n in '#alice' 'al:ice' 'al\033ice' 'al\177ice' 'al\tice' 'al\nice' root ''; do
		# shellcheck disable=SC2059 # escapes
		printf "$n:$MD5:1:\\n" >"$FILE"
		title="name $n" to 1 checkpassword-file "$n\\0oldpass1\\0\\0\\0"
		title="name $n" to 1 setpassword-file "$n\\0oldpass1\\0\\0newpass2\\0"
		is "log" "$(cat "$T/err")" ""
	done
	printf 'al:ice:%s\nal:%s:%s\n' "$MD5" "$MD5" "$MD5" >"$FILE"
	check 1 al:ice oldpass1
	check 1 "al:$MD5" oldpass1
	for n in 'a b' '+alice' 'Alice' 'al\344ce' "$(printf %0400d 0)" '\\\\"' alice@example.org; do
		# shellcheck disable=SC2059 # escapes
		printf "$n:$MD5:1:\\n" >"$FILE"
		title="name $n" to 0 checkpassword-file "$n\\0oldpass1\\0\\0\\0"
	done
	users
	check 1 alic oldpass1
	check 1 alicee oldpass1
	check 1 alicf oldpass1
	check 1 blice oldpass1
	check 1 Alice oldpass1
	check 1 lice oldpass1
}

test_domain() {
	users
	to 1 checkpassword-file 'alice@example.org\0oldpass1\0\0\0'
	to 0 checkpassword-file 'alice@example.org\0oldpass1\0\0\0' -d
	to 0 checkpassword-file 'alice@a@b\0oldpass1\0\0\0' -d
	to 0 checkpassword-file 'alice@\0oldpass1\0\0\0' -d
	to 0 checkpassword-file 'alice\0oldpass1\0\0\0' -d
	to 1 checkpassword-file '@alice\0oldpass1\0\0\0' -d
	to 0 setpassword-file 'alice@example.org\0oldpass1\0\0newpass2\0' -d
	title=next to 0 checkpassword-file 'bob@example.org\0oldpass1\0\0\0' -d "$BIN/stub" record "$T/next"
	same "record with its domain" "$T/next.fd3" "$T/record"
	printf 'root:%s\n' "$MD5" >"$FILE"
	to 1 checkpassword-file 'root@example.org\0oldpass1\0\0\0' -d
}

test_options() {
	users
	f=$FILE
	FILE=
	for o in "-f$f" "-f $f" "-df$f" "-d -f $f" "-f $f -d --" "-f /none -f $f" "-u 0 -f $f" "-u0 -f$f"; do
		# shellcheck disable=SC2086 # words
		title="options $o" to 0 checkpassword-file 'alice\0oldpass1\0\0\0' $o
	done
	for o in -x -f -u -m "-m 8" "-u x" "-u -1" "-u 1x" "-u 4294967296" "-u 99999999999999999999" "-dx" --help; do
		# shellcheck disable=SC2086 # words
		title="options $o" to 2 checkpassword-file 'alice\0oldpass1\0\0\0' $o
		like "usage" "$(cat "$T/err")" 'misuse what="usage: checkpassword-file \[-f FILE\] \[-d\] \[-u MINUID\] \[program ...\]"$'
	done
	for o in -m "-m x" "-m -1" "-m 4294967296"; do
		# shellcheck disable=SC2086 # words
		title="options $o" to 2 setpassword-file 'alice\0oldpass1\0\0newpass2\0' $o
		like "usage" "$(cat "$T/err")" 'misuse what="usage: setpassword-file .*\[-m MINLEN\] \[program ...\]"$'
	done
	title="-- ends options" to 111 checkpassword-file 'alice\0wrong\0\0\0' -f "$f" -- -d
	like "next program" "$(cat "$T/err")" 'file="-d"'
}

# The system's files under $T, with alice 1000, low 999, zero 0, and "gone" in shadow alone.
system() {
	P=$SYS
	FILE=
	cd "$T" || return
	mkdir etc
	for u in alice:1000 low:999 zero:0 big:4294967295 over:4294967296 odd:1000x empty:; do
		echo "${u%:*}:x:${u#*:}:100::/:/bin/sh" >>etc/passwd
		echo "${u%:*}:$MD5:19000:0:99999:7:::" >>etc/shadow
	done
	echo "gone:$MD5:19000:0:99999:7:::" >>etc/shadow
	echo "root:$MD5:19000:0:99999:7:::" >>etc/shadow
	echo "root:x:1000:0::/:/bin/sh" >>etc/passwd
}

# names CODE=NAME ...: what a check with these arguments (of $args) says
names() {
	for n in "$@"; do
		# shellcheck disable=SC2086 # words
		title="${n#*=} with $args" to "${n%=*}" checkpassword-file "${n#*=}\\0oldpass1\\0\\0\\0" $args
	done
}

test_min_uid() {
	system
	args=
	names 0=alice 1=low 1=zero 0=big 1=over 1=odd 1=empty 1=gone 1=root
	args="-u 999"
	names 0=alice 0=low 1=zero 1=gone 1=root
	args="-u 0"
	names 0=low 1=zero 1=empty 1=gone 1=root
	args="-u 1001"
	names 1=alice 0=big
	to 1 setpassword-file 'low\0oldpass1\0\0newpass2\0'
	to 0 setpassword-file 'alice\0oldpass1\0\0newpass2\0'
	# Hashes in passwd itself.
	sed "s|:x:|:$MD5:|" etc/passwd >p && mv p etc/passwd
	args="-f etc/passwd"
	names 0=alice 1=low 1=zero 0=big 1=over 1=odd 1=empty 1=gone 1=root
}

# However the file is called.
test_system_names() {
	system
	mkdir other
	ln -s etc/shadow link
	ln -s ../link other/link2
	ln -s etc etclink
	for f in ./etc/shadow "$T/etc/shadow" etc/../etc/shadow etc//shadow link other/link2 etclink/shadow; do
		args="-f $f"
		names 1=low 0=alice
	done
	# And where the system's is a link itself.
	mv etc/shadow other/real
	ln -s ../other/real etc/shadow
	for f in etc/shadow other/real ./other/real link; do
		args="-f $f"
		names 1=low 0=alice
	done
	to 0 setpassword-file 'alice\0oldpass1\0\0newpass2\0'
	ok "still a link" test -h etc/shadow
	ok "locked as the system's" test -e etc/.pwd.lock
	cp other/real other/shadow
	args="-f other/shadow"
	names 0=low
	rm etc/passwd
	args=
	names 111=alice 111=gone
	like "log" "$(cat err)" 'trouble what="cannot open: .*" file="etc/passwd"$'
}

# Other files' uids are looked at only if asked.
test_min_uid_elsewhere() {
	system
	FILE=users
	printf 'a:%s:5000:1::/::\nb:%s:999:1::/::\nc:%s\nd:%s:::\ne:%s:0:0::/::\nf:%s:1x:0::/::\n' \
		"$MD5" "$MD5" "$MD5" "$MD5" "$MD5" "$MD5" >users
	args=
	names 0=a 0=b 0=c 0=d 0=e 0=f
	args="-u 1000"
	names 0=a 1=b 0=c 0=d 1=e 1=f
	args="-u 0"
	names 0=a 0=b 0=e
	FILE=shadow
	cp etc/shadow shadow
	args=
	names 0=low 0=gone 1=root
	args="-u 1000"
	names 0=alice 1=low 1=gone
}

test_policy() {
	users
	cp "$FILE" "$T/before"
	change 1 alice oldpass1 1234567
	is "reason" "$(cat "$T/out")" "too short (minimum 8)"
	is "log" "$(cat "$T/err")" ""
	change 1 alice wrong 1234567
	is "no reason for the wrong" "$(cat "$T/out")" ""
	to 1 setpassword-file 'alice\0oldpass1\0\000123456789\0' -m 10
	is "reason" "$(cat "$T/out")" "too short (minimum 10)"
	to 1 setpassword-file 'alice\0oldpass1\0\0\0' -m 0
	is "reason" "$(cat "$T/out")" "too short (minimum 1)"
	same "untouched" "$FILE" "$T/before"
	nok "lock file" test -e "$FILE.lock"
	to 0 setpassword-file 'alice\0oldpass1\0\0001\0' -m 1
	to 0 setpassword-file 'alice\0001\0\00012345678\0'
}

test_too_long() {
	need perl
	users "$DES"
	change 1 alice oldpass1 123456789
	is "reason" "$(cat "$T/out")" "too long (maximum 8)"
	change 0 alice oldpass1 12345678
	for s in '$2b$04$abcdefghijklmnopqrstuu:72' '$5$rounds=1000$abc:256' '$6$rounds=1000$abc:256'; do
		users "$(perl -e 'print crypt("oldpass1", $ARGV[0])' "${s%:*}")"
		change 1 alice oldpass1 "$(printf "%0$((${s#*:} + 1))d" 0)"
		is "reason" "$(cat "$T/out")" "too long (maximum ${s#*:})"
		change 0 alice oldpass1 "$(printf "%0${s#*:}d" 0)"
		check 0 alice "$(printf "%0${s#*:}d" 0)"
	done
}

## The file, byte for byte

# verbatim BEFORE AFTER: the file around alice's field
verbatim() {
	# shellcheck disable=SC2059 # escapes
	printf "$1" >"$T/head"
	# shellcheck disable=SC2059 # escapes
	printf "$2" >"$T/tail"
	FILE=$T/users
	{ cat "$T/head"; printf %s "$MD5"; cat "$T/tail"; } >"$FILE"
	cp "$FILE" "$T/before"
	check 0 alice oldpass1
	change 0 alice oldpass1 newpass2
	check 0 alice newpass2
	n=$(wc -c <"$T/head")
	head -c "$n" "$FILE" | cmp -s - "$T/head" || fail "changed before: $1"
	tail -c +"$((n + ${#MD5} + 1))" "$FILE" >"$T/after"
	same "after the field: $2" "$T/after" "$T/tail"
}

test_verbatim() {
	odd='\n\n# comment\n#alice:x:\n :a\nnocolon\n::::\n:\nalice\nalicex:y\nbob:a:b:c:d:e:f:g:h::::: : \t\n\001\377\200\r\n'
	verbatim 'alice:' '\n'
	verbatim 'alice:' ''
	verbatim 'alice:' ':x'
	verbatim 'alice:' '\r\n'
	verbatim 'alice:' '\r'
	verbatim 'alice:' ':1:2\r\nbob:x\r\n'
	verbatim "${odd}alice:" ":5000:5000:a b:/h:::k=v l=m:n \\t\\n$odd"
	verbatim "${odd}alice:" "$odd"
	verbatim 'x\0alice:!\nalice:' ':\0\n'
	verbatim '\0\0:\0\nbob:\0:\nalice:' ':\0\0:\0\n\0'
}

test_verbatim_long() {
	long=$(printf %0300000d 0)
	short=$(printf %03000d 0)
	verbatim "$long\\n$long:$long\\nalice:" ":$long\\n$long"
	verbatim "$short\\n$short:x\\n$short\\nalice:" ":$short:1:2\\n$short:$short"
	# A name within a line is none, wherever that falls.
	for size in 2048 4096 65536; do
		verbatim "$(printf "%0${size}d" 0)alice:!\\nalice:" '\n'
	done
	# Line ends at every place around where blocks and heads end.
	for size in 2045 2046 2047 2048 2049 65534 65535 65536 65537 63486 63487 63488 63489; do
		verbatim "$(printf "%0${size}d" 0)\\nalice:" ':x\nbob:y'
		verbatim "#\\n$(printf "%0$((size / 2))d" 0)\\n$(printf "%0$((size - size / 2))d" 0)\\nalice:" '\n'
	done
}

test_first_line_wins() {
	verbatim 'alice:' ':\nalice:!:\nalice:x\n'
	users "!"
	printf 'alice:%s:\n' "$MD5" >>"$FILE"
	check 1 alice oldpass1
	change 1 alice oldpass1 newpass2
}

test_field_too_long() {
	users "$MD5$(printf %0600d 0)"
	check 1 alice oldpass1
	users "$(printf %05000d 0)"
	check 1 alice oldpass1
	users "{CRYPT}$MD5$(printf %070000d 0)"
	check 1 alice oldpass1
	change 1 alice oldpass1 newpass2
	FILE=$T/empty
	: >"$FILE"
	check 1 alice oldpass1
	printf 'alice:%s\0junk:\n' "$MD5" >"$FILE"
	check 1 alice oldpass1
	printf 'alice:%s junk:\n' "$MD5" >"$FILE"
	check 1 alice oldpass1
}

# shadow BEFORE AFTER [DAY]: what becomes of the fields after the hash
shadow() {
	FILE=$T/shadow
	printf 'bob:!:19000:::::\nalice:%s:%s\n%s' "$MD5" "$1" 'last:*' >"$FILE"
	change 0 alice oldpass1 newpass2
	is "field 3 and on" "$(sed -n 's/^alice:[^:]*://p' "$FILE")" "$2"
	is "others" "$(grep -v ^alice "$FILE")" "$(printf 'bob:!:19000:::::\n%s' 'last:*')"
}

test_last_change() {
	today=$(($(date +%s) / 86400))
	shadow '19000:0:99999:7:::' "$today:0:99999:7:::"
	shadow '0:0:99999:7:::' "$today:0:99999:7:::"
	shadow ':0:99999:7:::' "$today:0:99999:7:::"
	shadow '19000::::::' "$today::::::"
	shadow '19000:0:99999:7:-1:-1:' "$today:0:99999:7:-1:-1:"
	# Not shadow's: in a passwd-file the number would be a uid.
	shadow '::::::' '::::::'
	shadow '5000:5000::/home/a::x=y:z' '5000:5000::/home/a::x=y:z'
	shadow '5000:5000::::' '5000:5000::::'
	shadow '19000:0:99999:7::' '19000:0:99999:7::'
	shadow '19000:0:99999:7::::' '19000:0:99999:7::::'
	shadow '19000:0:99999:7:::x' '19000:0:99999:7:::x'
	shadow '19000:-:99999:7:::' '19000:-:99999:7:::'
}

test_clock() {
	P=$SYS
	for t in 0:1 86399:1 86400:1 172799:1 172800:2 1700000000:19675 -5:1; do
		export FAKE_TIME="${t%:*}"
		shadow '19000:0:99999:7:::' "${t#*:}:0:99999:7:::"
	done
	unset FAKE_TIME
	system
	printf 'alice:%s:::::::\n' "$MD5" >etc/shadow
	change 0 alice oldpass1 newpass2
	like "empty in the system's" "$(cat etc/shadow)" '^alice:[^:]*:[1-9][0-9]*::::::$'
}

test_mode_and_owner() {
	users
	for mode in 600 640 644 400 660 777; do
		chmod "$mode" "$FILE"
		(umask 077; change 0 alice oldpass1 newpass2)
		is "mode" "$(stat -c %a "$FILE")" "$mode"
		(umask 0; change 0 alice newpass2 oldpass1)
		is "mode" "$(stat -c %a "$FILE")" "$mode"
	done
	nok "left behind" test -e "$FILE.poppass"
	is "mode of the lock" "$(stat -c %a "$FILE.lock")" 600
	as_root
	chown 1234:4321 "$FILE"
	chmod 640 "$FILE"
	change 0 alice oldpass1 newpass2
	is "owner" "$(stat -c %u:%g:%a "$FILE")" 1234:4321:640
	chmod 6755 "$FILE"
	change 0 alice newpass2 oldpass1
	is "all bits" "$(stat -c %u:%g:%a "$FILE")" 1234:4321:6755
}

# A lost entry here would lock Dovecot out.
test_acl() {
	need setfacl
	users
	setfacl -m u:1:r,g:2:rw "$FILE" 2>/dev/null || skip 'no access control lists here'
	getfacl -c "$FILE" >"$T/before"
	change 0 alice oldpass1 newpass2
	getfacl -c "$FILE" >"$T/after"
	same "access control list" "$T/after" "$T/before"
	# What the folder would give must not open the file to more.
	setfacl -b "$FILE"
	setfacl -d -m u:1:rw,g:2:rw "$T"
	chmod 640 "$FILE"
	change 0 alice newpass2 oldpass1
	getfacl -c "$FILE" >"$T/after"
	printf 'user::rw-\ngroup::r--\nother::---\n\n' >"$T/before"
	same "no list" "$T/after" "$T/before"
}

test_mtime() {
	users
	for when in 2000-01-01 now '1 hour' '10 years'; do
		touch -d "$when" "$FILE"
		old=$(stat -c %Y "$FILE")
		change 0 alice oldpass1 newpass2
		new=$(stat -c %Y "$FILE")
		between "seconds later ($when)" "$((new - old))" 1 2000000000
		change 0 alice newpass2 oldpass1
		between "later again" "$(($(stat -c %Y "$FILE") - new))" 1 2
	done
}

test_symlink() {
	users
	mkdir "$T/a" "$T/b"
	mv "$FILE" "$T/a/real"
	ln -s ../a/real "$T/b/one"
	ln -s "$T/b/one" "$T/b/two"
	ln -s b/two "$FILE"
	change 0 alice oldpass1 newpass2
	ok "still links" test -h "$FILE" -a -h "$T/b/one" -a -h "$T/b/two"
	ok "a file" test -f "$T/a/real" -a ! -h "$T/a/real"
	is "files" "$(cd "$T" && ls a b)" "$(printf 'a:\nreal\nreal.lock\n\nb:\none\ntwo')"
	check 0 alice newpass2
	(cd "$T/b" && FILE=one && change 0 alice newpass2 newpass3)
	(cd "$T/a" && FILE=real && change 0 alice newpass3 newpass4)
	ln -s loop "$T/loop"
	FILE=$T/loop
	change 111 alice oldpass1 newpass2
	like "log" "$(cat "$T/err")" "trouble what=\"cannot open: .*\" file=\"$T/loop\"\$"
}

## What is in the way

test_no_regular_file() {
	mkfifo "$T/fifo"
	for f in "$T/none" "$T" "$T/fifo" /dev/null /dev/zero "$T/none/x" ''; do
		FILE=$f
		[ "$f" ] || set -- -f ''
		code=111
		[ "$f" ] || code=2
		title="file $f" to "$code" checkpassword-file 'alice\0oldpass1\0\0\0' "$@"
		[ -z "$f" ] || like "log" "$(cat "$T/err")" "^checkpassword-file\\[[0-9]+\\]: trouble what=\"[^\"]+\" file=\"$f\"\$"
		title="file $f" to "$code" setpassword-file 'alice\0oldpass1\0\0newpass2\0' "$@"
		is "lines" "$(wc -l <"$T/err" | tr -d ' ')" 1
	done
}

test_log_names() {
	FILE="$T/$(printf 'a"b\\c\nd\033\344')"
	check 111 alice oldpass1
	like "escaped" "$(cat "$T/err")" 'file=".*/a\\x22b\\x5cc\\x0ad\\x1b\\xe4"$'
	is "lines" "$(wc -l <"$T/err" | tr -d ' ')" 1
	FILE=$T/$(printf %0250d 0)
	check 111 alice oldpass1
	like "cut" "$(cat "$T/err")" '000\.\.\."$'
	between "bytes" "$(wc -c <"$T/err")" 150 200
	printf '%0300d:{X}\n' 0 >"$FILE"
	title="long name" to 1 checkpassword-file "$(printf %0300d 0)\\0x\\0\\0\\0"
	like "cut" "$(cat "$T/err")" ' user="0{64}\.\.\." scheme="\{X\}" file="/.*0\.\.\."$'
	between "bytes" "$(wc -c <"$T/err")" 150 200
	printf '"\\\377":{X}\n' >"$FILE"
	to 1 checkpassword-file '"\\\377"\0x\0\0\0'
	like "escaped" "$(cat "$T/err")" ' user="\\x22\\x5c\\xff\\x22" scheme'
}

# The log must not go where a file was opened meanwhile.
test_closed_descriptors() {
	users
	printf 'bob:{PLAIN}x:\n' >>"$FILE"
	cp "$FILE" "$T/before"
	printf 'bob\0x\0\0newpass2\0' >"$T/record"
	export R="$T/record"
	for p in checkpassword-file setpassword-file; do
		ok "$p without 0 to 2" sh -c '"$@" 3<"$R" 0<&- 1>&- 2>&-; test $? = 1' sh "$P/$p" -f "$FILE"
	done
	same "untouched" "$FILE" "$T/before"
	printf 'alice\0oldpass1\0\0short\0' >"$T/record"
	ok "refusal without 0 to 2" sh -c '"$@" 3<"$R" 0<&- 1>&- 2>&-; test $? = 1' sh "$P/setpassword-file" -f "$FILE"
	same "untouched" "$FILE" "$T/before"
	export N="$T/next" S="$BIN/stub"
	printf 'alice\0x\0\0newpass2\0' >"$T/record"
	ok "next program without 0 to 2" sh -c '"$@" "$S" record "$N" exit 7 3<"$R" 0<&- 1>&- 2>&-; test $? = 7' sh "$P/setpassword-file" -f "$FILE"
	is "its descriptors" "$(grep '^fd [0-4] ' "$N.state")" "$(printf 'fd 0 null rw\nfd 1 null rw\nfd 2 null rw\nfd 3 pipe r')"
	printf 'alice\0oldpass1\0\0newpass2\0' >"$T/record"
	ok "change without 0 to 2" sh -c '"$@" 3<"$R" 0<&- 1>&- 2>&-' sh "$P/setpassword-file" -f "$FILE"
	is "others" "$(grep -v ^alice "$FILE")" "bob:{PLAIN}x:"
}

# Nobody reads what it prints.
test_broken_pipes() {
	users '{PLAIN}x'
	export R="$T/record" C="$T/code"
	printf 'bob:%s\n' "$MD5" >>"$FILE"
	for r in 'alice\0x\0\0newpass2\0' 'bob\0oldpass1\0\0short\0'; do
		# shellcheck disable=SC2059 # escapes
		printf "$r" >"$T/record"
		# shellcheck disable=SC2016 # for the inner shell
		is "exit code" "$(sh -c '{ sleep 0.2; "$@" 3<"$R" 2>&1; echo $? >&4; } 4>"$C" | :; cat "$C"' sh "$P/setpassword-file" -f "$FILE")" 1
	done
}

locked() {
	users
	cp "$FILE" "$T/before"
	bg holdlock "$1" "$FILE.lock" >"$T/holder"
	within 5 grep -q locked "$T/holder"
	change 111 alice oldpass1 newpass2
	like "log" "$(cat "$T/err")" \
		"^setpassword-file\\[[0-9]+\\]: trouble what=\"timeout: locked by another program\" file=\"$FILE\"\$"
	same "untouched" "$FILE" "$T/before"
	check 0 alice oldpass1
	kill "$BG"
	wait "$BG"
	change 0 alice oldpass1 newpass2
}

test_locked_file() {
	P=$SYS
	locked "$1"
}

test_locked_system() {
	system
	bg holdlock fcntl etc/.pwd.lock >"$T/holder"
	within 5 grep -q locked "$T/holder"
	for f in shadow passwd; do
		[ $f = shadow ] || sed "s|:x:|:$MD5:|" etc/passwd >etc/p
		[ $f = shadow ] || mv etc/p etc/passwd
		FILE=etc/$f
		change 111 alice oldpass1 newpass2
		like "log" "$(cat "$T/err")" "what=\"timeout: locked by another program\" file=\"$FILE\"\$"
	done
	is "files" "$(ls -A etc)" "$(printf '.pwd.lock\npasswd\nshadow')"
	kill "$BG"
	wait "$BG"
	change 0 alice oldpass1 newpass2
}

# While it waits: is it in memory, what if the file changes, what if the lock goes.
waiting_change() {
	users
	printf 'bob:%s:\n' "$MD5" >>"$FILE"
	bg holdlock flock "$FILE.lock" >"$T/holder"
	HOLDER=$BG
	within 5 grep -q locked "$T/holder"
	printf 'alice\0oldpass1\0\0newpass2\0' >"$T/record"
	"$REAL/setpassword-file" -f "$FILE" 3<"$T/record" 2>"$T/err" &
	CHANGER=$!
	if [ ! -r /proc/locks ]; then
		sleep 1
	elif ! within 5 grep -q -- "->.* $CHANGER " /proc/locks; then
		fail "it does not wait" "$(cat /proc/locks)"
	fi
}

ended() {
	got=0
	kill "$HOLDER" 2>/dev/null
	wait "$CHANGER" || got=$?
	is "exit code" $got "$1"
}

test_wait_others() {
	waiting_change
	sed 's/^bob.*/bob:meanwhile:/' "$FILE" >"$T/new" && mv "$T/new" "$FILE"
	printf 'carol:x\n' >>"$FILE"
	ended 0
	is "both changes" "$(rest alice "$FILE")" "$(printf 'alice::1000:1000::/home/alice::\nbob:meanwhile:\ncarol:x')"
	check 0 alice newpass2
}

test_wait_same() {
	waiting_change
	sed 's/^alice:[^:]*/alice:$1$abcdefgh$meanwhile/' "$FILE" >"$T/new" && cp "$T/new" "$FILE"
	ended 111
	same "theirs" "$FILE" "$T/new"
	like "log" "$(cat "$T/err")" 'trouble what="password changed by another program meanwhile" file='
	waiting_change
	sed '/^alice/d' "$FILE" >"$T/new" && cp "$T/new" "$FILE"
	ended 111
	same "theirs" "$FILE" "$T/new"
}

test_wait_lock_removed() {
	waiting_change
	rm "$FILE.lock"
	bg holdlock fcntl "$FILE.lock" >"$T/holder2"
	within 5 grep -q locked "$T/holder2"
	kill "$HOLDER"
	sleep 0.3
	ok "waits for the new lock" kill -0 "$CHANGER"
	HOLDER=$BG
	ended 0
	check 0 alice newpass2
}

test_wait_secrets() {
	[ -r /proc/self/mem ] || skip 'no /proc'
	printf 'alice\0oldpass1\0\0newpass2\0' >"$T/record"
	mkfifo "$T/fifo"
	users
	"$REAL/setpassword-file" -f "$FILE" 3<>"$T/fifo" &
	pid=$!
	cat "$T/record" >"$T/fifo"
	sleep 0.2
	memgrep $pid newpass2 >/dev/null
	was=$?
	kill $pid
	wait $pid
	[ $was != 2 ] || skip 'cannot read the memory of a process that is not dumpable'
	is "there before" $was 0
	waiting_change
	memgrep "$CHANGER" oldpass1 newpass2 >"$T/found"
	is "gone when it waits" $? 1
	is "found" "$(cat "$T/found")" ""
	ended 0
}

test_not_dumpable() {
	mkfifo "$T/fifo"
	users
	# shellcheck disable=SC3045 # dash and ash have it
	ulimit -c unlimited 2>/dev/null || :
	bg "$REAL/setpassword-file" -f "$FILE" 3<>"$T/fifo"
	sleep 0.3
	pid=$(cat "/proc/$BG/task/$BG/children" 2>/dev/null) || skip 'no /proc/PID/task/PID/children'
	like "core limit" "$(cat "/proc/${pid% }/limits")" 'core file size  *0 '
	# A process that is not dumpable has its /proc owned by root, as root's own have anyway.
	is "owner" "$(stat -c %u "/proc/${pid% }/fd")" 0
}

# Left by one that was killed, or put there to trap it.
test_left_behind() {
	for kind in file link none; do
		users
		echo victim >"$T/victim"
		case $kind in
		file) echo "alice:half" >"$FILE.poppass" ;;
		link) ln -sf "$T/victim" "$FILE.poppass" ;;
		esac
		change 0 alice oldpass1 newpass2
		check 0 alice newpass2
		is "victim" "$(cat "$T/victim")" victim
		nok "left behind" test -e "$FILE.poppass"
		ok "plain file" test ! -h "$FILE"
	done
	users
	mkdir "$FILE.poppass"
	change 111 alice oldpass1 newpass2
	like "log" "$(cat "$T/err")" "what=\"cannot remove: .*\" file=\"$FILE.poppass\"\$"
	check 0 alice oldpass1
	rmdir "$FILE.poppass"
	rm -f "$FILE.lock"
	ln -s "$T/victim" "$FILE.lock"
	change 111 alice oldpass1 newpass2
	is "victim" "$(cat "$T/victim")" victim
	rm "$FILE.lock"
	mkfifo "$FILE.lock"
	change 111 alice oldpass1 newpass2
	rm "$FILE.lock"
	check 0 alice oldpass1
}

test_read_only() {
	mkdir "$T/ro"
	users
	mv "$FILE" "$T/ro/users"
	FILE=$T/ro/users
	if [ "$(id -u)" = 0 ]; then
		mount -t tmpfs -o size=64k none "$T/ro" 2>/dev/null || skip 'cannot mount'
		printf 'alice:%s\n' "$MD5" >"$FILE"
		mount -o remount,ro "$T/ro"
	else
		chmod 555 "$T/ro"
	fi
	cp "$FILE" "$T/before"
	check 0 alice oldpass1
	change 111 alice oldpass1 newpass2
	like "log" "$(cat "$T/err")" "trouble what=\"cannot open: .*\" file=\"$FILE.lock\"\$"
	same "untouched" "$FILE" "$T/before"
	is "files" "$(ls "$T/ro")" users
	umount "$T/ro" 2>/dev/null
	chmod 755 "$T/ro"
}

test_unreadable() {
	[ "$(id -u)" != 0 ] || skip 'root reads everything'
	users
	chmod 0 "$FILE"
	check 111 alice oldpass1
	like "log" "$(cat "$T/err")" "what=\"cannot open: .*\" file=\"$FILE\"\$"
}

# The disk fills at every place of the new file.
test_disk_full() {
	as_root
	mkdir "$T/small"
	mount -t tmpfs -o size=256k none "$T/small" 2>/dev/null || skip 'cannot mount'
	FILE=$T/small/users
	{ for i in 1 2 3 4 5 6 7 8 9; do printf 'u%d:%0999d\n' $i 0; done
	printf 'alice:%s\n' "$MD5"
	printf 'z:%01000d\n' 0; } >"$FILE"
	for i in 1 2 3 4 5 6 7 8 9 10 11; do cat "$FILE"; done >"$T/more"
	cat "$T/more" >>"$FILE"
	cp "$FILE" "$T/before"
	failures=0
	for free in 0 1 2 5 10 20 29 30 31; do
		rm -f "$T/small/ballast"
		head -c 200000 /dev/zero >"$T/small/ballast" 2>/dev/null
		space=$(df -Pk "$T/small" | awk 'NR == 2 { print $4 }')
		head -c "$((200000 + (space - free * 4) * 1024))" /dev/zero >"$T/small/ballast" 2>/dev/null
		title="with $free pages" change 111 alice oldpass1 newpass2 || continue
		failures=$((failures + 1))
		like "log" "$(cat "$T/err")" 'trouble what="cannot .*: No space left on device" file='
		same "untouched" "$FILE" "$T/before"
		is "files" "$(ls "$T/small")" "$(printf 'ballast\nusers\nusers.lock')"
	done
	between "failures" $failures 5 9
	rm "$T/small/ballast"
	change 0 alice oldpass1 newpass2
	is "rest" "$(rest alice "$FILE" | cksum)" "$(rest alice "$T/before" | cksum)"
	umount "$T/small"
}

test_file_size_limit() {
	users
	printf '%02000d\n' 0 >>"$FILE"
	cp "$FILE" "$T/before"
	printf 'alice\0oldpass1\0\0newpass2\0' >"$T/record"
	# shellcheck disable=SC2016,SC3045 # for the inner shell; ulimit -f is POSIX
	exits "limit" 111 sh -c 'ulimit -f 2; exec "$@"' sh "$P/setpassword-file" -f "$FILE" 3<"$T/record"
	like "log" "$(cat "$T/err")" "what=\"cannot write: .*\" file=\"$FILE.poppass\""
	same "untouched" "$FILE" "$T/before"
	nok "left behind" test -e "$FILE.poppass"
}

# The folder cannot be synced: nobody knows what is on the disk, so the death must not look like a verdict.
test_sync_fails() {
	need strace
	users
	printf 'alice\0oldpass1\0\0newpass2\0' >"$T/record"
	strace -qq -o "$T/trace" -e trace=fsync -e inject=fsync:error=EIO:when=1 true 2>/dev/null || skip 'strace cannot inject'
	exits "first fsync" 111 strace -qq -o "$T/trace" -e trace=fsync -e inject=fsync:error=EIO:when=1 \
		"$P/setpassword-file" -f "$FILE" 3<"$T/record"
	check 0 alice oldpass1
	nok "left behind" test -e "$FILE.poppass"
	printf 'alice\0oldpass1\0\0newpass2\0' >"$T/record"
	exits "second fsync" 137 strace -qq -o "$T/trace" -e trace=fsync -e inject=fsync:error=EIO:when=2 \
		"$P/setpassword-file" -f "$FILE" 3<"$T/record"
	like "log" "$(cat "$T/err")" 'trouble what="changed, but the folder could not be written to the disk" file='
	check 0 alice newpass2
	printf 'alice\0newpass2\0\0newpass3\0' >"$T/record"
	exits "folders are not synced here" 0 strace -qq -o "$T/trace" -e trace=fsync -e inject=fsync:error=EINVAL:when=2 \
		"$P/setpassword-file" -f "$FILE" 3<"$T/record"
}

## Many at once, killed at any time, large files

test_at_once() {
	FILE=$T/users
	for i in $(seq 40); do printf 'u%d:%s:%d:x\n' "$i" "$MD5" "$i"; done >"$FILE"
	cp "$FILE" "$T/before"
	pids=
	for i in $(seq 40); do
		printf 'u%d\0oldpass1\0\0newpass%d\0' "$i" "$i" >"$T/r$i"
		"$P/setpassword-file" -f "$FILE" -m 1 3<"$T/r$i" &
		pids="$pids $!"
	done
	for pid in $pids; do ok "change" wait "$pid"; done
	is "rest" "$(sed 's/:[^:]*//' "$FILE")" "$(sed 's/:[^:]*//' "$T/before")"
	for i in $(seq 40); do
		printf 'u%d\0newpass%d\0\0\0' "$i" "$i" >"$T/record"
		ok "u$i" "$P/checkpassword-file" -f "$FILE" 3<"$T/record"
	done
	is "files" "$(cd "$T" && ls users*)" "$(printf 'users\nusers.lock')"
}

# All of them want the same name: one gets it.
test_at_once_same() {
	users
	pids=
	for i in $(seq 12); do
		printf 'alice\0oldpass1\0\0newpass%d\0' "$i" >"$T/r$i"
		"$P/setpassword-file" -f "$FILE" -m 1 3<"$T/r$i" 2>/dev/null &
		pids="$pids $!"
	done
	i=0 won=
	for pid in $pids; do
		i=$((i + 1))
		! wait "$pid" || won="$won$i"
	done
	check 0 alice "newpass$won"
	is "lines" "$(rest alice "$FILE")" "alice::1000:1000::/home/alice::"
}

# 200 kills over the time that a change takes; the file is the old or the new one, the password too.
# How long that is changes with what else the machine does, so the moments follow: a kill that came
# too late shortens the longest wait, one that hit there lengthens it.
test_kills() {
	FILE=$T/users
	for i in $(seq 3000); do echo "u$i:$MD5:1:1:some text:/home/u$i:/bin/sh:a=b"; done >"$T/many"
	{ cat "$T/many"; echo "alice:$MD5:1:1"; cat "$T/many"; } >"$FILE"
	sum=$(rest alice "$FILE" | cksum)
	old=oldpass1 new=newpass2
	longest=$(lasts)
	kills=0 changes=0 i=0
	while [ $kills -lt 200 ] && [ $i -lt 1000 ]; do
		i=$((i + 1))
		step=$((i % 40 + 1))
		record "$old" "$new"
		got=0
		"$BIN/trace" kill "$((longest * step / 40))" "$P/setpassword-file" -f "$FILE" 3<"$T/record" || got=$?
		if [ $got = 137 ]; then
			kills=$((kills + 1))
			[ $step = 40 ] && longest=$((longest * 5 / 4))
		else
			longest=$((longest * 39 / 40))
		fi
		[ "$(rest alice "$FILE" | cksum)" = "$sum" ] || { fail "the file is not whole"; return; }
		printf 'alice\0%s\0\0\0' "$new" >"$T/record"
		if "$P/checkpassword-file" -f "$FILE" 3<"$T/record"; then
			new=$old
			old=$(sed 's/alice.//; s/..$//' "$T/record" | tr -d '\0')
			changes=$((changes + 1))
		else
			[ $got != 0 ] || fail "success, but not changed"
			printf 'alice\0%s\0\0\0' "$old" >"$T/record"
			"$P/checkpassword-file" -f "$FILE" 3<"$T/record" || { fail "neither password works"; return; }
		fi
	done
	echo "$kills kills in $i runs, $changes changes, ${longest} us"
	is "kills" $kills 200
	record "$old" "$new"
	exits "after all of that" 0 "$P/setpassword-file" -f "$FILE" 3<"$T/record"
	is "files" "$(cd "$T" && ls users*)" "$(printf 'users\nusers.lock')"
}

record() {
	printf 'alice\0%s\0\0%s\0' "$1" "$2" >"$T/record"
}

# Microseconds until a kill comes too late.
lasts() {
	us=2000
	while :; do
		cp "$FILE" "$T/try"
		"$BIN/trace" kill $us "$P/setpassword-file" -f "$T/try" 3<"$T/record" && break
		us=$((us * 5 / 4))
		[ $us -lt 5000000 ] || break
	done
	echo $us
}

test_large() {
	FILE=$T/users
	awk -v h="$MD5" 'BEGIN { for (i = 0; i < 300000; i++) print "user" i ":{MD5-CRYPT}" h ":5000:5000::/var/mail/" i "::a=b" }' >"$FILE"
	printf 'alice:%s:1:1\n' "$MD5" >>"$FILE"
	sum=$(rest alice "$FILE" | cksum)
	printf 'alice\0oldpass1\0\0newpass2\0' >"$T/record"
	# shellcheck disable=SC2016,SC3045 # for the inner shell; where there is no -v it says so
	memory=2048
	[ "${STATIC:-1}" = 1 ] && ! emulated || memory=unlimited
	exits "in 2 MB" 0 sh -c 'ulimit -v "$1"; shift; exec "$@"' sh $memory "$P/setpassword-file" -f "$FILE" 3<"$T/record"
	is "rest" "$(rest alice "$FILE" | cksum)" "$sum"
	check 0 alice newpass2
	emulated || between "seconds for 20 checks" "$(seconds twenty_checks)" 0 10
}

twenty_checks() {
	printf 'bob\0newpass2\0\0\0' >"$T/record"
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		! "$P/checkpassword-file" -f "$FILE" 3<"$T/record" || fail "run $i"
	done
}

seconds() {
	from=$(date +%s)
	"$@"
	echo "$(($(date +%s) - from))"
}

## Time tells nothing

# Names of every fate, in a file that begins with what is not usable.
fates() {
	system
	{
		echo 'first:!:19000:0:99999:7:::'
		echo 'second:{PLAIN}secret:19000:0:99999:7:::'
		for u in "alice:$DES" "locked:!$DES" star:\* "empty:" 'unsupported:{PLAIN}oldpass1' "low:$DES" "gone:$DES" "root:$DES"; do
			echo "$u:19000:0:99999:7:::"
		done
	} >etc/shadow
	sed 's/^\(low\|alice\):.*/&/; s/^zero/locked/; s/^big/star/; s/^over/unsupported/' etc/passwd >p && mv p etc/passwd
}

FATES='alice locked star empty unsupported low gone root nobody #x'

test_one_crypt() {
	fates
	printf 'other:%s\n' "$MD5" >>etc/shadow
	for u in $FATES; do
		check 1 "$u" wrong
		is "hashes for $u" "$(sed -n 's/^crypt //p' err)" "$DES"
		to 1 setpassword-file "$u\\0wrong\\0\\0newpass2\\0"
		is "hashes for $u" "$(sed -n 's/^crypt //p' err)" "$DES"
	done
	check 0 alice oldpass1
	is "hashes" "$(grep -c '^crypt ' err)" 1
	for u in locked low gone root; do
		check 1 $u oldpass1
		is "hashes for $u" "$(sed -n 's/^crypt //p' err)" "$DES"
	done
	# No usable setting at all.
	printf 'alice:*:19000:0:99999:7:::\n' >etc/shadow
	check 1 alice oldpass1
	is "hashes" "$(grep -c '^crypt ' err)" 1
	: >etc/shadow
	check 1 alice oldpass1
	is "hashes" "$(grep -c '^crypt ' err)" 1
}

# Whole programs, instruction by instruction.
test_instructions() {
	emulated && skip 'would count the emulator'
	[ "${STATIC:-1}" = 1 ] || skip 'would count the loader'
	FILE=$T/users
	{
		printf 'alice:%s:1000\nlocked:!%s:1000\nlow:%s:1\nempty::1000\n' "$DES" "$DES" "$DES"
		printf 'other:%s\n' "$DES"
	} >"$FILE"
	printf 'alice\0wrong123\0\0\0' >"$T/record"
	counted alice || skip 'cannot trace'
	base=$N
	[ "$base" -gt 20000 ] || skip "cannot count: $base"
	echo "alice: $base"
	for u in locked low empty nobody other; do
		printf '%s\0wrong123\0\0\0' "$u" >"$T/record"
		counted $u
		echo "$u: $N"
		between "$u, of $base" "$N" "$((base - base / 20))" "$((base + base / 20))"
	done
}

counted() {
	"$BIN/trace" count "$T/count" "$REAL/checkpassword-file" -u 500 -f "$FILE" 3<"$T/record"
	N=$(cat "$T/count") && [ "$N" ]
}

## As others see it

test_static() {
	need file
	[ "${STATIC:-1}" = 1 ] || skip 'STATIC=0'
	for p in checkpassword-file setpassword-file; do
		like "$p" "$(file "$(absolute "$BUILD")/$p")" 'statically linked'
		unlike "$p allocates" "$(nm "$(absolute "$BUILD")/$p" 2>/dev/null)" ' [TtWw] (malloc|free|realloc|getpwnam|getspnam|syslog)$'
	done
}

test_setuid() {
	as_root
	need setpriv
	{ emulated || [ "${STATIC:-1}" != 1 ]; } && skip 'static programs only'
	cp "$(command -v id)" "$T/id"
	chmod 4755 "$T/id"
	chmod 755 "$TMP" "$T"
	[ "$(setpriv --reuid=65534 --regid=65534 --clear-groups "$T/id" -u)" = 0 ] || skip 'no setuid in this file system'
	users
	chmod 644 "$FILE"
	printf 'alice\0oldpass1\0\0\0' >"$T/record"
	for mode in 4755 2755; do
		cp "$P/checkpassword-file" "$T/copy"
		chmod $mode "$T/copy"
		exits "mode $mode" 2 setpriv --reuid=65534 --regid=65534 --clear-groups "$T/copy" -f "$FILE" 3<"$T/record"
		like "log" "$(cat "$T/err")" 'misuse what="must not be setuid'
	done
	chmod 755 "$T/copy"
	exits "as a user" 0 setpriv --reuid=65534 --regid=65534 --clear-groups "$T/copy" -f "$FILE" 3<"$T/record"
}

# bcrypt with 2^31 rounds takes days.
test_hash_never_ends() {
	P=$SYS
	users '$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijk'
	check 111 alice oldpass1
	like "log" "$(cat "$T/err")" 'trouble what="timeout: cannot hash" file="'
}

# The defaults, with the system's own files, in a mount namespace of its own.
test_real_system() {
	as_root
	need unshare
	unshare -m true 2>/dev/null || skip 'no mount namespaces'
	mkdir "$T/etc"
	printf 'root:x:0:0::/root:/bin/sh\nalice:x:1000:100::/:/bin/sh\nlow:x:999:100::/:/bin/sh\n' >"$T/etc/passwd"
	printf 'root:%s:0:0:99999:7:::\nalice:%s:0:0:99999:7:::\nlow:%s:0:0:99999:7:::\n' "$MD5" "$MD5" "$MD5" >"$T/etc/shadow"
	chmod 640 "$T/etc/shadow"
	chown 0:42 "$T/etc/shadow"
	printf 'alice\0oldpass1\0\0newpass2\0' >"$T/alice"
	printf 'low\0oldpass1\0\0newpass2\0' >"$T/low"
	printf 'root\0oldpass1\0\0newpass2\0' >"$T/root"
	# shellcheck disable=SC2016 # for the inner shell
	exits "in there" 0 unshare -m sh -c 'mount --bind "$1/etc" /etc || exit 9
		"$2/checkpassword-file" 3<"$1/alice" || exit 10
		"$2/setpassword-file" 3<"$1/alice" || exit 11
		! "$2/setpassword-file" 3<"$1/alice" || exit 12
		! "$2/setpassword-file" 3<"$1/low" || exit 13
		"$2/setpassword-file" -u 999 3<"$1/low" || exit 14
		! "$2/setpassword-file" -u 0 3<"$1/root" || exit 15' sh "$T" "$P"
	is "files" "$(ls -A "$T/etc")" "$(printf '.pwd.lock\npasswd\nshadow')"
	is "owner" "$(stat -c %u:%g:%a "$T/etc/shadow")" 0:42:640
	like "day" "$(cat "$T/etc/shadow")" '^alice:\$1\$[^:]*:[1-9][0-9]{4}:0:99999:7:::$'
	like "root" "$(cat "$T/etc/shadow")" '^root:[^:]*:0:0:99999:7:::$'
}

for s in md5 sha256 sha512 rounds rounds256 bcrypt bcrypt-a bcrypt-y yescrypt yescrypt-cheap scrypt des bsdi; do
	it "hashes of the kind $s are checked, set and kept" test_schemes $s
done
it "Dovecot's labels are known and kept" test_labels
it "other hashes are refused and logged" test_unsupported
it "a C library without yescrypt" test_no_yescrypt
it "locked and empty fields never match" test_locked
it "crypt(3) fails" test_crypt_fails
it "passwords of 256 bytes" test_long_passwords
it "an empty password never matches" test_empty_password
it "8-bit bytes, blanks and colons in passwords" test_eight_bit
it "the checker's record" test_record_check
it "the setter's record" test_record_set
it "a record of 512 bytes and one more" test_record_size
it "a record in pieces" test_record_pieces
it "no record" test_no_record
slow "a record without end" test_record_never_ends
it "the next program gets the same bytes" test_next
it "the next program is run for nothing else" test_next_not_run
it "the next program finds nothing changed" test_next_state
it "a next program that cannot be run" test_next_cannot
it "two files in a chain" test_chain
it "names that cannot be" test_odd_names
it "-d drops the domain" test_domain
it "options" test_options
it "the system's accounts need a uid" test_min_uid
it "the system's files by any path" test_system_names
it "uids in other files" test_min_uid_elsewhere
it "too short" test_policy
it "too long for the scheme" test_too_long
it "every other byte is kept" test_verbatim
it "long lines are kept" test_verbatim_long
it "the first of two lines counts" test_first_line_wins
it "fields that are too long or hold odd bytes" test_field_too_long
it "shadow's day of the last change" test_last_change
it "the day with a wrong clock" test_clock
it "owner and mode are kept" test_mode_and_owner
it "the access control list is kept" test_acl
it "the time of the file advances by a second" test_mtime
it "symbolic links are followed" test_symlink
it "no file, folder, FIFO, device" test_no_regular_file
it "log lines are whole, escaped and short" test_log_names
it "without descriptors 0 to 2" test_closed_descriptors
it "nobody reads what it prints" test_broken_pipes
slow "a hash that takes for ever" test_hash_never_ends
it "not for setuid" test_setuid
slow "locked by fcntl" test_locked_file fcntl
slow "locked by flock" test_locked_file flock
slow "the system's lock" test_locked_system
it "another name is changed meanwhile" test_wait_others
it "the same name is changed meanwhile" test_wait_same
it "the lock file is removed meanwhile" test_wait_lock_removed
it "no password in memory while it waits" test_wait_secrets
it "no core dumps" test_not_dumpable
it "a new file left behind, and traps" test_left_behind
it "a read-only folder" test_read_only
it "a file that cannot be read" test_unreadable
it "a full disk" test_disk_full
it "a limit on file sizes" test_file_size_limit
it "a folder that cannot be synced" test_sync_fails
it "40 at once" test_at_once
it "12 at once for one name" test_at_once_same
slow "200 kills" test_kills
slow "a large file in little memory" test_large
it "one hash whatever the name" test_one_crypt
slow "as many instructions whatever the name" test_instructions
it "static, no malloc" test_static
it "the defaults in a system of its own" test_real_system
