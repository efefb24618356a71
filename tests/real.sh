# shellcheck shell=sh disable=SC1003,SC2016,SC2086,SC2034,SC2154
# Under its super-servers, each as examples/ has it: the client's address, the limits, the log.
. tests/room.sh
helper client stub || return 0
use real qmail-poppass checkpassword-file setpassword-file || return 0

TOO_MANY='500 Too many connections, try again later.'
LOG=/var/log/poppass/current
DRIVER=/usr/share/roundcube/plugins/password/drivers/poppassd.php

## runit, s6, daemontools

# In a room, with this program as tcpsvd, on this address.
runit() {
	room
	ln -s "$1" "$T/sbin/tcpsvd"
	put runit/run /etc/sv/poppass/run -e "s/127.0.0.1 106/$2 106/" -e "s/'20:500/'2:500/"
	put runit/log/run /etc/sv/poppass/log/run
	bg_inside env "PATH=/usr/local/sbin:$PATH" runsv /etc/sv/poppass
	wait_port 106
}

test_runit() {
	need runsv svlogd /usr/bin/tcpsvd
	runit "$1" "$2"
	a_change "$2:106"
	changed
	logged "$LOG" "$3"
	like 'dated by svlogd' "$(inside cat "$LOG")" '^20[0-9-]+_[0-9:.]+ qmail-poppass'
	third_gets "$2:106" "$TOO_MANY"
}
listener=$(command -v busybox)
slow 'runit: busybox tcpsvd, svlogd' test_runit "$listener" 192.0.2.1 192.0.2.7
slow 'runit: busybox tcpsvd, svlogd, IPv6' test_runit "$listener" 2001:db8::1 2001:db8::7
slow 'runit: ipsvd tcpsvd, svlogd' test_runit /usr/bin/tcpsvd 192.0.2.1 192.0.2.7

test_daemontools() {
	need svscan multilog tcpserver
	room
	[ -z "$3" ] || { need_unpacked ucspi-tcp-ipv6; cp "$DEPS/ucspi-tcp-ipv6/usr/bin/tcpserver" "$T/sbin/"; }
	put daemontools/run /etc/service/poppass/run -e "s/127.0.0.1 106/$1 106/" -e 's/-c 20/-c 2/'
	put daemontools/log/run /etc/service/poppass/log/run
	bg_inside env "PATH=/usr/local/sbin:$PATH" svscan /etc/service
	wait_port 106
	a_change "$1:106"
	changed
	logged "$LOG" "$2"
	like 'dated by multilog' "$(inside cat "$LOG")" '^@[0-9a-f]{24} qmail-poppass'
	third_waits "$1:106"
}
slow 'daemontools: tcpserver, multilog' test_daemontools 192.0.2.1 192.0.2.7 ''
slow 'daemontools: tcpserver, multilog, IPv6' test_daemontools 2001:db8::1 2001:db8::7 ipv6

# By way of the Unix socket, a shell that reads 6 and writes 7: by_socket SCRIPT
by_socket() {
	inside "$BIN/nanny" 60 "$(command -v s6-ipcclient)" /run/poppass/socket sh -c "$1" sh "$T"
}

# As hold and third_waits.
third_waits_at_socket() {
	for n in 1 2; do
		by_socket 'read -r line <&6; touch "$1/held'$n'"; until test -e "$1/release"; do sleep 0.05; done; echo quit >&7; cat <&6' >/dev/null &
		within 30 test -e "$T/held$n" || broken "no connection $n"
	done
	by_socket ': >"$1/third"; echo quit >&7; cat <&6 >"$1/third"' &
	within 30 test -e "$T/third"
	sleep 1
	is 'the third before its turn' "$(cat "$T/third")" ''
	: >"$T/release"
	ok 'its turn' within 30 grep -q Bye "$T/third"
}

test_s6() {
	need s6-svscan s6-log s6-ipcserver s6-ipcclient php "$DRIVER"
	room
	put s6/run /etc/service/poppass/run -e 's/-c 20/-c 2/'
	put s6/log/run /etc/service/poppass/log/run
	bg_inside s6-svscan /etc/service
	within 30 inside test -S /run/poppass/socket || broken 'no socket'
	is 'who may connect' "$(inside stat -c '%a %U %G' /run/poppass)" '750 root www-data'
	printf '%s\n' 'user alice@example.org' 'pass guess' 'user alice@example.org' "pass $OLD" "newpass $NEW" quit >"$T/say"
	by_socket 'cat "$1/say" >&7; cat <&6' >"$T/replies"
	is 'the last replies' "$(tail -n 2 "$T/replies" | tr -d '\r')" '200 Password changed, thank-you.
200 Bye.'
	changed
	logged "$LOG" local
	like 'dated by s6-log' "$(inside cat "$LOG")" '^@[0-9a-f]{24} qmail-poppass'
	is 'Roundcube' "$(inside "$BIN/nanny" 60 "$(command -v php)" "$PWD/tests/roundcube.php" "$DRIVER" \
		unix:///run/poppass/socket -1 alice "$OLD" "$NEW")" 'Successfully saved.'
	third_waits_at_socket
}
slow 's6: s6-ipcserver, s6-log' test_s6

## inetd and its kin: the log goes to syslog

syslog() {
	bg_inside busybox syslogd -n -O /var/log/messages
	within 30 inside test -S /dev/log || broken 'no syslogd'
}

inetd() {
	room
	syslog
	put inetd/poppass-inetd /usr/local/sbin/poppass-inetd
}

# inetd_conf openbsd|busybox ADDRESS: with the line that the example has for it, two starts a minute
inetd_conf() {
	case $1,$2 in
	openbsd,*:*) put inetd/inetd.conf /etc/inetd.conf -e "s/^127.0.0.1/[$2]/" -e 's/tcp4/tcp6/' ;;
	openbsd,*) put inetd/inetd.conf /etc/inetd.conf -e "s/^127.0.0.1/$2/" ;;
	busybox,*) put inetd/inetd.conf /etc/inetd.conf -e 's/^127/#127/' -e "/busybox inetd/,\$s/^#127.0.0.1/$2/" ;;
	esac
}

# test_inetd openbsd|busybox ADDRESS FROM COMMAND ...
test_inetd() {
	need "$4"
	inetd
	inetd_conf "$1" "$2"
	at=$2 from=$3
	shift 3
	bg_inside "$@"
	wait_port 106
	a_change "$at:106"
	changed
	logged /var/log/messages "$from"
	like 'as auth.info' "$(inside cat /var/log/messages)" 'auth.info qmail-poppass'
}
slow 'openbsd-inetd' test_inetd openbsd 192.0.2.1 192.0.2.7 /usr/sbin/inetd -i /etc/inetd.conf
slow 'openbsd-inetd, IPv6' test_inetd openbsd 2001:db8::1 2001:db8::7 /usr/sbin/inetd -i /etc/inetd.conf
slow 'busybox inetd' test_inetd busybox 192.0.2.1 192.0.2.7 busybox inetd -f /etc/inetd.conf

# Of nowait.2, in a minute: inetd closes its port then, for minutes.
test_inetd_limit() {
	need "$2"
	inetd
	inetd_conf "$1" 192.0.2.1
	inside sed -i 's/nowait.200/nowait.2/' /etc/inetd.conf
	shift
	bg_inside "$@"
	wait_port 106
	n=0
	while [ $((n += 1)) -le 4 ]; do
		inside "$BIN/nanny" 20 "$BIN/client" -c 192.0.2.1:106 'S*' 'C: quit' "$BYE" eof >"$T/out" 2>&1 || break
	done
	between 'connections before the port is closed' $n 2 4
	nok 'listening' listens 106
}
slow 'openbsd-inetd, its limit' test_inetd_limit openbsd /usr/sbin/inetd -i /etc/inetd.conf
slow 'busybox inetd, its limit' test_inetd_limit busybox busybox inetd -f /etc/inetd.conf

test_xinetd() {
	need_unpacked xinetd
	inetd
	put xinetd/poppass /etc/xinetd.d/poppass -e "s/127.0.0.1/$1/" -e 's/\(per_source.*= \)20/\12/'
	inside sh -c 'printf "defaults\n{\n}\nincludedir /etc/xinetd.d\n" >/etc/xinetd.conf'
	bg_inside "$(cd "$DEPS" && pwd)/xinetd/usr/sbin/xinetd" -dontfork -filelog /var/log/xinetd
	wait_port 106
	a_change "$1:106"
	changed
	logged /var/log/messages "$2"
	third_gets "$1:106" ''
}
slow 'xinetd' test_xinetd 192.0.2.1 192.0.2.7
slow 'xinetd, IPv6' test_xinetd 2001:db8::1 2001:db8::7

## stunnel

test_stunnel() {
	need stunnel openssl
	room
	put stunnel/poppass.conf /etc/stunnel/poppass.conf
	inside openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=mail.example.org \
		-keyout /etc/poppass/key.pem -out /etc/poppass/cert.pem 2>/dev/null
	# shellcheck disable=SC2016 # for the shell inside
	bg_inside env "LOG=$T/log" PASSWORD_COMMAND='/usr/local/sbin/setpassword-file -f /etc/poppass/passwd' \
		sh -c 'exec stunnel /etc/stunnel/poppass.conf 2>"$LOG"'
	wait_port 106
	printf '%s\n' 'user alice@example.org' 'pass guess' 'user alice@example.org' "pass $OLD" "newpass $NEW" quit >"$T/say"
	inside "$BIN/nanny" 20 "$(command -v openssl)" s_client -connect "$1:106" -quiet -verify_quiet -ign_eof \
		<"$T/say" >"$T/replies" 2>/dev/null
	is 'the last replies' "$(tail -n 2 "$T/replies" | tr -d '\r')" '200 Password changed, thank-you.
200 Bye.'
	changed
	logged "$T/log" "$2"
}
slow 'stunnel exec' test_stunnel 192.0.2.1 192.0.2.7
slow 'stunnel exec, IPv6' test_stunnel '[2001:db8::1]' 2001:db8::7

## systemd

test_activate() {
	need systemd-socket-activate
	room
	# shellcheck disable=SC2016 # for the shell inside
	bg_inside env "LOG=$T/log" PASSWORD_COMMAND='/usr/local/sbin/setpassword-file -f /etc/poppass/passwd' \
		sh -c 'exec systemd-socket-activate --listen "$1" --accept --inetd -E PASSWORD_COMMAND /usr/local/sbin/qmail-poppass \
			host /usr/local/sbin/checkpassword-file -f /etc/poppass/passwd 2>"$LOG"' sh "$1"
	wait_port 106
	a_change "$(echo "$1" | tr -d '[]')"
	changed
	logged "$T/log" "$2"
}
slow 'systemd-socket-activate' test_activate 192.0.2.1:106 192.0.2.7
slow 'systemd-socket-activate, IPv6' test_activate '[2001:db8::1]:106' 2001:db8::7

test_units() {
	need systemd-analyze
	room
	for u in poppass.socket poppass@.service; do
		put systemd/$u /etc/systemd/system/$u
	done
	inside sh -c 'echo poppass:x:990:990::/etc/poppass:/usr/sbin/nologin >>/etc/passwd'
	checked
	inside systemd-analyze verify /etc/systemd/system/poppass.socket /etc/systemd/system/poppass@.service >"$T/verify" 2>&1 ||
		fail 'systemd-analyze verify' "$(cat "$T/verify")"
	is 'what systemd-analyze verify says of them' "$(grep poppass "$T/verify")" ''
	is 'the exposure' "$(score poppass@.service)" '0.8 SAFE'
	put systemd/system-accounts.conf /etc/systemd/system/poppass@.service.d/system-accounts.conf
	checked
	inside systemd-analyze verify /etc/systemd/system/poppass@.service >"$T/verify" 2>&1 ||
		fail 'verify with system-accounts.conf' "$(cat "$T/verify")"
	is 'verify with system-accounts.conf' "$(grep poppass "$T/verify")" ''
	is 'the exposure with system-accounts.conf' "$(score poppass@.service)" '2.0 OK'
}
score() {
	inside systemd-analyze security --offline=true --no-pager "/etc/systemd/system/$1" |
		sed -n 's/.*Overall exposure level.*: \([0-9.]*\) \([A-Z]*\).*/\1 \2/p'
}
slow 'systemd: socket and service' test_units

# systemd as the first process of a room of its own, in a group of its own, with nothing but these units.
SYSTEMD='set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
group=/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/self/cgroup)/$0.$$
mkdir "$group"
echo $$ >"$group/cgroup.procs"
echo "$group" >"$1/group"
exec unshare -pfC --mount-proc --kill-child sh -c "set -e
	mount --bind /proc/sys /proc/sys
	mount -o remount,bind,ro /proc/sys
	umount /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	mount --bind $1/run /run
	exec /lib/systemd/systemd --system --unit=room.target"'

start_systemd() {
	inside unshare -pfC true 2>/dev/null || skip 'no process namespaces here'
	inside unshare -m mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null || skip 'no second version of control groups here'
	inside sh -c 'cd /etc/systemd/system && mkdir -p poppass.socket.d poppass@.service.d
		printf "[Unit]\nDefaultDependencies=no\n" | tee poppass.socket.d/room.conf >poppass@.service.d/room.conf
		printf "[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service poppass.socket\n" >room.target'
	mkdir "$T/run"
	bg_inside env -i container=room PATH=/usr/sbin:/usr/bin:/sbin:/bin unshare -m sh -c "$SYSTEMD" poppass-test "$T"
	SYSTEMD_PID=$BG
	wait_port 106
}

stop_systemd() {
	kill "$SYSTEMD_PID"
	wait "$SYSTEMD_PID"
	inside unshare -m sh -c 'mount -t cgroup2 cgroup2 /sys/fs/cgroup && find "$1" -depth -type d -exec rmdir {} +' sh "$(cat "$T/group")"
}

journal() {
	journalctl -q -D "$T/run/log/journal" --no-pager -o cat SYSLOG_IDENTIFIER=qmail-poppass
}

journal_has() {
	journal 2>/dev/null | grep -q "$1"
}

# test_systemd ADDRESS FROM: as user poppass, with all that the unit forbids
test_systemd() {
	need systemctl journalctl
	room
	for u in poppass.socket poppass@.service; do
		put systemd/$u /etc/systemd/system/$u -e "s/^ListenStream=127.0.0.1/ListenStream=$1/" -e '/^ListenStream=.::1/d' -e 's/PerSource=20/PerSource=2/'
	done
	inside sh -c 'echo poppass:x:990:990::/etc/poppass:/usr/sbin/nologin >>/etc/passwd
		echo poppass:x:990: >>/etc/group; chown -R poppass: /etc/poppass'
	start_systemd
	where=$(echo "$1" | tr -d '[]'):106
	a_change "$where"
	changed
	within 30 journal_has 'changed '
	journal >"$T/log"
	logged "$T/log" "$2"
	third_gets "$where" ''
	stop_systemd
}
slow 'systemd itself' test_systemd 192.0.2.1 192.0.2.7
slow 'systemd itself, IPv6' test_systemd '[2001:db8::1]' 2001:db8::7

# The system's own accounts, as root with little of root's power.
test_systemd_system() {
	need systemctl journalctl
	room
	put systemd/poppass.socket /etc/systemd/system/poppass.socket -e 's/^ListenStream=127.0.0.1/ListenStream=192.0.2.1/' -e '/^ListenStream=.::1/d'
	put systemd/poppass@.service /etc/systemd/system/poppass@.service
	put systemd/system-accounts.conf /etc/systemd/system/poppass@.service.d/system-accounts.conf
	inside sh -c "echo poppass:x:990:990::/etc/poppass:/usr/sbin/nologin >>/etc/passwd
		echo carol:x:1500:1500::/:/bin/sh >>/etc/passwd
		echo 'carol:${OLD_HASH#*\}}:19000:0:99999:7:::' >>/etc/shadow"
	start_systemd
	visit 192.0.2.1:106 'S*' 'C: user root' "$ASK_OLD" "C: pass $OLD" "$WRONG" \
		'C: user carol' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "C: newpass $NEW" "$CHANGED" 'C: quit' "$BYE" eof
	nok 'the hash is a new one' inside grep -qF "carol:${OLD_HASH#*\}}:" /etc/shadow
	within 30 journal_has 'changed '
	has 'the journal' "$(journal)" 'changed rhost=192.0.2.7 user="carol"'
	stop_systemd
}
slow "systemd itself, the system's accounts" test_systemd_system

## OpenRC and procd

# openrc-run is the real one.
test_openrc() {
	need_unpacked openrc
	room
	for p in openrc librc1 libeinfo1; do
		tar -C "$DEPS/$p" -cf - . | inside tar -C / --keep-directory-symlink -xf - || broken "unpacking $p"
	done
	ln -s "$(command -v busybox)" "$T/sbin/tcpsvd"
	put openrc/poppass /etc/init.d/poppass
	put openrc/poppass.confd /etc/conf.d/poppass -e 's/^poppass_listen=.*/poppass_listen=192.0.2.1/' -e 's/^poppass_max_each=.*/poppass_max_each=2/'
	inside sh -c 'cd /run && mkdir -p openrc && cd openrc && mkdir exclusive started starting stopping inactive failed options daemons tmp && echo default >/run/openrc/softlevel'
	# Under a nanny, for what it starts goes its own way.
	bg_inside env PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin sh -c '/etc/init.d/poppass --nodeps start; sleep 300' >"$T/out" 2>&1
	within 30 listens 106 || fail 'openrc-run start' "$(cat "$T/out")"
	a_change 192.0.2.1:106
	changed
	logged /var/log/poppass.log 192.0.2.7
	third_gets 192.0.2.1:106 "$TOO_MANY"
}
slow 'OpenRC' test_openrc

# There is no procd here: what the script asks it for is started by the test.
test_procd() {
	room
	cat >"$T/rc.common" <<-'END'
		procd_open_instance() { :; }
		procd_close_instance() { :; }
		procd_set_param() {
			case $1 in
			command) shift; "$DO" "$@" ;;
			env) [ "$2" = PASSWORD_COMMAND=/usr/sbin/setpassword-file ] && export "$2" ;;
			esac
		}
		. "$1"
		DO=: start_service
		DO=exec start_service
	END
	cp "$T/sbin/"* "$T/"
	inside cp "$T/qmail-poppass" "$T/checkpassword-file" "$T/setpassword-file" /usr/sbin/
	inside ln -s "$(command -v busybox)" /usr/sbin/tcpsvd
	inside sh -c "echo carol:x:1500:1500::/:/bin/sh >>/etc/passwd
		echo 'carol:${OLD_HASH#*\}}:19000:0:99999:7:::' >>/etc/shadow"
	put procd/poppass /etc/init.d/poppass -e 's/127.0.0.1 106/192.0.2.1 106/' -e "s/'5:500/'2:500/"
	bg_inside sh -c 'exec busybox sh "$1" /etc/init.d/poppass 2>"$2"' sh "$T/rc.common" "$T/log"
	wait_port 106
	visit 192.0.2.1:106 'S: 200 mail.example.org hello, who are you?' 'C: user root' "$ASK_OLD" "C: pass $OLD" "$WRONG" \
		'C: user carol' "$ASK_OLD" "C: pass $OLD" "$ASK_NEW" "C: newpass $NEW" "$CHANGED" 'C: quit' "$BYE" eof
	has 'the log' "$(cat "$T/log")" 'changed rhost=192.0.2.7 user="carol"'
	third_gets 192.0.2.1:106 "$TOO_MANY"
}
slow 'procd' test_procd

## The README's own lines, as they are

# readme_line LINE: with HOST, CHECK, "..." and the line end filled in
filled() {
	printf '%s\n' "$1" | sed -e 's/HOST/mail.example.org/g' -e 's/CHECK/...'"/; s,qmail-poppass [.][.][.],qmail-poppass mail.example.org ...," \
		-e 's,[.][.][.],/usr/local/sbin/checkpassword-file -f /etc/poppass/passwd,' -e 's/⏎/\n/'
}

# The line that the README has in "Running it" for this one.
front() {
	line=$(sed -n "/^In front of the same words/,/^Files for/s/^	$1  *//p" README)
	[ "$line" ] || broken "the README has no line for $1"
	printf '%s\n' "$line"
}

# test_line LINE PROGRAM [AS]: the listener PROGRAM, under the name that the line has for it
test_line() {
	need "$2"
	room
	[ -z "${3-}" ] || ln -s "$(command -v "$2")" "$T/sbin/$3"
	bg_inside env PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin "LOG=$T/log" \
		PASSWORD_COMMAND='/usr/local/sbin/setpassword-file -f /etc/poppass/passwd' sh -c "exec 2>>\"\$LOG\"; exec $(filled "$1")"
	wait_port 106
	a_change 127.0.0.1:106
	changed
	logged "$T/log" 127.0.0.1
}
slow 'the README: busybox tcpsvd' test_line "$(front 'busybox, ipsvd')" busybox tcpsvd
slow 'the README: ipsvd' test_line "$(front 'busybox, ipsvd')" /usr/bin/tcpsvd tcpsvd
slow 'the README: tcpserver' test_line "$(front tcpserver)" tcpserver
slow "the README's table: busybox tcpsvd" test_line "$(row 'busybox and ipsvd tcpsvd' 2)" busybox tcpsvd
slow "the README's table: ipsvd tcpsvd" test_line "$(row 'busybox and ipsvd tcpsvd' 2)" /usr/bin/tcpsvd tcpsvd
slow "the README's table: tcpserver" test_line "$(row tcpserver 2)" tcpserver

test_line_s6() {
	need s6-ipcserver s6-ipcclient
	room
	inside mkdir /run/poppass
	bg_inside env PATH=/usr/local/sbin:/usr/bin:/bin PASSWORD_COMMAND=/bin/false sh -c "exec $(filled "$(row s6-ipcserver 2)")"
	within 30 inside test -S /run/poppass/socket || broken 'no socket'
	is 'the greeting' "$(by_socket 'echo quit >&7; cat <&6' | head -n 1 | tr -d '\r')" '200 mail.example.org hello, who are you?'
}
slow "the README's table: s6-ipcserver" test_line_s6

# The whole of the first example, and the line that tries it out.
test_running() {
	need "$1"
	room
	ln -s "$(command -v "$1")" "$T/sbin/tcpsvd"
	inside sh -c 'mkdir -p /etc/dovecot && cp /etc/poppass/passwd /etc/dovecot/users'
	sed -n '/^Running it/,/^In front/s/^	//p' README >"$T/lines"
	grep '^qmail-poppass -t' "$T/lines" >"$T/try"
	{ echo "PATH=/usr/local/sbin:$PATH"; grep -v '^qmail-poppass -t' "$T/lines"; } >"$T/start"
	{ grep -e ^export "$T/lines"; cat "$T/try"; } >"$T/try.sh"
	ok 'the line that tries it out' inside env "PATH=/usr/local/sbin:$PATH" sh "$T/try.sh"
	bg_inside sh -c 'exec sh "$1/start" 2>"$1/log"' sh "$T"
	wait_port 106
	a_change 127.0.0.1:106
	nok 'the hash is a new one' inside grep -qF "alice@example.org:$OLD_HASH:" /etc/dovecot/users
	logged "$T/log" 127.0.0.1
}
slow 'the README, Running it: busybox tcpsvd' test_running busybox
slow 'the README, Running it: ipsvd tcpsvd' test_running /usr/bin/tcpsvd

# The others are lines of the files in examples/, which the tests above run.
one_blank() {
	tr -s '\t' ' ' <"$1"
}

test_lines_in_examples() {
	has 'openbsd-inetd' "$(one_blank examples/inetd/inetd.conf)" "
$(row openbsd-inetd 2)"
	has 'busybox inetd' "$(one_blank examples/inetd/inetd.conf)" "
#$(row openbsd-inetd 2 | sed 's/tcp4/tcp/')"
	has 'inetd' "$(one_blank examples/inetd/inetd.conf)" " $(front inetd | sed 's/.*nowait //; s/  .*//')"
	has 'xinetd' "$(one_blank examples/xinetd/poppass)" "$(row xinetd 2)"
	grep '^| stunnel ' README | tr '`' '\n' | grep '^exec' >"$T/stunnel"
	is 'lines for stunnel' "$(wc -l <"$T/stunnel")" 2
	while IFS= read -r line; do
		has 'stunnel' "$(cat examples/stunnel/poppass.conf)" "$(filled "$line" | sed 's/mail.example.org/localhost/')"
	done <"$T/stunnel"
	grep '^| systemd ' README | tr '`' '\n' | grep '^poppass' >"$T/systemd"
	is 'files for systemd' "$(wc -l <"$T/systemd")" 2
	while IFS= read -r file; do
		ok 'systemd' test -s "examples/systemd/$file"
	done <"$T/systemd"
	has 'systemd' "$(cat examples/systemd/poppass.socket)" 'MaxConnectionsPerSource='
}
it "the README's table: lines of examples/" test_lines_in_examples

## The log's readers

# The same events as each logger writes them: five formats, with what must not count among them.
log_lines() {
	while read -r line; do
		case $1 in
		plain) echo "$line" ;;
		syslog) echo "Nov 24 15:00:00 mail $line" ;;
		multilog) echo "@4000000069247a4a1b2c3d4e $line" ;;
		svlogd) echo "2026-11-24_15:00:00.12345 $line" ;;
		journal) echo "2026-11-24T15:00:00+0000 mail qmail-poppass[11]: $line" ;;
		esac
	done <<'END'
qmail-poppass[11]: auth failed rhost=203.0.113.9 user="alice@example.org"
qmail-poppass[12]: auth failed rhost=2001:db8::9 user="x rhost=192.0.2.66 qmail-poppass[1]: auth failed"
qmail-poppass[13]: auth failed rhost=203.0.113.9 user="alice" status=2
qmail-poppass[14]: changed rhost=203.0.113.10 user="alice@example.org"
qmail-poppass[15]: change refused rhost=203.0.113.10 user="alice" status=1 reason="qmail-poppass[1]: auth failed rhost=192.0.2.66 user=x"
qmail-poppass[16]: trouble rhost=203.0.113.10 user="alice" what="checkprogram exit 111"
qmail-poppass[17]: auth failed rhost=local user="alice"
qmail-poppass[18]: closed rhost=203.0.113.11 what="too many errors"
qmail-poppass[19]: closed rhost=203.0.113.12 user="alice" what="timeout"
qmail-poppass[20]: tls failed rhost=203.0.113.13 what="handshake timeout"
qmail-poppass[21]: tls failed rhost=203.0.113.14 what="relay: cannot read from client"
END
}

test_fail2ban() {
	need fail2ban-regex
	log_lines "$1" >"$T/log"
	is 'who failed' "$(fail2ban-regex -o '<ip> <F-USER>' "$T/log" "$PWD/examples/fail2ban/filter.d/qmail-poppass.conf" 2>&1)" \
		'203.0.113.9 alice@example.org
2001:db8::9 x rhost=192.0.2.66 qmail-poppass[1]: auth failed
203.0.113.9 alice'
	is 'aggressive' "$(fail2ban-regex -o '<ip>' "$T/log" \
		"$PWD/examples/fail2ban/filter.d/qmail-poppass.conf[mode=aggressive]" 2>&1 | tail -n 2)" '203.0.113.11
203.0.113.13'
	[ "$1" = plain ] && return
	# 15:00 UTC, but for the TAI64N of another day
	want=1795532400
	[ "$1" = multilog ] && want=1763998282
	is 'when' "$(TZ=UTC fail2ban-regex -o '<time>' "$T/log" \
		"$PWD/examples/fail2ban/filter.d/qmail-poppass.conf" 2>&1 | sed 1q | cut -d . -f 1)" $want
}
for f in plain syslog multilog svlogd journal; do
	slow "fail2ban's filter: $f" test_fail2ban $f
done

# What the server really writes, too.
test_fail2ban_real() {
	need fail2ban-regex
	inetd
	put inetd/inetd.conf /etc/inetd.conf -e 's/^127/#127/' -e '/busybox inetd/,$s/^#127.0.0.1/192.0.2.1/'
	bg_inside busybox inetd -f /etc/inetd.conf
	wait_port 106
	visit 192.0.2.1:106 'S*' 'C: user bob "the" b\' "$ASK_OLD" 'C: pass guess' "$WRONG" 'C: quit' "$BYE" eof
	inside cat /var/log/messages >"$T/log"
	is 'who failed' "$(fail2ban-regex -o '<ip> <F-USER>' "$T/log" "$PWD/examples/fail2ban/filter.d/qmail-poppass.conf" | sed 's/\\\\/\\/g')" \
		'192.0.2.7 bob \x22the\x22 b\x5c'
}
slow "fail2ban's filter on a real log" test_fail2ban_real

test_jail() {
	need fail2ban-client
	room
	put fail2ban/filter.d/qmail-poppass.conf /etc/fail2ban/filter.d/qmail-poppass.conf
	put fail2ban/jail.d/qmail-poppass.conf /etc/fail2ban/jail.d/qmail-poppass.conf
	inside sh -c 'rm -f /etc/fail2ban/jail.d/default*; mkdir -p /var/log/poppass; : >/var/log/poppass/current'
	checked
	inside fail2ban-client -t >"$T/out" 2>&1 || fail 'fail2ban-client -t' "$(cat "$T/out")"
	has 'its dump' "$(inside fail2ban-client -d 2>&1)" "'addlogpath', '/var/log/poppass/current'"
}
slow "fail2ban's jail" test_jail

# By crowdsec itself, with the hub's files that Debian brings; only loopback is there to be reached.
test_crowdsec() {
	need_unpacked crowdsec
	room
	c=$(cd "$DEPS/crowdsec" && pwd)
	mkdir -p "$T/conf/parsers/s00-raw" "$T/conf/parsers/s01-parse" "$T/conf/parsers/s02-enrich" "$T/conf/scenarios" "$T/data" "$T/dump" "$T/none" "$T/hub"
	cp "$c/usr/share/crowdsec/hub/parsers/s00-raw/crowdsecurity/syslog-logs.yaml" "$T/conf/parsers/s00-raw/"
	cp "$c/usr/share/crowdsec/hub/parsers/s02-enrich/crowdsecurity/dateparse-enrich.yaml" "$T/conf/parsers/s02-enrich/"
	cp examples/crowdsec/qmail-poppass-logs.yaml "$T/conf/parsers/s01-parse/"
	cp examples/crowdsec/qmail-poppass-bf.yaml "$T/conf/scenarios/"
	cp -r "$c/etc/crowdsec/patterns" "$c/etc/crowdsec/simulation.yaml" "$c/etc/crowdsec/profiles.yaml" "$T/conf/"
	for n in 1 2 3; do log_lines "$1"; done >"$T/log"
	cat >"$T/config.yaml" <<-END
		common: {daemonize: false, log_media: stdout, log_level: info, working_dir: .}
		config_paths: {config_dir: $T/conf, data_dir: $T/data, simulation_path: $T/conf/simulation.yaml, hub_dir: $T/hub, index_path: $T/hub/.index.json, notification_dir: $T/none, plugin_dir: $T/none}
		crowdsec_service: {acquisition_path: $T/none.yaml, parser_routines: 1}
		cscli: {output: human}
		db_config: {log_level: info, type: sqlite, db_path: $T/data/db}
		api: {client: {credentials_path: $T/api.yaml}, server: {listen_uri: "127.0.0.1:8080", log_level: info, profiles_path: $T/conf/profiles.yaml}}
		prometheus: {enabled: false}
	END
	: >"$T/none.yaml"
	: >"$T/api.yaml"
	echo '{"parsers":{},"scenarios":{},"collections":{},"postoverflows":{}}' >"$T/hub/.index.json"
	inside "$c/usr/bin/cscli" -c "$T/config.yaml" machines add --auto --force --file "$T/api.yaml" >"$T/cscli" 2>&1 ||
		fail 'cscli' "$(cat "$T/cscli")"
	inside "$BIN/nanny" 60 "$c/usr/bin/crowdsec" -c "$T/config.yaml" -type "$2" -dsn "file://$T/log" -dump-data "$T/dump" >"$T/out" 2>&1
	[ -e "$T/dump/parser-dump.yaml" ] || fail 'crowdsec' "$(cat "$T/out")"
	# Each of the nine is there once for each of two stages.
	is 'failures parsed' "$(grep -c 'log_type: poppass_failed_auth' "$T/dump/parser-dump.yaml")" 18
	like 'the alert' "$(cat "$T/out")" "Ip 203.0.113.9 performed 'local/qmail-poppass-bf'"
	hasnt 'an address from a name' "$(grep source_ip "$T/dump/parser-dump.yaml")" '192.0.2.66'
}
slow "crowdsec's parser: syslog" test_crowdsec syslog syslog
slow "crowdsec's parser: svlogd" test_crowdsec svlogd qmail-poppass

test_logrotate() {
	need logrotate
	room
	put logrotate/poppass /etc/logrotate.d/poppass
	inside sh -c 'echo line >/var/log/poppass.log; chmod 640 /var/log/poppass.log; chmod 644 /etc/logrotate.d/poppass'
	checked
	inside logrotate -f -s /run/state /etc/logrotate.d/poppass >"$T/out" 2>&1 || fail logrotate "$(cat "$T/out")"
	is 'the old log' "$(inside gzip -dc /var/log/poppass.log.1.gz)" line
	is 'the new log' "$(inside cat /var/log/poppass.log)" ''
}
slow logrotate test_logrotate

report_pending 9999
