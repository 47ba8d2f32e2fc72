"""Generators of evaluations, by class of what could make a verdict false."""

from harness.verdict_classes.case import Case, Knobs, VerdictClass
from harness.verdict_classes.controls import CONTROL_CLASSES
from harness.verdict_classes.files import FILE_CLASSES
from harness.verdict_classes.further_order import FURTHER_ORDER_CLASSES
from harness.verdict_classes.further_samples import FURTHER_SAMPLE_CLASSES
from harness.verdict_classes.further_texts import FURTHER_TEXT_CLASSES
from harness.verdict_classes.order import ORDER_CLASSES
from harness.verdict_classes.samples import SAMPLE_CLASSES
from harness.verdict_classes.texts import TEXT_CLASSES

CLASSES: tuple[VerdictClass, ...] = (
    *ORDER_CLASSES,
    *TEXT_CLASSES,
    *CONTROL_CLASSES,
    *SAMPLE_CLASSES,
    *FILE_CLASSES,
)

# Members that the classes above do not have: measured, without a limit.
FURTHER_CLASSES: tuple[VerdictClass, ...] = (
    *FURTHER_ORDER_CLASSES,
    *FURTHER_TEXT_CLASSES,
    *FURTHER_SAMPLE_CLASSES,
)

__all__ = ["CLASSES", "FURTHER_CLASSES", "Case", "Knobs", "VerdictClass"]
