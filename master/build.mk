# SPDX-License-Identifier: ISC
PROGRAMS += master
master_SOURCES := $(wildcard master/*.c) smtpd/restriction_names.c
test_introduce_SOURCES := master/introduce.c
test_orders_SOURCES := master/sessions.c
