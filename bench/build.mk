# Programs for measuring by hand; not part of `all`, not installed.
$(BUILD)/bench/%: $(BUILD)/bench/%.o $(LIB)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $< $(LIB) $(LIBS)
.PHONY: bench-store
bench-store: $(BUILD)/bench/bench_store
