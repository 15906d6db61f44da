"""The service.  It loads by alias when it starts, and follows the alias from then on."""

import os

from fastapi import FastAPI
from pydantic import BaseModel

import modelvault as mv

live = mv.open().live(
    "fraud@prod",
    refresh=float(os.environ.get("FRAUD_REFRESH", "5")),
    guard=mv.Guard.rate("blocked", limit=0.10),
)
app = FastAPI()


class Payment(BaseModel):
    amount: float
    usual: float


@app.post("/score")
def score(payment: Payment) -> dict[str, object]:
    with live.pin() as now:
        blocked = now.model.predict([(payment.amount, payment.usual)])[0]
    live.observe("blocked", blocked, version=now.version)
    return {"blocked": blocked, "version": now.version, "worker": os.getpid()}


@app.get("/status")
def status() -> dict[str, object]:
    return dict(live.status())
