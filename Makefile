# SPDX-License-Identifier: ISC
# Postern's build. Plain make: no configure step.
#   make quickstart   packages, build, an instance in ./instance, a message sent and read back
#   make check        everything that must hold before a change lands
#   make              build          make SANITIZE=1   with address and undefined-behaviour sanitizers
#   make install      DESTDIR= PREFIX= respected      make lint   style and structure alone
#   make bench        side-by-side measurements      make clean
#   make isolation    what a taken-over process reaches, beside Postfix and Dovecot (docs/isolation.md)
# Each folder with programs describes them in its build.mk; lib/ needs no list.

PREFIX ?= /usr/local
DESTDIR ?=
SBINDIR ?= $(PREFIX)/sbin
LIBEXECDIR ?= $(PREFIX)/libexec/postern
LIBDIR ?= $(PREFIX)/lib/postern
MANDIR ?= $(PREFIX)/share/man
DATADIR ?= $(PREFIX)/share/postern
UNITDIR ?= $(PREFIX)/lib/systemd/system
SYSCONFDIR ?= /etc/postern
CC = gcc
CFLAGS ?= -O2 -g
VERSION := 0.1.0

ifeq ($(SANITIZE),1)
BUILD ?= build/sanitize
HARDEN := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
TEST_HOOKS := 1
else
HARDEN := -fstack-protector-strong -fstack-clash-protection -fcf-protection -D_FORTIFY_SOURCE=2 -fPIE
LINK_HARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack
endif
ifeq ($(TEST_HOOKS),1)
BUILD ?= build/test
HOOKS := -DPOSTERN_TEST_HOOKS=1
else
BUILD ?= build/release
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 \
	-Wno-unused-parameter -Wno-format-nonliteral
ALL_CFLAGS = -std=c17 -D_GNU_SOURCE -DPOSTERN_VERSION=\"$(VERSION)\" -I. -Ilib -MMD -MP \
	$(WARN) $(HARDEN) $(HOOKS) $(CFLAGS)
ALL_LDFLAGS = $(LINK_HARDEN) $(HARDEN) -Wl,--as-needed $(LDFLAGS)
LIBS := -lsqlite3 -ldb -lpcre2-8 -lseccomp -lidn2 -lcrypt -lcrypto -lpthread -lm

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) $(2))

LIB_SOURCES := $(wildcard lib/*/*.c)
LIB_OBJECTS := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
LIB := $(BUILD)/libpostern.a

.DEFAULT_GOAL := all
PROGRAMS :=
LINKS :=
include $(wildcard */build.mk)

UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_TESTS := $(UNIT_SOURCES:tests/unit/%.c=$(BUILD)/tests/%)

.PHONY: all programs unit clean quickstart check check-long bench isolation install format lint packages
.SECONDARY:
all: programs
programs: $(PROGRAMS:%=$(BUILD)/bin/%)
	$(Q)set -e; for link in $(LINKS); do ln -sfn postern $(BUILD)/bin/$$link; done
unit: $(UNIT_TESTS)

$(LIB): $(LIB_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/%.o: %.c
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -c -o $@ $<

# NAME_SOURCES and NAME_LIBS come from the folder's build.mk.
define program
$(BUILD)/bin/$(1): $$($(1)_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D) && $(CC) $$(ALL_LDFLAGS) -o $$@ $$($(1)_SOURCES:%.c=$(BUILD)/%.o) $(LIB) $$($(1)_LIBS) $(LIBS)
OBJECTS += $$($(1)_SOURCES:%.c=$(BUILD)/%.o)
endef
$(foreach p,$(PROGRAMS),$(eval $(call program,$(p))))

# A unit test may name daemon sources it exercises: test_NAME_SOURCES in a build.mk.
define unit_test
$(BUILD)/tests/$(1): $(BUILD)/tests/unit/$(1).o $$($(1)_SOURCES:%.c=$(BUILD)/%.o) $(LIB)
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D) && $(CC) $$(ALL_LDFLAGS) -o $$@ $(BUILD)/tests/unit/$(1).o $$($(1)_SOURCES:%.c=$(BUILD)/%.o) $(LIB) $$($(1)_LIBS) -lcmocka $(LIBS)
OBJECTS += $$($(1)_SOURCES:%.c=$(BUILD)/%.o)
endef
$(foreach t,$(UNIT_SOURCES:tests/unit/%.c=%),$(eval $(call unit_test,$(t))))

# Fuzz targets: clang's libFuzzer, objects in a tree of their own.
FUZZ := build/fuzz
FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_TARGETS := $(FUZZ_SOURCES:tests/fuzz/%.c=$(FUZZ)/tests/%)
FUZZ_FLAGS := -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined -O1 -g
FUZZ_CFLAGS = -std=c17 -D_GNU_SOURCE -DPOSTERN_VERSION=\"$(VERSION)\" -DPOSTERN_TEST_HOOKS=1 \
	-I. -Ilib -MMD -MP -w $(FUZZ_FLAGS)
$(FUZZ)/%.o: %.c
	$(call say,FCC,$<)
	$(Q)mkdir -p $(@D) && clang $(FUZZ_CFLAGS) -c -o $@ $<
$(FUZZ)/libpostern.a: $(LIB_SOURCES:%.c=$(FUZZ)/%.o)
	$(Q)rm -f $@ && ar rcs $@ $^
define fuzz_target
$(FUZZ)/tests/$(1): $(FUZZ)/tests/fuzz/$(1).o $$($(1)_SOURCES:%.c=$(FUZZ)/%.o) $(FUZZ)/libpostern.a
	$$(call say,FLD,$$@)
	$$(Q)mkdir -p $$(@D) && clang -fsanitize=address,undefined,fuzzer -o $$@ $$^ $$($(1)_LIBS) -Wl,--as-needed $(LIBS)
FUZZ_OBJECTS += $(FUZZ)/tests/fuzz/$(1).o $$($(1)_SOURCES:%.c=$(FUZZ)/%.o)
endef
$(foreach t,$(FUZZ_SOURCES:tests/fuzz/%.c=%),$(eval $(call fuzz_target,$(t))))
fuzz: $(FUZZ_TARGETS)
.PHONY: fuzz

packages:
	$(Q)sh tests/packages.sh

quickstart:
	$(Q)sh tests/quickstart.sh

check:
	$(Q)sh tests/check.sh

check-long:
	$(Q)sh tests/check.sh --long

bench: all
	$(Q)sh bench/bench.sh

isolation: all attempts
	$(Q)sh tests/packages.sh --bench
	$(Q)python3 tests/isolation/isolation.py

lint:
	$(Q)python3 tests/lint.py

format:
	clang-format -i $$(git ls-files '*.c' '*.h')

# The configuration is made by "postern init --system"; what it begins with stands in DATADIR to compare with.
install: all
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(MANDIR)/man1 \
		$(DESTDIR)$(MANDIR)/man5 $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(DATADIR) $(DESTDIR)$(UNITDIR)
	set -e; for p in $(filter-out postern,$(PROGRAMS)); do \
		install -m 755 $(BUILD)/bin/$$p $(DESTDIR)$(LIBEXECDIR)/$$p; done
	install -m 755 $(BUILD)/bin/postern $(DESTDIR)$(SBINDIR)/postern
	install -d $(DESTDIR)$(LIBDIR)
	set -e; for m in $(MODULES); do install -m 644 $$m $(DESTDIR)$(LIBDIR)/; done
	set -e; for link in $(LINKS); do ln -sfn postern $(DESTDIR)$(SBINDIR)/$$link; done
	set -e; for s in 1 5 8; do for f in docs/man/*.$$s; do [ -f $$f ] || continue; \
		install -m 644 $$f $(DESTDIR)$(MANDIR)/man$$s/; done; done
	set -e; for p in $(patsubst %-session,%,$(filter %-session,$(PROGRAMS))); do \
		ln -sfn $$p.8 $(DESTDIR)$(MANDIR)/man8/$$p-session.8; done
	install -m 644 conf/main.cf conf/master.cf $(DESTDIR)$(DATADIR)/
	install -d $(DESTDIR)$(DATADIR)/fail2ban
	install -m 644 conf/fail2ban/filter.conf conf/fail2ban/jail.conf $(DESTDIR)$(DATADIR)/fail2ban/
	sed 's,@SBINDIR@,$(SBINDIR),' conf/postern.service > $(DESTDIR)$(UNITDIR)/postern.service
	chmod 644 $(DESTDIR)$(UNITDIR)/postern.service

clean:
	rm -rf build

-include $(LIB_OBJECTS:.o=.d) $(OBJECTS:.o=.d) $(UNIT_SOURCES:%.c=$(BUILD)/%.d)
-include $(LIB_SOURCES:%.c=$(FUZZ)/%.d) $(FUZZ_OBJECTS:.o=.d)
