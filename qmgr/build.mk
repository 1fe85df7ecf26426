PROGRAMS += qmgr showq
qmgr_SOURCES := qmgr/qmgr.c qmgr/intake.c qmgr/admit.c qmgr/agenda.c qmgr/message.c qmgr/outcome.c qmgr/record.c qmgr/resolve.c qmgr/schedule.c qmgr/deliver.c qmgr/notify.c \
	qmgr/leftover.c qmgr/control.c
showq_SOURCES := qmgr/showq.c
test_schedule_SOURCES := qmgr/schedule.c
test_intake_SOURCES := $(filter-out qmgr/qmgr.c,$(qmgr_SOURCES))
test_queue_text_SOURCES := cli/queue_text.c
