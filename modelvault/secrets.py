"""What looks like a secret in text.  Pure; a word of its own, for what is stored for ever and what is printed.

Two things give a secret away: the shape that an issuer has given its tokens (``ghp_…``, ``AKIA…``, a PEM block, a URL with a
password), and a telling name (``password=…``).  How random a text is decides nothing by itself: digests, UUIDs and names
of models are as random as keys.  See decision 0013.
"""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterator

__all__ = ["HIDDEN", "random_looking", "redacted", "secret_in"]

HIDDEN = "***"
"""Stands where a secret was."""

_SHAPES = {
    "an AWS access key": ("akia,asia,abia,acca", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}\b"),
    "a GitHub token": (
        "ghp_,gho_,ghu_,ghs_,ghr_,github_pat_",
        r"\bgh[pousr]_[A-Za-z0-9]{30,255}|\bgithub_pat_\w{22,255}",
    ),
    "a GitLab token": (
        "glpat-,glptt-,gldt-,glrt-,glrtr-,glcbt-,glft-,glsoat-,glagent-,glimt-,gloas-,glffct-",
        r"\bgl(?:pat|ptt|dt|rt|rtr|cbt|ft|soat|agent|imt|oas|ffct)-[\w.-]{20,255}",
    ),
    "a Slack token": ("xox,xapp-", r"\bxox[abceoprs](?:\.xox[bp])?-[\w-]{10,255}|\bxapp-\d-[\w-]{10,255}"),
    "a webhook": (
        "hooks.slack.com,webhooks",
        r"\bhooks\.slack\.com/(?:services|workflows)/[\w/+-]{20,255}|\bdiscord(?:app)?\.com/api/webhooks/\d+/[\w-]{20,255}",
    ),
    "a Stripe key": (
        "_live_,_test_,whsec_",
        r"\b[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}|\bwhsec_[A-Za-z0-9+/=]{24,255}",
    ),
    "a Google key": ("aiza,ya29.,gocspx-", r"\bAIza[\w-]{35}|\bya29\.[\w.-]{20,2048}|\bGOCSPX-[\w-]{20,255}"),
    "a private key": (
        "private key",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----END )[\s\S])*(?:-----END [A-Z0-9 ]{0,60}-----)?",
    ),
    "an age key": ("age-secret-key-", r"\bAGE-SECRET-KEY-1[0-9A-Z]{50,60}"),
    "a JSON web token": (".eyj", r"\beyJ[\w-]{8,4096}\.eyJ[\w-]{8,16384}\.[\w-]{8,4096}"),
    "an Azure key": (
        "key=,signature=",
        r"(?i:\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=)[^\s;\"']{8,2048}",
    ),
    "a signed URL": (
        "sig=,signature=,token=,credential=",
        r"(?i:[?&;](?:sig|signature|x-(?:amz|goog)-(?:signature|security-token|credential))=)[\w%/+=.-]{16,4096}",
    ),
    "an npm token": ("npm_", r"\bnpm_[A-Za-z0-9]{36,255}"),
    "a token of a package index": ("pypi-age", r"\bpypi-AgE[\w-]{16,512}"),
    "a Hugging Face token": ("hf_,api_org_", r"\b(?:hf|api_org)_[A-Za-z0-9]{30,255}"),
    "an API key": (
        "sk-",
        r"\bsk-(?:ant|proj|svcacct|admin|or-v1|lf)-[\w-]{20,512}|\bsk-(?=[A-Za-z]*\d)[A-Za-z0-9]{32,255}",
    ),
    "a Twilio key": ("sk", r"\bSK[0-9a-f]{32}\b"),
    "a SendGrid key": ("sg.", r"\bSG\.[\w-]{16,64}\.[\w-]{16,64}"),
    "a Databricks token": ("dapi", r"\bdapi[0-9a-f]{32}(?:-\d)?\b"),
    "a Docker token": ("dckr_", r"\bdckr_(?:pat|oat)_[\w-]{20,255}"),
    "a Vault token": ("hvs.,hvb.,hvr.", r"\bhv[sbr]\.[\w-]{24,512}"),
    "a service token": (
        "_v1_,shpat_,shpca_,shppa_,shpss_,glsa_,glc_,lin_api_,nrak-,sq0,:aa",
        (
            r"\bdo[opr]_v1_[0-9a-f]{64}|\bshp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}|\bgl(?:sa|c)_[\w=-]{30,255}|\blin_api_\w{32,255}"
            r"|\bNRAK-[A-Z0-9]{27}|\bsq0(?:atp|csp)-[\w-]{22,64}|\b\d{8,10}:AA[\w-]{33}|\bwandb_v1_\w{20,255}"
        ),
    ),
    "a password in a URL": (
        "://",
        r"\b[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/?#:@\"'<>]{0,255}:(?![$<{*%])[^\s/?#@\"'<>]{1,512}@",
    ),
    "an authorization header": (
        "bearer,authorization",
        r"(?i:\b(?:bearer|authorization: ?\w+|authorization\W{1,4}basic) +)(?=[A-Za-z._~+/-]*\d)[\w.~+/-]{12,4096}=*",
    ),
}
"""What issuers promise of their tokens, by what they are called in messages: what each has in it, in small letters, and all."""

_SHAPED = [(kind, marks.split(",")) for kind, (marks, _) in _SHAPES.items()]

_STRONG = (
    r"pass(?:word|wd|phrase)|pwd|secret|credentials?|connection_?string|"
    r"(?:api|access|secret|private|account|auth|encryption|signing|master|subscription|shared_access)_?key"
)
"""How the name of a secret ends."""
_WEAK = r"token|auth|bearer|cookie|jwt|sig"
"""How the name of a secret ends, or of something else: what looks random beside it is one."""
_MARKS = ("pass", "pwd", "secret", "credential", "connection", "key", "token", "auth", "bearer", "cookie", "jwt", "sig")
"""What they have in them."""

_SHORTEST = 8
"""Characters of the shortest: ``pwd=`` and four more."""
_ANY_MARK = re.compile("|".join(map(re.escape, {*_MARKS, *(mark for _, marks in _SHAPED for mark in marks)})))

_NAME = re.compile(r"[\w.-]{0,40}\Z")
_VALUE = r"\"(?P<double>[^\"\n]{4,512})\"|'(?P<single>[^'\n]{4,512})'|(?P<bare>[^\s\"'`,;&()<>{}\[\]]{4,512})"
_TELLING = re.compile(
    rf"(?i:(?P<name>{_STRONG.replace('_?', '[_ -]?')}|{_WEAK})(?:[_-]?\d)?)[\"']?"
    rf"(?P<sign> ?(?::=|=>|==|=|:) ?| (?:is|was) |(?<=[a-zA-Z]) +)(?:{_VALUE})"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_ENDS_STRONG, _ENDS_WEAK = re.compile(rf"(?:^|_)(?:{_STRONG})\Z"), re.compile(rf"(?:^|_)(?:{_WEAK})\Z")
_SPECIAL = re.compile(
    r"(?:pad|eos|bos|unk|sep|cls|mask|special|stop|start|end|image|audio|video|prompt|next|last)_token\Z"
)
"""Tokens of language models."""

_NO_SECRET = re.compile(
    r"\*+|x+|\.+|<.*>|\$.*|%.*%|\{.*\}?|none|null|nil|true|false|env|(?:env|arn|file|gcp|aws|azure|vault|secret|kms|ref):.*"
    r"|prompt|ask|required|optional|missing|unset|unknown|changeme|redacted|hidden|default|str|string|bytes|text|self\..*"
    r"|(?:your|my)[-_ ].*|\w+://.*|[~.]{0,2}/.*|os\.environ.*|getenv.*|[\w.]+[(\[].*|n/a",
    re.IGNORECASE | re.DOTALL,
)
"""What stands for a secret, or says where it is."""
_CONSTANT = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
"""As the names of variables are written."""


@functools.cache
def _shape(kind: str) -> re.Pattern[str]:
    return re.compile(_SHAPES[kind][1], re.ASCII)


def secret_in(text: str, name: str = "") -> str:
    """What kind of secret `text`, which goes by `name`, holds; "" if none is seen."""
    found = next(_spans(text), None)
    if found:
        return found[2]
    return "what its name says is secret" if name and _is_named_secret(name, text, certain=True) else ""


def redacted(text: str) -> str:
    """`text` with ``***`` for each secret that is seen in it."""
    if len(text) < _SHORTEST or not (spans := sorted(_spans(text))):
        return text
    pieces, at = list[str](), 0
    for begin, end, _ in spans:
        if begin >= at:
            pieces += [text[at:begin], HIDDEN]
        at = max(at, end)
    return "".join([*pieces, text[at:]])


def random_looking(text: str) -> bool:
    """`text` might be a key: 20 characters or more of one word, in small and capital letters and digits, without order."""
    mixed = any(map(str.isdigit, text)) and any(map(str.isupper, text)) and any(map(str.islower, text))
    return mixed and re.fullmatch(r"[\w+/=.~-]{20,}", text) is not None and _entropy(text) >= 3.8


def _spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Begin, end and kind of each secret."""
    small = text.lower()
    if not _ANY_MARK.search(small):
        return
    for kind, marks in _SHAPED:
        if any(mark in small for mark in marks):  # a hundred times quicker than to try the patterns
            yield from ((*match.span(), kind) for match in _shape(kind).finditer(text))
    for match in _TELLING.finditer(text) if any(mark in small for mark in _MARKS) else ():
        group = next(one for one in ("double", "single", "bare") if match[one] is not None)
        prefix = _NAME.search(text, max(0, match.start() - 40), match.start())
        name = (prefix[0] if prefix else "") + match["name"]
        if _is_assigned(name, match["sign"], match[group], quoted=group != "bare"):
            yield *match.span(group), "a password or key"


def _is_assigned(name: str, sign: str, value: str, *, quoted: bool) -> bool:
    """``name<sign>value`` in a text gives a secret; prose and code do not."""
    spoken = (
        not sign.strip(" :") and not quoted and not name.startswith("-")
    )  # "the password: rotated", "password is required"
    wordlike = re.fullmatch(r"[A-Za-z_.-]+", value) is not None
    if wordlike and not quoted and (spoken or ":" in sign or "." in value or "_" in value):
        return False
    if spoken or sign.strip() in {"is", "was"}:
        value = value.rstrip(".")
        return bool(re.search(r"\d", value) and re.search(r"[^\d%.,-]", value)) and _is_named_secret(
            name, value, certain=_is_specific(name)
        )
    return _is_named_secret(name, value, certain=True)


def _is_specific(name: str) -> bool:
    return not re.search(r"(?i)(?:secret|credentials?)\Z", name)


def _is_named_secret(name: str, value: str, *, certain: bool) -> bool:
    name = "_".join(word.lower() for word in _WORDS.findall(name))
    name = re.sub(r"_?\d+\Z", "", name)
    if len(value) < 4 or _NO_SECRET.fullmatch(value) or _CONSTANT.fullmatch(value):
        return False
    if _ENDS_STRONG.search(name):
        return (certain and not _names_one(value)) or _keyish(value)
    return bool(_ENDS_WEAK.search(name)) and not _SPECIAL.search(name) and _keyish(value)


def _names_one(value: str) -> bool:
    """A value such as ``db_password`` is the name of a secret."""
    name = "_".join(word.lower() for word in _WORDS.findall(value))
    return re.fullmatch(r"[A-Za-z_.-]+", value) is not None and bool(
        _ENDS_STRONG.search(name) or _ENDS_WEAK.search(name)
    )


def _keyish(value: str) -> bool:
    return (
        re.fullmatch(r"[\w+/=.~:-]{16,}", value) is not None
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
        and _entropy(value) >= 3.0
    )


def _entropy(text: str) -> float:
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
