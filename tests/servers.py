"""A server that speaks OpenAI's protocol, on loopback, and what can go wrong with one."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "org/name"


class Fake:
    """A server that answers `<prompt>!`, unless its script says otherwise.

    Attributes:
        script: (prompt, number of its attempt from 0, body) -> what to do, None to answer.
        asked: The prompt of each request, in order.
        bodies: Each request's body, in order.
        headers: Each request's headers, in order.
        paths: Each request's path, in order.
        answered: The prompt of each good answer that was sent whole.
        most: The most requests at once.
        url: Its base.
    """

    def __init__(self):
        self.script = lambda prompt, attempt, body: None
        self.asked, self.bodies, self.headers, self.paths, self.answered = [], [], [], [], []
        self.times = []
        self.now = self.most = 0
        self.lock = threading.Lock()
        self.url = ""

    def post(self, handler):
        body = json.loads(handler.rfile.read(int(handler.headers["Content-Length"])))
        chat = handler.path.endswith("/chat/completions")
        prompt = body["messages"][-1]["content"] if chat else body["prompt"]
        with self.lock:
            attempt = self.asked.count(prompt)
            self.asked.append(prompt)
            self.bodies.append(body)
            self.headers.append(dict(handler.headers))
            self.paths.append(handler.path)
            self.times.append(time.monotonic())
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            act = self.script(prompt, attempt, body)
            if act is not None:
                act(handler)
            else:
                # Before the bytes: whoever has them may look at this at once.
                with self.lock:
                    self.now -= 1
                    self.answered.append(prompt)
                say(chat_answer(f"{prompt}!") if chat else answer(f"{prompt}!"))(handler)
                with self.lock:
                    self.now += 1
        except OSError:  # the client is gone
            handler.close_connection = True
        finally:
            with self.lock:
                self.now -= 1


def answer(text="hello", *, finish_reason="stop", logprobs=None, **changes):
    choice = {"index": 0, "text": text, "finish_reason": finish_reason, "logprobs": logprobs}
    return {
        "object": "text_completion",
        "model": MODEL,
        "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 3},
        **changes,
    }


def chat_answer(text="hello", *, finish_reason="stop", logprobs=None, **message):
    said = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": said, "finish_reason": finish_reason, "logprobs": logprobs}
    return {"model": MODEL, "choices": [choice], "usage": {"completion_tokens": 3}}


def say(value, status=200, **headers):
    """Sends a response; a value that is not bytes as JSON."""
    content = value if isinstance(value, bytes) else json.dumps(value).encode()

    def act(handler):
        handler.send_response(status)
        for name, text in {**headers, "Content-Length": len(content)}.items():
            handler.send_header(name.replace("_", "-"), str(text))
        handler.end_headers()
        handler.wfile.write(content)

    return act


def refuse(status, message="no", **more):
    """Sends an error in OpenAI's form."""
    headers = {name: more.pop(name) for name in list(more) if name[0].isupper()}
    return say({"error": {"message": message, **more}}, status, **headers)


def cut_headers(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-")
    handler.close_connection = True


def cut_at_once(handler):
    handler.close_connection = True


def cut_body(handler):
    content = json.dumps(answer()).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[:-9])
    handler.close_connection = True


def cut_chunks(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"5\r\n{    \r\n")
    handler.close_connection = True


def drip(handler):
    """A byte at a time, for half a minute."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.03)


@contextmanager
def serving():
    fake = Fake()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self):
            fake.post(self)

        def do_GET(self):
            fake.headers.append(dict(self.headers))
            models = getattr(fake, "models", None)
            (refuse(404) if models is None else say(models))(self)

        def log_message(self, *args):
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request, client_address):
            pass

    with Quiet(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        fake.url = f"http://127.0.0.1:{server.server_port}/v1"
        yield fake
        server.shutdown()
