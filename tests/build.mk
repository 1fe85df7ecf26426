# The table of attempts of docs/isolation.md, run from inside a process by ptrace; not part of `all`, not installed.
ATTEMPTS_SOURCES := $(wildcard tests/isolation/*.c)
$(BUILD)/tests/attempts: $(ATTEMPTS_SOURCES:%.c=$(BUILD)/%.o)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(ALL_LDFLAGS) -o $@ $^
OBJECTS += $(ATTEMPTS_SOURCES:%.c=$(BUILD)/%.o)
.PHONY: attempts
attempts: $(BUILD)/tests/attempts
test_json_text_LIBS := -ljansson
