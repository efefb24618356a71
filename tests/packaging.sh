# shellcheck shell=sh disable=SC2154,SC1090,SC2034 # the variables of test.sh; recipes are sourced
# Reproducible builds, the release, and the recipes of examples/packaging with what their systems pass.
# Not under emulation, and for the default programs only: CC and the like of the caller are for others.

emulated && return 0
RECIPES=examples/packaging
VERSION=$(sed -n 's/^VERSION = //p' Makefile)
TARBALL=qmail-poppass-$VERSION.tar.gz
LIBS=$(absolute "$DEPS")
unset LDLIBS

# plain COMMAND...: without what a make above us was told
plain() {
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u BUILD -u DEPS -u CFLAGS -u CPPFLAGS -u LDFLAGS -u TLS -u STATIC \
		-u CRYPT_CFLAGS -u CRYPT_LIBS -u BEARSSL_CFLAGS -u BEARSSL_LIBS "$@"
}

# The release, made once; unpacked as $1
release() {
	mkdir -p "$1"
	[ -e "$TMP/dist/$TARBALL" ] || plain make -s dist BUILD="$TMP/dist" >"$TMP/dist.sums"
	tar -xf "$TMP/dist/$TARBALL" -C "$1" --strip-components=1
}

## Reproducible

test_release() {
	plain make -s dist BUILD="$T/one" >"$T/sums1"
	sleep 1
	TZ=Asia/Tokyo plain make -s dist BUILD="$T/two" >"$T/sums2"
	same 'two of them' "$T/one/$TARBALL" "$T/two/$TARBALL"
	same 'checksums' "$T/sums1" "$T/sums2"
	ok 'checksums are right' sh -c "cd '$T/one' && sha512sum -c" <"$T/sums1"
	tar -tf "$T/one/$TARBALL" >"$T/list"
	is 'outside its folder' "$(grep -v "^qmail-poppass-$VERSION/" "$T/list")" ''
	is 'rubbish' "$(grep -E '/(build|\.git)/|\.o$|~$' "$T/list")" ''
	for f in Makefile poppass.c LICENSE README qmail-poppass.8 tests/deps.sh backends/file.c; do
		has 'files' "$(cat "$T/list")" "/$f"
	done
}
it 'the release is the same twice, and whole' test_release

# Packed again from what was unpacked, by a user of other habits.
test_release_of_release() {
	for d in one two; do
		release "$T/$d"
	done
	find "$T/two" -exec touch -d 2001-02-03 {} +
	[ "$(id -u)" != 0 ] || chown -R 1234:1234 "$T/two"
	chmod -R go-rwx "$T/two"
	for d in one two; do
		SOURCE_DATE_EPOCH=1700000000 plain make -s -C "$T/$d" dist >"$T/sums"
	done
	same 'two of them' "$T/one/build/$TARBALL" "$T/two/build/$TARBALL"
	tar -tf "$TMP/dist/$TARBALL" >"$T/first"
	tar -tf "$T/one/build/$TARBALL" >"$T/second"
	same 'files' "$T/first" "$T/second"
}
it 'dates, owners and modes of the files do not matter' test_release_of_release

# In folders whose names differ in length, from files of different dates.
test_reproducible() {
	for d in a a/much/longer/name; do
		release "$T/$d/src"
	done
	find "$T/a/src" -type f -exec touch -d 2001-02-03 {} +
	for d in a a/much/longer/name; do
		for tls in 0 1; do
			ok "make in $d" plain make -s -C "$T/$d/src" DEPS="$LIBS" BUILD="build/$tls" TLS=$tls
		done
		sleep 1
	done
	for tls in 0 1; do
		for p in qmail-poppass checkpassword-file setpassword-file; do
			same "TLS=$tls $p" "$T/a/src/build/$tls/$p" "$T/a/much/longer/name/src/build/$tls/$p"
		done
	done
}
it 'two builds in different folders, at different times, are the same' test_reproducible

test_version() {
	release "$T/src"
	ok 'make' plain make -s -C "$T/src" DEPS="$LIBS" TLS=0 VERSION=7.8
	is 'VERSION' "$("$T/src/build/qmail-poppass" -V)" 'qmail-poppass 7.8'
	is 'recipes' "$(sed -n 's/^pkgver=//p' "$RECIPES"/alpine/APKBUILD
		sed -n 's/^PKG_VERSION:=//p' "$RECIPES"/openwrt/Makefile
		sed -n 's/^QMAIL_POPPASS_VERSION = //p' "$RECIPES"/buildroot/qmail-poppass.mk
		sed -n '1s/.*(\(.*\)-[0-9]*).*/\1/p' "$RECIPES"/debian/changelog
		basename "$RECIPES"/yocto/*.bb .bb | sed 's/.*_//')" "$(printf '%s\n' "$VERSION" "$VERSION" "$VERSION" "$VERSION" "$VERSION")"
}
it 'one version' test_version

test_licence() {
	has 'Buildroot' "$(cat "$RECIPES"/buildroot/qmail-poppass.hash)" "sha256  $(sha256sum LICENSE | cut -d ' ' -f 1)  LICENSE"
	has 'Yocto' "$(cat "$RECIPES"/yocto/*.bb)" "md5=$(md5sum LICENSE | cut -d ' ' -f 1)"
	for f in "$RECIPES"/openwrt/Makefile "$RECIPES"/alpine/APKBUILD "$RECIPES"/buildroot/*.mk "$RECIPES"/yocto/*.bb; do
		has "$f" "$(cat "$f")" 0BSD
	done
}
it "the licence's checksums" test_licence

# What a recipe cannot say before the tarball is made: checksums, and where it is.
test_filled() {
	plain make -s dist BUILD="$T/dist" URL=https://host.example/files >"$T/sums"
	r=$T/dist/packaging
	sum256=$(sed -n 1p "$T/sums")
	sum512=$(sed -n 2p "$T/sums")
	has 'Alpine' "$(cat "$r/alpine/APKBUILD")" "sha512sums=\"$sum512\""
	has 'Buildroot' "$(cat "$r/buildroot/qmail-poppass.hash")" "sha256  $sum256"
	has 'OpenWrt' "$(cat "$r/openwrt/Makefile")" "PKG_HASH:=${sum256%% *}"
	has 'Yocto' "$(cat "$r"/yocto/*.bb)" "SRC_URI[sha256sum] = \"${sum256%% *}\""
	is 'URL' "$(grep -rl https://host.example/files "$r" | wc -l)" 4
	is 'left open' "$(grep -r -e example.org/releases -e SKIP -e ':=skip' "$r")" ''
	ok 'executable' test -x "$r/debian/rules"
	is 'their first lines say what was not run' "$(head -qn 1 "$r"/alpine/* "$r"/buildroot/* "$r"/openwrt/* "$r"/yocto/* | grep -vc '^# Never run[ :]')" 0
}
it 'the release fills in the recipes' test_filled

## The recipes

# installed DIR: the programs and manuals, stripped of nothing, and that they run
installed() {
	for p in qmail-poppass checkpassword-file setpassword-file; do
		ok "$p" test -x "$1/usr/sbin/$p"
		[ "${2-}" = programs ] || ok "manual of $p" test -s "$1/usr/share/man/man8/$p.8"
	done
	is 'runs' "$("$1/usr/sbin/qmail-poppass" -V)" "qmail-poppass $VERSION"
}

# with_flags FILE: OpenWrt's and Alpine's reach compiler and linker
with_flags() {
	ok "$2 reached the compiler" grep -q -e "$2" "$1"
}

# A musl like theirs: Debian's own lacks BearSSL and crypt(3).
musl() {
	need musl-gcc
	CPATH=$LIBS/include
	LIBRARY_PATH=$LIBS/lib
	LDLIBS=-lcrypt
	export CPATH LIBRARY_PATH LDLIBS
}

test_alpine() {
	musl
	release "$T/src"
	pkgdir=$T/pkg
	(
		unset BUILD DEPS MAKEFLAGS TLS STATIC
		export CC=musl-gcc CFLAGS='-Os -fstack-clash-protection -Wformat -Werror=format-security -g' CPPFLAGS=
		export LDFLAGS='-Wl,--as-needed,-O1,--sort-common' CHOST=x86_64-alpine-linux-musl
		. "$PWD/$RECIPES/alpine/APKBUILD"
		cd "$T/src" || exit 1
		set -e
		build
		package
	) || fail 'build or package'
	installed "$T/pkg"
	with_flags "$T/src/build/flags" -fstack-clash-protection
	has 'linked' "$(cat "$T/src/build/flags")" '--sort-common'
	ok 'TLS' grep -q lbearssl "$T/src/build/flags"
	ok 'init script' test -x "$T/pkg/etc/init.d/poppass"
	is 'other folders' "$(grep -l /usr/local -r "$T/pkg/etc")" ''
	ok 'its syntax' sh -n "$T/pkg/etc/init.d/poppass"
}
it 'Alpine: build and package' test_alpine

# What package/Makefile.in passes, and a stub for its infrastructure.
test_buildroot() {
	musl
	release "$T/src"
	cat >"$T/Makefile" <<-'END'
		TARGET_MAKE_ENV = PATH="$(PATH)"
		TARGET_CFLAGS = -D_LARGEFILE_SOURCE -D_FILE_OFFSET_BITS=64 -Os -g0 $(if $(BR2_STATIC_LIBS),-static)
		TARGET_CONFIGURE_OPTS = AR=ar AS=as LD=ld NM=nm CC=musl-gcc GCC=musl-gcc CPP="musl-gcc -E" CXX=false RANLIB=ranlib \
			READELF=readelf STRIP=strip OBJCOPY=objcopy OBJDUMP=objdump CFLAGS="$(TARGET_CFLAGS)" CXXFLAGS= \
			CPPFLAGS="-D_FILE_OFFSET_BITS=64" LDFLAGS="$(if $(BR2_STATIC_LIBS),-static)" PKG_CONFIG=false STAGING_DIR=/staging
		include $(RECIPE)
		$(SRC)/built: ; $(QMAIL_POPPASS_BUILD_CMDS)
		$(SRC)/installed: ; $(QMAIL_POPPASS_INSTALL_TARGET_CMDS)
	END
	for tls in '' y; do
		for p in built installed; do
			ok "$p, TLS $tls" plain make -s -f "$T/Makefile" "$T/src/$p" SRC="$T/src" \
				RECIPE="$PWD/$RECIPES/buildroot/qmail-poppass.mk" BR2_STATIC_LIBS=y \
				BR2_PACKAGE_QMAIL_POPPASS_TLS=$tls TARGET_DIR="$T/pkg$tls"
		done
		installed "$T/pkg$tls"
		with_flags "$T/src/build/flags" -D_LARGEFILE_SOURCE
	done
	says=$(CERTFILE=/nonexistent PASSWORD_COMMAND=/bin/false "$T/pkg/usr/sbin/qmail-poppass" -t x /bin/false 2>&1)
	has 'no TLS' "$says" 'without TLS'
	says=$(CERTFILE=/nonexistent PASSWORD_COMMAND=/bin/false "$T/pkgy/usr/sbin/qmail-poppass" -t x /bin/false 2>&1)
	has 'TLS' "$says" 'no such file'
}
it 'Buildroot: build and install, with TLS and without' test_buildroot

# include/package-defaults.mk in short.
test_openwrt() {
	musl
	release "$T/src"
	mkdir -p "$T/top"
	cat >"$T/top/rules.mk" <<-'END'
		INCLUDE_DIR = $(TOPDIR)
		INSTALL_DIR = install -d -m0755
		INSTALL_BIN = install -m0755
		TARGET_CONFIGURE_OPTS = AR=ar AS="musl-gcc -c" LD=ld NM=nm CC=musl-gcc GCC=musl-gcc CXX=false RANLIB=ranlib STRIP=strip \
			OBJCOPY=objcopy OBJDUMP=objdump SIZE=size
		MAKE_VARS = CFLAGS="-Os -pipe -fno-caller-saves -DOPENWRT" CXXFLAGS= LDFLAGS="-Wl,-z,now"
		MAKE_FLAGS = $(TARGET_CONFIGURE_OPTS) CROSS="" ARCH="x86_64"
		MAKE_INSTALL_FLAGS = $(MAKE_FLAGS) DESTDIR="$(PKG_INSTALL_DIR)"
	END
	cat >"$T/top/package.mk" <<-'END'
		define BuildPackage
		all: install ; $$(call Package/$(1)/install,$$(IDIR))
		install: build ; $$(MAKE_VARS) $$(MAKE) -C $$(PKG_BUILD_DIR) $$(MAKE_INSTALL_FLAGS) install
		build: ; $$(MAKE_VARS) $$(MAKE) -C $$(PKG_BUILD_DIR) $$(MAKE_FLAGS)
		endef
	END
	ok 'make' plain make -s -f "$RECIPES"/openwrt/Makefile all TOPDIR="$T/top" PKG_BUILD_DIR="$T/src" \
		PKG_INSTALL_DIR="$T/inst" IDIR="$T/pkg"
	[ -d "$T/pkg" ] || return
	installed "$T/pkg" programs
	with_flags "$T/src/build/flags" -DOPENWRT
	ok 'init script' test -x "$T/pkg/etc/init.d/poppass"
}
it 'OpenWrt: build and install' test_openwrt

# The lines of do_compile and do_install, with what OE has in the environment.
test_yocto() {
	release "$T/src"
	options=$(sed -n 's/^EXTRA_OEMAKE = "\(.*\)"/\1/p' "$RECIPES"/yocto/*.bb | sed 's/TLS=1/TLS=0/')
	set -- make -s -C "$T/src"
	for p in all "install DESTDIR=$T/pkg PREFIX=/usr SBINDIR=/usr/sbin MANDIR=/usr/share/man"; do
		# shellcheck disable=SC2086 # words
		ok "make $p" plain env CC='cc --sysroot=/' CFLAGS='-O2 -pipe -g -DYOCTO' LDFLAGS='-Wl,-O1,--hash-style=gnu' \
			"$@" $options $p
	done
	installed "$T/pkg"
	with_flags "$T/src/build/flags" --hash-style=gnu
	like 'GNU_HASH' "$(readelf -d "$T/pkg/usr/sbin/qmail-poppass")" GNU_HASH
	like 'not stripped' "$(file "$T/pkg/usr/sbin/qmail-poppass")" 'not stripped'
	with_flags "$T/src/build/flags" -DYOCTO
}
it "Yocto: the recipe's calls of make" test_yocto

# Too large for make deps: .ci/run installs the tools with `tests/deps.sh ci`.
test_debian() {
	for tool in dh dpkg-buildpackage lintian; do
		command -v $tool >/dev/null 2>&1 || skip "there is no $tool"
	done
	[ -f /usr/include/bearssl.h ] || skip 'there is no libbearssl-dev'
	mkdir "$T/d"
	release "$T/d/qmail-poppass-$VERSION"
	cp "$TMP/dist/$TARBALL" "$T/d/qmail-poppass_$VERSION.orig.tar.gz"
	cp -R "$RECIPES"/debian "$T/d/qmail-poppass-$VERSION/debian"
	ok 'dpkg-buildpackage' sh -c "cd '$T/d/qmail-poppass-$VERSION' && env -u CC -u MAKEFLAGS -u MAKELEVEL -u DEPS -u BUILD \
		dpkg-buildpackage -us -uc" >"$T/log" 2>&1 || { tail -n 40 "$T/log"; return; }
	lintian --allow-root --fail-on error,warning "$T"/d/*.changes >"$T/lintian" 2>&1 ||
		fail 'lintian' "$(cat "$T/lintian")"
	is 'lintian' "$(grep '^[EW]:' "$T/lintian")" ''
	ok 'unpack' dpkg-deb -x "$T"/d/qmail-poppass_*.deb "$T/pkg"
	is 'runs' "$("$T/pkg/usr/sbin/qmail-poppass" -V)" "qmail-poppass $VERSION"
	is '/usr/local' "$(grep -rl /usr/local "$T/pkg/usr/lib")" ''
}
slow 'Debian: dpkg-buildpackage, lintian' test_debian
