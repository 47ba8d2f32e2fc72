"""Which models and judges are hosted by a provider, and so cost money."""

from collections.abc import Sequence

from bakeoff.config import Spec


def hosted_names(models: Sequence[str], judges: Sequence[str]) -> set[str]:
    """Return the names of the specs whose backend is no installed one: a provider hosts them."""
    from bakeoff.plugins import GENERATORS, JUDGES, backend_names, judge_spec

    local = {*backend_names(GENERATORS), *backend_names(JUDGES)}
    specs = [*map(Spec.parse, models), *map(judge_spec, judges)]
    return {spec.name for spec in specs if spec.backend not in local}
