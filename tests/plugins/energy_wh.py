"""Energy of answering as an objective of one's own."""

from typing import ClassVar

from autoadapt.domain.objective import Direction, Objective, Reading

NOMINAL_WATTS = 100.0
"""Power taken for a device without an energy counter, so that its figure is proportional to device time."""


class EnergyWh(Objective):
    """Watt-hours per 1,000 queries: by the device's counter, or else device time at a nominal 100 W."""

    direction: ClassVar[Direction] = "minimize"
    unit: ClassVar[str] = "Wh"
    title: ClassVar[str] = "Wh per 1,000 queries"

    def read(self, reading: Reading) -> float:
        used, rows = reading.measurement.answering, len(reading.measurement.rows)
        joules = used.joules if used.joules is not None else used.total_device_seconds * NOMINAL_WATTS
        return joules / 3600 * 1000 / rows
