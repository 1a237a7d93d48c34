"""Questions to a fake server, and scripts of what it does with them."""

from contextlib import closing

from models import Decoding
from models.servers.answers import Question
from models.servers.asking import ask
from models.servers.server import Server
from tests.servers import MODEL

KEY = "sk-proj-a/b+c_0123456789"


def question(prompt="a", *, chat=False, decoding=None, seed=7, key=None):
    messages = (("system", "be brief"), ("user", prompt)) if chat else None
    return Question(prompt, messages, decoding or Decoding(0.9), seed, key)


def many(n, **options):
    return [question(f"q{i}", key=i, **options) for i in range(n)]


def server_at(fake, **options):
    return Server(fake.url, MODEL, **options)


def all_of(server, questions, **options):
    """All answers, by their questions' prompts; none is given twice."""
    with closing(ask(server, questions, max_new_tokens=5, **options)) as lists:
        answers = [a for some in lists for a in some]
    assert len({a.question for a in answers}) == len(answers)
    return {a.question.prompt: a for a in answers}


def only(fake, **options):
    """The answer to one question."""
    (given,) = all_of(server_at(fake), [question(**options)]).values()
    return given


def once(act):
    """A script: each prompt's first attempt goes wrong."""
    return lambda prompt, attempt, body: act if attempt == 0 else None


def always(act):
    return lambda prompt, attempt, body: act
