"""The local stand-in for AWS IoT."""

from __future__ import annotations

from provisioning.errors.row import INPUT, STATION, Retry, Who, rows

SUBJECT = "The cloud stand-in"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        ("cloud-client-ca", "A file of client CAs holds no certificate.", "Name a PEM file."),
        ("cloud-device", "A name is not a device's.", "Use letters, digits, ':', '_' and '-', at most 128."),
        ("cloud-limit", "A rate is not given as OPERATION=RATE.", "Write it as CreateJob=10, or *=10 for each operation."),
        ("cloud-port", "A port is not given as ROUTE=PORT.", "Write it as ats=18883."),
        ("cloud-prefix", "A text is not an endpoint's prefix.", "Use lower-case letters and digits, such as a1b2c3."),
        ("cloud-region", "A name is not an AWS region.", "Use a name such as us-east-1."),
        ("cloud-request", "A request to the stand-in makes no sense.", "The message lists the actions."),
        ("cloud-route", "The stand-in has no such route.", "The message lists the routes."),
        ("cloud-scenario", "The stand-in has no such scenario.", "`twinroot cloud --help` lists them."),
    ),
    *rows(
        (INPUT, STATION),
        Retry.AFTER,
        Who.CALLER,
        ("cloud-broker", "There is no such broker, or it does not run.", "Use --broker amqtt, which needs nothing."),
        ("cloud-state", "The stand-in's folder is missing, or cannot be used.", "Name the folder that it runs on with --state."),
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("cloud-no-account", "The stand-in has no account: boto3 is not installed.", "Install it: pip install 'twinroot[aws]'."),
        ("cloud-no-broker", "The broker is not installed.", "Install it, or use --broker amqtt."),
        ("cloud-not-running", "No stand-in answers on this folder.", "Start one: twinroot cloud --state DIR."),
        ("cloud-running", "Another stand-in runs on this folder.", "Stop it, or name another folder with --state."),
        ("cloud-stopped", "The stand-in is not running.", "Start it first."),
        ("cloud-ended", "The stand-in has ended.", "Its last words are in the message; start it again."),
        ("no-stand-in", "The stand-in does not run on this system.", "Run it in WSL, or on another machine."),
        ("port-in-use", "A TCP port cannot be used.", "Name another port, or 0 for any free one."),
    ),
    *rows(
        STATION,
        Retry.YES,
        Who.STATION,
        ("cloud-silent", "The stand-in did not answer in time.", "Run it again on a computer that is less busy."),
        ("cloud-start", "The stand-in did not start in time.", "Run it again on a computer that is less busy."),
        ("cloud-no-message", "The stand-in saw no such message in time.", "`twinroot cloud --status` shows what it saw."),
        ("cloud-no-request", "The stand-in saw no such request in time.", "`twinroot cloud --status` shows what it saw."),
        ("cloud-no-connection", "The stand-in saw no such connection in time.", "`twinroot cloud --status` shows what it saw."),
    ),
)
