"""Spoils valid inputs, by a seed: the same seed spoils them the same way on every machine."""

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# What has broken readers before: ends of numbers, of nesting, of encodings, of lines.
TOKENS = (
    b"[", b"]", b"{", b"}", b'"', b"'", b",", b":", b"\n", b"\r", b"\r\n", b"\t", b" ", b"\\",
    b"\x00", b"\x1b[2J", b"\x1b]0;x\x07", b"\x7f", b"\xc2\x9b", b"\xe2\x80\xae", b"\xe2\x80\xa8",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\xed\xa0\x80", b"\xf0\x9f\x98", b"\xc3(",
    b"\\ud800", b"\\udc00", b"\\u0000", b"\\x00", b'"\\ud83d\\ude00"',
    b"NaN", b"Infinity", b"-Infinity", b"nan", b"inf", b"1e999", b"-1e999", b"1e-999", b"-0", b"0",
    b"-1", b"1", b"2", b"0.5", b"10", b"11", b"2147483648", b"9223372036854775808", b"1" * 400,
    b"9" * 4400, b"0x", b"0b_", b"1_0", b"1:2:3", b"null", b"true", b"false", b"{}", b"[]", b'""',
    b"[" * 40, b"[" * 1200, b'{"a":' * 40, b'{"a":' * 1200, b"(" * 200, b"&a [*a]", b"*a", b"&a ",
    b"!!int ", b"!!float x", b"!!timestamp x", b"!!bool x", b"!!binary ",
    b"!!python/name:os.system", b"!!python/object/apply:os.system [id]",
    b"2020-13-45", b"<<: ", b"? ", b"---\n", b"...\n", b"%YAML 9\n", b"|\n ", b"# ",
    b"../../x", b"/etc/passwd", b"%00", b"%ff", b"%2e%2e%2f", b"=", b"?", b"&", b"?a=b&a=c",
    b"=cmd",
    b"</script>", b"<script>", b"<!--", b"]]>", b"<img src=x onerror=y>", b"<zz9>", b"javascript:",
    b"{{", b"}}", b"{%", b"%}", b"{{ 7*7 }}", b"{{ ''.__class__ }}", b"| ", b"[[A]]", b"[[B>>A]]",
    b"[[", b"score_a", b"winner", b"<think>", b"</think>", b"<answer>", b"A", b"B", b"tie",
)  # fmt: skip

Change = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def spoiled(data: bytes, chance: random.Random, others: Sequence[bytes], longest: int) -> bytes:
    """A copy with one to four things wrong with it; `others` are what parts are taken from."""
    found = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        chance.choice(_CHANGES)(found, chance, others)
    return bytes(found[:longest])


def _place(data: bytearray, chance: random.Random) -> int:
    return chance.randrange(len(data) + 1)


def _piece(data: Sequence[int], chance: random.Random) -> slice:
    start = chance.randrange(len(data) + 1)
    return slice(start, start + chance.choice((1, 2, 3, 5, 8, 20, 80, 300)))


def _bit(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[chance.randrange(len(data))] = chance.choice((0, 1, 9, 10, 34, 127, 128, 255))


def _token(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    at = _place(data, chance)
    data[at:at] = chance.choice(TOKENS)


def _instead(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    data[_piece(data, chance)] = chance.choice(TOKENS)


def _less(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    del data[_piece(data, chance)]


def _cut(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    del data[_place(data, chance) :]


def _again(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    piece = data[_piece(data, chance)]
    at = _place(data, chance)
    data[at:at] = piece * chance.choice((1, 1, 1, 2, 3, 50))


def _moved(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    piece = data[_piece(data, chance)]
    data[_piece(data, chance)] = piece


def _other(data: bytearray, chance: random.Random, others: Sequence[bytes]) -> None:
    other = chance.choice(others)
    data[_piece(data, chance)] = other[_piece(other, chance)]


def _value(data: bytearray, chance: random.Random, _: Sequence[bytes]) -> None:
    """What stands between a colon and what ends it becomes something else."""
    colon = data.find(b":", _place(data, chance))
    if colon < 0:
        return
    ends = [at for end in b",}\n" if (at := data.find(end, colon)) > 0]
    data[colon + 1 : min(ends, default=len(data))] = chance.choice(TOKENS)


_CHANGES: tuple[Change, ...] = (
    _bit,
    _byte,
    _token,
    _token,
    _instead,
    _instead,
    _less,
    _cut,
    _again,
    _moved,
    _other,
    _value,
    _value,
    _value,
)

# What stands where something else was expected.
VALUES: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 2, 10, 11, 0.5, -0.0, 1e308, 5e-324, 2**63, -(2**70), 10**400,
    float("nan"), float("inf"), -float("inf"), "", " ", "\n", "a\nb", "\x00", "\x1b[2J", "\u202e",
    "../../x", "<script>", "{{ 7*7 }}", "=cmd|' /C calc'!A0", "NaN", "1e999", "7/10", "tie", "a",
    "b", "model1", "j", "one", "x" * 3000, [], {}, [[]], [None], {"a": None}, {"": ""}, "1" * 5000,
    [1, 2], ["a", "b"], {"name": "x"}, "judgment", "completion", "recorded", "apart", "human:",
)  # fmt: skip


def restructured(data: bytes, chance: random.Random) -> bytes:
    """JSON, or lines of it, with one to three of its values exchanged, repeated, moved or gone."""
    if data.startswith(b"{") and data.count(b"\n{"):
        rows = [json.loads(line) for line in data.splitlines()]
        _restructure(rows, chance)
        return b"".join(_dumped(row) + b"\n" for row in rows)
    value = json.loads(data)
    _restructure(value, chance)
    return _dumped(value)


def _dumped(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _restructure(value: Any, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 1, 2, 3))):
        holders = list(_holders(value))
        if not holders:
            return
        holder, key = chance.choice(holders)
        other, its = chance.choice(holders)
        match chance.randrange(6):
            case 0:
                del holder[key]
            case 1:
                holder[key] = copy.deepcopy(other[its])
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case 2:
                holder[str(chance.choice(VALUES))] = copy.deepcopy(holder[key])
            case 3 if isinstance(holder[key], str):
                holder[key] += str(chance.choice(VALUES))
            case _:
                holder[key] = copy.deepcopy(chance.choice(VALUES))


def _holders(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and object with every place in it."""
    if isinstance(value, list | dict):
        for key in range(len(value)) if isinstance(value, list) else value:
            yield value, key
            yield from _holders(value[key])
