"""A Ray generator without a cluster: what it takes over from its backend."""

from dataclasses import replace

from bakeoff.config import Sampling, Spec
from bakeoff.generators.echo import Echo
from bakeoff.generators.ray.generator import RayGenerator
from bakeoff.plugins import RunContext


def test_the_traits_are_those_of_the_backend_at_any_time() -> None:
    generator = RayGenerator(Spec.parse("echo:hi?replicas=2"), RunContext(Sampling()))
    assert isinstance(generator.generator, Echo)
    assert generator.traits.free
    # As a backend may do when it has loaded its model.
    generator.generator.traits = replace(Echo.traits, keep_loaded=True, caveat="a base model")
    assert generator.traits.caveat == "a base model"
    assert generator.traits.exclusive
    assert not generator.traits.keep_loaded
