# qmail-poppass: POSIX-minded, but needs GNU make 3.81 or later.
#
#	make                     static, with musl-gcc where there is one, else with cc
#	make CC=clang STATIC=0   any other compiler, dynamic
#	make TLS=0               without TLS, hence without BearSSL
#	make CRYPT_LIBS=         crypt(3) of the C library itself (Alpine, OpenWrt)
#	make deps                what a build, the demo and the tests need (deps-libs: the libraries alone)
#	make demo  make test  make install  make clean  make distclean
#
# CC, AR, CFLAGS, CPPFLAGS, LDFLAGS, LDLIBS, DESTDIR, PREFIX, STATIC, TLS come from the
# environment or the command line; what the code itself needs is in the MY_ variables.

ifeq ($(origin CC),default)
# Looked up at each use: `make deps demo` may have just installed it.
CC = $(shell command -v musl-gcc >/dev/null 2>&1 && echo musl-gcc || echo cc)
else
CHOSEN_CC = $(CC)
endif

VERSION = 1.0
BUILD ?= build
DEPS ?= build/deps
STATIC ?= 1
TLS ?= 1
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
CFLAGS ?= -g
CRYPT_CFLAGS ?= -I$(DEPS)/include
CRYPT_LIBS ?= $(DEPS)/lib/libcrypt.a
BEARSSL_CFLAGS ?= -I$(DEPS)/include
BEARSSL_LIBS ?= $(DEPS)/lib/libbearssl.a
export CC BUILD DEPS

MY_CFLAGS = $(MY_CFLAGS_$(STATIC)) -std=c11 -Wall -Wextra -ffile-prefix-map=$(CURDIR)=. -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables
MY_CPPFLAGS = -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -DTLS=$(TLS) -I.
MY_CFLAGS_1 = -fno-pie
MY_LDFLAGS_1 = -static -no-pie -Wl,-z,noseparate-code,-z,norelro,--build-id=none
MY_LDFLAGS = $(MY_LDFLAGS_$(STATIC)) -Wl,--gc-sections,-z,noexecstack
GLUE_0 =
GLUE_1 = $(BUILD)/bearssl_glue.o
GLUE_LIBS_1 = $(BEARSSL_LIBS)

# Before CFLAGS, so that an -O in there wins: small, but for the loop over a file's lines.
SMALL := $(shell $(CC) -Oz -E -x c /dev/null >/dev/null 2>&1 && echo -Oz || echo -Os)
OPTIMISE = $(SMALL)
$(BUILD)/check.o $(BUILD)/set.o: OPTIMISE = -O2

COMPILE = $(CC) $(MY_CPPFLAGS) $(CPPFLAGS) $(MY_CFLAGS) $(OPTIMISE) $(CFLAGS)
LINK = $(CC) $(CFLAGS) $(MY_LDFLAGS) $(LDFLAGS)
PROGRAMS = $(BUILD)/qmail-poppass $(BUILD)/checkpassword-file $(BUILD)/setpassword-file

all: $(PROGRAMS)

$(BUILD)/qmail-poppass: $(BUILD)/poppass.o $(GLUE_$(TLS))
	$(LINK) -o $@ $(BUILD)/poppass.o $(GLUE_$(TLS)) $(GLUE_LIBS_$(TLS)) $(LDLIBS)

$(BUILD)/poppass.o: poppass.c bearssl_glue.h config.h $(BUILD)/flags
	$(COMPILE) -c -o $@ poppass.c

$(BUILD)/bearssl_glue.o: bearssl_glue.c bearssl_glue.h config.h $(BUILD)/flags
	$(COMPILE) $(BEARSSL_CFLAGS) -c -o $@ bearssl_glue.c

# One source, two programs.
$(BUILD)/checkpassword-file: $(BUILD)/check.o
	$(LINK) -o $@ $(BUILD)/check.o $(CRYPT_LIBS) $(LDLIBS)

$(BUILD)/setpassword-file: $(BUILD)/set.o
	$(LINK) -o $@ $(BUILD)/set.o $(CRYPT_LIBS) $(LDLIBS)

$(BUILD)/check.o: backends/file.c config.h $(BUILD)/flags
	$(COMPILE) $(CRYPT_CFLAGS) -DSETTER=0 -c -o $@ backends/file.c

$(BUILD)/set.o: backends/file.c config.h $(BUILD)/flags
	$(COMPILE) $(CRYPT_CFLAGS) -DSETTER=1 -c -o $@ backends/file.c

# `make -j2 deps demo`: nothing is compiled before the libraries are there.
$(BUILD)/flags: | $(filter deps deps-libs,$(MAKECMDGOALS))

# Rewritten only when it changes: other flags, another build.
$(BUILD)/flags: FORCE
	@mkdir -p $(BUILD)
	@echo '$(COMPILE) $(CRYPT_CFLAGS) $(BEARSSL_CFLAGS) $(LINK) $(CRYPT_LIBS) $(GLUE_LIBS_$(TLS)) $(LDLIBS)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

deps:
	@CC='$(CHOSEN_CC)' sh tests/deps.sh all

deps-libs:
	@CC='$(CHOSEN_CC)' sh tests/deps.sh libs

deps-real:
	@sh tests/deps-real.sh

demo: all
	@sh examples/demo.sh

test check: all
	@sh test.sh

# FUZZ_SECONDS=600 make fuzz: longer than the 60 seconds of CI.
fuzz:
	@sh tests/fuzz.sh

# Puts faults into the sources, one by one: each has to be noticed by the group that is named beside it.
mutants: all
	@sh tests/mutants.sh

# 10,000 sessions by 50 clients at once.
load: all
	@sh test.sh load

# Measures against the floor and the peers (sh bench/peers.sh brings those): make bench, make bench QUICK=1.
BENCH = $(addprefix $(BUILD)/bench/,nothing floor base once copy)

$(BUILD)/bench/%: bench/%.c bench/dialogue.h $(BUILD)/flags
	@mkdir -p $(BUILD)/bench
	$(COMPILE) $(CRYPT_CFLAGS) $(BEARSSL_CFLAGS) -c -o $@.o $<
	$(LINK) -o $@ $@.o $(BEARSSL_LIBS) $(CRYPT_LIBS) $(LDLIBS)

bench: all $(BENCH)
	@$(MAKE) -s TLS=0 BUILD=$(BUILD)/plain $(BUILD)/plain/qmail-poppass
	@TLS=$(TLS) sh bench/run.sh

# The programs for other machines, tested under emulation; a booted machine that has nothing else.
deps-cross:
	@sh tests/cross.sh packages

cross: deps deps-cross
	@sh tests/cross.sh

deps-initramfs:
	@sh tests/initramfs.sh packages

initramfs: deps deps-initramfs
	@sh tests/initramfs.sh

# What the programs weigh, against the budgets.
size: all
	@sh tests/size.sh

# The release, of what git has or else of what is here: the same bytes from the same files.
dist:
	@VERSION=$(VERSION) sh tests/dist.sh

# For those who doubt: proofs (Frama-C), that the proofs can fail (half an hour), checkers. They need `tests/deps.sh ci`.
prove:
	@sh tests/prove/prove.sh

prove-faults:
	@sh tests/prove/faults.sh

lint:
	@sh tests/lint.sh

install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man8
	install -m 755 $(PROGRAMS) $(DESTDIR)$(SBINDIR)
	install -m 644 qmail-poppass.8 backends/checkpassword-file.8 backends/setpassword-file.8 $(DESTDIR)$(MANDIR)/man8

clean:
	test ! -d $(BUILD) || find $(BUILD) -mindepth 1 -maxdepth 1 ! -name deps ! -name src -exec rm -rf {} +

distclean:
	rm -rf build

FORCE:
.PHONY: all deps deps-libs deps-real deps-cross deps-initramfs cross initramfs size dist demo test check fuzz mutants load prove prove-faults lint bench install clean distclean FORCE
