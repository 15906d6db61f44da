"""Secrets of 25 kinds, made up: each with the name it goes by, if that is all that tells it, and the word nobody may see."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from typing import NamedTuple

ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "_-"
HEX = "0123456789abcdef"


class Planted(NamedTuple):
    """A secret: `text` holds the `word`; `name` is what gives it away where the text alone does not."""

    kind: str
    text: str
    word: str
    name: str = ""

    @property
    def spoken(self) -> str:
        """As it stands in prose, a log, a file of settings."""
        return f"{self.name}={self.text}" if self.name else self.text


def some(rng: random.Random, letters: str, count: int) -> str:
    """Random, with a digit and a capital, as every long token has."""
    return "".join(rng.choices(letters, k=count - 2)) + "".join(
        rng.choice([one for one in pool if one in letters] or letters)
        for pool in ("0123456789", string.ascii_uppercase)
    )


def token(before: str, letters: str, count: int, after: str = "") -> Callable[[random.Random], tuple[str, str]]:
    def make(rng: random.Random) -> tuple[str, str]:
        word = some(rng, letters, count)
        return before + word + after, word

    return make


def pem(kind: str) -> Callable[[random.Random], tuple[str, str]]:
    def make(rng: random.Random) -> tuple[str, str]:
        lines = [some(rng, ALNUM + "+/", 64) for _ in range(6)]
        return f"-----BEGIN {kind}-----\n" + "\n".join(lines) + f"\n-----END {kind}-----\n", lines[3]

    return make


def service_account(rng: random.Random) -> tuple[str, str]:
    key, word = pem("PRIVATE KEY")(rng)
    return json.dumps({"type": "service_account", "private_key_id": "9f86d081", "private_key": key}), word


def jwt(rng: random.Random) -> tuple[str, str]:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps({"sub": some(rng, HEX, 12)}).encode()).decode().rstrip("=")
    word = some(rng, URLSAFE, 43)
    return f"{head}.{body}.{word}", word


def password(rng: random.Random) -> str:
    return rng.choice(["hunter", "Tr0ub4dor", "letmein", "S3cure"]) + some(rng, ALNUM + "!#%", 8)


def in_url(scheme: str, user: str, place: str) -> Callable[[random.Random], tuple[str, str]]:
    def make(rng: random.Random) -> tuple[str, str]:
        word = some(rng, ALNUM, 14)
        return f"{scheme}://{user}:{word}@{place}", word

    return make


SHAPED: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "AWS access key": token("AKIA", string.ascii_uppercase + "234567", 16),
    "GitHub token": token("ghp_", ALNUM, 36),
    "GitHub fine-grained token": token("github_pat_11ABCDEFG0", ALNUM, 59),
    "GitLab token": token("glpat-", URLSAFE, 20),
    "Slack token": token("xoxb-2912345678-2912345679-", ALNUM, 24),
    "Stripe key": token("sk_live_", ALNUM, 24),
    "Google API key": token("AIza", URLSAFE, 35),
    "service account of Google": service_account,
    "RSA key": pem("RSA PRIVATE KEY"),
    "SSH key": pem("OPENSSH PRIVATE KEY"),
    "JSON web token": jwt,
    "account key of Azure": token("DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=", ALNUM + "+/", 86, "=="),
    "signed URL of Azure": token("https://acme.blob.core.windows.net/lake/tx.parquet?sv=2024-11-04&sig=", ALNUM, 43, "%3D"),
    "npm token": token("npm_", ALNUM, 36),
    "token of a package index": token("pypi-AgEIcHlwaS5vcmcC", URLSAFE, 120),
    "Hugging Face token": token("hf_", ALNUM, 34),
    "OpenAI key": token("sk-proj-", URLSAFE, 64),
    "Anthropic key": token("sk-ant-api03-", URLSAFE, 93),
    "Twilio key": token("SK", HEX, 32),
    "SendGrid key": token("SG.ngeVfQFYQlKU0ufo8x5d1A.", URLSAFE, 43),
    "password of a database": in_url("postgresql+psycopg", "ada", "db.acme.example:5432/lake"),
    "basic authorization": in_url("https", "build", "index.acme.example/simple"),
}  # fmt: skip
NAMED: dict[str, tuple[str, Callable[[random.Random], str]]] = {
    "AWS secret key": ("aws_secret_access_key", lambda rng: some(rng, ALNUM + "+/", 40)),
    "password": ("db_password", password),
    "API key without a shape": ("WANDB_API_KEY", lambda rng: some(rng, HEX, 40)),
}


def planted(each: int) -> list[Planted]:
    """`each` secrets of each kind, always the same."""
    rng = random.Random(7)
    made = [Planted(kind, *make(rng)) for kind, make in SHAPED.items() for _ in range(each)]
    for kind, (name, make) in NAMED.items():
        words = [make(rng) for _ in range(each)]
        made += [Planted(kind, word, word, name) for word in words]
    return made
