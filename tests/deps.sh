#!/bin/sh
# What a build, the demo and the tests need; `make deps` and `make deps-libs` run this.
#
#	deps.sh packages	tools from the system's packages: as root, apt (Debian, Ubuntu) or apk
#				(Alpine) installs what is missing
#	deps.sh libs		libcrypt.a (libxcrypt) and libbearssl.a with their headers, into $DEPS
#	deps.sh busybox		$DEPS/bin/busybox, which has the listener tcpsvd
#	deps.sh all		the three in turn
#	deps.sh ci		the tools that only .ci/run needs
#
# Without root, and on other systems, each missing tool is named, and what is lost without it.
# Exit status: 0 if the libraries and busybox are there, so that `make`, `make demo` and
# `make test` run (a test whose tool is missing is skipped with a reason); 1 if not.
#
# Sources are Debian's source packages, fetched and verified by apt through a sources list of
# our own (the system's stays as it is), and kept in build/src. Elsewhere, libraries that the
# system has as static ones are used, or unpack the sources by hand: build/src/bearssl,
# build/src/libxcrypt, build/src/busybox.
# Each part is built in a folder of its own, moved into place when whole, and stamped with the
# compiler; a second run finds the stamps and is done. All output goes to $DEPS/log.
#
# Environment: CC (default: musl-gcc where there is one, else cc), AR, DEPS (build/deps),
# SRC (build/src). Cross builds: CC=aarch64-linux-musl-gcc DEPS=build/cross/arm64/deps.

set -u
cd "$(dirname "$0")/.." || exit 1
ROOT=$PWD
LC_ALL=C
export LC_ALL
unset MAKEFLAGS MFLAGS MAKELEVEL GNUMAKEFLAGS MAKEOVERRIDES CFLAGS CPPFLAGS LDFLAGS LDLIBS BUILD

absolute() {
	case $1 in
	/*) echo "$1" ;;
	*) echo "$ROOT/$1" ;;
	esac
}

DEPS=$(absolute "${DEPS:-build/deps}")
SRC=$(absolute "${SRC:-build/src}")
LOG=$DEPS/log
# Some systems keep these from ordinary users.
PATH=$PATH:/usr/sbin:/sbin

ME=deps
# shellcheck source=tests/steps.sh
. tests/steps.sh

choose_compiler() {
	if [ -z "${CC:-}" ]; then
		CC=cc
		have musl-gcc && CC=musl-gcc
	fi
	# CC may be several words.
	# shellcheck disable=SC2086
	compiler=$($CC --version 2>/dev/null | sed 1q)
	[ -n "$compiler" ] || fail "no compiler: $CC does not run"
	# shellcheck disable=SC2086
	AR=${AR:-$($CC -print-prog-name=ar)}
	have "$AR" || AR="ar"
	JOBS=$(nproc 2>/dev/null || echo 1)
	export CC AR
}

# A part counts as built while its stamp says what we would build now.
# The number is raised when the recipe changes.
stamp() { echo "$1 $2: $CC, $compiler"; }

built() {
	[ -s "$DEPS/.$1" ] && [ "$(cat "$DEPS/.$1")" = "$(stamp "$1" "$2")" ]
}

# begin PART: an empty folder to build in, and no stamp.
begin() {
	rm -rf "$DEPS/.$1" "$DEPS/tmp-$1"
	mkdir -p "$DEPS/tmp-$1"
}

finish() {
	stamp "$1" "$2" >"$DEPS/tmp-$1/stamp"
	mv "$DEPS/tmp-$1/stamp" "$DEPS/.$1"
	rm -rf "$DEPS/tmp-$1"
}

# One process at a time in one $DEPS.
lock() {
	mkdir -p "$DEPS/lib" "$DEPS/include" "$DEPS/bin"
	have flock || return 0
	exec 9>"$DEPS/.lock"
	flock 9
}

# --- sources ---------------------------------------------------------------------------------

# The system's own Debian sources once more, as deb-src, for a run of apt that touches nothing else.
private_apt() {
	apt_dir=$1
	mkdir -p "$apt_dir/parts" "$apt_dir/lists/partial" "$apt_dir/cache/archives/partial"
	for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -r "$f" ] && sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$f"
	done >"$apt_dir/parts/all.list"
	for f in /etc/apt/sources.list.d/*.sources; do
		[ -r "$f" ] && sed 's/^Types:.*/Types: deb-src/' "$f" >"$apt_dir/parts/$(basename "$f")"
	done
	cat >"$apt_dir/conf" <<-END
		Dir::Etc::SourceList "/dev/null";
		Dir::Etc::SourceParts "$apt_dir/parts";
		Dir::State::Lists "$apt_dir/lists";
		Dir::Cache "$apt_dir/cache";
		APT::Sandbox::User "root";
		Acquire::Retries "3";
		Acquire::Languages "none";
	END
}

fetch_source() {
	(
		cd "$1" || exit 1
		APT_CONFIG=$1/conf
		export APT_CONFIG
		# One source of several that cannot be reached need not matter: the next line tells.
		if [ ! -s updated ]; then
			apt-get -q update
			echo yes >updated
		fi
		apt-get -q source "$2" || exit 1
		find . -maxdepth 1 -type d -name "$2-*" -exec mv {} unpacked \;
		find . -maxdepth 1 -type f -name "$2_*.dsc" -exec cp {} unpacked/package.dsc \;
		[ -d unpacked ]
	)
}

cannot() {
	echo "deps: $*" >&2
	fail 'what works even so: make CC=cc STATIC=0 TLS=0 CRYPT_LIBS=-lcrypt (no TLS, no demo)'
}

# need_sources PACKAGE...: into $SRC/PACKAGE, whole or not at all.
need_sources() {
	missing=
	for p in "$@"; do
		[ -d "$SRC/$p" ] || missing="$missing $p"
	done
	[ -n "$missing" ] || return 0
	have apt-get || cannot "no apt-get to fetch the sources with: unpack each of$missing into $SRC/NAME"
	have dpkg-source || cannot "no dpkg-source to unpack$missing with (as root: make deps, or apt-get install dpkg-dev)"
	mkdir -p "$SRC"
	for old in "$SRC"/tmp.*; do
		kill -0 "${old##*.}" 2>/dev/null || rm -rf "$old"
	done
	tmp=$SRC/tmp.$$
	trap 'rm -rf "$tmp"' EXIT
	trap 'exit 1' HUP INT TERM
	rm -rf "$tmp"
	private_apt "$tmp"
	for p in $missing; do
		step "fetching the source of $p" fetch_source "$tmp" "$p"
		# Another run may have been faster.
		[ -d "$SRC/$p" ] || mv "$tmp/unpacked" "$SRC/$p"
		rm -rf "$tmp/unpacked"
	done
	rm -rf "$tmp"
	trap - EXIT HUP INT TERM
}

# --- libcrypt --------------------------------------------------------------------------------

# Only what the sources ask for; configure would need autoconf, automake and libtool.
crypt_config() {
	cat <<-END
		#include <stdalign.h>
		#define PACKAGE_VERSION "$1"
		#define HAVE_ENDIAN_H 1
		#define HAVE_FCNTL_H 1
		#define HAVE_SYS_RANDOM_H 1
		#define HAVE_SYS_STAT_H 1
		#define HAVE_SYS_SYSCALL_H 1
		#define HAVE_SYS_TYPES_H 1
		#define HAVE_UNISTD_H 1
		#define HAVE_EXPLICIT_BZERO 1
		#define HAVE_GETRANDOM 1
		#define HAVE_SYSCALL 1
		#define HAVE_MAX_ALIGN_T 1
		#define HAVE_STATIC_ASSERT_IN_ASSERT_H 1
		#define ENDIANNESS_IS_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		#define ENDIANNESS_IS_LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
		#define ENABLE_FAILURE_TOKENS 1
	END
}

# All hashes but GOST yescrypt, which nobody's mail server uses and which costs 21 KB.
crypt_headers() {
	src=$SRC/libxcrypt
	gen=$src/build-aux/scripts
	version=$(sed -n '/^AC_INIT/,/)$/s/.*\[\([0-9][0-9.]*\)\].*/\1/p' "$src/configure.ac" | sed 1q)
	hashes=$(awk '/^[a-z]/ && $1 != "gost_yescrypt" { printf ",%s", $1 } END { print "," }' "$src/lib/hashes.conf")
	mkdir linux
	echo '#include <sys/mman.h>' >linux/mman.h
	crypt_config "${version:-4.4.0}" >config.h
	perl "$gen/gen-crypt-hashes-h" "$src/lib/hashes.conf" "$hashes" >crypt-hashes.h &&
		perl "$gen/gen-crypt-h" "$src/lib/crypt.h.in" config.h "$src/lib/hashes.conf" "$hashes" >crypt.h &&
		perl "$gen/gen-crypt-symbol-vers-h" no SYMVER_MIN=XCRYPT_2.0 SYMVER_FLOOR=XCRYPT_2.0 \
			COMPAT_ABI=no "$src/lib/libcrypt.map.in" >crypt-symbol-vers.h
}

build_crypt() {
	cd "$DEPS/tmp-libcrypt" || return 1
	crypt_headers || return 1
	make -j"$JOBS" -f - S="$SRC/libxcrypt/lib" <<-'END' || return 1
		FAST = alg-yescrypt-opt alg-sha512 crypt-bcrypt
		NOT = gen-des-tables crypt-des-obsolete alg-yescrypt-platform
		OBJ = $(patsubst %,%.o,$(filter-out $(NOT),$(basename $(notdir $(wildcard $(S)/*.c)))))
		libcrypt.a: $(OBJ) ; $(AR) rcs $@ $(OBJ)
		%.o: $(S)/%.c ; \
			$(CC) -std=gnu11 $(if $(filter $(FAST),$*),-O2,-Os) -w -D_GNU_SOURCE -DHAVE_CONFIG_H -DIN_LIBCRYPT -I. -I$(S) \
				-ffile-prefix-map="$(S)"=. -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -c -o $@ $<
	END
	mv libcrypt.a "$DEPS/lib/" && mv crypt.h "$DEPS/include/"
}

# --- libbearssl ------------------------------------------------------------------------------

# For size, but for two small loops that a handshake spends its time in: half a kilobyte for an
# eighth off the P-256 work. (ec/ec_p256_m31 as a third takes off another third, for 5 KB.)
build_bearssl() {
	cd "$DEPS/tmp-libbearssl" || return 1
	make -j"$JOBS" -f - S="$SRC/bearssl" <<-'END' || return 1
		FAST = codec/ccopy int/i31_montmul
		OBJ = $(patsubst $(S)/src/%.c,o/%.o,$(wildcard $(S)/src/*.c $(S)/src/*/*.c))
		libbearssl.a: $(OBJ) ; $(AR) rcs $@ $(OBJ)
		o/%.o: $(S)/src/%.c ; @mkdir -p $(@D); \
			$(CC) $(if $(filter $(FAST),$*),-O3,-Os) -w -I$(S)/src -I$(S)/inc \
				-ffile-prefix-map="$(S)"=. -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -c -o $@ $<
	END
	mv libbearssl.a "$DEPS/lib/" && cp "$SRC"/bearssl/inc/bearssl*.h "$DEPS/include/"
}

# --- busybox ---------------------------------------------------------------------------------

# The words are options and the beginnings of options, without CONFIG_ and FEATURE_: what the
# tests, the demo and a test machine's initramfs use.
BUSYBOX_OPTIONS='
	busybox lfs long_opts show_usage verbose_usage float_duration monotonic_syscall rtminmax
	no_debug_lib desktop use_sendfile installer allow_exec fancy human_readable pidfile install_applet ipv6
	suid use_bb shadowpasswds expr_math
	ash sh sh_is_ash shell_ash
	tcpsvd udpsvd inetd nc telnetd httpd wget runsv runsvdir sv svlogd svok syslogd klogd logger logread
	chpst envdir setuidgid softlimit setpriv setsid unshare su login getty adduser addgroup
	passwd chpasswd cryptpw mkpasswd id whoami
	mount umount mountpoint switch_root init poweroff reboot halt insmod lsmod modprobe dmesg
	ip ipaddr iplink iproute ifconfig route netstat ping hostname
	ps pgrep pkill pidof kill killall killall5 top free uptime lsof start_stop_daemon
	awk basename base64 cat chgrp chmod chown chroot cksum cmp comm cp cut date dd df diff dirname du
	echo env expr false find flock fold grep egrep fgrep gunzip gzip head hexdump ln ls md5sum mkdir
	mkfifo mknod mktemp mv nohup nproc od paste printenv printf pwd readlink realpath rm rmdir sed
	seq sha256sum sha512sum sleep sort split stat stty sync tail tar tee test test1 test2 timeout
	touch tr true truncate tty uname uniq usleep wc which xargs xxd yes'

# The default configuration less everything that was not asked for.
busybox_config() {
	make -C "$SRC/busybox" O="$PWD" HOSTCC=cc defconfig </dev/null || return 1
	awk -v words="$(echo "$BUSYBOX_OPTIONS" | tr '[:lower:]' '[:upper:]')" '
		BEGIN { n = split(words, word) }
		function wanted(name, i) {
			for (i = 1; i <= n; i++)
				if (name == word[i] || index(name, word[i] "_") == 1)
					return 1
		}
		/^# CONFIG_STATIC is not set/ { print "CONFIG_STATIC=y"; next }
		/^CONFIG_[A-Z0-9_]*=y/ {
			option = substr($0, 8, length($0) - 9)
			name = option
			sub(/^FEATURE_/, "", name)
			if (option !~ /^(HAVE_DOT_CONFIG|PLATFORM_LINUX|BASH_IS_NONE)$/ && !wanted(name))
				$0 = "# CONFIG_" option " is not set"
		}
		{ print }' .config >config.new && mv config.new .config || return 1
	yes '' | make -C "$SRC/busybox" O="$PWD" HOSTCC=cc oldconfig
}

# musl-gcc does not see the kernel's headers, which busybox needs: a folder with them alone.
kernel_headers() {
	mkdir kernel
	printf '#include <linux/types.h>\n#include <linux/if_packet.h>\n' >have.c
	# shellcheck disable=SC2086
	$CC -fsyntax-only have.c && return
	# shellcheck disable=SC2086
	machine=$($CC -dumpmachine | sed 's/musl/gnu/')
	ln -s /usr/include/linux /usr/include/asm-generic /usr/include/mtd kernel/
	for d in "/usr/include/$machine/asm" "/usr/$machine/include/asm" /usr/include/asm-generic; do
		[ -d "$d" ] || continue
		ln -s "$d" kernel/asm
		return
	done
}

build_busybox() {
	cd "$DEPS/tmp-busybox" || return 1
	busybox_config && kernel_headers || return 1
	# shellcheck disable=SC2086
	make -j"$JOBS" -C "$SRC/busybox" O="$PWD" CC="$CC" HOSTCC=cc AR="$AR" \
		LD="$($CC -print-prog-name=ld)" NM="$($CC -print-prog-name=nm)" \
		STRIP="$($CC -print-prog-name=strip)" EXTRA_CFLAGS="-I$PWD/kernel -w" busybox || return 1
	mv busybox "$DEPS/bin/"
}

# Alpine's own pair, where its sources are not at hand.
system_busybox() {
	have apt-get || [ -d "$SRC/busybox" ] || ! have busybox-extras && return 1
	cat >"$DEPS/bin/busybox" <<-'END'
		#!/bin/sh
		case $1 in
		tcpsvd | udpsvd | inetd | httpd | telnetd) exec busybox-extras "$@" ;;
		*) exec busybox "$@" ;;
		esac
	END
	chmod 755 "$DEPS/bin/busybox"
}

busybox() {
	choose_compiler
	lock
	system_busybox && return
	part busybox 1 build_busybox busybox
}

# part NAME RECIPE-NUMBER FUNCTION SOURCE
part() {
	built "$1" "$2" && return
	case $DEPS$SRC in
	*[[:space:]]*) fail "make cannot build in a folder with a blank in its name: $DEPS" ;;
	esac
	need_sources "$4"
	begin "$1"
	step "building $1 with $CC" "$3"
	finish "$1" "$2"
}

# Without apt and sources: the system's own static libraries, by links. Alpine's libcrypt.a is
# an empty one, for there crypt(3) is in the C library.
system_libs() {
	have apt-get || [ -d "$SRC/bearssl" ] && return 1
	for lib in libcrypt.a libbearssl.a; do
		# shellcheck disable=SC2086
		f=$($CC -print-file-name=$lib)
		[ -f "$f" ] || return 1
		ln -sf "$f" "$DEPS/lib/"
	done
}

libs() {
	choose_compiler
	lock
	system_libs && return
	part libcrypt 3 build_crypt libxcrypt
	part libbearssl 4 build_bearssl bearssl
}

# --- packages --------------------------------------------------------------------------------

# command or file | Debian's package | Alpine's package | what is lost without it
# (- for a system that needs no such package)
TOOLS='
cc|gcc|gcc|everything
/usr/include/stdio.h|libc6-dev|musl-dev|everything
dpkg-source|dpkg-dev|-|unpacking the sources of the libraries
perl|perl|-|building libcrypt
musl-gcc|musl-tools|-|small static programs (cc builds them instead)
/usr/include/linux/types.h|linux-libc-dev|-|building busybox
/usr/lib/libbearssl.a|-|bearssl-dev|TLS (make TLS=0 builds without)
busybox-extras|-|busybox-extras|the listener tcpsvd for the demo and the tests
openssl|openssl|openssl|the TLS half of the demo, the tests of TLS and of password hashes
gnutls-cli|gnutls-bin|gnutls-utils|the TLS tests with GnuTLS
sslscan|sslscan|sslscan|the TLS test with sslscan
mkpasswd|whois|mkpasswd|the tests of password hashes
tcpserver|ucspi-tcp|ucspi-tcp6|the tests under tcpserver
ipsvd-cdb|ipsvd|-|the tests under ipsvd
setfacl|acl|acl|the test that an access control list is kept
python3|python3|python3|some tests of the log and of the listeners
strace|strace|strace|the tests of system calls
ps|procps|procps|the tests that look for left processes
file|file|file|the test that the programs are static
xxd|xxd|-|the tests of exact bytes
'
CI_TOOLS='
shellcheck|shellcheck|shellcheck|the check of the scripts
mandoc|mandoc|mandoc|the check of the manuals
dh|debhelper|-|the test of the Debian package
lintian|lintian|-|the test of the Debian package
clang|clang|clang|the check for warnings with clang
clang-tidy|clang-tidy|clang-extra-tools|make lint
cppcheck|cppcheck|cppcheck|make lint
frama-c|frama-c-base|-|make prove
why3|why3|-|make prove
cvc4|cvc4|-|make prove
ocamlopt|ocaml|-|make prove
/usr/include/openssl/ssl.h|libssl-dev|openssl-dev|the check of the load client
/usr/include/bearssl.h|libbearssl-dev|bearssl-dev|the suite under AddressSanitizer
'

# missing TABLE COLUMN: a line "package what lost" for each tool that is not there.
missing() {
	echo "$1" | while IFS='|' read -r what debian alpine lost; do
		case $2 in
		alpine) package=$alpine ;;
		*) package=$debian ;;
		esac
		case $what:$package in
		:* | *:-) continue ;;
		esac
		have "$what" || [ -f "$what" ] || echo "$package $what $lost"
	done
}

package_names() { echo "$1" | cut -d ' ' -f 1 | sort -u | tr '\n' ' ' | sed 's/ $//'; }

# apt refuses a whole list for one name that it does not know.
install_debian() {
	apt-get -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 update
	known=
	for p in "$@"; do
		apt-cache show "$p" >/dev/null 2>&1 && known="$known $p"
	done
	# shellcheck disable=SC2086
	DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 \
		-o Dpkg::Use-Pty=0 install --no-install-recommends $known
}

install_alpine() { apk add "$@"; }

packages() {
	system=other
	how=
	if have apt-get; then
		system=debian
		how='apt-get install '
	elif have apk; then
		system=alpine
		how='apk add '
	fi
	lines=$(missing "$1" $system)
	[ -n "$lines" ] || return 0
	if [ -n "$how" ] && [ "$(id -u)" = 0 ]; then
		# What could not be had is named below.
		# shellcheck disable=SC2046
		(step "installing $(package_names "$lines")" install_$system $(package_names "$lines"))
		lines=$(missing "$1" $system)
		[ -n "$lines" ] || return 0
	fi
	say 'missing, and what is lost without it:'
	echo "$lines" | while read -r package what lost; do
		echo "    $what: $lost"
	done
	[ -z "$how" ] || say "as root: $how$(package_names "$lines")"
}

mkdir -p "$DEPS"
: >"$LOG"
case ${1:-all} in
packages) packages "$TOOLS" ;;
ci) packages "$CI_TOOLS" ;;
libs) libs ;;
busybox) busybox ;;
source)
	shift
	need_sources "$@"
	;;
all)
	packages "$TOOLS"
	libs
	busybox
	;;
*) fail "usage: deps.sh [packages|libs|busybox|all|ci|source PACKAGE ...]" ;;
esac
