"""When what goes wrong. Windows of bad weather lie mostly about the bursts of work, for in between there is nothing to
break; within a window, each call is drawn for itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from simulation.draw import BUS_FAULTS, STORE_FAULTS, VENDOR_FAULTS, Draw, chance, pick

EVERYBODY = "*"
WINDOWS_PER_BURST = 3
LATENCIES_S = (0.001, 0.005, 0.02, 0.05, 0.1)
SLOW_S = (0.2, 0.6, 1.0, 3.0)
FLAP_S = 10.0


class Window(NamedTuple):
    """A kind of fault, over somebody, for a while: `share` of the calls within have it."""

    begins_s: float
    ends_s: float
    fault: str
    whom: str
    share: float


class Fate(NamedTuple):
    """What becomes of one call: seconds to get there; whether it is done there; seconds back; what the caller is told.

    `late_s`: it is done so much later than the caller is told."""

    before_s: float = 0.0
    does: bool = True
    after_s: float = 0.0
    error: str = ""
    """Nothing: the answer. `down`: it can't have been done. `maybe`: nobody knows."""
    late_s: float = 0.0
    fault: str = ""


class Weather:
    """The windows that are open now, and draws from them."""

    def __init__(self, draw: Draw, bursts: Sequence[float], processes: Sequence[str], vendors: Sequence[str]) -> None:
        self._rng = draw.stream("weather")
        self._store: dict[Window, None] = {}
        self._bus: dict[Window, None] = {}
        self._vendors: dict[str, dict[Window, None]] = {vendor: {} for vendor in vendors}
        self.windows = self._drawn(draw, bursts, processes, vendors)

    def begin(self, window: Window) -> None:
        self._place(window)[window] = None

    def end(self, window: Window) -> None:
        self._place(window).pop(window, None)

    def clear(self) -> None:
        """The weather turns fine for good."""
        for place in (self._store, self._bus, *self._vendors.values()):
            place.clear()

    def store(self, process: str) -> Fate | None:
        """The fate of a call of the store; None: nothing happens to it, and it takes no time."""
        rng = self._rng
        for window in self._store:
            if window.whom in {EVERYBODY, process} and rng.random() < window.share:
                return self._store_fate(window.fault)
        if rng.random() < 0.15:
            return Fate(before_s=pick(rng, LATENCIES_S), after_s=pick(rng, LATENCIES_S))
        return None

    def store_reads(self, process: str) -> bool:
        """Whether a read gets through: reads have outages only."""
        down = (w for w in self._store if w.whom in {EVERYBODY, process} and w.fault in {"store_down", "store_cut"})
        return not any(down)

    def bus(self, *faults: str) -> str | None:
        """Which of these faults a call of the bus has."""
        for window in self._bus:
            if window.fault in faults and self._rng.random() < window.share:
                return window.fault
        return None

    def mood(self, vendor: str, now_s: float) -> str:
        """How a vendor takes the next request."""
        for window in self._vendors[vendor]:
            if window.fault == "flaps":
                if int((now_s - window.begins_s) / FLAP_S) % 2 == 0:
                    return "says_503"
            elif self._rng.random() < window.share:
                return window.fault
        return "well"

    def _place(self, window: Window) -> dict[Window, None]:
        if window.fault in STORE_FAULTS:
            return self._store
        return self._bus if window.fault in BUS_FAULTS else self._vendors[window.whom]

    def _store_fate(self, fault: str) -> Fate:
        rng = self._rng
        before_s, after_s = pick(rng, (0.0, *LATENCIES_S)), pick(rng, (0.0, *LATENCIES_S))
        match fault:
            case "store_down" | "store_cut":
                return Fate(before_s=pick(rng, (0.0, 0.01, 1.0)), does=False, error="down", fault=fault)
            case "commit_unknown":
                return Fate(before_s, after_s=after_s, error="maybe", fault=fault)
            case "commit_refused":
                return Fate(before_s, does=False, after_s=after_s, error="maybe", fault=fault)
            case "commit_late":
                return Fate(before_s, error="maybe", after_s=after_s, late_s=pick(rng, (0.05, 0.5, 2.0, 10.0, 40.0)), fault=fault)
            case _:
                return Fate(pick(rng, SLOW_S), after_s=pick(rng, SLOW_S), fault=fault)

    def _drawn(self, draw: Draw, bursts: Sequence[float], processes: Sequence[str], vendors: Sequence[str]) -> list[Window]:
        rng = draw.stream("windows")
        windows = []
        known = [fault for fault in (*STORE_FAULTS, *BUS_FAULTS, *VENDOR_FAULTS) if fault in draw.has]
        for burst_s in bursts if known else ():
            for _ in range(WINDOWS_PER_BURST):
                fault = pick(rng, known)
                begins_s = max(1.0, burst_s + rng.uniform(-20, 15))
                lasts_s = pick(rng, (2.0, 10.0, 30.0, 90.0))
                if fault in VENDOR_FAULTS:
                    whom, share = pick(rng, vendors), pick(rng, (0.1, 0.5, 1.0, 1.0))
                    lasts_s = pick(rng, (5.0, 30.0, 120.0, 600.0))
                elif fault in {"store_down", "bus_down", "store_cut"}:
                    whom, share = pick(rng, processes) if fault == "store_cut" else EVERYBODY, 1.0
                else:
                    whom = EVERYBODY if chance(rng, 0.5) or fault in BUS_FAULTS else pick(rng, processes)
                    share = pick(rng, (0.05, 0.2, 0.5))
                windows.append(Window(begins_s, begins_s + lasts_s, fault, whom, share))
        return windows
