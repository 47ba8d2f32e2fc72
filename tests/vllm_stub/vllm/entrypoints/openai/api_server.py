"""A stub of vLLM that the same command starts, with a model that echoes the prompt.

If log-probabilities are requested, those of the letters A and B are equal. It has the decision API
`/v1/systemone`.

Environment variables set its behavior:

- `STUB_RECORDS`: folder for its start parameters (`PID.json`) and requests (`PID.jsonl`).
- `STUB_START_SECONDS`: seconds until it listens.
- `STUB_START_ERROR`: error that it prints before it exits without listening.
- `STUB_EXIT_AFTER`: number of requests that it answers before it exits.
- `STUB_MIN_WAITING`: number of unanswered requests at which it exits.

`VALUE @FILE` for the error or for the number limits it to as many starts as the number in FILE.
"""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RECORDS = Path(os.environ["STUB_RECORDS"])
# The engine process exits with its server.
ENGINE = """
import os, time
server = os.getppid()
while os.getppid() == server:
    time.sleep(0.02)
"""


def argument(flag):
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv else None


def models():
    adapters = (
        [json.loads(argument("--lora-modules"))["name"]] if argument("--lora-modules") else []
    )
    return [argument("--served-model-name"), *adapters]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    count = 0
    exit_after = 0
    lock = threading.Lock()  # count and log requests in the same order

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
        self.reply(200, {})  # /health requires no key

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != f"Bearer {os.environ['VLLM_API_KEY']}":
            return self.reply(401, {"error": "Unauthorized"})
        with Handler.lock:
            with (RECORDS / f"{os.getpid()}.jsonl").open("a") as log:
                log.write(json.dumps(body) + "\n")
            Handler.count += 1
            excess = Handler.count - Handler.exit_after
        if excess > 0:
            exit_with_error(excess)
        if self.path == "/v1/decisions":
            return self.reply(404, {"detail": "Not Found"})
        if self.path == "/v1/systemone":
            return self.reply(200, decision(body))
        if body["model"] not in models():
            return self.reply(404, error(f"The model `{body['model']}` does not exist."))
        last = body["messages"][-1]["content"]
        if last == "no template":
            message = "As of transformers v4.44, default chat template is no longer allowed"
            return self.reply(400, error(message))
        return self.reply(200, completion(body, last))


def exit_with_error(excess):
    """Exit once `STUB_MIN_WAITING` requests wait for a reply."""
    if excess < int(os.environ.get("STUB_MIN_WAITING", "1")):
        time.sleep(600)
    print("(EngineCore pid=7) ERROR 11-25 02:32:57 [core.py:9] RuntimeError: it burns")
    sys.stdout.flush()
    os._exit(3)


def error(message):
    return {"error": {"message": message, "type": "BadRequestError", "param": None, "code": 400}}


def completion(body, last):
    message = {"role": "assistant", "content": f"to {last}", "reasoning": f"hm, {last}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    if body.get("logprobs"):
        likely = [{"token": token, "logprob": -0.7, "bytes": None} for token in (" A", " B")]
        choice["logprobs"] = {"content": [{**likely[0], "top_logprobs": likely}]}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    weights = [None, *({"1": {"logprob": -float(n)}} for n in range(1, 5))]
    extra = {"prompt_logprobs": weights} if "prompt_logprobs" in body else {}
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": body["model"],
        "choices": [choice],
        "usage": usage,
        **extra,
    }


def decision(body):
    answers = {
        name: {"type": "choice", "choice": "A", "confidence": 1.0, "probabilities": {"A": 1.0}}
        for name in body["questions"]
    }
    usage = {"input_tokens": 3, "output_tokens": 1}
    return {"model": body["model"], "answers": answers, "usage": usage}


def limited_setting(name):
    """The value of a variable; empty once the counter file after ` @` reached zero."""
    value, _, counter = os.environ.get(name, "").partition(" @")
    if counter:
        left = int(Path(counter).read_text())
        Path(counter).write_text(str(left - 1))
        value = value if left > 0 else ""
    return value


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main():
    # In its own session, like vLLM's pool of compilers.
    engine = subprocess.Popen([sys.executable, "-c", ENGINE], start_new_session=True)
    facts = {
        "argv": sys.argv[1:],
        "env": dict(os.environ),
        "engine": engine.pid,
        "started_at": time.time(),
        "running_stubs": [
            int(path.stem) for path in RECORDS.glob("*.json") if is_running(int(path.stem))
        ],
    }
    # Rename after writing: tests read the folder concurrently.
    written = RECORDS / f"{os.getpid()}.tmp"
    written.write_text(json.dumps(facts))
    written.replace(written.with_suffix(".json"))
    print("loading", flush=True)
    time.sleep(float(os.environ.get("STUB_START_SECONDS", "0")))
    if message := limited_setting("STUB_START_ERROR"):
        print(message, flush=True)
        sys.exit(1)
    Handler.exit_after = int(limited_setting("STUB_EXIT_AFTER") or "999999")
    ThreadingHTTPServer((argument("--host"), int(argument("--port"))), Handler).serve_forever()


if __name__ == "__main__":
    main()
