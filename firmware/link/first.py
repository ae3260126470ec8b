"""Plans the first set of a board that holds nothing of ours: everything is sent, nothing is there to be kept. Runs after write.py."""


def tidy(n=0):
    pass


def target(i):
    return plan[2][i][0]


settle = tidy


def prepare(text, rest):
    """As sets.py has it, but the host knows the answer: set 1, all files, all of them to be sent."""
    global plan, sets, now
    files = json.loads(text)["files"]
    files = [[place(1, name), files[name]] for name in sorted(files)] + rest[2:]
    plan = 1, text, files, range(len(files)), (), (), rest[0], False
    sets = {}
    now = 0
