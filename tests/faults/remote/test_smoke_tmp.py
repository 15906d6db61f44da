import time, pytest
from modelvault.vault import Vault
from ...servers.proxy import *
from ..scene import VERBS
@pytest.mark.parametrize("name", ["s3","gcs","azure","sftp", "moto"])
def test_smoke(name, request, capsys):
    server = request.getfixturevalue(f"{name}_server")
    P = TCPProxy if name=="sftp" else HTTPProxy
    with P(server) as proxy:
        for verb in VERBS:
            place = server.place()
            verb.given(Vault(place.connect(), trust="pickle"))
            if name!="sftp": proxy.clear()
            n0 = proxy.replies if name=="sftp" else 0
            v = Vault(place.through(proxy).connect(deadline=20), trust="pickle")
            t=time.time(); verb.call(v); dt=time.time()-t
            with capsys.disabled():
                print(name, verb.name, round(dt,3), (proxy.replies-n0) if name=="sftp" else [(r.method, r.status) for r in proxy.requests])
