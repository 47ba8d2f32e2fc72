"""Seeded mutations of valid inputs: a seed gives the same mutations on every machine."""

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# Tokens that often break readers: limits of numbers, nesting, encodings and lines.
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

Mutation = Callable[[bytearray, random.Random, Sequence[bytes]], None]


def mutate(data: bytes, rng: random.Random, others: Sequence[bytes], max_length: int) -> bytes:
    """A copy of `data` with one to four mutations; some insert parts of `others`."""
    mutated = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
        rng.choice(_MUTATIONS)(mutated, rng, others)
    return bytes(mutated[:max_length])


def _random_position(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(len(data) + 1)


def _random_slice(data: Sequence[int], rng: random.Random) -> slice:
    start = rng.randrange(len(data) + 1)
    return slice(start, start + rng.choice((1, 2, 3, 5, 8, 20, 80, 300)))


def _flip_bit(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _replace_byte(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.choice((0, 1, 9, 10, 34, 127, 128, 255))


def _insert_token(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    at = _random_position(data, rng)
    data[at:at] = rng.choice(TOKENS)


def _replace_with_token(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    data[_random_slice(data, rng)] = rng.choice(TOKENS)


def _delete_slice(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    del data[_random_slice(data, rng)]


def _truncate(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    del data[_random_position(data, rng) :]


def _repeat_slice(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    piece = data[_random_slice(data, rng)]
    at = _random_position(data, rng)
    data[at:at] = piece * rng.choice((1, 1, 1, 2, 3, 50))


def _copy_slice(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    piece = data[_random_slice(data, rng)]
    data[_random_slice(data, rng)] = piece


def _insert_from_seed(data: bytearray, rng: random.Random, others: Sequence[bytes]) -> None:
    other = rng.choice(others)
    data[_random_slice(data, rng)] = other[_random_slice(other, rng)]


def _replace_value(data: bytearray, rng: random.Random, _: Sequence[bytes]) -> None:
    """Replace the value after a colon with a token."""
    colon = data.find(b":", _random_position(data, rng))
    if colon < 0:
        return
    ends = [at for end in b",}\n" if (at := data.find(end, colon)) > 0]
    data[colon + 1 : min(ends, default=len(data))] = rng.choice(TOKENS)


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bit,
    _replace_byte,
    _insert_token,
    _insert_token,
    _replace_with_token,
    _replace_with_token,
    _delete_slice,
    _truncate,
    _repeat_slice,
    _copy_slice,
    _insert_from_seed,
    _replace_value,
    _replace_value,
    _replace_value,
)

# Replacement values, of types that a field does not expect.
VALUES: tuple[object, ...] = (
    None, True, False, 0, 1, -1, 2, 10, 11, 0.5, -0.0, 1e308, 5e-324, 2**63, -(2**70), 10**400,
    float("nan"), float("inf"), -float("inf"), "", " ", "\n", "a\nb", "\x00", "\x1b[2J", "\u202e",
    "../../x", "<script>", "{{ 7*7 }}", "=cmd|' /C calc'!A0", "NaN", "1e999", "7/10", "tie", "a",
    "b", "model1", "j", "one", "x" * 3000, [], {}, [[]], [None], {"a": None}, {"": ""}, "1" * 5000,
    [1, 2], ["a", "b"], {"name": "x"}, "judgment", "completion", "recorded", "pointwise", "human:",
)  # fmt: skip


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """JSON or JSON lines with one to three values replaced, repeated, moved or deleted."""
    if data.startswith(b"{") and data.count(b"\n{"):
        rows = [json.loads(line) for line in data.splitlines()]
        _change_values(rows, rng)
        return b"".join(_to_json(row) + b"\n" for row in rows)
    value = json.loads(data)
    _change_values(value, rng)
    return _to_json(value)


def _to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _change_values(value: Any, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 3))):
        containers = list(_containers(value))
        if not containers:
            return
        container, key = rng.choice(containers)
        other, other_key = rng.choice(containers)
        match rng.randrange(6):
            case 0:
                del container[key]
            case 1:
                container[key] = copy.deepcopy(other[other_key])
            case 2 if isinstance(container, list):
                container.insert(key, copy.deepcopy(container[key]))
            case 2:
                container[str(rng.choice(VALUES))] = copy.deepcopy(container[key])
            case 3 if isinstance(container[key], str):
                container[key] += str(rng.choice(VALUES))
            case _:
                container[key] = copy.deepcopy(rng.choice(VALUES))


def _containers(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each list and object, paired with each of its indices or keys."""
    if isinstance(value, list | dict):
        for key in range(len(value)) if isinstance(value, list) else value:
            yield value, key
            yield from _containers(value[key])
