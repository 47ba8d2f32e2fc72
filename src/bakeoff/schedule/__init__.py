"""What is wanted of whom, and what comes next where that depends on what came before."""

from bakeoff.schedule.agenda import AGAIN, Agenda, Cast, Sitting, Text
from bakeoff.schedule.course import Two

__all__ = ["AGAIN", "Agenda", "Cast", "Sitting", "Text", "Two"]
