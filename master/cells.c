// SPDX-License-Identifier: ISC
/* The cells of all services, each from the header beside its daemon's main. See sandbox/cell.h. */
#include "sandbox/cell.h"

#include "auth/authd_cell.h"
#include "auth/introspect_cell.h"
#include "bounce/bounce_cell.h"
#include "cleanup/cleanup_cell.h"
#include "cleanup/pickup_cell.h"
#include "directory/directoryd_cell.h"
#include "directory/proxymap_cell.h"
#include "imapd/imapd_cell.h"
#include "imapd/imapd_session_cell.h"
#include "local/virtual_cell.h"
#include "pop3d/pop3d_cell.h"
#include "pop3d/pop3d_session_cell.h"
#include "qmgr/qmgr_cell.h"
#include "qmgr/showq_cell.h"
#include "smtpd/smtpd_cell.h"
#include "smtpd/smtpd_session_cell.h"
#include "tls/keyd_cell.h"
#include "tls/tlsd_cell.h"

const struct cell *cell_of(enum service_id id)
{
	static const struct cell *const CELLS[SERVICE_COUNT] = {
		[SERVICE_SMTPD] = &CELL_SMTPD,
		[SERVICE_SMTPD_SESSION] = &CELL_SMTPD_SESSION,
		[SERVICE_CLEANUP] = &CELL_CLEANUP,
		[SERVICE_PICKUP] = &CELL_PICKUP,
		[SERVICE_QMGR] = &CELL_QMGR,
		[SERVICE_SHOWQ] = &CELL_SHOWQ,
		[SERVICE_VIRTUAL] = &CELL_VIRTUAL,
		[SERVICE_BOUNCE] = &CELL_BOUNCE,
		[SERVICE_DIRECTORY] = &CELL_DIRECTORYD,
		[SERVICE_PROXYMAP] = &CELL_PROXYMAP,
		[SERVICE_AUTH] = &CELL_AUTHD,
		[SERVICE_INTROSPECT] = &CELL_INTROSPECT,
		[SERVICE_IMAPD] = &CELL_IMAPD,
		[SERVICE_IMAPD_SESSION] = &CELL_IMAPD_SESSION,
		[SERVICE_POP3D] = &CELL_POP3D,
		[SERVICE_POP3D_SESSION] = &CELL_POP3D_SESSION,
		[SERVICE_TLSD] = &CELL_TLSD,
		[SERVICE_KEYD] = &CELL_KEYD,
	};

	return id < SERVICE_COUNT ? CELLS[id] : NULL;
}
