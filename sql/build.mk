# SPDX-License-Identifier: ISC
# Clients of SQL servers as modules, loaded when a table needs them; each is built where its library is installed.
SQL_MODULES :=
ifneq ($(wildcard /usr/include/mariadb/mysql.h),)
SQL_MODULES += mysql
mysql_CFLAGS := -I/usr/include/mariadb
mysql_LIBS := -lmariadb
endif
ifneq ($(wildcard /usr/include/postgresql/libpq-fe.h),)
SQL_MODULES += pgsql
pgsql_CFLAGS := -I/usr/include/postgresql
pgsql_LIBS := -lpq
endif
MODULES := $(SQL_MODULES:%=$(BUILD)/bin/postern-%.so)
programs: $(MODULES)
# In the place of -fPIE, which the other objects are compiled with.
$(MODULES): $(BUILD)/bin/postern-%.so: sql/%.c lib/table/sql.h
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(filter-out -fPIE,$(ALL_CFLAGS)) $($*_CFLAGS) -fPIC -shared -fvisibility=hidden \
		-MF $(BUILD)/sql/$*.d -Wl,-z,relro,-z,now -Wl,--as-needed -o $@ $< $($*_LIBS)
$(MODULES): | $(BUILD)/sql
$(BUILD)/sql:
	$(Q)mkdir -p $@
-include $(SQL_MODULES:%=$(BUILD)/sql/%.d)
test_lying_asker_SOURCES := tests/unit/master_world.c
$(BUILD)/tests/test_lying_asker: | $(BUILD)/bin/proxymap $(MODULES)
