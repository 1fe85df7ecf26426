# The commands: one program, postern; the old names are links to it. A command is cli/NAME.c and a line in commands.def.
PROGRAMS += postern
postern_SOURCES := $(wildcard cli/*.c)
LINKS += sendmail mailq postqueue postsuper postcat postconf postmap postalias newaliases
$(BUILD)/cli/%.o: ALL_CFLAGS += -DPOSTERN_LIBEXECDIR=\"$(LIBEXECDIR)\" -DPOSTERN_SYSCONFDIR=\"$(SYSCONFDIR)\"
