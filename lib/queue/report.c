// SPDX-License-Identifier: ISC
/* The log line of one recipient's delivery. See report.h. */
#include "queue/report.h"

#include "service/log.h"

enum { REPORT_LIMIT = 6000 };

bool queue_delay_write(int64_t microseconds, struct buffer *out)
{
	int64_t hundredths;

	if (microseconds < 0)
		microseconds = 0;
	if (microseconds >= 9950000)
		return buffer_printf(out, "%lld", (long long)((microseconds + 500000) / 1000000));
	if (microseconds >= 995000) {
		int64_t tenths = (microseconds + 50000) / 100000;

		return tenths % 10 ? buffer_printf(out, "%lld.%lld", (long long)(tenths / 10),
					     (long long)(tenths % 10))
				   : buffer_printf(out, "%lld", (long long)(tenths / 10));
	}
	hundredths = (microseconds + 5000) / 10000;
	if (hundredths == 0)
		return buffer_add_byte(out, '0');
	if (hundredths % 10 == 0)
		return buffer_printf(out, "0.%lld", (long long)(hundredths / 10));
	return buffer_printf(out, "0.%02lld", (long long)hundredths);
}

/* "delay=T, delays=a/b/c/d": before the queue manager, in it, connecting, sending. */
static void write_delays(const struct queue_report *report, struct buffer *out)
{
	int64_t active = report->active ? report->active : report->arrival;
	int64_t begun = report->begun ? report->begun : report->now;

	buffer_add_text(out, ", delay=");
	queue_delay_write(report->now - report->arrival, out);
	buffer_add_text(out, ", delays=");
	queue_delay_write(active - report->arrival, out);
	buffer_add_byte(out, '/');
	queue_delay_write(begun - active, out);
	buffer_add_byte(out, '/');
	queue_delay_write(report->connect, out);
	buffer_add_byte(out, '/');
	queue_delay_write(report->transfer, out);
}

bool queue_report_write(const struct queue_report *report, struct buffer *out)
{
	buffer_printf(out, "%s: to=<%.*s>", report->queue_id, SLICE_ARG(report->address));
	if (report->original.length && !slice_equal(report->original, report->address))
		buffer_printf(out, ", orig_to=<%.*s>", SLICE_ARG(report->original));
	buffer_printf(out, ", relay=%.*s", SLICE_ARG(report->relay));
	write_delays(report, out);
	buffer_printf(out, ", dsn=%.*s, status=%s (%.*s)", SLICE_ARG(report->dsn), report->status,
		SLICE_ARG(report->reason));
	return !out->failed;
}

void queue_report_log(const struct queue_report *report)
{
	struct buffer line = buffer_limited(REPORT_LIMIT);

	if (queue_report_write(report, &line))
		log_info("%s", buffer_text(&line));
	buffer_free(&line);
}
