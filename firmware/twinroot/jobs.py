"""AWS IoT Jobs as the carrier of a signed set (ota.py). A job document holds, beside what else is in it,

    {"twinroot": {"version": 2, "topic": "updates/2"}}          chunks as ota.Topic takes them; asked for on "updates/2/get"
    {"twinroot": {"version": 2, "stream": "s2", "file": 1, "size": 500000}}     blocks of an AWS IoT stream (streams.py)
    {"twinroot": {"version": 2, "parts": ["base64", ...]}}      the container itself, when it fits AWS's limit of 32 KB

`version` is that of the signed set; the signature decides, not the job. A job ends when the set has connected, or has been
rolled back: nothing is remembered about it, the versions in use and refused tell, so it survives resets. Messages are
QoS 0: AWS gives a job that was not ended again, and the set goes on where it was interrupted."""

import ujson
from ubinascii import a2b_base64

import twinroot

from . import errors, ota, sets


class Jobs:
    """Works on the connected `client`, whose callback it becomes; `other` gets the messages, and the jobs, that are not for
    it: f(topic, message). `thing`: when its name is not the client id. When `done`, a new set is active: ota.restart(),
    connect again, make a new Jobs, which ends the job."""

    def __init__(self, client, other=None, thing=None):
        self.c = client
        self.things = "$aws/things/%s/" % (thing or client.client_id)
        self.base = self.things + "jobs/"
        self.other = other
        self.id = self.got = None
        self.done = False
        client.set_callback(self.message)
        for t in ("notify-next", "start-next/accepted"):
            client.subscribe(self.base + t)
        self.ask()

    def ask(self):
        """Ask for the next chunk, or the next job. Again after silence, or a reconnect: what was lost is repeated."""
        if self.got:
            self.c.publish(*self.got.ask())
        elif not self.done:
            self.c.publish(self.base + "start-next", "{}")

    def message(self, topic, msg):
        t = topic if isinstance(topic, str) else str(topic, "utf-8")
        if self.got and t in self.got.topics:
            self._guarded(self._chunk, t, msg)
        elif t in (self.base + "notify-next", self.base + "start-next/accepted"):
            try:
                x = ujson.loads(msg)["execution"] if b"execution" in msg else None
                n = x and x["jobId"] + ""
                d = x and x.get("jobDocument")
            except MemoryError as e:
                raise errors.make("memory", e, None, None, "job")
            except Exception:  # no message of AWS IoT Jobs: there is no job that could fail
                return
            if not x:  # there is none, or no more
                self.got = None
            elif not self.done and not (self.got and n == self.id):
                self.got = None
                self.id = n
                if isinstance(d, dict) and "twinroot" in d:
                    self._guarded(self._begin, d["twinroot"], x.get("status"))
                elif self.other:
                    self.other(topic, msg)
                else:
                    self._say("REJECTED", "no signed set in the document")
        elif self.other:
            self.other(topic, msg)

    def _say(self, status, why):
        self.c.publish("%s%s/update" % (self.base, self.id), ujson.dumps({"status": status, "statusDetails": {"why": why}}))

    def _guarded(self, f, *a):
        """Whatever is wrong with the document, or the set, fails the job and not the application."""
        try:
            f(*a)
        except Exception as e:
            self.got = None
            if isinstance(e, MemoryError):
                e = errors.make("memory", e, None, None, "job")
            if getattr(e, "kind", "set") != "set":  # says nothing about the job: it is given again
                self.id = None
                raise e
            if not isinstance(e, OSError):
                e = ota._no(repr(e), ota.JOB)
            self._say("FAILED", str(e)[:200])

    def _begin(self, d, status):
        v = d["version"]
        have = sets.read(twinroot.SET).get("version", 0)
        if v == have:  # and it has connected, or this would not be heard
            self._say("SUCCEEDED", "set %d" % twinroot.SET)
            return
        if v < have:
            raise ota._no("version %d is not newer" % v)
        if v <= ota.refused():
            raise ota._no("version %d was rolled back" % v)
        if v == ota.active():  # an older one stands in for it
            self._say("IN_PROGRESS", "on trial: %s" % twinroot.NOTE)
            return
        if status != "IN_PROGRESS":
            self._say("IN_PROGRESS", "begun")
        u = ota.Update(v)
        if "parts" in d:
            for p in d["parts"]:
                u.feed(a2b_base64(p))
            self.done = u.done
            if not u.done:
                raise ota._no("incomplete", ota.JOB)
            return
        got = twinroot.streams.Stream(u, self.things, d) if "stream" in d else ota.Topic(u, d["topic"])
        u.resume()
        for t in got.topics:
            self.c.subscribe(t)
        self.got = got
        self._next(True)

    def _chunk(self, topic, msg):
        self._next(self.got.message(topic, msg))

    def _next(self, ask):
        self.done = self.got.update.done
        if self.done:
            self.got = None
        elif ask:
            self.ask()
