"""A judge template of anybody's: it makes text of what it is given, and can do nothing else."""

import logging
from pathlib import Path

import pytest

from bakeoff.errors import ConfigError, VerdictError
from bakeoff.judges.rendering import Template, TemplateInput
from bakeoff.records import Criterion
from tests.builders import make_prompt
from tests.e2e.fuzz.test_findings import put

PROMPT = make_prompt("q", reference="r")
CRITERIA = (Criterion(name="short"),)


def template(folder: Path, text: str) -> Template:
    return Template(str(put(folder / "t.j2", f"{text} {{{{ fence }}}}")), 2)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        template(folder, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
        "{{ prompt.parse_raw('{}') }}",  # pydantic's, which unpickles if it is told to
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
def test_there_is_no_way_out(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text)


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
def test_what_has_no_end_is_not_begun(tmp_path: Path, text: str) -> None:
    assert refusal(tmp_path, text)


def test_the_range_that_a_template_may_have_is_said(tmp_path: Path) -> None:
    assert "Range too big" in refusal(tmp_path, "{{ range(10000000)|list }}")
    assert "no operator '**'" in refusal(tmp_path, "{{ 2 ** 3 }}")
    assert "too long" in refusal(tmp_path, "{{ 'x' * 9999999999 }}")


def test_what_templates_do_goes_on_working(tmp_path: Path) -> None:
    text = (
        "{{ prompt.messages[0].content * 3 }} {{ criteria[0].weight * 2 }} "
        "{{ prompt.reference|upper }} {{ range(3)|join }} {{ '-' * 8 }} {{ first|length }}"
    )
    shown = template(tmp_path, text).render(TemplateInput(PROMPT, ("one", "two"), CRITERIA), None)
    assert shown.startswith("qqq 2.0 R 012 -------- 3 ========")


def test_a_template_that_fails_on_one_prompt_fails_there(tmp_path: Path) -> None:
    """It can be rendered, so the run begins; what it cannot show is no verdict, and no crash."""
    made = template(tmp_path, "{{ 1 / (3 - first|length) if first == 'uno' else first }}")
    assert made.render(TemplateInput(PROMPT, ("one", "two")), None).startswith("one")
    with pytest.raises(VerdictError, match="division by zero"):
        made.render(TemplateInput(PROMPT, ("uno", "two")), None)


@pytest.mark.parametrize("size", [(1 << 20) + 1, 1 << 24])
def test_a_template_has_a_largest_size(tmp_path: Path, size: int) -> None:
    assert "larger than 1 MB" in refusal(tmp_path, "x" * size)


@pytest.mark.parametrize(
    "said", ["{{ 7*7 }}", "{% include '/etc/passwd' %}", "{# #}", "{{ fence }}", "${7*7}", "\ud800"]
)
def test_what_a_model_says_is_never_a_template(said: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    prompt = make_prompt(said)
    shown = Template("pairwise", 2).render(TemplateInput(prompt, (said, said)), None)
    assert shown.count(said) == 3
