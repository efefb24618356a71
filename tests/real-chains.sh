# shellcheck shell=sh disable=SC1091,SC2016,SC2059 # shells inside, bytes as formats
# The scripts of examples/chains, each against the real thing.
. tests/room.sh
helper client stub || return 0
use real qmail-poppass checkpassword-file setpassword-file || return 0

# All that a password may have in it.
ODD=' -n "q" '\''$x` \ %s*é;#'
CHAINS='PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin'

# With the chains of this row of the README's table: serve_row START [VARIABLE=VALUE ...]
serve_row() {
	check=$(row "$1" 2) || exit
	set=$(row "$1" 3 | sed 's,FILE,/etc/poppass/passwd,') || exit
	shift
	serve "$check" "$set" "$@"
}

chains_room() {
	room
	cp examples/chains/* "$T/sbin/"
}

# The next one must be as good as the first, and the old one no more.
changes() {
	visit 192.0.2.1:106 'S*' "C: user $1" "$ASK_OLD" 'C: pass guess' "$WRONG" 'C: quit' "$BYE" eof
	from_to "$1" "$2" "$ODD"
	visit 192.0.2.1:106 'S*' "C: user $1" "$ASK_OLD" "C: pass $2" "$WRONG" 'C: quit' "$BYE" eof
	from_to "$1" "$ODD" 'Third-s3cret!x'
	visit 192.0.2.1:106 'S*' 'C: user nobody-knows' "$ASK_OLD" 'C: pass guess' "$WRONG" 'C: quit' "$BYE" eof
	is 'trouble' "$(grep trouble "$T/log")" ''
}

# No program is started with a secret in its arguments or environment: hidden NAME OLD NEW CHAIN ...
hidden() {
	need strace
	printf '%s\0%s\0\0%s\0' "$1" "$2" "$3" >"$T/record"
	old=$2 new=$3
	shift 3
	# shellcheck disable=SC2016 # for the shell inside
	inside env "R=$T/record" "$CHAINS" strace -f -v -s 4096 -e trace=execve -o "$T/trace" "$@" 3<"$T/record" >/dev/null 2>&1
	has 'the trace' "$(cat "$T/trace")" execve
	hasnt 'arguments and environment' "$(cat "$T/trace")" "$old"
	hasnt 'arguments and environment' "$(cat "$T/trace")" "$new"
}

carol() {
	inside sh -c "echo carol:x:1500:1500::/:/bin/sh >>/etc/passwd
		echo 'carol:${OLD_HASH#*\}}:19000:0:99999:7:::' >>/etc/shadow"
}

## Secrets

# Older shells, and bash when it is to be like those, put a here-document into a file.
test_no_file() {
	need bash strace
	chains_room
	carol
	printf 'carol\0Old-1secret\0\0New-2secret\0' >"$T/record"
	for c in examples/chains/*; do
		inside "$BIN/nanny" 20 env BASH_COMPAT=50 "TMPDIR=$T" LDAP_URI=ldap://127.0.0.1:9 LDAP_DN='uid=%s' "$CHAINS" \
			strace -f -e trace=openat,creat -o "$T/trace" bash "/usr/local/sbin/${c##*/}" /bin/cat /nonexistent 3<"$T/record" >/dev/null 2>&1
		has "$c: the trace" "$(cat "$T/trace")" libc.so
		is "$c: files made" "$(grep -F "\"$T" "$T/trace" | grep -E 'creat|O_CREAT')" ''
	done
}
slow 'no chain puts a secret into a file' test_no_file

# A program's arguments can be seen: without a printf of its own no shell may go on.
test_builtin_printf() {
	need bash
	printf 'alice\0old\0\0new\0' >"$T/record"
	for c in examples/chains/*; do
		limit 20 bash -c 'enable -n printf; c=$1; shift; . "$c"' bash "$c" "$BIN/stub" 3<"$T/record" >/dev/null 2>&1
		is "$c" $? 111
	done
}
slow 'no chain goes on without a printf in its shell' test_builtin_printf

## chpasswd

test_chpasswd() {
	chains_room
	carol
	[ "$1" = shadow ] || ln -s "$(command -v busybox)" "$T/sbin/chpasswd"
	serve_row '/etc/shadow, through chpasswd'
	changes carol "$OLD"
	hidden carol First-1secret Second-2secret /usr/local/sbin/setpassword-chpasswd
	printf 'root\0a\0\0b12345678\0' >"$T/root"
	inside /usr/local/sbin/setpassword-chpasswd 3<"$T/root"
	is 'root' $? 1
}
slow 'setpassword-chpasswd: shadow' test_chpasswd shadow
slow 'setpassword-chpasswd: busybox' test_chpasswd busybox

test_shadow() {
	chains_room
	carol
	serve_row '/etc/shadow (root'
	changes carol "$OLD"
	like 'the scheme is kept' "$(inside cat /etc/shadow)" '^carol:[$]6[$]rounds=1000[$]'
}
slow 'checkpassword-file, setpassword-file: /etc/shadow' test_shadow

## PAM

test_pam() {
	need pamtester
	chains_room
	carol
	inside sh -c 'printf "auth required pam_unix.so\naccount required pam_unix.so\npassword required pam_unix.so yescrypt\n" >/etc/pam.d/poppass'
	serve_row PAM
	changes carol "$OLD"
	hidden carol 'Third-s3cret!x' Second-2secret /usr/local/sbin/checkpassword-pam
	hidden carol First-1secret Second-2secret /usr/local/sbin/setpassword-pam
}
slow 'checkpassword-pam, setpassword-pam' test_pam

## Dovecot

test_dovecot() {
	chains_room
	dovecot
	serve "$(row 'whatever Dovecot knows' 2)" "$1"
	changes alice@example.org "$OLD"
	has 'the file' "$(inside cat /etc/poppass/passwd)" "alice@example.org:{$2}"
	has 'the other line' "$(inside cat /etc/poppass/passwd)" "alice:$OLD_HASH::::::"
	hidden alice@example.org 'Third-s3cret!x' Second-2secret /usr/local/sbin/checkpassword-dovecot
	# shellcheck disable=SC2086 # words
	hidden alice@example.org First-1secret Second-2secret $1
}
slow 'checkpassword-dovecot, setpassword-dovecot' test_dovecot \
	"$(row 'whatever Dovecot knows' 3 | sed 's,FILE,/etc/poppass/passwd,')" ARGON2ID
slow 'checkpassword-dovecot, setpassword-file' test_dovecot \
	"$(row 'a Dovecot passwd-file' 3)" SHA512-CRYPT

# Each at once: the old password is none any more, the new one is good.
some_changes() {
	was=$OLD
	n=0
	while [ $((n += 1)) -le "$1" ]; do
		from_to alice@example.org "$was" "secret number $n"
		is "old and new password $n" "$(imap alice@example.org "$was" "secret number $n")" 'NO OK'
		was="secret number $n"
	done
}

# test_mail_server CHANGES ROW
test_mail_server() {
	need python3
	chains_room
	dovecot
	serve_row "$2"
	is 'the first password' "$(imap alice@example.org "$OLD")" OK
	bg_inside python3 "$PWD/tests/imap.py" -c 20 "$T/end" alice "$OLD" >"$T/crowd"
	some_changes "$1"
	: >"$T/end"
	within 60 test -s "$T/crowd"
	like "another user's failed logins" "$(cat "$T/crowd")" '^0 of [0-9]{2,}$'
}
slow 'Dovecot on the same passwd-file: 20 changes while 20 clients log in' test_mail_server 20 'a Dovecot passwd-file'
slow 'the same with setpassword-dovecot: 5 changes' test_mail_server 5 'whatever Dovecot knows'

## LDAP

# slapd NUMBER: on port 389NUMBER, replicating with the other
slapd() {
	mkdir "$T/db$1"
	cat >"$T/slapd$1.conf" <<-END
		include /etc/ldap/schema/core.schema
		include /etc/ldap/schema/cosine.schema
		include /etc/ldap/schema/inetorgperson.schema
		modulepath /usr/lib/ldap
		moduleload back_mdb
		moduleload syncprov
		pidfile $T/slapd$1.pid
		serverID $1
		database mdb
		suffix "dc=example,dc=org"
		rootdn "cn=admin,dc=example,dc=org"
		rootpw admin
		directory $T/db$1
		maxsize 10485760
		overlay syncprov
		syncrepl rid=00$1 provider=ldap://127.0.0.1:389$((3 - $1)) searchbase="dc=example,dc=org" type=refreshAndPersist
		 retry="1 +" bindmethod=simple binddn="cn=admin,dc=example,dc=org" credentials=admin
		mirrormode on
		access to attrs=userPassword by self write by anonymous auth by * none
		access to * by * read
	END
	bg_inside /usr/sbin/slapd -d 0 -f "$T/slapd$1.conf" -h "ldap://127.0.0.1:389$1"
	wait_port "389$1"
}

who() {
	inside ldapwhoami -x -H "ldap://127.0.0.1:389$1" -D "uid=$2,ou=people,dc=example,dc=org" -w "$3" >/dev/null 2>&1
}

test_ldap() {
	need /usr/sbin/slapd ldappasswd ldapwhoami ldapadd
	chains_room
	slapd 1
	slapd 2
	inside ldapadd -x -H ldap://127.0.0.1:3891 -D cn=admin,dc=example,dc=org -w admin >/dev/null <<-END
		dn: dc=example,dc=org
		objectClass: dcObject
		objectClass: organization
		dc: example
		o: example

		dn: ou=people,dc=example,dc=org
		objectClass: organizationalUnit
		ou: people

		dn: uid=dora\, the first,ou=people,dc=example,dc=org
		objectClass: inetOrgPerson
		uid: dora, the first
		cn: Dora
		sn: Dora
		userPassword: $OLD
	END
	dora='dora\, the first'
	within 60 who 2 "$dora" "$OLD" || broken 'no replication'
	LDAP_URI='ldap://127.0.0.1:3891 ldap://127.0.0.1:3892'
	LDAP_DN='uid=%s,ou=people,dc=example,dc=org'
	serve_row LDAP "LDAP_URI=$LDAP_URI" "LDAP_DN=$LDAP_DN"
	changes 'dora, the first' "$OLD"
	ok 'the other server knows it' within 60 who 2 "$dora" 'Third-s3cret!x'
	LDAP_ENV="env LDAP_URI=ldap://127.0.0.1:3891 LDAP_DN=$LDAP_DN"
	# shellcheck disable=SC2086 # words
	hidden 'dora, the first' 'Third-s3cret!x' Second-2secret $LDAP_ENV /usr/local/sbin/checkpassword-ldap
	# shellcheck disable=SC2086 # words
	hidden 'dora, the first' 'Third-s3cret!x' Second-2secret $LDAP_ENV /usr/local/sbin/setpassword-ldap
	within 60 who 2 "$dora" Second-2secret || fail 'set by the bare chain'
	# One server goes: the other serves, both passwords and changes.
	inside kill "$(cat "$T/slapd1.pid")"
	from_to 'dora, the first' Second-2secret 'Fourth 4 secret'
	ok 'set on the one that is left' who 2 "$dora" 'Fourth 4 secret'
	inside kill "$(cat "$T/slapd2.pid")"
	visit 192.0.2.1:106 'S*' 'C: user dora' "$ASK_OLD" 'C: pass x' "$TROUBLE" eof
}
slow 'checkpassword-ldap, setpassword-ldap: two replicating servers' test_ldap

## A policy

test_policy() {
	need cracklib-check
	chains_room
	serve '/usr/local/sbin/checkpassword-file -f /etc/poppass/passwd' \
		'/usr/local/sbin/setpassword-policy -m 9 -c /usr/local/sbin/setpassword-file -f /etc/poppass/passwd'
	from_to alice "$OLD" 'short 1' 'S: 500 Password change failed: too short (minimum 9)'
	from_to alice "$OLD" 'xxALICExx1' 'S: 500 Password change failed: it contains your name'
	from_to alice@example.org "$OLD" 'Old Secret' 'S: 500 Password change failed: the same as the old one'
	from_to alice "$OLD" 'elephants' 'S: 500 Password change failed: it is based on a dictionary word'
	from_to alice "$OLD" "$ODD"
	from_to alice "$ODD" 'gG7: x -- 12%s'
	hidden alice 'gG7: x -- 12%s' 'Zz-new1 word9' /usr/local/sbin/setpassword-policy -m 9 -c /usr/local/sbin/setpassword-file -f /etc/poppass/passwd
}
slow 'setpassword-policy' test_policy

# Every byte that a password may have, through each shell's own way of reading and writing.
test_bytes() {
	need "$1"
	i=1
	while [ $i -lt 256 ]; do
		[ $i -lt 32 ] && [ $i != 9 ] || [ $i = 127 ] || printf "\\$(printf %o $i)"
		i=$((i + 1))
	done >"$T/bytes"
	{ printf 'alice\0old\0\0'; cat "$T/bytes"; printf '\0'; } >"$T/want"
	checked
	# shellcheck disable=SC2086 # words
	"$@" examples/chains/setpassword-policy -m 1 "$BIN/stub" record "$T/set" 3<"$T/want" || fail 'the chain'
	same 'fd 3 of the next program' "$T/set.fd3" "$T/want"
}
slow 'every byte passes: dash' test_bytes dash
slow 'every byte passes: busybox ash' test_bytes busybox sh
slow 'every byte passes: bash' test_bytes bash

report_pending 9999
