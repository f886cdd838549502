# SPDX-License-Identifier: GPL-2.0
"""Requests with flipped bits: the engines must reject or process them, and continue to work."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from registers import Model, PfOrVf
from test_model_engines import CRT, DEFLATE, ECC, G256, P256, A256, B256, LZ4, TEXT, X25519, Hpre, Zip
from test_model_sec import CASES, Sec

ROUNDS = 400


class Caught(Exception):
    """A queue, and a request for it that was not submitted."""


def catch(vf: PfOrVf, send: Callable[[], object]) -> tuple[int, bytes]:
    """The request that `send` would submit, and its queue; its data is in memory."""
    def submit(queue: int, request: bytes) -> None:
        raise Caught(queue, request)

    vf.submit = submit
    try:
        send()
    except Caught as e:
        return e.args
    finally:
        del vf.submit
    raise AssertionError("nothing was sent")


def requests(vf: PfOrVf) -> list[Callable[[], object]]:
    """Valid requests of all kinds, each with its result."""
    if isinstance(vf, Zip):
        return [lambda: vf.run(0, DEFLATE, TEXT), lambda: vf.run(0, LZ4, TEXT, lists=True),
                lambda: vf.run(1, DEFLATE, b"\3\0", lists=True)]
    if isinstance(vf, Hpre):
        return [lambda: vf.run(0, 0, 128, (65537, 2**521 - 1), (12345,)),
                lambda: vf.run(0, CRT, 128, (5, 7, 11, 13, 6), (100,), half=True),
                lambda: vf.run(1, ECC, 32, (P256, A256, 77, B256), G256, results=2),
                lambda: vf.run(1, X25519, 32, (2**255 - 19, 121665, 8), (9,))]
    return [lambda case=case, way=way: vf.run(case, way, lists=way) for case in CASES.values() for way in (False, True)]


@pytest.mark.parametrize("kind", [Sec, Zip, Hpre])
def test_bits_turned_over(outer, tmp_path, kind):
    """A request with flipped bits must not hang or crash the device model; unchanged requests must
    complete afterwards."""
    chance = random.Random(4711)
    with Model(outer, tmp_path, "", kind.DEVICE) as model:
        model.bring_up()
        vf = kind(model, 1)
        vf.start()
        sound = requests(vf)
        for _ in range(ROUNDS):
            queue, request = catch(vf, chance.choice(sound))
            mutated = bytearray(request)
            for _ in range(chance.choice((1, 1, 2, 8))):
                bit = chance.randrange(len(mutated) * 8)
                mutated[bit // 8] ^= 1 << bit % 8
            vf.submit(queue, bytes(mutated))
            model.run_due()
            # a result at a wrong address may overwrite anything, a ring too
            vf.start()
        events, before = vf.events(), vf.events()["requests-failed"]
        assert before > ROUNDS / 10 and events["requests-completed"] > ROUNDS * 0.9
        for send in sound:
            send()
        assert vf.events()["requests-failed"] == before
