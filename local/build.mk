PROGRAMS += virtual
virtual_SOURCES := local/virtual.c local/delivery.c
test_delivery_SOURCES := local/delivery.c
