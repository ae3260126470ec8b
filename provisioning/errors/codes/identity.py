"""Keys, certificates, CAs and signatures."""

from __future__ import annotations

from provisioning.errors import technician_page
from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "Identities and signatures"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("bad-pem", "A file does not hold the PEM that is expected.", "Open it in an editor, or get it again."),
        ("bad-key", "A key is none, or of a kind that is not taken.", "Make a P-256 key."),
        ("bad-key-kind", "There is no such kind of key.", "p256 suits every board."),
        ("bad-name", "A device's id is too long for a certificate's common name.", "Give the device a shorter id."),
        ("key-encrypted", "A device's key is encrypted.", "Decrypt it: openssl pkey -in … -out …"),
        ("key-exposed", "Others can read or change a private key.", "As its owner: chmod 600 FILE"),
        ("key-mismatch", "Key and certificate do not belong together.", "Take both from the same download or request."),
        ("certificate-expired", "The device's certificate has expired.", "Register a new one with the cloud."),
        ("certificate-not-yet-valid", "The device's certificate is valid in the future only.", "Check this computer's clock."),
        ("certificate-retired", "The certificate was retired with a released board.", "Put a new certificate and its key in its place."),
        ("certificate-of-another", "The certificate names another device.", "Take the device's own certificate."),
        ("bad-ca", "The CA's certificate is none, or of a kind that is not taken.", "AWS IoT takes EC and RSA CAs."),
        ("bad-ca-key", "The CA's key is none, or of a kind that is not taken.", "AWS IoT takes EC and RSA keys."),
        ("ca-key-mismatch", "The CA's key does not belong to its certificate.", "Take both from one place."),
        ("ca-not-valid", "The CA's certificate is not valid today.", "Check this computer's clock, or use the CA's successor."),
        ("no-issuer", "The product does not make its certificates.", "Add `issue` under `identity`."),
        ("no-token", "The product's issuer names no token.", "Write `issue: {ca: …, pkcs11: {…}}`; docs/yaml.md shows it."),
        ("bad-signer", "The command of the signer is empty.", "Give a program and its arguments."),
        ("file-exists", "A key or certificate is there and is not overwritten.", "Use it, or name another folder."),
        ("folder-exists", "The folder for the chunks exists.", "Name a new folder: chunks of two sets must not mix."),
        ("bad-topic", "A topic cannot be published on.", "For example --topic updates/2."),
        ("bad-stream", "A stream cannot be named in a job, or a topic is named too.", "Give one of them."),
        ("job-too-large", "The job's document is larger than AWS IoT takes.", "Send the set by topic or by stream."),
        ("manifest-too-large", "The set's manifest is larger than devices take.", "Use fewer routes, roots and time servers."),
        ("no-rendered-set", "The folder holds no rendered set.", "twinroot render PRODUCT --out DIR"),
        ("no-signed-set", "The file is not a signed set, or not all of one.", "twinroot sign set DIR --key KEY --out FILE"),
        ("set-incomplete", "A file of the set is missing or changed.", "Render the set again."),
        ("no-vendor-key", "The set has no vendor key, so it takes no signed set.", "Put `updates: {key: …}` into the product."),
        ("same-key", "The set changes no key.", "`twinroot sign set` signs a set that keeps the key."),
        ("key-exists", "The signing key exists and is not overwritten.", "Choose another name; devices trust the old key."),
        ("no-passphrase", "The signing key's passphrase is not known.", "Set the variable that is named."),
        ("public-key-type", "The vendor key is not RSA of 2048 bits or more.", "Devices check RSA signatures: make an RSA key."),
        ("public-key-unreadable", "The file is not a public key in PEM.", "openssl pkey -in KEY -pubout -out FILE"),
        ("signing-key-type", "The signing key is not an RSA key.", "Devices check RSA signatures: make an RSA key."),
        ("signing-key-unreadable", "The signing key cannot be read.", "Name the key that `twinroot sign` made."),
        ("signing-key-wrong", "The key is not an encrypted one, or its passphrase is wrong.", "Check file and passphrase."),
        ("signature-not-theirs", "Devices would refuse the signature.", "Sign with the product's vendor key, or `twinroot sign rotate`."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("key-gone", "The device's certificate is here and its key is not: it is on a board.", "Connect the board that is this device."),
        bench=technician_page.DAMAGED,
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.PRODUCT,
        ("identity-damaged", "Certificate or key on the board are not whole.", "Update it where the device's files are."),
        bench=technician_page.DAMAGED,
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("signer-missing", "The signer is not installed.", "Check the command that is to sign."),
        ("signer-failed", "The signer ended with an error.", "Is the token plugged in?"),
        ("signer-hangs", "The signer did not answer in time.", "Does it wait for a PIN?"),
        ("signer-wrong-key", "The CA's certificate does not confirm the signature.", "Let the signer use the CA's key and SHA-256."),
        ("cannot-remove", "A key that is on its board cannot be removed here.", "Remove it by hand; the device has it."),
    ),
    *rows(STATION, Retry.NO, Who.MAINTAINER, ("key-elsewhere", "The CA's key only signs and cannot be read.", "Ask the signer.")),
)
