# SPDX-License-Identifier: ISC
# The commands: one program, postern; the old names are links to it. A command is cli/NAME.c and a line in commands.def.
PROGRAMS += postern
postern_SOURCES := $(wildcard cli/*.c) master/cells.c smtpd/restriction_names.c \
	tls/keyset.c tls/keyset_pem.c tls/to_sign.c
postern_LIBS := -lssl -ljansson
LINKS += sendmail mailq postqueue postsuper postcat postconf postmap postalias newaliases
$(BUILD)/cli/%.o: ALL_CFLAGS += -DPOSTERN_LIBEXECDIR=\"$(LIBEXECDIR)\" -DPOSTERN_SYSCONFDIR=\"$(SYSCONFDIR)\"
# They are compiled in: a make with another PREFIX compiles these anew.
$(BUILD)/lib/table/sql_module.o: ALL_CFLAGS += -DPOSTERN_LIBDIR=\"$(LIBDIR)\"
$(BUILD)/lib/table/sql_module.o $(BUILD)/cli/instance.o $(BUILD)/cli/init.o $(BUILD)/cli/common.o $(BUILD)/cli/postern.o: $(BUILD)/cli/places
.PHONY: cli-places
cli-places:
$(BUILD)/cli/places: cli-places
	$(Q)mkdir -p $(@D); echo "$(LIBEXECDIR) $(SYSCONFDIR) $(LIBDIR)" | cmp -s - $@ || echo "$(LIBEXECDIR) $(SYSCONFDIR) $(LIBDIR)" > $@
# The files postern init begins with are compiled in.
$(BUILD)/cli/conf_files.o: conf/main.cf conf/master.cf

# main.cf(5) is written from the table of parameters; make check looks whether it is up to date.
.PHONY: manual manual-check
manual: programs
	$(Q)$(BUILD)/bin/postconf --manual > docs/man/main.cf.5
manual-check: programs
	$(Q)$(BUILD)/bin/postconf --manual | cmp - docs/man/main.cf.5 || \
		{ echo "docs/man/main.cf.5 is not what the table of parameters says: make manual"; exit 1; }
