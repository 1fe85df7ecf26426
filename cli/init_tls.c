// SPDX-License-Identifier: ISC
/*
 * postern init: a certificate that the host signs itself, so that TLS is there from the first start. Whoever has a better one puts it
 * into main.cf. See init.h.
 */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "cli/init.h"
#include "os/os.h"

enum { YEARS = 10, SERIAL_BYTES = 15 };

static bool fail(const char *what)
{
	cli_complain("init", "%s: %s", what, strerror(errno));
	return false;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509V3_CTX context;
	X509_EXTENSION *extension;
	bool good;

	X509V3_set_ctx_nodb(&context);
	X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	good = extension && X509_add_ext(certificate, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return good;
}

static bool set_serial(X509 *certificate)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	bool good;

	os_random(bytes, sizeof(bytes));
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return good;
}

static bool fill(X509 *certificate, EVP_PKEY *key, const char *host, const char *domain)
{
	X509_NAME *name = X509_get_subject_name(certificate);
	char names[700];

	/* A common name holds 64 bytes; clients look at the names below in any case. */
	snprintf(names, sizeof(names), "DNS:%s%s%s", host, *domain ? ",DNS:" : "", domain);
	return X509_set_version(certificate, X509_VERSION_3) && set_serial(certificate) &&
	       X509_gmtime_adj(X509_getm_notBefore(certificate), -86400) &&
	       X509_time_adj_ex(X509_getm_notAfter(certificate), YEARS * 365, 0, NULL) &&
	       X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_ASC,
		       (const unsigned char *)(strlen(host) <= 64 ? host : "postern"), -1, -1, 0) &&
	       X509_set_issuer_name(certificate, name) && X509_set_pubkey(certificate, key) &&
	       add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
	       add_extension(certificate, NID_subject_key_identifier, "hash") &&
	       add_extension(certificate, NID_subject_alt_name, names) &&
	       X509_sign(certificate, key, EVP_sha256()) > 0;
}

static bool write_pem(const char *path, BIO *pem, mode_t mode)
{
	int fd = os_open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	char *data;
	long length = BIO_get_mem_data(pem, &data);
	bool good;

	if (fd < 0)
		return fail(path);
	good = fchmod(fd, mode) == 0 && os_write_all(fd, data, (size_t)length) && os_fsync(fd);
	if (!good) {
		fail(path);
		unlink(path);
	}
	os_close(&fd);
	return good;
}

static bool write_both(EVP_PKEY *key, X509 *certificate, const char *key_path, const char *path)
{
	BIO *private = BIO_new(BIO_s_secmem()), *public = BIO_new(BIO_s_mem());
	bool good = private && public &&
		    PEM_write_bio_PrivateKey(private, key, NULL, NULL, 0, NULL, NULL) &&
		    PEM_write_bio_X509(public, certificate) && write_pem(key_path, private, 0600);

	if (good && !write_pem(path, public, 0644)) {
		unlink(key_path);
		good = false;
	}
	BIO_free(private);
	BIO_free(public);
	return good;
}

bool init_certificate(const struct config *config, const char *etc)
{
	const char *wanted = config_text(config, PARAM_smtpd_tls_cert_file);
	char path[PATH_MAX], key_path[PATH_MAX], folder[PATH_MAX];
	X509 *certificate;
	EVP_PKEY *key;
	bool good;

	snprintf(folder, sizeof(folder), "%s/tls", etc);
	snprintf(path, sizeof(path), "%s/tls/cert.pem", etc);
	snprintf(key_path, sizeof(key_path), "%s/tls/key.pem", etc);
	/* Only what main.cf of init itself names is made, and nothing is made anew. */
	if (strcmp(wanted, path) != 0 || access(path, F_OK) == 0 || access(key_path, F_OK) == 0)
		return true;
	if (!os_mkdirat(AT_FDCWD, folder, 0755) && errno != EEXIST)
		return fail(folder);
	key = EVP_EC_gen("P-256");
	certificate = X509_new();
	good = key && certificate &&
	       fill(certificate, key, config_text(config, PARAM_myhostname),
		       config_text(config, PARAM_mydomain));
	if (!good)
		cli_complain("init", "the certificate cannot be made: %s",
			ERR_reason_error_string(ERR_peek_last_error()));
	good = good && write_both(key, certificate, key_path, path);
	if (good)
		printf("made the certificate %s, which the host has signed itself\n", path);
	X509_free(certificate);
	EVP_PKEY_free(key);
	return good;
}
