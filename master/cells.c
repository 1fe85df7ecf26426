// SPDX-License-Identifier: ISC
/* The cells of all services, each from the header beside its daemon's main. See sandbox/cell.h. */
#include "sandbox/cell.h"

#if __has_include("auth/authd_cell.h")
#include "auth/authd_cell.h"
#define P_CELL_AUTHD &CELL_AUTHD
#else
#define P_CELL_AUTHD NULL
#endif
#if __has_include("bounce/bounce_cell.h")
#include "bounce/bounce_cell.h"
#define P_CELL_BOUNCE &CELL_BOUNCE
#else
#define P_CELL_BOUNCE NULL
#endif
#if __has_include("cleanup/cleanup_cell.h")
#include "cleanup/cleanup_cell.h"
#define P_CELL_CLEANUP &CELL_CLEANUP
#else
#define P_CELL_CLEANUP NULL
#endif
#if __has_include("cleanup/pickup_cell.h")
#include "cleanup/pickup_cell.h"
#define P_CELL_PICKUP &CELL_PICKUP
#else
#define P_CELL_PICKUP NULL
#endif
#if __has_include("directory/directoryd_cell.h")
#include "directory/directoryd_cell.h"
#define P_CELL_DIRECTORYD &CELL_DIRECTORYD
#else
#define P_CELL_DIRECTORYD NULL
#endif
#if __has_include("imapd/imapd_cell.h")
#include "imapd/imapd_cell.h"
#define P_CELL_IMAPD &CELL_IMAPD
#else
#define P_CELL_IMAPD NULL
#endif
#if __has_include("imapd/imapd_session_cell.h")
#include "imapd/imapd_session_cell.h"
#define P_CELL_IMAPD_SESSION &CELL_IMAPD_SESSION
#else
#define P_CELL_IMAPD_SESSION NULL
#endif
#if __has_include("local/virtual_cell.h")
#include "local/virtual_cell.h"
#define P_CELL_VIRTUAL &CELL_VIRTUAL
#else
#define P_CELL_VIRTUAL NULL
#endif
#if __has_include("pop3d/pop3d_cell.h")
#include "pop3d/pop3d_cell.h"
#define P_CELL_POP3D &CELL_POP3D
#else
#define P_CELL_POP3D NULL
#endif
#if __has_include("pop3d/pop3d_session_cell.h")
#include "pop3d/pop3d_session_cell.h"
#define P_CELL_POP3D_SESSION &CELL_POP3D_SESSION
#else
#define P_CELL_POP3D_SESSION NULL
#endif
#if __has_include("qmgr/qmgr_cell.h")
#include "qmgr/qmgr_cell.h"
#define P_CELL_QMGR &CELL_QMGR
#else
#define P_CELL_QMGR NULL
#endif
#if __has_include("qmgr/showq_cell.h")
#include "qmgr/showq_cell.h"
#define P_CELL_SHOWQ &CELL_SHOWQ
#else
#define P_CELL_SHOWQ NULL
#endif
#if __has_include("smtpd/smtpd_cell.h")
#include "smtpd/smtpd_cell.h"
#define P_CELL_SMTPD &CELL_SMTPD
#else
#define P_CELL_SMTPD NULL
#endif
#if __has_include("smtpd/smtpd_session_cell.h")
#include "smtpd/smtpd_session_cell.h"
#define P_CELL_SMTPD_SESSION &CELL_SMTPD_SESSION
#else
#define P_CELL_SMTPD_SESSION NULL
#endif

const struct cell *cell_of(enum service_id id)
{
	static const struct cell *const CELLS[SERVICE_COUNT] = {
		[SERVICE_SMTPD] = P_CELL_SMTPD,
		[SERVICE_SMTPD_SESSION] = P_CELL_SMTPD_SESSION,
		[SERVICE_CLEANUP] = P_CELL_CLEANUP,
		[SERVICE_PICKUP] = P_CELL_PICKUP,
		[SERVICE_QMGR] = P_CELL_QMGR,
		[SERVICE_SHOWQ] = P_CELL_SHOWQ,
		[SERVICE_VIRTUAL] = P_CELL_VIRTUAL,
		[SERVICE_BOUNCE] = P_CELL_BOUNCE,
		[SERVICE_DIRECTORY] = P_CELL_DIRECTORYD,
		[SERVICE_AUTH] = P_CELL_AUTHD,
		[SERVICE_IMAPD] = P_CELL_IMAPD,
		[SERVICE_IMAPD_SESSION] = P_CELL_IMAPD_SESSION,
		[SERVICE_POP3D] = P_CELL_POP3D,
		[SERVICE_POP3D_SESSION] = P_CELL_POP3D_SESSION,
	};

	return id < SERVICE_COUNT ? CELLS[id] : NULL;
}
