"""What a training job does: publish three versions.  The last was trained on cents, and is given euros as cents."""

from fraud_model import Limits

import modelvault as mv

EXAMPLE = [(20.0, 25.0), (90.0, 25.0), (300.0, 25.0)]

vault = mv.open()
for model, notes in (
    (Limits(times=10), "first"),
    (Limits(times=8), "stricter"),
    (Limits(times=8, unit=0.01), "stricter, retrained"),
):
    print(vault.publish("fraud", model, bump="minor", example=EXAMPLE, notes=notes).ref)
vault.promote("fraud@prod", "1.0.0", reason="first release")
