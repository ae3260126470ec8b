"""Roots, endpoints, routes, and what a device would say of a server."""

from __future__ import annotations

from provisioning.errors.row import BOARD, INPUT, STATION, Retry, Who, rows

SUBJECT = "Roots, endpoints and routes"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("no-root-file", "The file of a root cannot be read.", "Put the root's PEM there, or correct the path."),
        ("not-a-root", "A certificate cannot be a root.", "Use the self-signed CA certificate that ends the chain."),
        ("bad-fingerprint", "A pin is not a SHA-256 fingerprint.", "Print it with openssl x509 -noout -fingerprint -sha256."),
        ("fingerprint-mismatch", "A root's file is not the one that is pinned.", "Do not use this file: get it again from its owner."),
        ("no-manifest", "The manifest of the roots cannot be read.", "Restore it from the release of twinroot."),
        ("bad-manifest", "The manifest of the roots is none.", "Restore it from the release of twinroot."),
        ("manifest-mismatch", "A root's file is not what the manifest says of it.", "Correct the manifest, or restore it."),
        ("bad-certificate", "A file is not the certificate that is expected.", "Give a certificate as PEM or DER."),
        ("bad-certificates", "Files cannot be read, or have a problem.", "Correct what is named."),
        ("bad-endpoint", "A host name is not an endpoint's.", "`twinroot aws endpoint` asks for the account's."),
        ("bad-port", "A port is not a number from 1 to 65535, or no port's name.", "Correct it."),
        ("ats-only-region", "The region has ATS endpoints only.", "Use the ATS endpoint."),
        ("no-roots", "A route names no root, and nothing connects unverified.", "Name one of its roots."),
        ("roots-unknown", "The roots of an endpoint that is not AWS's cannot be derived.", "Name them in `routes`."),
        ("root-cannot-anchor", "A root can never validate the route's endpoint.", "Name a root that can."),
        ("bad-phase", "The phase is not possible with this endpoint.", "Take one of the phases that the message lists."),
        ("no-phases", "The endpoint is not one of an AWS pair and has no phases.", "`twinroot migrate retire` leaves one of its roots."),
        ("no-such-phase", "There is no phase before or behind this one.", "`twinroot migrate plan` lists the phases."),
        ("no-evidence", "Nothing shows that every device reaches ATS.", "Collect the fleet's reports, or --yes."),
        ("routes-by-hand", "Routes are written by hand, so no phase derives them.", "Replace `routes` by `endpoint` and `phase`."),
        ("bad-health", "A report of a device's health is none.", "Collect what twinroot.health() returned, one line a device."),
        ("no-fleet", "Nothing is known of any device of the product.", "Collect evidence first: twinroot migrate collect."),
        ("not-in-fleet", "Nothing is known of a device, or of a root, of that name.", "Collect evidence first: twinroot migrate collect."),
        ("better-root", "The root stands better than what would be left.", "Retire the worse one."),
        ("gone-was-seen", "A device that is named as out of service was seen not long ago.", "Take it out of the file, or --yes."),
        ("no-folder", "There is no folder for a file that is to be made.", "Make it, or give another name."),
        ("bad-date", "A text is not a date.", "Write it as YYYY-MM-DD."),
        ("bad-span", "A text is not a span of time.", "Write a number and y, m, w or d."),
        ("cannot-edit", "A key cannot be changed in place.", "Change it with an editor."),
        ("no-java", "The named Java is not a program.", "Give the path of the java program of the client's JVM."),
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("no-mqtt-client", "paho-mqtt is not installed.", "pip install 'twinroot[mqtt]'"),
        ("mqtt-failed", "A broker gives no reports.", "Check host, roots, the client's certificate and its policy."),
        ("java-failed", "Java could not compile and run a class.", "The check needs a JDK of version 11 or later."),
    ),
    *rows(
        BOARD,
        Retry.AFTER,
        Who.PRODUCT,
        ("policy-ignored", "Java still distrusts the root with the policy file.", "Look at java.security.overridePropertiesFile."),
        ("date-within", "A date of a root in use comes within the given time.", "Move the product to another root before that."),
        ("devices-behind", "Devices have never connected by an ATS root.", "Look at them before the next phase."),
        ("still-needed", "Devices need the root, or nothing shows that they do not.", "The message names them, the hint what to do first."),
        ("trust", "A device would not trust the server's chain.", "Add the root that it ends in, or find out who answers in its place."),
        ("clock", "The certificate's dates do not fit the device's clock.", "Check the certificate's dates and the time servers."),
        ("hostname", "Another server answers under this name.", "Check endpoint and DNS."),
        ("set", "A root of the route is missing in the set.", "Render the product and write it again."),
        ("refused", "The server refuses the device's certificate.", "Check that it is active and its policy allows the client id."),
    ),
    *rows(BOARD, Retry.YES, Who.PRODUCT, ("network", "The endpoint cannot be reached.", "Check DNS, firewall and port.")),
)
