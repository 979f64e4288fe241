"""Which days are working days."""

from datetime import date, timedelta

WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
FARTHEST = 10_000
ONE_DAY = timedelta(days=1)


class Problem(Exception):
    """Something that can't be reckoned; its text says what to do instead."""


class Calendar:
    """Weekends and holidays."""

    def __init__(self, holidays: list[str] = (), weekend: list[str] = ("sat", "sun")) -> None:
        self.weekend = {WEEKDAYS.index(day) for day in weekend}
        try:
            self.holidays = {date.fromisoformat(day) for day in holidays}
        except ValueError as error:
            raise Problem(f"a holiday is no date ({error}); write it as 2027-12-25.") from None

    def works(self, day: date) -> bool:
        return day.weekday() not in self.weekend and day not in self.holidays

    def count(self, start: date, end: date) -> int:
        """Working days from `start` up to, and without, `end`; negative if `end` comes first."""
        if end < start:
            return -self.count(end, start)
        if (end - start).days > 2 * FARTHEST:
            raise Problem(f"That is too far: I count up to {2 * FARTHEST:,} days.")
        return sum(self.works(start + n * ONE_DAY) for n in range((end - start).days))

    def add(self, start: date, days: int) -> date:
        """The day that is so many working days after `start`, or before it."""
        if abs(days) > FARTHEST:
            raise Problem(f"That is too far: I count up to {FARTHEST:,} working days.")
        day, step = start, ONE_DAY if days > 0 else -ONE_DAY
        try:
            for _ in range(abs(days)):
                day += step
                while not self.works(day):
                    day += step
        except OverflowError:
            raise Problem("That is beyond the calendar, which has the years 1 to 9999.") from None
        return day
