"""AWS: its account, its answers, registration."""

from __future__ import annotations

from provisioning.errors.row import INPUT, STATION, Retry, Who, rows

SUBJECT = "AWS"

ROWS = (
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("no-boto3", "boto3 is not installed.", "pip install 'twinroot[aws]'"),
        ("no-credentials", "AWS cannot be asked without credentials, or refuses them.", "Set up credentials of this account."),
        ("registration-busy", "Another run is registering with this journal.", "Wait for it, or stop it; then run this again."),
    ),
    *rows(
        STATION,
        Retry.YES,
        Who.STATION,
        ("no-network", "AWS cannot be reached.", "Check network, proxy and region, then run it again."),
        ("throttled", "AWS still says that it is busy.", "Run it again later, or with a lower --rate; it goes on where it stopped."),
        ("aws-failed", "AWS answers with an error that is not in the table.", "Run it again; --debug shows more."),
    ),
    *rows(
        STATION,
        Retry.NO,
        Who.PRODUCT,
        ("wrong-key", "AWS answered with a certificate of another key.", "Do not use it; ask AWS."),
        ("unexpected-endpoint", "AWS answered with an endpoint of another class or region.", "Do not use it; check account and region."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("aws-configuration", "AWS's configuration cannot be used.", "Check ~/.aws/config and AWS_… variables."),
        ("no-profile", "AWS's configuration has no such profile.", "`aws configure list-profiles` lists them."),
        ("no-region", "It is not known which region to ask.", "Add --region, or set AWS_REGION."),
        ("not-found", "AWS has no such thing.", "Check the name and the region."),
        ("no-policy", "There is no such policy.", "Correct --policy, or leave it out."),
        ("no-aws-route", "No route of the product is an endpoint of AWS IoT.", "Give it `endpoint` under `cloud`."),
        ("no-such-endpoint", "The region has no endpoint of this class.", "Remove the route."),
        ("no-ca", "The product names no factory CA.", "Give --ca and --ca-key, or write `issue` under `identity`."),
        ("not-registered", "Some devices could not be registered.", "Correct what each says and run it again."),
        ("thing-taken", "The thing has a certificate that is not of this key.", "Detach that certificate, or bring its key."),
        ("bad-thing-name", "A device's name cannot be a thing's or a certificate's.", "Give the product a client_id that can."),
        ("certificate-differs", "The certificate here is not the one that AWS has.", "Move it away: the next run fetches the right one."),
        ("unknown-certificate", "AWS does not know the certificate, and its key is not here.", "Move it away: a new one is made then."),
        ("certificate-file", "A certificate's file cannot be read.", "Restore it, or remove it."),
        ("bad-journal", "A line of the journal was not written by a registration.", "Move the file away: the next run asks AWS."),
        ("journal", "The journal cannot be read or written.", "Name another file with --state."),
    ),
)
