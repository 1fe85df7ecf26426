# SPDX-License-Identifier: ISC
# The commands: one program, postern; the old names are links to it. A command is cli/NAME.c and a line in commands.def.
PROGRAMS += postern
postern_SOURCES := $(wildcard cli/*.c) master/cells.c
LINKS += sendmail mailq postqueue postsuper postcat postconf postmap postalias newaliases
$(BUILD)/cli/%.o: ALL_CFLAGS += -DPOSTERN_LIBEXECDIR=\"$(LIBEXECDIR)\" -DPOSTERN_SYSCONFDIR=\"$(SYSCONFDIR)\"
# The files postern init begins with are compiled in.
$(BUILD)/cli/conf_files.o: conf/main.cf conf/master.cf
