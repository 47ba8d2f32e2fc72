"""A stand-in for vLLM: started by the same command, with a model that says what it was asked.

The environment says how it behaves. `STANDIN_DIARY`: a folder where it writes what it was started
with (`PID.json`) and asked for (`PID.jsonl`). `STANDIN_LOAD`: seconds until it listens.
`STANDIN_LAST_WORDS`: it says them and dies in place of listening; the name of a file holding a
number is how often. `STANDIN_DIES_AFTER`: so many requests, then it dies, with a file as often as
it says. `STANDIN_HOLDS`: so many requests have to be there before it dies of one, the others
unanswered.
"""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DIARY = Path(os.environ["STANDIN_DIARY"])
# An engine ends when its server does.
ENGINE = """
import os, time
server = os.getppid()
while os.getppid() == server:
    time.sleep(0.02)
"""


def said(flag):
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv else None


def models():
    adapters = [json.loads(said("--lora-modules"))["name"]] if said("--lora-modules") else []
    return [said("--served-model-name"), *adapters]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked = 0
    most = 0
    counting = threading.Lock()  # requests are counted in the order in which they are written down

    def log_message(self, *_):
        pass

    def reply(self, status, body):
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def do_GET(self):
        self.reply(200, {})  # /health asks for no key

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            return self.reply(401, {"error": "Unauthorized"})
        with Handler.counting:
            with (DIARY / f"{os.getpid()}.jsonl").open("a") as diary:
                diary.write(json.dumps(body) + "\n")
            Handler.asked += 1
            waiting = Handler.asked - Handler.most
        if waiting > 0:
            die(waiting)
        if body["model"] not in models():
            return self.reply(404, error(f"The model `{body['model']}` does not exist."))
        last = body["messages"][-1]["content"]
        if last == "no template":
            words = "As of transformers v4.44, default chat template is no longer allowed"
            return self.reply(400, error(words))
        return self.reply(200, completion(body, last))


def die(waiting):
    """End, as soon as as many wait as are to see it."""
    if waiting < int(os.environ.get("STANDIN_HOLDS", "1")):
        time.sleep(600)
    print("(EngineCore pid=7) ERROR 11-25 02:32:57 [core.py:9] RuntimeError: it burns")
    sys.stdout.flush()
    os._exit(3)


def error(words):
    return {"error": {"message": words, "type": "BadRequestError", "param": None, "code": 400}}


def completion(body, last):
    spoken = {"role": "assistant", "content": f"to {last}", "reasoning": f"hm, {last}"}
    choice = {"index": 0, "message": spoken, "finish_reason": "stop", "logprobs": None}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    weights = [None, *({"1": {"logprob": -float(n)}} for n in range(1, 5))]
    told = {"prompt_logprobs": weights} if "prompt_logprobs" in body else {}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
        **told,
    }


def this_time(name):
    """What a variable says, as often as the file says that it may name behind ` @`."""
    words, _, times = os.environ.get(name, "").partition(" @")
    if times:
        left = int(Path(times).read_text())
        Path(times).write_text(str(left - 1))
        words = words if left > 0 else ""
    return words


def lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main():
    # In a session of its own, as a pool of compilers is.
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], start_new_session=True)
    facts = {
        "argv": sys.argv[1:],
        "env": dict(os.environ),
        "engine": engine.pid,
        "began": time.time(),
        "beside": [int(one.stem) for one in DIARY.glob("*.json") if lives(int(one.stem))],
    }
    # Tests read the folder all the while: the file is complete when it has its name.
    written = DIARY / f"{os.getpid()}.tmp"
    written.write_text(json.dumps(facts))
    written.replace(written.with_suffix(".json"))
    print("loading", flush=True)
    time.sleep(float(os.environ.get("STANDIN_LOAD", "0")))
    if words := this_time("STANDIN_LAST_WORDS"):
        print(words, flush=True)
        sys.exit(1)
    Handler.most = int(this_time("STANDIN_DIES_AFTER") or "999999")
    ThreadingHTTPServer((said("--host"), int(said("--port"))), Handler).serve_forever()


if __name__ == "__main__":
    main()
