"""Untrusted judge templates: they are sandboxed, limited, and render text only."""

import logging
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError, VerdictError
from bakeoff.judges.rendering import Template, TemplateInput
from bakeoff.records import Criterion
from tests.builders import make_prompt, write_file

PROMPT = make_prompt("q", reference="r")
CRITERIA = (Criterion(name="short"),)


def template(folder: Path, text: str) -> Template:
    return Template(str(write_file(folder / "t.j2", f"{text} {{{{ fence }}}}")), 2)


def config_error(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        template(folder, text)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__ }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ''['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ [first]|map(attribute='__class__')|join }}",
        "{{ first.__class__.__base__.__subclasses__() }}",
        "{{ prompt.__init__.__globals__ }}",
        "{{ prompt.render.__func__ }}",
        "{{ fence.__getattribute__('x') }}",
        "{{ ''.join.__self__ }}",
        "{{ range.__class__ }}",
        "{{ lipsum.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ joiner.__init__ }}",
        "{{ namespace.__init__ }}",
        "{{ dict.__subclasses__() }}",
        "{{ '{0.__class__}'.format(first) }}",
        "{{ '{0.__class__}'.format_map({'0': first}) }}",
        "{% set x = self.__init__ %}{{ x }}",
        "{{ prompt.parse_raw('{}') }}",  # a method of pydantic that can unpickle
        "{{ prompt['parse_raw']('{}') }}",
        "{{ (prompt|attr('parse_file'))('/etc/passwd') }}",
        "{{ [prompt]|map(attribute='model_fields')|join }}",
        "{{ prompt.model_construct() }}",
        "{{ prompt.model_copy(update={'id': 'x'}) }}",
        "{{ criteria[0].model_fields.name.annotation }}",
        "{% include '/etc/passwd' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
        "{% do criteria.append(1) %}",
        "{{ prompt.messages.append(1) }}",
        "{{ open('/etc/passwd') }}",
        "{{ config }}",
    ],
)
def test_sandbox_escapes_are_refused(tmp_path: Path, text: str) -> None:
    assert config_error(tmp_path, text)


@pytest.mark.parametrize(
    "text",
    [
        "{{ range(10**9)|list }}",
        "{% for x in range(1000000000) %}x{% endfor %}",
        "{{ 'x' * 10000000000 }}",
        "{{ 10000000000 * 'x' }}",
        "{{ [1] * 10000000000 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ 2 ** 3 }}",
        "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
        "{% if 1 %}" * 300 + "{% endif %}" * 300,
        "{{ " + "9" * 5000 + " }}",
        "{{ 1 / 0 }}",
        "{{ first.nothing }}",
        "{% for x in first %}",
        "{{ first | nothing }}",
        "{{ nobody }}",
    ],
    ids=lambda text: text[:40],
)
def test_invalid_or_unbounded_templates_are_refused(tmp_path: Path, text: str) -> None:
    assert config_error(tmp_path, text)


def test_errors_name_the_exceeded_limit(tmp_path: Path) -> None:
    assert "Range too big" in config_error(tmp_path, "{{ range(10000000)|list }}")
    assert "no operator '**'" in config_error(tmp_path, "{{ 2 ** 3 }}")
    assert "too long" in config_error(tmp_path, "{{ 'x' * 9999999999 }}")


def test_common_expressions_are_rendered(tmp_path: Path) -> None:
    text = (
        "{{ prompt.messages[0].content * 3 }} {{ criteria[0].weight * 2 }} "
        "{{ prompt.reference|upper }} {{ range(3)|join }} {{ '-' * 8 }} {{ first|length }}"
    )
    shown = template(tmp_path, text).render(TemplateInput(PROMPT, ("one", "two"), CRITERIA), None)
    assert shown.startswith("qqq 2.0 R 012 -------- 3 ========")


def test_render_error_is_a_failure_of_one_prompt(tmp_path: Path) -> None:
    """The template is valid when opened; a later error is a VerdictError of that prompt."""
    opened = template(tmp_path, "{{ 1 / (3 - first|length) if first == 'uno' else first }}")
    assert opened.render(TemplateInput(PROMPT, ("one", "two")), None).startswith("one")
    with pytest.raises(VerdictError, match="division by zero"):
        opened.render(TemplateInput(PROMPT, ("uno", "two")), None)


@pytest.mark.parametrize("size", [(1 << 20) + 1, 1 << 24])
def test_large_templates_are_refused(tmp_path: Path, size: int) -> None:
    assert "larger than 1 MB" in config_error(tmp_path, "x" * size)


@pytest.mark.parametrize(
    "text", ["{{ 7*7 }}", "{% include '/etc/passwd' %}", "{# #}", "{{ fence }}", "${7*7}", "\ud800"]
)
def test_completions_are_not_evaluated_as_templates(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    prompt = make_prompt(text)
    shown = Template("pairwise", 2).render(TemplateInput(prompt, (text, text)), None)
    assert shown.count(text) == 3
