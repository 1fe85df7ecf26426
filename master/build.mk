# SPDX-License-Identifier: ISC
PROGRAMS += master
master_SOURCES := $(wildcard master/*.c)
