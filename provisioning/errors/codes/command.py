"""The command line: arguments, input and output of a command."""

from __future__ import annotations

from provisioning.errors import technician_page
from provisioning.errors.row import INPUT, STATION, Retry, Who, rows

SUBJECT = "The command line"

ROWS = (
    *rows(
        INPUT,
        Retry.AFTER,
        Who.CALLER,
        ("folder-not-empty", "The folder for a new product holds files.", "Name a new or an empty folder."),
        ("folder-too-big", "The product's folder is too much to copy for a rehearsal.", "Give the product its own folder."),
        ("no-command", "A command was named without the one below it.", "`--help` says what each does."),
        ("unknown-command", "There is no such command.", "`twinroot --help` lists the commands."),
        ("bad-arguments", "An argument is missing, unknown, or does not fit the others.", "`--help` of the command shows them."),
        ("bad-address", "An address is not HOST:PORT.", "Write it as 127.0.0.1:18883."),
        ("bad-target", "What is to be probed is not a host, HOST:PORT or product file.", "Name one of these."),
        ("bad-command", "The signing command is empty, or is not a command.", "openssl dgst -sha256 -sign KEY is one."),
        ("which-signer", "It is not said who signs, or it is said twice.", "Give either --key or --command."),
        ("token-wanted", "A page that others can see has no token.", "Give --token-file FILE."),
        ("bad-token", "A token is too short, too long, or not printable ASCII.", "--token-file FILE makes a good one where there is none."),
        ("token-exposed", "The file with the token can be read by others.", "chmod 600, then change the token in it."),
        ("no-file", "The file with the signed set cannot be read.", "Make it: twinroot sign set DIR --key KEY --out FILE."),
        ("invalid-host", "A name is not an endpoint's name.", "The note of each says what is wrong with it."),
        (
            "not-confirmed",
            "What cannot be undone was not confirmed by a person.",
            "Run the command on a terminal and type what it asks for.",
        ),
    ),
    *rows(
        (INPUT, STATION),
        Retry.AFTER,
        Who.CALLER,
        ("cannot-write", "A file or folder of the result cannot be written.", "Check permissions and disk, or name another place."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("file-missing", "A file that is named does not exist.", "Correct the path, or put the file there."),
        bench=technician_page.WRONG_FILE,
    ),
    *rows(
        INPUT,
        Retry.NO,
        Who.CALLER,
        ("file-there", "A file of another kind has the result's name, and stays as it is.", "Name another file."),
    ),
    *rows(
        INPUT,
        Retry.AFTER,
        Who.PRODUCT,
        ("file-unreadable", "A file is there and cannot be read.", "Check its permissions."),
        ("not-writable", "A file cannot be written.", "Check the folder's permissions and the disk."),
    ),
    *rows(
        STATION,
        Retry.NO,
        Who.STATION,
        ("output-lost", "What was to be printed could not be.", "What was done to the board is done; `twinroot verify` asks it."),
    ),
    *rows(
        STATION,
        Retry.AFTER,
        Who.STATION,
        ("system-refused", "The operating system refused something nobody foresaw.", "Check the path, its permissions and the disk."),
        ("address-taken", "The address of a page cannot be listened on.", "Give another --port, or --host."),
        ("station-unfit", "The station lacks what the main job needs.", "`twinroot doctor` says what, and how to get it."),
        ("incomplete-installation", "Files of twinroot itself are missing.", "Install twinroot again."),
    ),
    *rows(
        STATION,
        Retry.NO,
        Who.MAINTAINER,
        ("internal-error", "twinroot itself failed.", "Run the command again with --debug and report what it prints."),
        bench=technician_page.INSTALLATION,
    ),
)
