"""The detector of secrets: it sees those of 25 kinds, and lets ordinary parameters pass."""

import hashlib
import random
import uuid
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils import all_estimators

from modelvault.canonical import free_text, plain, refuse_secrets
from modelvault.errors import Code, InvalidInput, shown
from modelvault.provenance.hiding import hidden, hidden_arguments
from modelvault.secrets import HIDDEN, redacted, secret_in

from .planted import NAMED, SHAPED, planted

SECRETS = planted(20)
PROSE = [
    "Merchant features. Known issue: new merchants.",
    "Passwords of users are no feature any more; the token embeddings are.",
    "The secret of this release: 12 features, 4096 tokens of context.",
    "See https://wiki.acme.example/models/fraud?page=2#notes and commit 0a1b2c3d4e5f60718293a4b5c6d7e8f901234567.",
    "Trained with sk-learn-pipelines-of-many-steps on s3://lake/tx/2026-11/part-0001.parquet; the key was customer_id.",
    "password is required to read the raw data; ask the data team.",
    "token: 50257, eos_token: <|endoftext|>, basic regularisation",
    "git@github.example:team/fraud.git at v1.4.2, ssh://git@github.example/team/fraud",
    "api_key=settings.api_key, password=os.environ['DB_PASSWORD'], token=get_token(), secret=None",
    "db_password=${DB_PASSWORD} and api-key=vault:team/key",
    "password column renamed to pwd_hash; author = Ada Lovelace 1815",
]


def test_there_are_500_of_25_kinds():
    assert (len({one.kind for one in SECRETS}), len({one.word for one in SECRETS})) == (25, 500)
    assert len(SHAPED) + len(NAMED) == 25


@pytest.mark.parametrize("before", ["", "use ", "x: '", 'key="', "--flag=", "(", "\n", "é", "url = "])
def test_each_secret_is_seen_and_taken_out_wherever_it_stands(before):
    for one in SECRETS:
        text = f"{before}{one.spoken}\nand more"
        assert secret_in(text), one
        assert one.word not in redacted(text), one
        assert HIDDEN in redacted(text)


def test_a_secret_is_seen_by_its_name():
    for one in SECRETS:
        for value in ({one.name or "x": one.text}, {"a": [{one.name or "x": one.text}]}):
            with pytest.raises(InvalidInput) as refusal:
                refuse_secrets(value, "params")
            assert refusal.value.code == Code.SECRET_FOUND
            assert one.word not in f"{refusal.value}{refusal.value.hint}{vars(refusal.value)}"
            assert one.word not in str(hidden(value))


def test_no_secret_is_left_of_a_command():
    for one in SECRETS:
        name = one.name or "token"
        for words in (
            [f"--{name}", one.text],
            [f"--{name}={one.text}"],
            [one.spoken],
            [f"x={one.text}"] * (not one.name),
        ):
            assert one.word not in " ".join(hidden_arguments(["python", "train.py", *words])), one


@pytest.mark.parametrize(
    "words",
    [
        ["python", "train.py", "--lr", "0.1", "--max-tokens", "4096", "--model=bert-base-uncased", "data/2026-11.csv"],
        [
            "python",
            "-m",
            "acme.train",
            "--out",
            "s3://acme/models",
            "--commit",
            "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
        ],
        ["train-fraud", "seed=7", "model.layers=3", "trainer.devices=[0,1]", "--tokenizer", "bert", "-x"],
    ],
)
def test_an_ordinary_command_is_kept_as_it_is(words):
    assert hidden_arguments(words) == words


def ordinary(rng):
    """One of 800 sets of parameters as people have them; what is random in them is a digest or an identifier."""
    digest = hashlib.sha256(rng.randbytes(8)).hexdigest()
    pool = {
        "learning_rate": 10 ** rng.uniform(-5, 0), "n_estimators": rng.randrange(1000), "max_tokens": 4096, "seed": 7,
        "tokenizer": rng.choice(["bert-base-uncased", "sentence-transformers/all-MiniLM-L6-v2", "hf_tokenizer_fast"]),
        "pad_token": "<|endoftext|>", "eos_token": "</s>", "mask_token": "[MASK]", "special_tokens": ["[CLS]", "[SEP]"],
        "token_pattern": r"(?u)\b\w\w+\b", "sha256": digest, "data_digest": f"sha256:{digest}", "git_commit": digest[:40],
        "run_id": uuid.UUID(bytes=rng.randbytes(16)).hex, "uuid": str(uuid.UUID(bytes=rng.randbytes(16))), "md5": digest[:32],
        "primary_key": "customer_id", "sort_key": "event_time", "partition_keys": ["year", "month"], "key": digest,
        "cache_key": f"fraud/{digest}", "checkpoint": f"s3://acme/runs/{digest[:12]}/epoch=12-step=4800.ckpt",
        "path": "/data/lake/tx/2026/11/part-00001-of-00128.snappy.parquet", "embedding": "text-embedding-3-large",
        "objective": "binary:logistic", "eval_metric": "aucpr", "monotone_constraints": "(1,0,-1)", "device": "cuda:0",
        "query": "SELECT amount, merchant FROM tx WHERE country = 'NL' AND password_changed = 1", "wandb_project": "fraud",
        "mlflow_uri": "https://mlflow.acme.example/#/experiments/12", "use_auth_token": False, "hub_token": None,
        "author": "Ada Lovelace", "password_policy": "rotate-90-days", "secret_features": 3, "token_dim": 128,
        "auth_method": "oauth2", "api_key_env": "OPENAI_API_KEY", "api_key": "${OPENAI_API_KEY}", "password": None,
        "image": f"registry.acme.example/train@sha256:{digest}", "columns": [f"f{n}_{digest[:6]}" for n in range(5)],
        "base64_name": "dGV4dC1lbWJlZGRpbmctMy1sYXJnZQ", "schedule": "cosine", "regex": r"^(?:[A-Z]{2}\d{2})[A-Z0-9]{4}\d{7}$",
        "model": "sk-learn-gradient-boosting-v2", "created": "2026-11-23T07:49:15Z", "secret_name": "prod/db/reader",
    }  # fmt: skip
    return {name: pool[name] for name in rng.sample(sorted(pool), 12)}


def test_of_1000_ordinary_sets_of_parameters_none_is_refused():
    rng, sets = random.Random(11), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in all_estimators():
            try:
                sets.append({"algorithm": name} | kind().get_params(deep=False))
            except TypeError:  # it needs arguments
                continue
    assert len(sets) > 100
    sets += [ordinary(rng) for _ in range(1000 - len(sets))]
    refused = []
    for each in sets:
        try:
            refuse_secrets(plain(each), "params")
        except InvalidInput as error:
            refused.append((error.message, each))
    assert len(sets) == 1000
    assert refused == []


@pytest.mark.parametrize("text", PROSE)
def test_ordinary_notes_pass(text):
    assert free_text(text, "notes") == text
    assert redacted(text) == text


def test_a_message_shows_no_secret_not_even_where_it_is_cut():
    for one in SECRETS[::7]:
        for limit in (20, 60, 200):
            for space in (0, limit - 12, limit - 4):
                found = shown("." * space + " " + one.spoken, limit)
                assert one.word[:10] not in found, (one, found)


@given(st.text())
def test_whatever_is_no_secret_is_not_changed(text):
    assert (redacted(text) == text) == (not secret_in(text))


@given(st.text("pasword=:'\" tkn-/.BEGIN\n@eyJ", max_size=2_000))
def test_any_text_is_searched_soon_and_what_is_left_has_no_secret(text):
    once = redacted(text)
    assert redacted(once) == once or HIDDEN in once
