#!/usr/bin/env python3
"""Writes rota/holidays/YEAR.json, the public holidays and working weekends that Vigil ships.

    pip install chinesecalendar==1.11.0 && python3 scripts/holidays.py

The dates are those of the PyPI package chinesecalendar (MIT), which follows the yearly notices of the State Council; the shape is
that of NateScarlet/holiday-cn, so that a later year can be imported from there (`vigil roster import-holidays`). A date is
written down only when it differs from its weekday's default or belongs to a named holiday.
"""

import json
from pathlib import Path

import chinese_calendar.constants as source

PAPER = "PyPI chinesecalendar 1.11.0 (MIT), chinese_calendar/constants.py"
FIRST, LAST = 2004, 2026


def name(value):
    """The Chinese name of a holiday that the package knows by its English one."""
    return source.Holiday(value).chinese


def days(year):
    off = {date: (name(value), True) for date, value in source.holidays.items() if date.year == year}
    work = {date: (name(value), False) for date, value in source.workdays.items() if date.year == year}
    assert not off.keys() & work.keys()
    return [
        {"name": what, "date": date.isoformat(), "isOffDay": is_off}
        for date, (what, is_off) in sorted({**off, **work}.items())
    ]


def main():
    folder = Path(__file__).resolve().parent.parent / "rota" / "holidays"
    for year in range(FIRST, LAST + 1):
        lines = ",\n".join("  " + json.dumps(day, ensure_ascii=False) for day in days(year))
        head = f'{{"year":{year},"papers":{json.dumps([PAPER])},"days":[\n'
        (folder / f"{year}.json").write_text(f"{head}{lines}\n]}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
